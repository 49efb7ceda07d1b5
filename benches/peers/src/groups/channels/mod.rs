//! Channels: producers send numbers, consumers add them up; how long a blocked receiver takes to return,
//! and what it costs meanwhile; one receiver that selects over several channels.
//!
//! Only messages that consumers receive while all threads run are counted. That matters for an unbounded
//! channel: its producers may be ahead, and receiving alone afterwards is easier.

mod block_on;
mod contenders;
mod handoff;
mod messages;
mod park;
mod ring;
mod select;

use crate::background::Background;
use crate::entry::{Entry, Failure, Group, Outcome, Params, Role, Row, params};
use crate::go;
use crate::plan::{Context, Plan};
use serde::Serialize;

pub const GROUP: Group =
    Group { name: "channels", title: "Channels", most_cores: usize::MAX, rows };

/// Messages between two checks of the stop flag.
const BATCH: u64 = 16;

/// Capacities of the rows with one receiver that is blocked. Between 10 and no bound nothing differs for it.
const BLOCKED: [Option<usize>; 3] = [Some(0), Some(10), None];

/// A channel for numbers.
pub trait Channel {
    type Sender: Send;
    type Receiver: Send;
    /// Opens a channel with this many senders and receivers. `None` is for no bound.
    fn open(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>);
    fn send(sender: &mut Self::Sender, message: usize);
    /// Receives the next message; `None` when all senders are dropped and none remains.
    fn recv(receiver: &mut Self::Receiver) -> Option<usize>;
}

/// A channel whose library can wait for several of them at once.
pub trait Select: Channel {
    /// Receives from whichever channel has a message, again and again, and passes each message to `take`,
    /// until that returns false. Senders are still there then, so that no channel is ever closed.
    fn select_each(receivers: Vec<Self::Receiver>, take: impl FnMut(usize) -> bool);
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// As many messages as possible.
    Messages,
    /// From `send` to the return of a `recv` that began 1 µs ago.
    Arrived,
    /// The same, and the receiver has been asleep for 100 µs.
    Asleep,
    /// The processor time of a receiver that is blocked for 200 ms.
    Idle,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    /// Absent for an unbounded channel.
    capacity: Option<usize>,
    producers: usize,
    consumers: usize,
    /// Whether busy threads run beside it.
    #[serde(skip)]
    busy: bool,
}

/// One receiver selects over several channels.
#[derive(Serialize)]
pub struct SelectTask {
    kind: Kind,
    channels: usize,
    /// As many as there are channels, one for each; or a single one, which sends to each in turn.
    senders: usize,
}

/// A section and its unit.
type Section = (&'static str, &'static str);

/// The sections of a blocked `recv` and of a blocked select: its latency, and what it costs.
const RECV: [Section; 2] = [
    ("From send to the return of a blocked recv", "ns"),
    ("A receiver blocked for 200 ms", "µs of processor time"),
];
const SELECT: [Section; 2] = [
    ("From send to the return of a blocked select", "ns"),
    ("A select blocked for 200 ms", "µs of processor time"),
];

impl Kind {
    /// The section of a row with a blocked receiver, and the row's parameters.
    fn of_blocked(
        self,
        [latency, idle]: [Section; 2],
        (name, value): (&str, String),
    ) -> (Section, Params) {
        let receiver = |does: &str| params([(name, value.clone()), ("receiver", does.to_owned())]);
        match self {
            Kind::Messages => unreachable!("no receiver is blocked for long"),
            Kind::Arrived => (latency, receiver("arrived 1 µs ago")),
            Kind::Asleep => (latency, receiver("asleep")),
            Kind::Idle => (idle, params([(name, value)])),
        }
    }
}

fn rows(plan: &Plan) -> Vec<Row> {
    let idle = Background::NONE;
    let busy = plan.backgrounds();
    let mut rows = Vec::new();
    for capacity in [Some(0), Some(10), Some(1024), None] {
        for shape in [(1, 1), (2, 2), (3, 1), (4, 1)] {
            rows.push(messages_row(capacity, shape, idle));
        }
    }
    for capacity in [Some(0), Some(10), Some(1024), None] {
        rows.extend(busy.iter().map(|&beside| messages_row(capacity, (1, 1), beside)));
    }
    for kind in [Kind::Arrived, Kind::Asleep] {
        rows.extend(BLOCKED.map(|capacity| blocked_row(kind, capacity, idle)));
        rows.extend(busy.iter().map(|&beside| blocked_row(kind, Some(10), beside)));
    }
    rows.extend(BLOCKED.map(|capacity| blocked_row(Kind::Idle, capacity, idle)));
    for (channels, senders) in [(2, 1), (2, 2), (8, 1), (8, 8)] {
        rows.push(select_row(channels, senders));
    }
    for kind in [Kind::Arrived, Kind::Asleep, Kind::Idle] {
        rows.extend([2, 8].map(|channels| blocked_select_row(kind, channels)));
    }
    rows
}

fn shown(capacity: Option<usize>) -> String {
    capacity.map_or("unbounded".to_owned(), |n| n.to_string())
}

fn messages_row(
    capacity: Option<usize>,
    (producers, consumers): (usize, usize),
    background: Background,
) -> Row {
    let shape = format!("{producers}p{consumers}c");
    let busy = !background.is_none();
    Row::new(
        "Send and receive",
        "ns per message",
        params([("capacity", shown(capacity)), ("shape", shape)]),
        producers + consumers,
        Task { kind: Kind::Messages, capacity, producers, consumers, busy },
        contenders::all(),
    )
    .beside(background)
}

fn blocked_row(kind: Kind, capacity: Option<usize>, background: Background) -> Row {
    let ((section, unit), named) = kind.of_blocked(RECV, ("capacity", shown(capacity)));
    let busy = !background.is_none();
    let task = Task { kind, capacity, producers: 1, consumers: 1, busy };
    Row::new(section, unit, named, 2, task, contenders::all()).beside(background)
}

fn select_row(channels: usize, senders: usize) -> Row {
    Row::new(
        "Select, one receiver, capacity 10",
        "ns per message",
        params([("channels", channels.to_string()), ("senders", senders.to_string())]),
        senders + 1,
        SelectTask { kind: Kind::Messages, channels, senders },
        contenders::selects(),
    )
}

fn blocked_select_row(kind: Kind, channels: usize) -> Row {
    let ((section, unit), named) = kind.of_blocked(SELECT, ("channels", channels.to_string()));
    let task = SelectTask { kind, channels, senders: 1 };
    Row::new(section, unit, named, 2, task, contenders::selects())
}

fn round<C: Channel>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    match task.kind {
        Kind::Messages => messages::round::<C>(task, context),
        kind => {
            let (mut senders, mut receivers) = C::open(task.capacity, 1, 1);
            let mut sender = senders.pop().expect("one sender");
            let receiver = receivers.pop().expect("one receiver");
            let send = move |message| C::send(&mut sender, message);
            handoff::round(kind, context, send, handoff::One::<C>(receiver))
        }
    }
}

fn select_round<C: Select>(task: &SelectTask, context: &mut Context) -> Result<Outcome, Failure> {
    match task.kind {
        Kind::Messages => select::round::<C>(task, context),
        kind => {
            let (mut senders, receivers) = select::open::<C>(task.channels);
            let mut turn = 0;
            let send = move |message| {
                turn = (turn + 1) % senders.len();
                C::send(&mut senders[turn], message);
            };
            handoff::round(kind, context, send, handoff::Any::<C>(receivers))
        }
    }
}

fn entry<C: Channel>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<C>)
}

fn peer<C: Channel>(name: &'static str) -> Entry<Task> {
    entry::<C>(name, Role::Peer)
}

fn selecting<C: Select>(name: &'static str, role: Role) -> Entry<SelectTask> {
    Entry::new(name, role, select_round::<C>)
}

/// Go's channels are always bounded.
fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
        .only(|task: &Task| task.capacity.is_some())
}

fn selecting_in_go() -> Entry<SelectTask> {
    go::entry("Go", |task, context| go::round("channels_select", task, context))
}

//! Channels: producers send numbers, consumers add them up.
//!
//! Only messages that consumers receive while all threads run are counted. That matters for an unbounded
//! channel: its producers may be ahead, and receiving alone afterwards is easier.

mod contenders;
mod ring;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::groups::check;
use crate::plan::{Context, Plan, cores};
use crate::{go, window};
use serde::Serialize;
use std::sync::Mutex;

pub const GROUP: Group =
    Group { name: "channels", title: "Channels", most_cores: usize::MAX, rows };

/// Messages between two checks of the stop flag.
const BATCH: u64 = 16;

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

#[derive(Serialize)]
pub struct Task {
    /// Absent for an unbounded channel.
    capacity: Option<usize>,
    producers: usize,
    consumers: usize,
}

fn rows(_: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for capacity in [Some(0), Some(10), Some(1024), None] {
        for (producers, consumers) in [(1, 1), (2, 2), (3, 1), (4, 1)] {
            let shown = capacity.map_or("unbounded".to_owned(), |n| n.to_string());
            rows.push(Row::new(
                "Send and receive",
                "ns per message",
                params([("capacity", shown), ("shape", format!("{producers}p{consumers}c"))]),
                producers + consumers,
                Task { capacity, producers, consumers },
                contenders::all(),
            ));
        }
    }
    rows
}

enum End<C: Channel> {
    Send(C::Sender),
    Receive(C::Receiver),
}

fn round<C: Channel>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let Task { capacity, producers, consumers } = *task;
    let (senders, receivers) = C::open(capacity, producers, consumers);
    let senders = senders.into_iter().map(End::<C>::Send);
    let ends = senders.chain(receivers.into_iter().map(End::Receive));
    // Each thread takes its end, and drops it when it is done, which ends the consumers.
    let ends: Vec<_> = ends.map(|end| Mutex::new(Some(end))).collect();
    let threads = producers + consumers;
    let (done, rate) = window::run(threads, context.span(), |worker| {
        let end = ends[worker.index].lock().expect("no thread panicked").take();
        let (mut count, mut sum) = (0usize, 0usize);
        match end.expect("an end for each thread") {
            End::Send(mut sender) => {
                while worker.more() {
                    for _ in 0..BATCH {
                        C::send(&mut sender, count);
                        sum = sum.wrapping_add(count);
                        count += 1;
                    }
                    worker.did(BATCH);
                }
            }
            End::Receive(mut receiver) => {
                while let Some(message) = C::recv(&mut receiver) {
                    sum = sum.wrapping_add(message);
                    count += 1;
                    if (count as u64).is_multiple_of(BATCH) {
                        worker.did(BATCH);
                    }
                }
            }
        }
        (count as u64, sum as u64)
    });
    let (sent, received) = done.split_at(producers);
    let total = |ends: &[(u64, u64)]| {
        let add = |a: (u64, u64), b: &(u64, u64)| (a.0 + b.0, a.1.wrapping_add(b.1));
        ends.iter().fold((0, 0), add)
    };
    let (sent, received) = (total(sent), total(received));
    check("messages", received.0, sent.0)?;
    check("sum", received.1, sent.1)?;
    Ok(Outcome::one(rate.ns_per_op_of(producers..threads)))
}

fn peer<C: Channel>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Peer, round::<C>)
}

/// Go's channels are always bounded.
fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
        .only(|task: &Task| task.capacity.is_some())
}

/// One producer and one consumer, which spin, each on a core of its own.
fn limit() -> Entry<Task> {
    Entry::new("limit", Role::Limit, round::<ring::Ring>)
        .only(|task| task.producers == 1 && task.consumers == 1)
        .only(|_| cores() >= 2)
}

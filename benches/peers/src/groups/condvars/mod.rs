//! Condition variables, each with the mutex of its own library.
//!
//! Measured on one core. With an idle core beside them, the kernel chooses at each notification whether the
//! woken thread runs on the notifier's core (a round trip of some 3 µs) or on the idle one (50 to 100 µs
//! on a virtual machine). It keeps to its choice for a while, so rounds of one library differed by a factor
//! of thirty, and so did the medians of a row.

mod contenders;
mod notify;
mod queue;

use crate::background::Background;
use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::go;
use crate::plan::{Context, Plan};
use serde::Serialize;
use std::ops::DerefMut;

pub const GROUP: Group =
    Group { name: "condvars", title: "Condition variables", most_cores: 1, rows };

/// A library's mutex and condition variable.
pub trait Kit {
    type Mutex<T: Send>: Sync;
    type Guard<'a, T: Send + 'a>: DerefMut<Target = T>;
    type Condvar: Sync;

    fn mutex<T: Send>(value: T) -> Self::Mutex<T>;
    fn lock<T: Send>(mutex: &Self::Mutex<T>) -> Self::Guard<'_, T>;
    fn condvar() -> Self::Condvar;
    fn wait<'a, T: Send>(condvar: &Self::Condvar, guard: Self::Guard<'a, T>) -> Self::Guard<'a, T>;
    fn notify_one(condvar: &Self::Condvar);
    fn notify_all(condvar: &Self::Condvar);
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Two threads notify each other in turn.
    PingPong,
    /// One thread notifies ten while it holds the mutex.
    NotifyAllHeld,
    /// The same, after it has unlocked the mutex.
    NotifyAllUnlocked,
    /// Two producers and two consumers with a bounded queue between them.
    Queue,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    /// Of the queue.
    capacity: usize,
}

fn rows(_: &Plan) -> Vec<Row> {
    let each = |row: fn(Background) -> Row| Background::ALL.map(row);
    let mut rows = Vec::new();
    rows.extend(each(ping_pong));
    rows.extend(each(|background| notify_all(Kind::NotifyAllHeld, background)));
    rows.extend(each(|background| notify_all(Kind::NotifyAllUnlocked, background)));
    rows.extend(each(|background| queue(1, background)));
    rows.extend(each(|background| queue(8, background)));
    rows
}

fn ping_pong(background: Background) -> Row {
    let task = Task { kind: Kind::PingPong, capacity: 0 };
    let unit = "ns for the way there and back";
    let row = Row::new("notify_one, there and back", unit, params([]), 2, task, contenders::all());
    row.beside(background)
}

fn notify_all(kind: Kind, background: Background) -> Row {
    let when = if kind == Kind::NotifyAllHeld { "under the lock" } else { "after unlocking" };
    Row::new(
        "notify_all with ten waiters",
        "all left: ns from calling notify_all until the last has unlocked; notify_all: ns that \
         the call takes, with the unlocking where that comes after it",
        params([("notified", when.to_owned())]),
        notify::WAITERS + 1,
        Task { kind, capacity: 0 },
        contenders::all(),
    )
    .beside(background)
}

fn queue(capacity: usize, background: Background) -> Row {
    Row::new(
        "A bounded queue, 2p2c",
        "message: ns per message; put, take: ns of a call",
        params([("capacity", capacity.to_string())]),
        queue::THREADS,
        Task { kind: Kind::Queue, capacity },
        contenders::all(),
    )
    .beside(background)
}

fn round<K: Kit>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let time = context.long_span().window;
    match task.kind {
        Kind::PingPong => notify::ping_pong::<K>(time),
        Kind::NotifyAllHeld => notify::all::<K>(time, true),
        Kind::NotifyAllUnlocked => notify::all::<K>(time, false),
        Kind::Queue => queue::round::<K>(task.capacity, context.span()),
    }
}

fn entry<K: Kit>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<K>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

//! Condition variables, each with the mutex of its own library: waiting for a
//! change that another thread makes under the mutex.

mod contenders;
mod notify;
mod queue;

use crate::company::Company;
use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::go;
use crate::plan::{Context, Plan};
use serde::Serialize;
use std::ops::DerefMut;

pub const GROUP: Group =
    Group { name: "condvars", title: "Condition variables", most_cores: 1, rows };

/// A mutex and the condition variable that goes with it.
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
    /// Two threads wake each other in turn.
    PingPong,
    /// One thread wakes ten, while it holds the mutex.
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
    let each = |row: fn(Company) -> Row| Company::ALL.map(row);
    let mut rows = Vec::new();
    rows.extend(each(ping_pong));
    rows.extend(each(|company| notify_all(Kind::NotifyAllHeld, company)));
    rows.extend(each(|company| notify_all(Kind::NotifyAllUnlocked, company)));
    rows.extend(each(|company| queue(1, company)));
    rows.extend(each(|company| queue(8, company)));
    rows
}

fn ping_pong(company: Company) -> Row {
    let task = Task { kind: Kind::PingPong, capacity: 0 };
    let unit = "ns for the way there and back";
    let row = Row::new("notify_one, there and back", unit, params([]), 2, task, contenders::all());
    row.beside(company)
}

fn notify_all(kind: Kind, company: Company) -> Row {
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
    .beside(company)
}

fn queue(capacity: usize, company: Company) -> Row {
    Row::new(
        "A bounded queue, 2p2c",
        "message: ns per message; put, take: ns of a call",
        params([("capacity", capacity.to_string())]),
        queue::THREADS,
        Task { kind: Kind::Queue, capacity },
        contenders::all(),
    )
    .beside(company)
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

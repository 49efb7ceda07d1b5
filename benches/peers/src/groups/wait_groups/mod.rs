//! Wait groups: counting up and down, and waking the waiter.

mod contenders;
mod handoff;

use crate::entry::{Entry, Failure, Group, Outcome, Params, Role, Row, params};
use crate::groups::pause::{ARRIVED, ASLEEP};
use crate::plan::{Context, Plan};
use crate::{go, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;

pub const GROUP: Group =
    Group { name: "wait_groups", title: "Wait groups", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: u64 = 32;

/// A wait group.
pub trait WaitGroup: Sync + Send + Sized {
    /// What one `done` consumes: a clone of the group, or a unit.
    type Token: Send;

    /// A group that counts `n`.
    fn start(n: usize) -> (Self, Vec<Self::Token>);
    fn done(&self, token: Self::Token);
    /// Called once, after `start`.
    fn wait(&self);
    /// Adds one, and subtracts it again.
    fn add_done(&self);
}

/// A group whose guards count one each.
pub trait Guarded {
    type Guard: Clone + Send;
    fn guard() -> Self::Guard;
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    AddDone,
    /// Four threads call `done` 10,000 times each while one waits.
    Burst,
    /// The last `done` to the return of a `wait` that began 1 µs ago.
    Arrived,
    /// The same, 100 µs: the waiter is asleep.
    Parked,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let add_done = plan.threads.iter().map(|&threads| {
        row(("Add and done on one group", "ns per add + done"), params([]), Kind::AddDone, threads)
    });
    let guards = plan.threads.iter().map(|&threads| {
        Row::new(
            "Clone and drop of a guard",
            "ns per clone + drop",
            params([]),
            threads,
            Task { kind: Kind::AddDone, threads },
            contenders::guards(),
        )
    });
    let burst = row(
        ("4 × 10,000 done, one waits", "ns per done"),
        params([("timed", "start to the return of wait".to_owned())]),
        Kind::Burst,
        handoff::DOERS + 1,
    );
    let handoff = |waiter: &str, kind| {
        row(
            ("From the last done to the return of wait", "ns"),
            params([("waiter", waiter.to_owned())]),
            kind,
            2,
        )
    };
    let last = [
        burst,
        handoff("arrived 1 µs ago", Kind::Arrived),
        handoff("arrived 100 µs ago", Kind::Parked),
    ];
    add_done.chain(guards).chain(last).collect()
}

fn row(
    (section, unit): (&'static str, &'static str),
    params: Params,
    kind: Kind,
    threads: usize,
) -> Row {
    let task = Task { kind, threads };
    Row::new(section, unit, params, threads, task, contenders::all())
}

fn round<W: WaitGroup>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    match task.kind {
        Kind::AddDone => Ok(add_done::<W>(task, context)),
        Kind::Burst => handoff::burst::<W>(context.plan.batch_budget),
        Kind::Arrived => handoff::latency::<W>(context.plan.samples, ARRIVED),
        Kind::Parked => handoff::latency::<W>(context.plan.samples, ASLEEP),
    }
}

fn add_done<W: WaitGroup>(task: &Task, context: &mut Context) -> Outcome {
    let group = CachePadded::new(W::start(0).0);
    let (_, rate) = window::run(task.threads, context.span(), |worker| {
        while worker.more() {
            for _ in 0..BATCH {
                group.add_done();
            }
            worker.did(BATCH);
        }
    });
    // The count is zero, so this returns. A group that lost a `done` hangs here, and the watchdog names
    // it.
    group.wait();
    Outcome::one(rate.ns_per_op())
}

fn guard_round<G: Guarded>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let guard = G::guard();
    let own: Vec<_> =
        (0..task.threads).map(|_| std::sync::Mutex::new(Some(guard.clone()))).collect();
    let (_, rate) = window::run(task.threads, context.span(), |worker| {
        let mut slot = own[worker.index].lock().expect("no thread panicked");
        let guard = slot.take().expect("one guard for each thread");
        while worker.more() {
            for _ in 0..BATCH {
                drop(black_box(guard.clone()));
            }
            worker.did(BATCH);
        }
    });
    Ok(Outcome::one(rate.ns_per_op()))
}

fn entry<W: WaitGroup>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<W>)
}

fn peer<W: WaitGroup>(name: &'static str) -> Entry<Task> {
    entry::<W>(name, Role::Peer)
}

fn guarded<G: Guarded>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, guard_round::<G>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

//! Counters: many threads increment one counter; one reads it meanwhile.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::plan::{Context, Plan};
use crate::{go, groups::check, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;

pub const GROUP: Group =
    Group { name: "counters", title: "Counters", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: u64 = 64;

/// Threads that add while one reads.
const WRITERS: usize = 3;

/// A counter that threads add to.
pub trait Counter: Sync {
    /// A counter at zero, for about this number of threads.
    fn new(threads: usize) -> Self;
    /// Adds one. `thread` is the caller's number, for contenders that need it.
    fn add(&self, thread: usize);
    fn get(&self) -> u64;
}

#[derive(Serialize)]
pub struct Task {
    /// The last thread reads instead of adding, and only its reads are measured.
    read: bool,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let add = plan.threads.iter().map(|&threads| {
        let read = false;
        Row::new(
            "Adding one",
            "ns per increment",
            params([]),
            threads,
            Task { read, threads },
            contenders::all(),
        )
    });
    let read = Row::new(
        "Reading",
        "ns per read",
        params([("while", format!("{WRITERS} threads add"))]),
        WRITERS + 1,
        Task { read: true, threads: WRITERS + 1 },
        contenders::all(),
    );
    add.chain([read]).collect()
}

fn round<C: Counter>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let counter = CachePadded::new(C::new(task.threads));
    let reader = if task.read { WRITERS } else { task.threads };
    let (totals, rate) = window::run(task.threads, context.span(), |worker| {
        let thread = worker.index;
        while worker.more() {
            if thread == reader {
                for _ in 0..BATCH {
                    black_box(counter.get());
                }
            } else {
                for _ in 0..BATCH {
                    counter.add(thread);
                }
            }
            worker.did(BATCH);
        }
        if thread == reader { 0 } else { worker.total() }
    });
    check("count", counter.get(), totals.iter().sum())?;
    Ok(Outcome::one(if task.read {
        rate.ns_per_op_of(reader..reader + 1)
    } else {
        rate.ns_per_op()
    }))
}

fn entry<C: Counter>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<C>)
}

fn peer<C: Counter>(name: &'static str) -> Entry<Task> {
    entry::<C>(name, Role::Peer)
}

fn ours<C: Counter>(name: &'static str) -> Entry<Task> {
    entry::<C>(name, Role::Ours)
}

fn in_go() -> Entry<Task> {
    go::entry("Go atomic", |task, context| go::round(GROUP.name, task, context))
}

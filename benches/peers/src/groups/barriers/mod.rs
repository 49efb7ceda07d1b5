//! Barriers: rounds that threads begin together.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::groups::check;
use crate::plan::{Context, Plan};
use crate::work::work;
use crate::{go, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

pub const GROUP: Group =
    Group { name: "barriers", title: "Barriers", most_cores: usize::MAX, rows };

/// Nanoseconds of work between two rounds.
const WORK: [u64; 3] = [0, 1_000, 20_000];

/// Parties besides those of the plan.
const FEW: [usize; 2] = [2, 4];

/// A barrier.
pub trait Barrier: Sync {
    fn of(parties: usize) -> Self;
    fn wait(&self);
}

#[derive(Serialize)]
pub struct Task {
    work: u64,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let mut counts: Vec<_> = plan.threads.iter().copied().chain(FEW).filter(|&n| n > 1).collect();
    counts.sort_unstable();
    counts.dedup();
    let row = |work: u64, threads| {
        Row::new(
            "A round of all threads",
            "ns per round",
            params([("work between, ns", work.to_string())]),
            threads,
            Task { work, threads },
            contenders::all(),
        )
    };
    counts.into_iter().flat_map(|threads| WORK.map(|work| row(work, threads))).collect()
}

fn round<B: Barrier>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let steps = context.calibration.steps(task.work);
    let barrier = CachePadded::new(B::of(task.threads));
    // The number of the last round. The first thread sets it before that round's wait, so that all threads see it
    // after that.
    let last = CachePadded::new(AtomicU64::new(u64::MAX));
    let (done, rate) = window::run(task.threads, context.span(), |worker| {
        let mut round = 0;
        loop {
            black_box(work(steps, round));
            if worker.index == 0 && !worker.more() {
                // ORDERING: Relaxed: ordered by the barrier.
                last.store(round, Ordering::Relaxed);
            }
            barrier.wait();
            worker.did(1);
            // ORDERING: Relaxed: as above.
            if last.load(Ordering::Relaxed) <= round {
                return worker.total();
            }
            round += 1;
        }
    });
    for total in &done {
        check("rounds", *total, done[0])?;
    }
    Ok(Outcome::one(rate.ns_per_op_of(0..1)))
}

fn entry<B: Barrier>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<B>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

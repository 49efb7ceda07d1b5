//! Semaphores: permits acquired and released, with work while they are held and between.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::groups::check;
use crate::plan::{Context, Plan};
use crate::work::work;
use crate::{go, stats, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub const GROUP: Group =
    Group { name: "semaphores", title: "Semaphores", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: u64 = 16;

/// Nanoseconds of work while permits are held, and between.
const WORK: [(u64, u64); 3] = [(10, 10), (100, 100), (1_000, 1_000)];

/// Threads that share the permits of a contended semaphore.
const THREADS: [usize; 3] = [2, 4, 16];

/// Samples that a thread takes in one round at most, and samples kept of all.
const MAX_SAMPLES: usize = 1 << 16;
const KEPT: usize = 4096;

/// A semaphore.
pub trait Semaphore: Sync {
    fn of(permits: u32) -> Self;
    /// Calls `f` with so many permits.
    fn with<R>(&self, permits: u32, f: impl FnOnce() -> R) -> R;
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Count acquisitions.
    Throughput,
    /// Time single acquisitions, on all threads.
    Latency,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    inside: u64,
    outside: u64,
    permits: u32,
    /// What every other thread acquires at once; the others acquire 1.
    large: u32,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let free = plan.threads.iter().map(|&threads| {
        let permits = u32::try_from(threads).expect("few");
        let (kind, large) = (Kind::Throughput, 1);
        let task = Task { kind, inside: 0, outside: 0, permits, large, threads };
        row("Acquire and release, a permit for each thread", task)
    });
    let contended = |section, kind, large| {
        move |threads: usize| {
            WORK.map(|(inside, outside)| {
                let permits = if threads == 2 { large } else { 2 };
                row(section, Task { kind, inside, outside, permits, large, threads })
            })
        }
    };
    let throughput =
        contended("Acquire and release, more threads than permits", Kind::Throughput, 1);
    let weighted = contended("Every other thread acquires all permits", Kind::Throughput, 2);
    let latency = contended("From asking to holding, more threads than permits", Kind::Latency, 1);
    let mut rows: Vec<_> = free.collect();
    rows.extend(THREADS.into_iter().flat_map(throughput));
    rows.extend(weighted(4));
    rows.extend(THREADS.into_iter().flat_map(latency));
    rows
}

fn row(section: &'static str, task: Task) -> Row {
    let unit = match task.kind {
        Kind::Throughput => "ns per acquire + release, over all threads",
        Kind::Latency => "ns",
    };
    let params = params([
        ("work inside / outside, ns", format!("{} / {}", task.inside, task.outside)),
        ("permits", task.permits.to_string()),
    ]);
    Row::new(section, unit, params, task.threads, task, contenders::all())
}

fn round<S: Semaphore>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let inside = context.calibration.steps(task.inside);
    let outside = context.calibration.steps(task.outside);
    let latency = task.kind == Kind::Latency;
    let semaphore = CachePadded::new(S::of(task.permits));
    let count = CachePadded::new(AtomicU64::new(0));
    let (done, rate) = window::run(task.threads, context.span(), |worker| {
        let permits = if worker.index % 2 == 1 { task.large } else { 1 };
        let mut latencies = Vec::with_capacity(if latency { MAX_SAMPLES } else { 0 });
        let mut own = 0u64;
        while worker.more() {
            // One acquisition in a batch is timed, so that the clock's cost stays a small part.
            if latency && latencies.len() < MAX_SAMPLES {
                let asked = Instant::now();
                let held = semaphore.with(permits, || {
                    let held = asked.elapsed();
                    black_box(work(inside, own));
                    own += 1;
                    held
                });
                latencies.push(stats::nanos(held));
                worker.did(1);
            }
            for _ in 0..BATCH {
                semaphore.with(permits, || {
                    black_box(work(inside, own));
                    own += 1;
                });
                black_box(work(outside, 1));
            }
            worker.did(BATCH);
        }
        // ORDERING: Relaxed: only a number; join publishes it.
        count.fetch_add(own, Ordering::Relaxed);
        (worker.total(), latencies)
    });
    let expected = done.iter().map(|(total, _)| total).sum();
    // ORDERING: Relaxed: as above.
    check("count", count.load(Ordering::Relaxed), expected)?;
    // A semaphore that lost a permit hangs here, and the watchdog names it.
    semaphore.with(task.permits, || ());
    if latency {
        let all = done.into_iter().flat_map(|(_, latencies)| latencies);
        return Ok(Outcome::latencies(stats::thin(all.collect(), KEPT)));
    }
    Ok(Outcome::one(rate.ns_per_op()))
}

fn ours<S: Semaphore>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Ours, round::<S>)
}

fn peer<S: Semaphore>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Peer, round::<S>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

//! Mutexes: a counter behind a lock, with work inside the lock and between locks.

mod contenders;

use super::locked::Lock;
use super::waits::{HOGS, Turns, Waits};
use crate::background::Background;
use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::plan::{Context, Plan};
use crate::work::work;
use crate::{go, groups::check, stats, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

pub const GROUP: Group = Group { name: "mutexes", title: "Mutexes", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: u64 = 16;

/// Nanoseconds of work inside the lock, and between two locks.
const WORK: [(u64, u64); 4] = [(0, 0), (10, 10), (10, 100), (100, 100)];

/// Samples that a thread takes in one round at most, and samples kept of all.
const MAX_SAMPLES: usize = 1 << 16;
const KEPT: usize = 4096;

/// Microseconds that hogs hold the lock.
const HOLDS: [u64; 3] = [1, 20, 400];

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Count acquisitions.
    Throughput,
    /// Time single acquisitions, on all threads.
    Latency,
    /// Time the acquisitions of one thread beside three that lock again at once.
    BesideHogs,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    inside: u64,
    outside: u64,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let all = plan.all_threads();
    let mut rows = Vec::new();
    for work in WORK {
        rows.extend(plan.threads.iter().map(|&n| timed(Kind::Throughput, work, n)));
        let beside = |&background| timed(Kind::Throughput, work, all).beside(background);
        rows.extend(plan.backgrounds().iter().map(beside));
    }
    let [.., between, even] = WORK;
    rows.push(timed(Kind::Latency, between, all));
    let mut counts = vec![2, all];
    counts.dedup();
    for threads in counts {
        let beside = |background| timed(Kind::Latency, even, threads).beside(background);
        rows.extend(Background::ALL.map(beside));
    }
    for hold in HOLDS {
        rows.extend(Background::ALL.map(|background| beside_hogs_for(hold).beside(background)));
    }
    rows
}

fn timed(kind: Kind, (inside, outside): (u64, u64), threads: usize) -> Row {
    let (section, unit) = match kind {
        Kind::Throughput => ("Lock and unlock", "ns per lock + unlock, over all threads"),
        Kind::Latency | Kind::BesideHogs => ("From asking to holding", "ns"),
    };
    Row::new(
        section,
        unit,
        params([("work inside / outside, ns", format!("{inside} / {outside}"))]),
        threads,
        Task { kind, inside, outside, threads },
        contenders::all(),
    )
}

fn beside_hogs_for(micros: u64) -> Row {
    let threads = HOGS + 1;
    Row::new(
        "Beside three hogs",
        "wait: ns from asking to holding; turns: acquisitions by others meanwhile",
        params([("hogs hold it for", format!("{micros} µs"))]),
        threads,
        Task { kind: Kind::BesideHogs, inside: micros * 1_000, outside: 0, threads },
        contenders::all(),
    )
}

fn round<L: Lock<u64>>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    if task.kind == Kind::BesideHogs {
        return beside_hogs::<L>(task, context);
    }
    let inside = context.calibration.steps(task.inside);
    let outside = context.calibration.steps(task.outside);
    let latency = task.kind == Kind::Latency;
    let lock = CachePadded::new(L::of(0));
    let (done, rate) = window::run(task.threads, context.span(), |worker| {
        let mut latencies = Vec::with_capacity(if latency { MAX_SAMPLES } else { 0 });
        while worker.more() {
            // One acquisition in a batch is timed, so that the clock's cost stays a small part.
            if latency && latencies.len() < MAX_SAMPLES {
                let asked = Instant::now();
                let held = lock.write(|count| {
                    let held = asked.elapsed();
                    black_box(work(inside, *count));
                    *count += 1;
                    held
                });
                latencies.push(stats::nanos(held));
                worker.did(1);
            }
            for _ in 0..BATCH {
                lock.write(|count| {
                    black_box(work(inside, *count));
                    *count += 1;
                });
                black_box(work(outside, 1));
            }
            worker.did(BATCH);
        }
        (worker.total(), latencies)
    });
    let expected = done.iter().map(|(total, _)| total).sum();
    check("count", lock.write(|count| *count), expected)?;
    if latency {
        let all = done.into_iter().flat_map(|(_, latencies)| latencies);
        return Ok(Outcome::latencies(stats::thin(all.collect(), KEPT)));
    }
    Ok(Outcome::one(rate.ns_per_op()))
}

/// Times the last thread's waits for the lock, which the others hold most of the time.
fn beside_hogs<L: Lock<u64>>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let inside = context.calibration.steps(task.inside);
    let lock = CachePadded::new(L::of(0));
    let turns = CachePadded::new(Turns::default());
    let (mut done, _) = window::run(task.threads, context.long_span(), |worker| {
        let mut waits = Waits::default();
        while worker.more() {
            if worker.index < HOGS {
                lock.write(|count| {
                    *count += 1;
                    turns.took_alone(*count);
                    black_box(work(inside, *count));
                });
            } else {
                let before = turns.so_far();
                let asked = Instant::now();
                let (took, passed) = lock.write(|count| {
                    let took = asked.elapsed();
                    let passed = *count - before;
                    *count += 1;
                    turns.took_alone(*count);
                    (took, passed)
                });
                waits.add(took, passed);
            }
            worker.did(1);
        }
        (worker.total(), waits)
    });
    let expected = done.iter().map(|(total, _)| total).sum();
    check("count", lock.write(|count| *count), expected)?;
    let (_, waits) = done.pop().expect("the waiting thread is the last");
    Ok(waits.outcome())
}

/// The same work on private numbers, but never faster than one thread does the part inside the lock: no
/// lock can run that part in parallel. Beside busy threads the part inside counts as long as it takes on a
/// core of its own.
fn limit(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let span = context.span();
    let inside = context.calibration.steps(task.inside);
    let outside = context.calibration.steps(task.outside);
    let run = |threads, outside| {
        let (_, rate) = window::run(threads, span, |worker| {
            let mut count = 0u64;
            while worker.more() {
                for _ in 0..BATCH {
                    black_box(work(inside, count));
                    *black_box(&mut count) += 1;
                    black_box(work(outside, 1));
                }
                worker.did(BATCH);
            }
        });
        rate.ns_per_op()
    };
    let free = run(task.threads, outside);
    let none = context.calibration.steps(0);
    let serial = match task.inside {
        0 => 0.0,
        _ if context.background.is_none() => run(1, none),
        inside => inside as f64,
    };
    Ok(Outcome::one(free.max(serial)))
}

fn ours<L: Lock<u64>>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Ours, round::<L>)
}

fn peer<L: Lock<u64>>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Peer, round::<L>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

fn unlocked() -> Entry<Task> {
    Entry::new("limit", Role::Limit, limit).only(|task| task.kind == Kind::Throughput)
}

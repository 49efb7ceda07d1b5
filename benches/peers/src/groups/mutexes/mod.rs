//! Mutexes: a counter behind a lock, with work inside the lock and between locks.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::plan::{Context, Plan};
use crate::work::work;
use crate::{go, groups::check, stats, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

pub const GROUP: Group = Group { name: "mutexes", title: "Mutexes", rows };

/// Operations between two readings of the stop flag.
const BATCH: u64 = 16;

/// Nanoseconds of work inside the lock, and between two locks.
const WORK: [(u64, u64); 4] = [(0, 0), (10, 10), (10, 100), (100, 100)];

/// Samples a thread can take in one round, and samples kept of all.
const ROOM: usize = 1 << 16;
const KEPT: usize = 4096;

/// One that locks briefly, and stays away for so long, beside so many that lock again at once.
const HOGS: usize = 3;
const AWAY: Duration = Duration::from_micros(50);
/// Nanoseconds that the hogs hold the lock.
const HOGGED: [u64; 2] = [0, 1_000];
/// Windows of this row, in others': a wait may be a millisecond.
const LONGER: u32 = 6;

/// A mutex around a number.
pub trait Lock: Sync {
    fn new() -> Self;
    /// Runs `f` under the lock.
    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R;
}

#[derive(Serialize)]
pub struct Task {
    inside: u64,
    outside: u64,
    threads: usize,
    /// Time single acquisitions instead of counting them.
    latency: bool,
    /// Time one short locker beside hogs.
    beside_hogs: bool,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let row = |(inside, outside), threads: usize, latency| {
        let (section, unit) = if latency {
            ("From asking to holding", "ns")
        } else {
            ("Lock and unlock", "ns per lock + unlock, over all threads")
        };
        Row::new(
            section,
            unit,
            params([
                ("work inside / outside, ns", format!("{inside} / {outside}")),
                ("threads", threads.to_string()),
            ]),
            Task { inside, outside, threads, latency, beside_hogs: false },
            contenders::all(),
        )
    };
    let mut rows = Vec::new();
    for work in WORK {
        rows.extend(plan.threads.iter().map(|&n| row(work, n, false)));
    }
    let all = plan.all_threads();
    rows.extend(WORK[2..].iter().map(|&work| row(work, all, true)));
    rows.extend(HOGGED.map(|inside| {
        Row::new(
            "From asking to holding, beside hogs",
            "ns; one that locks briefly every 50 µs, beside three that lock again at once",
            params([("hogs hold it for, ns", inside.to_string())]),
            Task { inside, outside: 0, threads: HOGS + 1, latency: true, beside_hogs: true },
            contenders::all(),
        )
    }));
    rows
}

fn round<L: Lock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    if task.beside_hogs {
        return beside_hogs::<L>(task, context);
    }
    let inside = context.calibration.steps(task.inside);
    let outside = context.calibration.steps(task.outside);
    let lock = CachePadded::new(L::new());
    let (done, rate) = window::run(task.threads, context.plan.span, |worker| {
        let mut latencies = Vec::with_capacity(if task.latency { ROOM } else { 0 });
        while worker.more() {
            // One acquisition in a batch is timed, so that the clock's cost stays
            // a small part of the load that the lock is under.
            if task.latency && latencies.len() < ROOM {
                let asked = Instant::now();
                let held = lock.with(|count| {
                    let held = asked.elapsed();
                    black_box(work(inside, *count));
                    *count += 1;
                    held
                });
                latencies.push(held.as_nanos() as u32);
                worker.did(1);
            }
            for _ in 0..BATCH {
                lock.with(|count| {
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
    check("count", lock.with(|count| *count), expected)?;
    if task.latency {
        let all = done.into_iter().flat_map(|(_, latencies)| latencies);
        return Ok(Outcome::Latencies(stats::thin(all.collect(), KEPT)));
    }
    Ok(Outcome::one(rate.ns_per_op()))
}

/// How long the last thread waits for the lock, which the others hardly let go.
fn beside_hogs<L: Lock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let inside = context.calibration.steps(task.inside);
    let span = context.plan.span;
    let span = window::Span { window: span.window * LONGER, ..span };
    let lock = CachePadded::new(L::new());
    let (done, _) = window::run(task.threads, span, |worker| {
        let mut waits = Vec::new();
        while worker.more() {
            if worker.index < HOGS {
                lock.with(|count| {
                    black_box(work(inside, *count));
                    *count += 1;
                });
            } else {
                let asked = Instant::now();
                lock.with(|count| {
                    waits.push(asked.elapsed().as_nanos() as u32);
                    *count += 1;
                });
                let left = Instant::now();
                while left.elapsed() < AWAY {
                    std::hint::spin_loop();
                }
            }
            worker.did(1);
        }
        (worker.total(), waits)
    });
    let expected = done.iter().map(|(total, _)| total).sum();
    check("count", lock.with(|count| *count), expected)?;
    let waits = done.into_iter().flat_map(|(_, waits)| waits).collect();
    Ok(Outcome::Latencies(stats::thin(waits, KEPT)))
}

/// The same work on private numbers, but never faster than one thread could do
/// the part inside the lock: that much is serial, whatever the lock.
fn limit(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let span = context.plan.span;
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
    let serial = if task.inside > 0 { run(1, none) } else { 0.0 };
    Ok(Outcome::one(free.max(serial)))
}

fn ours<L: Lock>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Ours, round::<L>)
}

fn peer<L: Lock>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Peer, round::<L>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

fn unlocked() -> Entry<Task> {
    Entry::new("limit", Role::Limit, limit).only(|task| !task.latency)
}

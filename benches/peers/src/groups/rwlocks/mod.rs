//! Reader-writer locks: four words that must always be equal, read and written.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::keys::Rng;
use crate::plan::{Context, Plan};
use crate::{go, groups::check, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

pub const GROUP: Group = Group { name: "rwlocks", title: "Reader-writer locks", rows };

/// Operations between two readings of the stop flag.
const BATCH: u64 = 32;

/// Reads of a thousand operations.
const READS: [(&str, u64); 5] =
    [("100 %", 1000), ("99.9 %", 999), ("99 %", 990), ("90 %", 900), ("50 %", 500)];

/// Readers beside the writer that comes by every `PERIOD`.
const READERS: usize = 3;
const PERIOD: Duration = Duration::from_micros(5);

/// What the locks protect: writers add one to each word, so a reader that sees
/// two different words has read through a write.
pub type Data = [u64; 4];

/// A reader-writer lock around the data.
pub trait RwLock: Sync {
    fn new() -> Self;
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R;
    /// Applies `f`; more than once only if the adapter retries on a copy.
    fn write(&self, f: impl Fn(&mut Data));
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Every thread reads and writes in the given proportion.
    Mix,
    /// Three readers, and a writer every 5 µs: mean cost of each.
    Beside,
    /// The same, timing single writes.
    BesideLatency,
    /// Three readers, and a writer that never stops: what each gets done.
    Against,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    reads: u64,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for (shown, reads) in READS {
        rows.extend(plan.threads.iter().map(|&threads| {
            let kind = Kind::Mix;
            Row::new(
                "Read or write",
                "ns per operation, over all threads",
                params([("reads", shown.to_owned()), ("threads", threads.to_string())]),
                Task { kind, reads, threads },
                contenders::all(),
            )
        }));
    }
    let beside = |section, unit, kind| {
        let load = match kind {
            Kind::Against => "3 readers, a writer that never stops",
            Kind::Mix | Kind::Beside | Kind::BesideLatency => "3 readers, a write every 5 µs",
        };
        Row::new(
            section,
            unit,
            params([("load", load.to_owned())]),
            Task { kind, reads: 0, threads: READERS + 1 },
            contenders::all(),
        )
    };
    rows.push(beside(
        "Readers beside a writer",
        "ns per read over all readers; mean ns of a write",
        Kind::Beside,
    ));
    rows.push(beside("Writing beside readers", "ns", Kind::BesideLatency));
    rows.push(beside(
        "Readers against a writer",
        "ns per read over all readers; ns per write",
        Kind::Against,
    ));
    rows
}

fn round<L: RwLock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    match task.kind {
        Kind::Mix => mix::<L>(task, context),
        Kind::Beside | Kind::BesideLatency | Kind::Against => beside::<L>(task, context),
    }
}

/// Sums the words, as a reader with something to read would, and says whether
/// they were equal.
#[inline]
fn intact(data: &Data) -> bool {
    let [a, b, c, d] = *black_box(data);
    a == b && b == c && c == d
}

#[inline]
fn bump(data: &mut Data) {
    for word in data {
        *word += 1;
    }
}

fn verdict<L: RwLock>(lock: &L, torn: u64, writes: u64) -> Result<(), Failure> {
    check("torn reads", torn, 0)?;
    check("writes", lock.read(|data| data[0]), writes)
}

fn mix<L: RwLock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let lock = CachePadded::new(L::new());
    let (done, rate) = window::run(task.threads, context.plan.span, |worker| {
        let mut rng = Rng::new(worker.index as u64);
        let (mut torn, mut writes) = (0, 0);
        while worker.more() {
            for _ in 0..BATCH {
                if rng.next() % 1000 < task.reads {
                    torn += u64::from(!lock.read(intact));
                } else {
                    lock.write(bump);
                    writes += 1;
                }
            }
            worker.did(BATCH);
        }
        (torn, writes)
    });
    let torn = done.iter().map(|d| d.0).sum();
    verdict(&*lock, torn, done.iter().map(|d| d.1).sum())?;
    Ok(Outcome::one(rate.ns_per_op()))
}

fn beside<L: RwLock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let lock = CachePadded::new(L::new());
    let (done, rate) = window::run(task.threads, context.plan.span, |worker| {
        let (mut torn, mut took) = (0, Vec::new());
        if worker.index < READERS {
            while worker.more() {
                for _ in 0..BATCH {
                    torn += u64::from(!lock.read(intact));
                }
                worker.did(BATCH);
            }
            return (torn, took);
        }
        while worker.more() {
            let start = Instant::now();
            lock.write(bump);
            took.push(start.elapsed().as_nanos() as u32);
            worker.did(1);
            // Awake, not asleep: 5 µs is less than it takes to wake up.
            while task.kind != Kind::Against && start.elapsed() < PERIOD {
                std::hint::spin_loop();
            }
        }
        (torn, took)
    });
    let took = &done[READERS].1;
    verdict(&*lock, done.iter().map(|d| d.0).sum(), took.len() as u64)?;
    if task.kind == Kind::BesideLatency {
        return Ok(Outcome::Latencies(crate::stats::thin(took.clone(), 4096)));
    }
    if task.kind == Kind::Against {
        return Ok(Outcome::Figures(vec![
            ("read", rate.ns_per_op_of(0..READERS)),
            ("write", rate.ns_per_op_of(READERS..READERS + 1)),
        ]));
    }
    let total: f64 = took.iter().map(|&ns| f64::from(ns)).sum();
    Ok(Outcome::Figures(vec![
        ("read", rate.ns_per_op_of(0..READERS)),
        ("write", total / took.len().max(1) as f64),
    ]))
}

/// The same on private data, without a lock.
fn limit(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let (_, rate) = window::run(task.threads, context.plan.span, |worker| {
        let mut rng = Rng::new(worker.index as u64);
        let (mut data, mut torn) = (Data::default(), 0u64);
        while worker.more() {
            for _ in 0..BATCH {
                if rng.next() % 1000 < task.reads {
                    torn += u64::from(!intact(&data));
                } else {
                    bump(black_box(&mut data));
                }
            }
            worker.did(BATCH);
        }
        torn
    });
    Ok(Outcome::one(rate.ns_per_op()))
}

fn ours<L: RwLock>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Ours, round::<L>)
}

fn peer<L: RwLock>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Peer, round::<L>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

fn unlocked() -> Entry<Task> {
    Entry::new("limit", Role::Limit, limit).only(|task| task.kind == Kind::Mix)
}

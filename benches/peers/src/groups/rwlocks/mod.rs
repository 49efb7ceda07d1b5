//! Reader-writer locks: threads read and write four words that are always equal.

mod beside;
mod contenders;
mod hogs;

use super::waits::HOGS;
use crate::background::Background;
use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::keys::Rng;
use crate::plan::{Context, Plan};
use crate::{go, groups::check, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;

pub const GROUP: Group =
    Group { name: "rwlocks", title: "Reader-writer locks", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: u64 = 32;

/// Reads of a thousand operations.
const READS: [(&str, u64); 5] =
    [("100 %", 1000), ("99.9 %", 999), ("99 %", 990), ("90 %", 900), ("50 %", 500)];

/// The shares that are measured beside busy threads too.
const BUSY_READS: [u64; 3] = [990, 900, 500];

/// Microseconds that hogs hold the lock.
const HOLDS: [u64; 2] = [1, 20];

/// What the locks protect. A writer adds one to each word, so a reader that sees two different words ran
/// beside a writer.
pub type Data = [u64; 4];

/// A reader-writer lock around the data.
pub trait RwLock: Sync {
    fn new() -> Self;
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R;
    /// Calls `f`, more than once only if the adapter retries on a copy.
    fn write(&self, f: impl Fn(&mut Data));
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Every thread reads and writes in the given proportion.
    Mix,
    /// Three readers, and a writer every 5 µs: mean cost of each.
    Beside,
    /// The same, but times single reads and writes.
    BesideLatency,
    /// Three readers, and a writer that never stops: the throughput of each.
    Against,
    /// One thread that reads now and then, beside three that read and write without a pause.
    ReadBesideHogs,
    /// One thread that writes now and then, beside the same.
    WriteBesideHogs,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    reads: u64,
    threads: usize,
    /// Nanoseconds of work inside the lock.
    inside: u64,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for reads in READS {
        rows.extend(plan.threads.iter().map(|&threads| mixed(reads, threads)));
        if BUSY_READS.contains(&reads.1) {
            let beside = |&background| mixed(reads, plan.all_threads()).beside(background);
            rows.extend(plan.backgrounds().iter().map(beside));
        }
    }
    rows.push(beside_writer(
        "Readers beside a writer",
        "ns per read over all readers; mean ns of a write",
        Kind::Beside,
    ));
    rows.extend(Background::ALL.map(|background| {
        beside_writer("Reading and writing beside each other", "ns", Kind::BesideLatency)
            .beside(background)
    }));
    rows.push(beside_writer(
        "Readers against a writer",
        "ns per read over all readers; ns per write",
        Kind::Against,
    ));
    for kind in [Kind::ReadBesideHogs, Kind::WriteBesideHogs] {
        for hold in HOLDS {
            rows.extend(
                Background::ALL.map(|background| beside_hogs(kind, hold).beside(background)),
            );
        }
    }
    rows
}

fn mixed((shown, reads): (&str, u64), threads: usize) -> Row {
    Row::new(
        "Read or write",
        "ns per operation, over all threads",
        params([("reads", shown.to_owned())]),
        threads,
        Task { kind: Kind::Mix, reads, threads, inside: 0 },
        contenders::all(),
    )
}

fn beside_writer(section: &'static str, unit: &'static str, kind: Kind) -> Row {
    let writer =
        if kind == Kind::Against { "a writer that never stops" } else { "a write every 5 µs" };
    let threads = beside::READERS + 1;
    Row::new(
        section,
        unit,
        params([("load", format!("{} readers, {writer}", beside::READERS))]),
        threads,
        Task { kind, reads: 0, threads, inside: 0 },
        contenders::all(),
    )
}

fn beside_hogs(kind: Kind, micros: u64) -> Row {
    let waiting = if kind == Kind::ReadBesideHogs { "a reader" } else { "a writer" };
    let threads = HOGS + 1;
    Row::new(
        "Beside three hogs that read and write",
        "wait: ns from asking to holding; turns: acquisitions by others meanwhile",
        params([("waiting", waiting.to_owned()), ("hogs hold it for", format!("{micros} µs"))]),
        threads,
        Task { kind, reads: 0, threads, inside: micros * 1_000 },
        contenders::locks(),
    )
}

fn round<L: RwLock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    match task.kind {
        Kind::Mix => mix::<L>(task, context),
        Kind::Beside | Kind::BesideLatency | Kind::Against => beside::writer::<L>(task, context),
        Kind::ReadBesideHogs | Kind::WriteBesideHogs => hogs::round::<L>(task, context),
    }
}

/// Reads all words, and returns whether they are equal.
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
    let (done, rate) = window::run(task.threads, context.span(), |worker| {
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

/// The same work on private data, without a lock.
fn limit(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let (_, rate) = window::run(task.threads, context.span(), |worker| {
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

//! Stores: concurrent maps from number to number, all with the same hasher.
//!
//! All keys are inserted before a round, and a write replaces a value. So the maps keep their size, and a
//! round measures look-ups.

mod contenders;
mod wrapped;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::groups::check;
use crate::keys::{SCRIPT, WRITE, script};
use crate::plan::{Context, Plan};
use crate::{go, window};
use serde::Serialize;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::OnceLock;

pub const GROUP: Group = Group { name: "stores", title: "Stores", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: usize = 32;

const SEED: u64 = 42;

/// The hasher of every Rust contender, with fixed seeds.
pub type Hasher = ahash::RandomState;

pub fn hasher() -> Hasher {
    Hasher::with_seeds(1, 2, 3, 4)
}

/// A map that threads share.
pub trait Store: Sync {
    /// An empty map with capacity for `keys`.
    fn new(keys: usize) -> Self;
    fn get(&self, key: u64) -> Option<u64>;
    /// Inserts the value, or replaces the current one.
    fn put(&self, key: u64, value: u64);
}

#[derive(Serialize)]
pub struct Task {
    keys: usize,
    zipf: bool,
    /// Reads of a thousand operations.
    reads: u64,
    threads: usize,
    seed: u64,
    /// What the threads do, each from an index of its own; made when first needed.
    #[serde(skip)]
    script: OnceLock<Vec<u32>>,
}

impl Task {
    fn script(&self) -> &[u32] {
        let make = || script(self.keys, self.zipf, self.reads, self.seed);
        self.script.get_or_init(make)
    }
}

fn rows(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for (keys, shown_keys) in [(10_000, "10k"), (100_000, "100k")] {
        for (zipf, law) in [(false, "uniform"), (true, "Zipf 1.0")] {
            for (reads, shown_reads) in [(1000, "100 %"), (950, "95 %"), (500, "50 %")] {
                // More threads than cores for one choice of keys only, to save time.
                let crowded = keys == 100_000 && !zipf;
                let threads = if crowded { plan.threads.clone() } else { plan.threads_on_cores() };
                for threads in threads {
                    rows.push(Row::new(
                        "Look up or replace",
                        "ns per operation, over all threads",
                        params([
                            ("keys", shown_keys.to_owned()),
                            ("drawn", law.to_owned()),
                            ("reads", shown_reads.to_owned()),
                        ]),
                        threads,
                        Task { keys, zipf, reads, threads, seed: SEED, script: OnceLock::new() },
                        contenders::all(),
                    ));
                }
            }
        }
    }
    rows
}

/// A value holds its key in its lower half, so that a wrong entry is noticed.
#[inline]
fn value(key: u64, at: usize) -> u64 {
    key | (at as u64) << 32
}

#[inline]
fn belongs(key: u64, value: Option<u64>) -> bool {
    value.is_some_and(|value| value & 0xffff_ffff == key)
}

/// Follows the script from `start`; returns the number of wrong answers.
#[inline]
fn follow(
    script: &[u32],
    worker: &mut window::Worker<'_>,
    start: usize,
    get: impl Fn(u64) -> Option<u64>,
    mut put: impl FnMut(u64, u64),
) -> u64 {
    let (mut at, mut wrong) = (start, 0);
    while worker.more() {
        // The script's length is a multiple of the batch.
        for &op in &script[at..at + BATCH] {
            let key = u64::from(op & !WRITE);
            if op & WRITE == 0 {
                wrong += u64::from(!belongs(key, get(key)));
            } else {
                put(key, value(key, at));
            }
        }
        at = (at + BATCH) % SCRIPT;
        worker.did(BATCH as u64);
    }
    wrong
}

/// The index at which a thread begins in the script.
fn start(thread: usize, threads: usize) -> usize {
    SCRIPT / threads * thread / BATCH * BATCH
}

fn round<S: Store>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let store = S::new(task.keys);
    for key in 0..task.keys as u64 {
        store.put(key, value(key, 0));
    }
    let script = task.script();
    let (wrong, rate) = window::run(task.threads, context.span(), |worker| {
        let start = start(worker.index, task.threads);
        let put = |key, value| store.put(key, value);
        follow(script, worker, start, |key| store.get(key), put)
    });
    check("wrong values", wrong.iter().sum(), 0)?;
    let missing = |key: &u64| !belongs(*key, store.get(*key));
    let missing = (0..task.keys as u64).filter(missing).count();
    check("missing keys", missing as u64, 0)?;
    Ok(Outcome::one(rate.ns_per_op()))
}

/// A private map per thread.
fn limit(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let script = task.script();
    let (wrong, rate) = window::run(task.threads, context.span(), |worker| {
        let mut map = HashMap::with_capacity_and_hasher(task.keys, hasher());
        map.extend((0..task.keys as u64).map(|key| (key, value(key, 0))));
        let map = std::cell::RefCell::new(map);
        let start = start(worker.index, task.threads);
        let put = |key, value| {
            black_box(map.borrow_mut().insert(key, value));
        };
        follow(script, worker, start, |key| map.borrow().get(&key).copied(), put)
    });
    check("wrong values", wrong.iter().sum(), 0)?;
    Ok(Outcome::one(rate.ns_per_op()))
}

fn ours<S: Store>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Ours, round::<S>)
}

fn peer<S: Store>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Peer, round::<S>)
}

fn in_go<const INDEX: usize>() -> Entry<Task> {
    match INDEX {
        0 => go::entry("Go sync.Map", |t, c| go::round("stores", t, c)),
        _ => go::entry("Go RWMutex + map", |t, c| go::round("stores_rwmutex", t, c)),
    }
}

fn unshared() -> Entry<Task> {
    Entry::new("limit", Role::Limit, limit)
}

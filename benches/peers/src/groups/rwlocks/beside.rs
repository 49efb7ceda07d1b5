//! Three readers that never stop, and a writer beside them.

use super::{BATCH, Kind, RwLock, Task, bump, intact, verdict};
use crate::entry::{Failure, Outcome};
use crate::plan::Context;
use crate::stats::{nanos, thin};
use crate::window::{self, Worker};
use crossbeam_utils::CachePadded;
use std::time::{Duration, Instant};

pub const READERS: usize = 3;

/// Where the writer stops in between, a write begins so often.
const PERIOD: Duration = Duration::from_micros(5);

/// Samples a reader can take in one round, and samples kept of a kind.
const ROOM: usize = 1 << 16;
const KEPT: usize = 4096;

pub fn writer<L: RwLock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let lock = CachePadded::new(L::new());
    let timed = task.kind == Kind::BesideLatency;
    let (done, rate) = window::run(task.threads, context.span(), |worker| {
        if worker.index < READERS {
            read(&*lock, worker, timed)
        } else {
            (0, write(&*lock, worker, task.kind != Kind::Against))
        }
    });
    let writes = &done[READERS].1;
    verdict(&*lock, done.iter().map(|d| d.0).sum(), writes.len() as u64)?;
    match task.kind {
        Kind::BesideLatency => {
            let reads = done[..READERS].iter().flat_map(|(_, took)| took.iter().copied());
            let samples = |took| thin(took, KEPT);
            Ok(Outcome::samples(vec![
                ("read", samples(reads.collect())),
                ("write", samples(writes.clone())),
            ]))
        }
        Kind::Against => Ok(Outcome::figures(vec![
            ("read", rate.ns_per_op_of(0..READERS)),
            ("write", rate.ns_per_op_of(READERS..READERS + 1)),
        ])),
        _ => {
            let total: f64 = writes.iter().map(|&ns| f64::from(ns)).sum();
            Ok(Outcome::figures(vec![
                ("read", rate.ns_per_op_of(0..READERS)),
                ("write", total / writes.len().max(1) as f64),
            ]))
        }
    }
}

/// Reads until told to stop; the torn reads, and the time of one read in a batch.
fn read<L: RwLock>(lock: &L, worker: &mut Worker<'_>, timed: bool) -> (u64, Vec<u32>) {
    let mut torn = 0;
    let mut took = Vec::with_capacity(if timed { ROOM } else { 0 });
    while worker.more() {
        if timed && took.len() < ROOM {
            let start = Instant::now();
            torn += u64::from(!lock.read(intact));
            took.push(nanos(start.elapsed()));
        }
        for _ in 0..BATCH {
            torn += u64::from(!lock.read(intact));
        }
        worker.did(BATCH);
    }
    (torn, took)
}

/// Writes until told to stop; the time of each write.
fn write<L: RwLock>(lock: &L, worker: &mut Worker<'_>, pauses: bool) -> Vec<u32> {
    let mut took = Vec::new();
    while worker.more() {
        let start = Instant::now();
        lock.write(bump);
        took.push(nanos(start.elapsed()));
        worker.did(1);
        // Awake, not asleep: 5 µs is less than it takes to wake up.
        while pauses && start.elapsed() < PERIOD {
            std::hint::spin_loop();
        }
    }
    took
}

//! Three readers that never stop, and a writer beside them.

use super::{BATCH, Kind, RwLock, Task, bump, intact, verdict};
use crate::entry::{Failure, Outcome};
use crate::plan::Context;
use crate::stats::{nanos, thin};
use crate::window::{self, Worker};
use crossbeam_utils::CachePadded;
use std::time::{Duration, Instant};

pub const READERS: usize = 3;

/// Time from the start of one write to the start of the next, where the writer pauses.
const PERIOD: Duration = Duration::from_micros(5);

/// One read in so many batches is timed, so that the clock's cost stays a small part.
const TIMED: u64 = 8;

/// Samples that a reader takes in one round at most, and samples kept of a kind.
const MAX_SAMPLES: usize = 1 << 18;
const KEPT: usize = 4096;

pub fn writer<L: RwLock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let lock = CachePadded::new(L::new());
    let timed = task.kind == Kind::BesideLatency;
    // A tail needs many samples: a window of 12 ms has 2,400 writes.
    let span = if timed { context.long_span() } else { context.span() };
    let (done, rate) = window::run(task.threads, span, |worker| {
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

/// Reads until told to stop. Returns the number of torn reads, and the times of some reads.
fn read<L: RwLock>(lock: &L, worker: &mut Worker<'_>, timed: bool) -> (u64, Vec<u32>) {
    let mut torn = 0;
    let mut took = Vec::with_capacity(if timed { MAX_SAMPLES } else { 0 });
    for batch in 0u64.. {
        if !worker.more() {
            break;
        }
        if timed && batch.is_multiple_of(TIMED) && took.len() < MAX_SAMPLES {
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

/// Writes until told to stop. Returns the time of each write.
fn write<L: RwLock>(lock: &L, worker: &mut Worker<'_>, pauses: bool) -> Vec<u32> {
    let mut took = Vec::new();
    while worker.more() {
        let start = Instant::now();
        lock.write(bump);
        took.push(nanos(start.elapsed()));
        worker.did(1);
        // Awake, since waking up takes longer than 5 µs.
        while pauses && start.elapsed() < PERIOD {
            std::hint::spin_loop();
        }
    }
    took
}

//! A throughput window: the operations that all threads complete while all of them run.
//!
//! The threads start together and run until they are told to stop. Every few operations each publishes
//! how many it has done, in a cache line of its own. A coordinator, asleep otherwise, lets them warm up,
//! reads all counts, sleeps for the window, reads them again, and only then sets the stop flag. So every
//! thread is at work at both readings: start-up, stragglers and the last thread running alone are outside
//! the window. The wall time is the time between the two readings.

use crossbeam_utils::CachePadded;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long to run.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub warm: Duration,
    pub window: Duration,
}

struct Line {
    ready: AtomicUsize,
    go: AtomicBool,
    stop: CachePadded<AtomicBool>,
    done: Vec<CachePadded<AtomicU64>>,
}

/// A thread's handle to the window it takes part in.
pub struct Worker<'a> {
    pub index: usize,
    line: &'a Line,
    count: u64,
}

impl Worker<'_> {
    /// Whether to go on: one load of a cache line that isn't written meanwhile.
    #[inline]
    pub fn more(&self) -> bool {
        // ORDERING: Relaxed: only a flag; join publishes the results.
        !self.line.stop.load(Ordering::Relaxed)
    }

    /// Publishes that `n` more operations are done.
    #[inline]
    pub fn did(&mut self, n: u64) {
        self.count += n;
        // ORDERING: Relaxed: the coordinator reads only this number.
        self.line.done[self.index].store(self.count, Ordering::Relaxed);
    }

    /// All operations so far, inside the window and outside: for checking answers.
    pub fn total(&self) -> u64 {
        self.count
    }
}

/// What was done within the window.
pub struct Rate {
    /// Operations each thread did in the window.
    ops: Vec<u64>,
    nanos: f64,
}

impl Rate {
    /// Wall nanoseconds per operation over all threads.
    pub fn ns_per_op(&self) -> f64 {
        self.ns_per_op_of(0..self.ops.len())
    }

    /// The same, counting only some of the threads' operations.
    pub fn ns_per_op_of(&self, threads: Range<usize>) -> f64 {
        let ops: u64 = self.ops[threads].iter().sum();
        // If no operation was finished, the window is a lower bound.
        self.nanos / ops.max(1) as f64
    }
}

/// Runs `body` on `threads` threads, and reads their progress over the window.
pub fn run<R: Send>(
    threads: usize,
    span: Span,
    body: impl Fn(&mut Worker<'_>) -> R + Sync,
) -> (Vec<R>, Rate) {
    let line = Line {
        ready: AtomicUsize::new(0),
        go: AtomicBool::new(false),
        stop: CachePadded::new(AtomicBool::new(false)),
        done: (0..threads).map(|_| CachePadded::default()).collect(),
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|index| {
                let (line, body) = (&line, &body);
                scope.spawn(move || {
                    let mut worker = Worker { index, line, count: 0 };
                    line.arrive();
                    body(&mut worker)
                })
            })
            .collect();
        let rate = line.coordinate(threads, span);
        let results = handles
            .into_iter()
            .map(|handle| handle.join().expect("a measured thread panicked"))
            .collect();
        (results, rate)
    })
}

impl Line {
    /// Waits for the start, awake: a sleeping thread would start late.
    fn arrive(&self) {
        // ORDERING: Relaxed: counts arrivals; `go` carries the order.
        self.ready.fetch_add(1, Ordering::Relaxed);
        // ORDERING: Acquire: pairs with the Release in `coordinate`.
        while !self.go.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn coordinate(&self, threads: usize, span: Span) -> Rate {
        // ORDERING: Relaxed: see `arrive`.
        while self.ready.load(Ordering::Relaxed) < threads {
            std::thread::yield_now();
        }
        // ORDERING: Release: pairs with the Acquire in `arrive`.
        self.go.store(true, Ordering::Release);
        // Every thread has done something before the window opens. The wait is bounded, because a
        // starved thread is a result and no reason to hang.
        let patience = Instant::now() + Duration::from_secs(1);
        while self.read().contains(&0) && Instant::now() < patience {
            std::thread::sleep(Duration::from_micros(50));
        }
        std::thread::sleep(span.warm);
        let (opened, before) = (Instant::now(), self.read());
        std::thread::sleep(span.window);
        let (closed, after) = (Instant::now(), self.read());
        // ORDERING: Relaxed: see `more`.
        self.stop.store(true, Ordering::Relaxed);
        Rate {
            ops: after.iter().zip(&before).map(|(a, b)| a - b).collect(),
            nanos: (closed - opened).as_nanos() as f64,
        }
    }

    fn read(&self) -> Vec<u64> {
        // ORDERING: Relaxed: see `did`.
        let read = |line: &CachePadded<AtomicU64>| line.load(Ordering::Relaxed);
        self.done.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Span = Span { warm: Duration::ZERO, window: Duration::from_millis(2) };

    #[test]
    fn every_thread_runs_and_results_are_in_order() {
        let (results, rate) = run(3, SHORT, |worker| {
            while worker.more() {
                worker.did(1);
            }
            (worker.index, worker.total())
        });
        let indices: Vec<_> = results.iter().map(|r| r.0).collect();
        assert_eq!(indices, [0, 1, 2]);
        assert!(results.iter().all(|r| r.1 > 0));
        assert!(rate.ns_per_op() > 0.0 && rate.ns_per_op().is_finite());
    }

    #[test]
    fn a_rate_counts_only_the_given_threads() {
        let rate = Rate { ops: vec![10, 30, 60], nanos: 600.0 };
        assert_eq!(rate.ns_per_op(), 6.0);
        assert_eq!(rate.ns_per_op_of(2..3), 10.0);
    }
}

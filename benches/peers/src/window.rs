//! A throughput window: what all threads get done while all of them run.
//!
//! Threads gather at a start line, run until told to stop, and publish how many
//! operations they have done, each in a cache line of its own, every few
//! operations. A coordinator, asleep otherwise, lets them run warm, reads all the
//! lines, sleeps for the window, reads them again, and only then says stop. Both
//! readings thus fall where every thread is at work: start-up, stragglers and the
//! last one running alone are outside by construction. The wall time is that
//! between the two readings, whenever the coordinator got to make them.

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
    /// Whether to go on; one load of a line that nobody writes meanwhile.
    #[inline]
    pub fn more(&self) -> bool {
        // ORDERING: Relaxed: a flag and nothing else; join publishes the results.
        !self.line.stop.load(Ordering::Relaxed)
    }

    /// Says that `n` more operations are done.
    #[inline]
    pub fn did(&mut self, n: u64) {
        self.count += n;
        // ORDERING: Relaxed: the coordinator needs the number alone.
        self.line.done[self.index].store(self.count, Ordering::Relaxed);
    }

    /// All operations so far, inside the window and out: for checking answers.
    pub fn total(&self) -> u64 {
        self.count
    }
}

/// What the coordinator read.
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
        // Nobody finished anything: the window is a lower bound.
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
    /// Waits at the start line, awake: a parked thread would start late.
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
        // Everyone has done something before the window opens. Bounded, because a
        // starved thread is a finding and not a reason to hang.
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
    fn every_thread_runs_and_its_result_comes_back_in_order() {
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
    fn a_rate_counts_only_the_threads_asked_for() {
        let rate = Rate { ops: vec![10, 30, 60], nanos: 600.0 };
        assert_eq!(rate.ns_per_op(), 6.0);
        assert_eq!(rate.ns_per_op_of(2..3), 10.0);
    }
}

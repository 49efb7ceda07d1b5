//! The limit of a pool: the same tasks without a queue.
//!
//! Batches of many tasks are dealt out beforehand, evenly, to three threads that stay awake. With
//! fewer than three cores there is one thread per core: threads that spin would otherwise keep the
//! others from running for whole time slices.
//!
//! A batch of a few long tasks takes at least as long as its largest share, if each core has a share.
//! So the limit is the time of that share on one thread, which waits for no other. Tiny tasks are run
//! by the caller.

use super::load::{Task as Function, User};
use super::{IDLE, Kind, SEATS, Task, asleep};
use crate::entry::{Entry, Failure, Outcome, Role};
use crate::plan::{Context, cores};
use crossbeam_utils::CachePadded;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub fn entry() -> Entry<Task> {
    Entry::new("limit", Role::Limit, round)
}

fn round(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let limit = Limit { task, budget: context.plan.batch_budget, samples: context.plan.samples };
    task.load.with(context.calibration, task.tasks, limit)
}

/// In place of a batch's number: there are no more batches.
const OVER: usize = usize::MAX;

struct Limit<'a> {
    task: &'a Task,
    budget: Duration,
    samples: usize,
}

impl User for Limit<'_> {
    type Output = Result<Outcome, Failure>;

    fn call<F: Function>(self, f: F) -> Self::Output {
        let items: Vec<u64> = (0..self.task.tasks as u64).collect();
        let long = self.task.load != super::Load::Tiny;
        match self.task.kind {
            Kind::Batch => {
                let began = Instant::now();
                let again = |_: &[u64]| began.elapsed() < self.budget;
                // The fastest, not the median: threads that were dealt their shares beforehand are
                // as late as the slowest of them, so a contender that shares the work as it goes
                // could beat them.
                let fastest = dealt_out(&items, f, again).into_iter().min();
                let nanos = fastest.expect("at least one batch was timed");
                Ok(Outcome::one(nanos as f64 / items.len() as f64))
            }
            Kind::Asleep => asleep(&mut OnTheSpot, &items, f),
            kind => {
                let pause = if kind == Kind::Idle { IDLE } else { Duration::ZERO };
                let shares = if long { SEATS.min(cores()) } else { 1 };
                let largest = deal(&items, 1, shares).swap_remove(0);
                super::single(&mut OnTheSpot, &largest, f, self.samples, pause)
            }
        }
    }
}

/// The caller runs all tasks itself.
struct OnTheSpot;

impl super::Pool for OnTheSpot {
    fn new() -> Self {
        Self
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        items.iter().map(|&item| f(item)).collect()
    }
}

/// Runs the batch again and again on threads that stay awake, each with its own share of the items
/// and its own vector for results. Returns the nanoseconds of each batch but the first. `again` is
/// called with those so far, and says whether to go on.
fn dealt_out<F: Function>(items: &[u64], f: F, mut again: impl FnMut(&[u64]) -> bool) -> Vec<u64> {
    let chunk = (items.len() / 128).clamp(1, 4096);
    let shares = deal(items, chunk, SEATS.min(cores()));
    let (own, others) = shares.split_first().expect("there is a core");
    let batches = Batches::default();
    std::thread::scope(|scope| {
        for share in others {
            scope.spawn(|| batches.follow(share, f));
        }
        let mut results = Vec::with_capacity(own.len());
        let mut took = Vec::new();
        for batch in 1.. {
            let start = Instant::now();
            batches.begin(batch);
            compute(own, f, &mut results);
            batches.wait_for(batch * others.len());
            let nanos = start.elapsed().as_nanos() as u64;
            if batch > 1 {
                took.push(nanos);
                if !again(&took) {
                    break;
                }
            }
        }
        batches.begin(OVER);
        took
    })
}

fn compute<F: Function>(share: &[u64], f: F, results: &mut Vec<u64>) {
    results.clear();
    results.extend(share.iter().map(|&item| f(item)));
    black_box(results);
}

/// Which batch has begun, and how many shares are done.
#[derive(Default)]
struct Batches {
    /// The number of the batch that has begun, or `OVER`.
    begun: CachePadded<AtomicUsize>,
    /// Shares of the other threads that are done, of all batches.
    done: CachePadded<AtomicUsize>,
}

impl Batches {
    fn begin(&self, batch: usize) {
        // ORDERING: Release: pairs with the Acquire in `follow`.
        self.begun.store(batch, Ordering::Release);
    }

    /// Computes one share of each batch, until there are no more.
    fn follow<F: Function>(&self, share: &[u64], f: F) {
        let mut results = Vec::with_capacity(share.len());
        for batch in 1.. {
            let mut now = 0;
            spin_until(|| {
                // ORDERING: Acquire: pairs with the Release in `begin`.
                now = self.begun.load(Ordering::Acquire);
                now >= batch
            });
            if now == OVER {
                return;
            }
            compute(share, f, &mut results);
            // ORDERING: Release: pairs with the Acquire in `wait_for`.
            self.done.fetch_add(1, Ordering::Release);
        }
    }

    fn wait_for(&self, shares: usize) {
        // ORDERING: Acquire: pairs with the Release in `follow`.
        spin_until(|| self.done.load(Ordering::Acquire) >= shares);
    }
}

/// Checks before a waiting thread yields its core: some 100 µs, longer than shares of one batch
/// differ.
const CHECKS: u32 = 4_000;

/// Stays awake until `over` returns true. A thread that spun for ever would keep the thread that it
/// waits for from a core where something else uses one of them.
fn spin_until(mut over: impl FnMut() -> bool) {
    let mut checks = 0;
    while !over() {
        if checks < CHECKS {
            checks += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// Deals the items out in so many shares, a chunk to each in turn.
fn deal(items: &[u64], chunk: usize, shares: usize) -> Vec<Vec<u64>> {
    let share = |at| items.chunks(chunk).skip(at).step_by(shares).flatten().copied().collect();
    (0..shares).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_dealt_out_once_whatever_the_number_of_shares() {
        let items: Vec<u64> = (0..5).collect();
        assert_eq!(deal(&items, 1, 3), [vec![0, 3], vec![1, 4], vec![2]]);
        assert_eq!(deal(&items, 1, 2), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(deal(&items, 1, 1), [items]);
    }

    #[test]
    fn every_batch_but_the_first_is_timed() {
        let items: Vec<u64> = (0..5).collect();
        assert_eq!(dealt_out(&items, |x| 2 * x, |took| took.len() < 7).len(), 7);
    }

    #[test]
    fn a_wait_ends_though_its_thread_spins_on_the_only_core() {
        let run = || {
            crate::affinity::confine(1).expect("there is a core");
            let batches = Batches::default();
            std::thread::scope(|scope| {
                scope.spawn(|| batches.follow(&[1, 2], |x| 2 * x));
                batches.begin(1);
                batches.wait_for(1);
                batches.begin(OVER);
            });
        };
        std::thread::spawn(run).join().expect("no panic");
    }
}

//! The limit of a pool: the same tasks with nobody to ask for them.
//!
//! Long batches are dealt out beforehand, evenly, to three threads that are awake
//! and waiting; small ones are run by the caller on the spot. Results go into a
//! vector that is there already.
//!
//! On fewer than three processors there is a thread for each processor. Threads that
//! are awake and waiting would otherwise keep the others from a processor for whole
//! slices, and a few tasks of 20 µs would take milliseconds.

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

/// In place of a batch's number: there are no more.
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
                // The fastest, not the median: three threads that share the work evenly
                // beforehand are as late as the one that was held up, and then a
                // contender that shares it as it goes would beat the limit.
                let fastest = dealt_out(&items, f, again).into_iter().min();
                let nanos = fastest.expect("at least one batch was timed");
                Ok(Outcome::one(nanos as f64 / items.len() as f64))
            }
            Kind::Asleep => asleep(&mut OnTheSpot, &items, f),
            Kind::Hot | Kind::Idle | Kind::Create if long => {
                let again = |took: &[u64]| took.len() < self.samples;
                let took = dealt_out(&items, f, again);
                Ok(Outcome::latencies(took.into_iter().map(|nanos| nanos as u32).collect()))
            }
            kind => {
                let pause = if kind == Kind::Idle { IDLE } else { Duration::ZERO };
                super::single(&mut OnTheSpot, &items, f, self.samples, pause)
            }
        }
    }
}

/// The caller does everything, at once.
struct OnTheSpot;

impl super::Pool for OnTheSpot {
    fn new() -> Self {
        Self
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        items.iter().map(|&item| f(item)).collect()
    }
}

/// Runs the batch again and again on threads that stay awake, each with its own share
/// of the items and its own place for results; the nanoseconds of each batch but the
/// first. `again` is shown those so far, and says whether to go on.
fn dealt_out<F: Function>(items: &[u64], f: F, mut again: impl FnMut(&[u64]) -> bool) -> Vec<u64> {
    let chunk = (items.len() / 128).clamp(1, 4096);
    let hands = deal(items, chunk, SEATS.min(cores()));
    let play = |hand: &[u64], results: &mut Vec<u64>| {
        results.clear();
        results.extend(hand.iter().map(|&item| f(item)));
        black_box(results);
    };
    // Batches that have begun; `OVER` when there will be no more.
    let begun = CachePadded::new(AtomicUsize::new(0));
    let done = CachePadded::new(AtomicUsize::new(0));
    let (own, others) = hands.split_first().expect("there is a processor");
    std::thread::scope(|scope| {
        for hand in others {
            let (begun, done) = (&begun, &done);
            scope.spawn(move || {
                let mut results = Vec::with_capacity(hand.len());
                for batch in 1.. {
                    // ORDERING: Acquire: pairs with the Release that begins a batch.
                    let mut now = begun.load(Ordering::Acquire);
                    while now < batch {
                        std::hint::spin_loop();
                        now = begun.load(Ordering::Acquire);
                    }
                    if now == OVER {
                        return;
                    }
                    play(hand, &mut results);
                    // ORDERING: Release: the results are in place.
                    done.fetch_add(1, Ordering::Release);
                }
            });
        }
        let mut results = Vec::with_capacity(own.len());
        let mut took = Vec::new();
        for batch in 1.. {
            let start = Instant::now();
            // ORDERING: Release: pairs with the others' Acquire.
            begun.store(batch, Ordering::Release);
            play(own, &mut results);
            // ORDERING: Acquire: pairs with the others' Release.
            while done.load(Ordering::Acquire) < batch * others.len() {
                std::hint::spin_loop();
            }
            let nanos = start.elapsed().as_nanos() as u64;
            if batch > 1 {
                took.push(nanos);
                if !again(&took) {
                    break;
                }
            }
        }
        // ORDERING: Release: as above.
        begun.store(OVER, Ordering::Release);
        took
    })
}

/// The items in so many shares, chunk by chunk in turn.
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
}

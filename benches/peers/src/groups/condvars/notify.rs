//! Rounds in which one thread notifies another, or ten.

use super::Kit;
use crate::entry::{Failure, Outcome};
use crate::groups::check;
use crate::groups::pause::ASLEEP;
use crate::stats::{nanos, thin};
use crossbeam_utils::CachePadded;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads that one `notify_all` wakes.
pub const WAITERS: usize = 10;

/// Samples of one kind that a round keeps.
const KEPT: usize = 4096;

/// Passes that warm up.
const WARM: usize = 4;

/// What the two threads pass to each other.
#[derive(Default)]
struct Ball {
    with_pong: bool,
    /// How often it was returned.
    returned: u64,
    over: bool,
}

/// Two threads notify each other in turn, for this time. One of them times the round trips. Each notifies
/// while it holds the lock.
pub fn ping_pong<K: Kit>(time: Duration) -> Result<Outcome, Failure> {
    let ball = K::mutex(Ball::default());
    let changed = K::condvar();
    let mut took = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = K::lock(&ball);
            loop {
                while !held.with_pong {
                    held = K::wait(&changed, held);
                }
                if held.over {
                    return;
                }
                held.with_pong = false;
                held.returned += 1;
                K::notify_one(&changed);
            }
        });
        let began = Instant::now();
        let mut held = K::lock(&ball);
        while took.len() <= WARM || began.elapsed() < time {
            let start = Instant::now();
            held.with_pong = true;
            K::notify_one(&changed);
            while held.with_pong {
                held = K::wait(&changed, held);
            }
            took.push(nanos(start.elapsed()));
        }
        held.over = true;
        held.with_pong = true;
        K::notify_one(&changed);
    });
    check("returns", K::lock(&ball).returned, took.len() as u64)?;
    Ok(Outcome::latencies(thin(took.split_off(WARM), KEPT)))
}

/// Ten threads wait here until the epoch changes.
#[derive(Default)]
struct Gate {
    waiting: usize,
    epoch: u64,
    over: bool,
}

/// Wakes ten threads again and again, for this time, with the lock `held` or not.
pub fn all<K: Kit>(time: Duration, held: bool) -> Result<Outcome, Failure> {
    let gate = K::mutex(Gate::default());
    let opened = K::condvar();
    let base = Instant::now();
    let left = CachePadded::new(AtomicUsize::new(0));
    // When the last waiter had unlocked, in nanoseconds since `base`.
    let last = CachePadded::new(AtomicU64::new(0));
    // Keeps waiters that have left from returning before all have, and wakes the notifier then.
    let together = Barrier::new(WAITERS + 1);
    let (mut all_left, mut own) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                let mut over = false;
                while !over {
                    let mut inside = K::lock(&gate);
                    inside.waiting += 1;
                    let epoch = inside.epoch;
                    while inside.epoch == epoch {
                        inside = K::wait(&opened, inside);
                    }
                    over = inside.over;
                    drop(inside);
                    // ORDERING: Relaxed: counts; the barrier publishes `last`.
                    if left.fetch_add(1, Ordering::Relaxed) + 1 == WAITERS {
                        // ORDERING: Relaxed: as above.
                        last.store(base.elapsed().as_nanos() as u64, Ordering::Relaxed);
                    }
                    together.wait();
                }
            });
        }
        let mut over = false;
        while !over {
            gather::<K>(&gate);
            // ORDERING: Relaxed: all ten are at the gate; its lock orders this.
            left.store(0, Ordering::Relaxed);
            over = all_left.len() > WARM && base.elapsed() >= time;
            let mut inside = K::lock(&gate);
            *inside = Gate { waiting: 0, epoch: inside.epoch + 1, over };
            let inside = held.then_some(inside);
            let start = base.elapsed();
            K::notify_all(&opened);
            drop(inside);
            own.push(nanos(base.elapsed() - start));
            together.wait();
            // ORDERING: Relaxed: see the waiters.
            let end = Duration::from_nanos(last.load(Ordering::Relaxed));
            all_left.push(nanos(end.saturating_sub(start)));
        }
    });
    check("notifications", K::lock(&gate).epoch, all_left.len() as u64)?;
    let counted = |mut took: Vec<u32>| thin(took.split_off(WARM), KEPT);
    Ok(Outcome::samples(vec![("all left", counted(all_left)), ("notify_all", counted(own))]))
}

/// Returns when all ten wait at the gate, and have had time to fall asleep.
fn gather<K: Kit>(gate: &K::Mutex<Gate>) {
    loop {
        std::thread::sleep(ASLEEP);
        if K::lock(gate).waiting == WAITERS {
            break;
        }
    }
    std::thread::sleep(ASLEEP);
}

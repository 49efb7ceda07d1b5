//! Rounds with a waiter: a burst of `done`, and the latency of the last one.

use super::WaitGroup;
use crate::entry::{Failure, Outcome};
use crate::groups::check;
use crate::groups::pause::spin_for;
use crate::stats::median;
use crossbeam_utils::CachePadded;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads of a burst, beside the waiter.
pub const DOERS: usize = 4;
/// Calls of `done` by each of them.
const EACH: usize = 10_000;

/// The median of bursts, run one after another until the budget is used up.
pub fn burst<W: WaitGroup>(budget: Duration) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let mut each = Vec::new();
    // The first burst warms up.
    one_burst::<W>()?;
    while each.is_empty() || began.elapsed() < budget {
        each.push(one_burst::<W>()?.as_nanos() as f64 / (DOERS * EACH) as f64);
    }
    Ok(Outcome::one(median(&each)))
}

fn one_burst<W: WaitGroup>() -> Result<Duration, Failure> {
    let (group, mut tokens) = W::start(DOERS * EACH);
    let group = CachePadded::new(group);
    let ready = AtomicUsize::new(0);
    let go = AtomicBool::new(false);
    // Doers that had reached their last `done` when `wait` returned.
    let finished = AtomicU64::new(0);
    let (took, seen) = std::thread::scope(|scope| {
        for _ in 0..DOERS {
            let own = tokens.split_off(tokens.len() - EACH);
            let (group, ready, go, finished) = (&group, &ready, &go, &finished);
            scope.spawn(move || {
                // ORDERING: Relaxed: counts arrivals.
                ready.fetch_add(1, Ordering::Relaxed);
                // ORDERING: Acquire: pairs with the Release below.
                while !go.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                let last = own.len() - 1;
                for (at, token) in own.into_iter().enumerate() {
                    if at == last {
                        // ORDERING: Relaxed: the group under test must order it.
                        finished.fetch_add(1, Ordering::Relaxed);
                    }
                    group.done(token);
                }
            });
        }
        // ORDERING: Relaxed: as above.
        while ready.load(Ordering::Relaxed) < DOERS {
            std::thread::yield_now();
        }
        let start = Instant::now();
        // ORDERING: Release: pairs with the doers' Acquire.
        go.store(true, Ordering::Release);
        group.wait();
        // ORDERING: Relaxed: see the doers.
        (start.elapsed(), finished.load(Ordering::Relaxed))
    });
    check("finished doers", seen, DOERS as u64)?;
    Ok(took)
}

/// Times from a `done` on one thread to the return of `wait` on another.
pub fn latency<W: WaitGroup>(samples: usize, waited: Duration) -> Result<Outcome, Failure> {
    // A few more, to warm up.
    let warm = samples / 10 + 1;
    let count = samples + warm;
    let base = Instant::now();
    let (groups, tokens): (Vec<_>, Vec<_>) = (0..count)
        .map(|_| {
            let (group, mut tokens) = W::start(1);
            let token = tokens.pop().expect("one token");
            (CachePadded::new(group), Mutex::new(Some(token)))
        })
        .unzip();
    let arrived = CachePadded::new(AtomicUsize::new(0));
    // When the doer called `done`, in nanoseconds since `base`; zero before.
    let called = CachePadded::new(AtomicU64::new(0));
    let took = std::thread::scope(|scope| {
        scope.spawn(|| {
            for (at, (group, token)) in groups.iter().zip(&tokens).enumerate() {
                let token = token.lock().expect("no thread panicked").take();
                let token = token.expect("each token is used once");
                // ORDERING: Acquire: pairs with the waiter's Release; its last sample is over.
                while arrived.load(Ordering::Acquire) <= at {
                    std::hint::spin_loop();
                }
                spin_for(waited);
                // ORDERING: Relaxed: the group under test must order it.
                called.store(base.elapsed().as_nanos() as u64, Ordering::Relaxed);
                group.done(token);
            }
        });
        let mut took = Vec::with_capacity(count);
        for (at, group) in groups.iter().enumerate() {
            // ORDERING: Relaxed: the doer touches it only after `arrived`.
            called.store(0, Ordering::Relaxed);
            // ORDERING: Release: pairs with the doer's Acquire.
            arrived.store(at + 1, Ordering::Release);
            group.wait();
            let now = base.elapsed().as_nanos() as u64;
            // ORDERING: Relaxed: see the doer.
            took.push((called.load(Ordering::Relaxed), now));
        }
        took
    });
    if took.iter().any(|&(called, _)| called == 0) {
        return Err("wrong answer: wait returned before done was called".to_owned());
    }
    let counted = took.iter().skip(warm);
    let latencies = counted.map(|&(called, now)| now.saturating_sub(called) as u32);
    Ok(Outcome::latencies(latencies.collect()))
}

//! The core of a reader-writer lock: its word, its four queues, and the steps that let others in.
//!
//! Each queue is an address: the word's own for writers and upgradable readers, and the three bytes after it
//! for the claimant, for readers, and for the pending writer that waits for those inside to leave.
//!
//! The invariants cited here are in `raw.rs`: R5 says what each step owes to those asleep.

use super::state::*;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Dequeued, HandOff, const_fn, unpark_one, unpark_threads};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Core {
    pub(super) word: AtomicU64,
}

/// Where the queues are, from the word's address on.
const CLAIMANT: usize = 1;
const READERS_QUEUE: usize = 2;
const DRAINER: usize = 3;

impl Core {
    const_fn! {
        pub(super) fn new() -> Self {
            Core { word: AtomicU64::new(0) }
        }
    }

    /// The lock's address, which is also the queue of writers and upgradable readers.
    #[inline]
    pub(super) fn address(&self) -> usize {
        (&raw const self.word).addr()
    }

    /// Where the claimant sleeps.
    pub(super) fn claimant(&self) -> usize {
        self.address() + CLAIMANT
    }

    /// Where the pending writer sleeps until those inside have left.
    #[inline]
    pub(super) fn drainer(&self) -> usize {
        self.address() + DRAINER
    }

    pub(super) fn queue(&self, kind: Kind) -> usize {
        match kind {
            Kind::Reader => self.address() + READERS_QUEUE,
            Kind::Writer | Kind::Upgradable => self.address(),
        }
    }

    /// `from` => `to`; may fail for no reason.
    #[inline]
    pub(super) fn change(&self, from: u64, to: u64, success: Ordering) -> Result<u64, u64> {
        // ORDERING: Relaxed on failure: the caller decides anew.
        self.word.compare_exchange_weak(from, to, success, Ordering::Relaxed)
    }

    /// Takes a step that lets others in, and wakes whom it owes a wake-up (R5).
    #[cold]
    pub(super) fn step(&self, change: impl Fn(u64) -> u64) {
        // ORDERING: Relaxed: the step decides.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if owes_writer(change(word)) {
                self.step_with_sleeper(Kind::Writer, None, &change);
                return;
            }
            let (next, wakes) = Wakes::of(change(word));
            let address = self.address();
            // ORDERING: Release: what was done inside happens before the Acquire of the thread that enters next.
            match self.change(word, next, Ordering::Release) {
                Ok(_) => return wakes.wake(address),
                Err(now) => word = now,
            }
        }
    }

    /// Hands what this thread has inside to the waiter of a kind that has slept the longest, by the step
    /// `hand`. Returns `false`, and is still inside, if none is asleep or somebody claims the lock.
    pub(super) fn hand_over(&self, kind: Kind, hand: &dyn Fn(u64) -> u64) -> bool {
        self.step_with_sleeper(kind, Some(hand), &|word| word)
    }

    /// Wakes the waiter of a kind that has slept the longest. In the same step it applies `hand`, which makes
    /// that waiter the owner; or `change` if there is no `hand`, nobody is asleep, or somebody claims the
    /// lock. Returns whether it handed over.
    fn step_with_sleeper(
        &self,
        kind: Kind,
        hand: Option<&dyn Fn(u64) -> u64>,
        change: &dyn Fn(u64) -> u64,
    ) -> bool {
        let mut handed = false;
        let address = self.address();
        let mut wakes = Wakes::default();
        unpark_one(self.queue(kind), |Dequeued { found, more }| {
            // ORDERING: Relaxed: the step decides.
            let mut word = self.word.load(Ordering::Relaxed);
            loop {
                let hand = hand.filter(|_| found && word & STARVING == 0);
                let mut next = hand.unwrap_or(change)(word);
                if found && hand.is_none() && kind != Kind::Reader {
                    next |= WOKEN;
                }
                if !more {
                    next &= !kind.parked();
                }
                (next, wakes) = Wakes::of(next);
                // ORDERING: Release: see `step`. A hand-over is ordered by the unpark.
                match self.change(word, next, Ordering::Release) {
                    Ok(_) => {
                        handed = hand.is_some();
                        return if handed { HandOff::Yes } else { HandOff::No };
                    }
                    Err(now) => word = now,
                }
            }
        });
        wakes.wake(address);
        handed
    }

    /// UPGRADABLE => WRITER, pending. Only for the upgradable reader inside: no other writer is pending.
    pub(super) fn upgrade(&self) {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        // ORDERING: Relaxed: draining loads the word with Acquire.
        while let Err(now) =
            self.change(word, set_writer_pending(word & !UPGRADABLE), Ordering::Relaxed)
        {
            word = now;
        }
    }

    /// WRITER => UPGRADABLE. Only for the writer inside, or a pending one that upgraded.
    pub(super) fn downgrade_to_upgradable(&self) {
        self.step(|word| clear_writer(word) | UPGRADABLE);
    }
}

/// Which queues a step wakes as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Wakes {
    readers: bool,
    claimant: bool,
}

impl Wakes {
    /// What a step to `word` owes, and the word without the bits of the threads that it wakes.
    fn of(word: u64) -> (u64, Wakes) {
        if word & WRITER != 0 {
            return (word, Wakes::default());
        }
        let wakes = Wakes { readers: word & READERS_PARKED != 0, claimant: word & STARVING != 0 };
        (word & !READERS_PARKED, wakes)
    }

    /// `address` is the lock's. The lock may be gone by now.
    fn wake(self, address: usize) {
        if self.claimant {
            wake(address + CLAIMANT);
        }
        if self.readers {
            wake(address + READERS_QUEUE);
        }
    }
}

/// Wakes all that sleep at an address.
#[cold]
pub(super) fn wake(address: usize) {
    unpark_threads(address);
}

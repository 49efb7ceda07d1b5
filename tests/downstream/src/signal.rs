//! Flags between threads: an event that a thread waits for, a request to stop, a word of bits.

use phalanx::atomic::{AtomicBool, AtomicU32, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::thread::{self, Thread};

/// An event that one thread waits for.
#[derive(Default)]
pub struct Event {
    happened: AtomicBool,
}

impl Event {
    /// Signals the event, and wakes the waiter.
    pub fn signal(&self, waiter: &Thread) {
        // ORDERING: Release: pairs with the Acquire in `wait`.
        self.happened.store(true, Ordering::Release);
        waiter.unpark();
    }

    /// Lost wake-up: wakes the waiter before the event.
    pub fn signal_too_early(&self, waiter: &Thread) {
        waiter.unpark();
        self.happened.store(true, Ordering::Release);
    }

    /// Blocks until the event.
    pub fn wait(&self) {
        // ORDERING: Acquire: pairs with the Release in `signal`.
        while !self.happened.load(Ordering::Acquire) {
            thread::park();
        }
    }
}

/// A worker that counts until it is told to stop.
#[derive(Default)]
pub struct Worker {
    stop: AtomicBool,
    done: UnsafeCell<u32>,
}

// SAFETY: used by the worker alone until it has ended.
unsafe impl Sync for Worker {}

impl Worker {
    /// Works at least once, until it is told to stop.
    pub fn run(&self) {
        loop {
            // SAFETY: the worker's own.
            self.done.with_mut(|done| unsafe { *done = 1 });
            // ORDERING: Relaxed: only the end of the thread publishes anything.
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            thread::yield_now();
        }
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Returns how often it worked. Call it when the worker has ended.
    pub fn done(&self) -> u32 {
        // SAFETY: the worker has ended.
        self.done.with(|done| unsafe { *done })
    }
}

const OPEN: u32 = 1;
const SEEN: u32 = 2;

/// A word that one thread stores and another marks.
#[derive(Default)]
pub struct Word(AtomicU32);

impl Word {
    /// Stores that it is open, whatever was there.
    pub fn open(&self) {
        self.0.store(OPEN, Ordering::Release);
    }

    /// Marks it as seen. Returns whether it was open.
    pub fn see(&self) -> bool {
        self.0.fetch_or(SEEN, Ordering::AcqRel) & OPEN != 0
    }

    /// Wrong result: loads and marks in two steps, so that an opening in between is lost.
    pub fn see_in_two_steps(&self) -> bool {
        let word = self.0.load(Ordering::Acquire);
        self.0.store(word | SEEN, Ordering::Release);
        word & OPEN != 0
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) & OPEN != 0
    }
}

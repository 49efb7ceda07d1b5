//! The word of a once: its layout, its transitions, and waiting on it.
//!
//! | bits | name | meaning | written by |
//! | --- | --- | --- | --- |
//! | 0, 1 | stage | `EMPTY`, `RUNNING`, `MADE` or `POISONED` | as below |
//! | 2 | `THREADS` | threads may be parked on the word's address | set by a waiter, cleared by the end of an initialiser |
//! | 3 | `TASKS` | futures may be registered for the word's address | the same |
//!
//! ```text
//! EMPTY    => RUNNING             begin      the marks stay: threads may wait for the value of an empty once
//! RUNNING  => MADE, unmarked      finish     then wakes all waiters
//! RUNNING  => EMPTY, unmarked     abandon    then wakes all waiters, and the first of them begins
//! RUNNING  => POISONED, unmarked  poison     then wakes all waiters; a `LazyLock` alone
//! MADE     => EMPTY               take       has exclusive access
//! EMPTY, RUNNING => marked        announce   a waiter, before it sleeps
//! ```
//!
//! Invariants:
//!
//! - **O1.** While the stage is `RUNNING` there is one [`Running`], and it alone ends the stage and writes the value.
//!   It ends the stage when it is dropped, in a panic or a cancelled future too.
//! - **O2.** While the stage is `MADE`, the value is there, and nobody writes it without exclusive access.
//! - **O3.** A waiter sleeps only if the stage is not yet what it waits for and the word has its mark when it falls
//!   asleep (its `validate`, which no wake-up can slip past). Only the end of an initialiser clears marks, and it wakes
//!   all. So each sleeper has a wake-up to come, if a value comes.
//! - **O4.** The wake-up needs the address alone.
//!
//! All waiters are woken, not one: those that wait for the value itself outnumber those that would make it, and a task
//! that is cancelled after its wake-up has nothing to pass on then.
//!
//! Orderings: the end of an initialiser is a Release, which its waiters, later initialisers and each `get` read with
//! Acquire.

use super::inside::{inside, is_inside};
use crate::support::backoff::Spin;
use crate::support::wakers::{Ticket, park_task, wake_tasks};
use crate::sys::atomic::{AtomicU8, Ordering};
use crate::sys::{Parked, StaticWord, Tracked, park, unpark_threads};
use std::task::Waker;
use std::time::Instant;

const EMPTY: u8 = 0;
const RUNNING: u8 = 1;
const MADE: u8 = 2;
const POISONED: u8 = 3;
const STAGE: u8 = 3;

const THREADS: u8 = 4;
const TASKS: u8 = 8;
const MARKS: u8 = THREADS | TASKS;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Once {
    word: StaticWord,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// That no initialiser runs.
    Ended,
    /// The value.
    Made,
}

impl Goal {
    fn is_reached(self, word: u8) -> bool {
        match self {
            Goal::Ended => word & STAGE != RUNNING,
            Goal::Made => word & STAGE == MADE,
        }
    }
}

/// What `begin` found.
#[derive(Debug)]
pub(super) enum Begun<'a> {
    /// The caller is the initialiser.
    Running(Running<'a>),
    Made,
    Poisoned,
    /// Another initialiser runs.
    Busy,
}

impl Once {
    pub(super) const fn new() -> Self {
        Once { word: StaticWord::new() }
    }

    #[inline]
    #[track_caller]
    fn word(&self) -> &AtomicU8 {
        self.word.word()
    }

    /// Returns what stands for the value's memory in a model.
    #[inline]
    #[track_caller]
    pub(super) fn guarded(&self) -> &Tracked {
        self.word.guarded()
    }

    #[inline]
    #[track_caller]
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self.word()).addr()
    }

    /// Whether the value is there. If so, the caller may read it (O2).
    #[inline]
    #[track_caller]
    pub(super) fn is_made(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release in `Running::end`: the value is written.
        self.word().load(Ordering::Acquire) & STAGE == MADE
    }

    /// MADE => EMPTY. Returns whether the value was there.
    #[track_caller]
    pub(super) fn take(&mut self) -> bool {
        let was_made = self.is_made();
        if was_made {
            // ORDERING: Relaxed: access is exclusive, and what shares it later orders this.
            self.word().store(EMPTY, Ordering::Relaxed);
        }
        was_made
    }

    /// Whether an initialiser has panicked for good.
    #[track_caller]
    pub(super) fn is_poisoned(&self) -> bool {
        // ORDERING: Relaxed: nothing is read on its account.
        self.word().load(Ordering::Relaxed) & STAGE == POISONED
    }

    /// EMPTY => RUNNING.
    #[track_caller]
    pub(super) fn begin(&self) -> Begun<'_> {
        // ORDERING: Acquire: pairs with the Release in `Running::end`.
        let mut word = self.word().load(Ordering::Acquire);
        loop {
            match word & STAGE {
                MADE => return Begun::Made,
                POISONED => return Begun::Poisoned,
                RUNNING => return Begun::Busy,
                _ => {}
            }
            // ORDERING: Acquire twice: pairs with the Release in `Running::end`: of the value, or of an initialiser
            // that failed, whose effects the next one sees.
            match self.word().compare_exchange_weak(
                word,
                word | RUNNING,
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return Begun::Running(Running { once: self, end: EMPTY }),
                Err(now) => word = now,
            }
        }
    }

    /// [`begin`](Once::begin), which blocks while another thread's initialiser runs: it returns no `Busy`.
    ///
    /// # Panics
    /// If the calling thread is inside the initialiser. The message begins with `what`.
    #[cold]
    #[track_caller]
    pub(super) fn begin_or_wait(&self, what: &str) -> Begun<'_> {
        loop {
            match self.begin() {
                Begun::Busy => _ = self.wait(Goal::Ended, None, what),
                begun => return begun,
            }
        }
    }

    /// Blocks until the goal is reached or the deadline has passed. Returns whether the goal is reached.
    ///
    /// # Panics
    /// If the calling thread is inside the initialiser. The message begins with `what`.
    #[cold]
    #[track_caller]
    pub(super) fn wait(&self, goal: Goal, deadline: Option<Instant>, what: &str) -> bool {
        self.must_be_outside(what);
        if Spin::Brief.poll(|| goal.is_reached(self.load()).then_some(())).is_some() {
            return true;
        }
        let mut timed_out = false;
        loop {
            if !self.announce(goal, THREADS) {
                return true;
            }
            if timed_out {
                return false;
            }
            let parked = park(self.address(), || self.must_wait(goal, THREADS), deadline);
            // After a time-out too the word is read again.
            timed_out = parked == Parked::TimedOut;
        }
    }

    /// Registers `waker` for the goal. Returns `None` if the goal is reached.
    ///
    /// # Panics
    /// If the calling thread is inside the initialiser. The message begins with `what`.
    #[track_caller]
    pub(super) fn wait_as_task(&self, goal: Goal, waker: &Waker, what: &str) -> Option<Ticket> {
        self.must_be_outside(what);
        while self.announce(goal, TASKS) {
            let validate = || self.must_wait(goal, TASKS);
            let ticket = park_task(self.address(), validate, waker);
            if ticket.is_some() {
                return ticket;
            }
        }
        None
    }

    /// A wait from inside the initialiser would wait for itself.
    #[track_caller]
    fn must_be_outside(&self, what: &str) {
        assert!(
            !is_inside(self.address()),
            "{what}: an initialiser must not ask for the value that it is making: it would wait for itself"
        );
    }

    #[track_caller]
    fn load(&self) -> u8 {
        // ORDERING: Acquire: pairs with the Release in `Running::end`.
        self.word().load(Ordering::Acquire)
    }

    /// Marks the word, unless the goal is reached. Returns `false` then.
    #[track_caller]
    fn announce(&self, goal: Goal, mark: u8) -> bool {
        let mut word = self.load();
        loop {
            if goal.is_reached(word) {
                return false;
            }
            if word & mark != 0 {
                return true;
            }
            // ORDERING: Relaxed on success: a mark publishes nothing. Acquire on failure: pairs with the Release in
            // `Running::end`: this may be the read that finds the goal reached.
            match self.word().compare_exchange_weak(
                word,
                word | mark,
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Whether a waiter may sleep (O3). Only for a `validate`.
    fn must_wait(&self, goal: Goal, mark: u8) -> bool {
        // ORDERING: Relaxed: the queue's lock orders this with the wake-up, and the waiter reads the word again before
        // it returns.
        let word = self.word().load(Ordering::Relaxed);
        !goal.is_reached(word) && word & mark != 0
    }
}

/// The right to make the value (O1). Dropping it without an end lets the next one try.
#[derive(Debug)]
pub(super) struct Running<'a> {
    once: &'a Once,
    /// The stage that its drop leaves.
    end: u8,
}

impl Running<'_> {
    /// Runs the initialiser, or polls it: a call for the same value from inside `f` panics.
    #[inline]
    pub(super) fn inside<R>(&self, f: impl FnOnce() -> R) -> R {
        inside(self.once.address(), f)
    }

    /// From now on a drop poisons.
    pub(super) fn poison_on_drop(&mut self) {
        self.end = POISONED;
    }

    /// RUNNING => MADE. The value is written.
    #[inline]
    pub(super) fn finish(mut self) {
        self.end = MADE;
    }
}

impl Drop for Running<'_> {
    /// The end of the stage, of any kind.
    #[inline]
    fn drop(&mut self) {
        let address = self.once.address();
        // ORDERING: Release: pairs with the Acquires in `is_made`, `begin`, `load` and `announce`: publishes the value,
        // or what a failed initialiser has done.
        let before = self.once.word().swap(self.end, Ordering::Release);
        if before & MARKS != 0 {
            wake(address, before);
        }
    }
}

/// Wakes all waiters for which `word` is marked (O4).
#[cold]
fn wake(address: usize, word: u8) {
    if word & THREADS != 0 {
        unpark_threads(address);
    }
    if word & TASKS != 0 {
        wake_tasks(address);
    }
}

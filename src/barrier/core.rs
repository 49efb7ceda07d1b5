//! The barrier's state, and who is told what.
//!
//! One lock protects all of it. The waiters are in a queue, and each is told how its wait ends by its message.
//!
//! ```text
//! open, k < n - 1 wait  => open, k + 1 wait     arrive
//! open, n - 1 wait      => open, 0 wait         arrive, as the leader; it answers *passed* to each
//! open, k wait          => broken, 0 wait       a waiter that leaves, or `break_up`: answers *broken* to each
//! any                   => open, 0 wait         reset: answers *broken* to each
//! broken                => broken               arrive: an error
//! ```
//!
//! - **B1.** The waiters in the queue are those of one generation, and `waiting` is their number. When a generation
//!   ends, all are taken out and answered under one hold of the lock. So a party that comes back at once waits for the
//!   next generation, and no answer reaches a waiter of another one.
//! - **B2.** A waiter that leaves, at its deadline or with its future, was answered before, and the answer stands; or it
//!   is in the queue, and breaks the barrier in the step that removes it. So all parties of a generation pass, or none.
//! - **B3.** No waker is woken, cloned or dropped under the lock.
//!
//! Orderings: the lock orders all arrivals before the answers, and a waiter's settling is a Release that its thread
//! acquires.

use super::error::BrokenBarrier;
use crate::support::backoff::Spin;
use crate::support::waiters::{Ended, Queue, Removal, Waiter, WakeUp, wait};
use crate::sys::{Mutex, const_fn, cores};
use std::time::Instant;

/// Blocks a number of threads or tasks, its *parties*, until all have come.
///
/// The barrier opens when the last party calls [`wait`](Barrier::wait), and closes again behind them: it can be used
/// for each round of a computation, also by a party that is back before the others have left.
///
/// # When to use it
/// | | |
/// | --- | --- |
/// | a fixed number of threads that compute in rounds | `Barrier` |
/// | one thread that waits for tasks to be done | [`WaitGroup`](crate::WaitGroup) |
/// | a rendezvous of two that passes a value | [`channel::bounded(0)`](crate::channel::bounded) |
///
/// It takes the place of std's `Barrier`, and of Go's barriers made of two `sync.WaitGroup`s.
///
/// # Examples
/// ```
/// use phalanx::{Barrier, thread};
///
/// let barrier = Barrier::new(3);
/// let leaders = thread::scope(|s| {
///     let parties = [(); 3].map(|()| {
///         s.spawn(|| {
///             // … the first half …
///             let is_leader = barrier.wait().unwrap().is_leader();
///             // … the second half, when all have done the first …
///             is_leader
///         })
///     });
///     parties.map(|party| party.join().unwrap())
/// });
/// assert_eq!(leaders.iter().filter(|&&is_leader| is_leader).count(), 1);
/// ```
///
/// **A party that never comes leaves the others waiting.** Hold a [`party`](Barrier::party) in each thread, so that
/// one that panics breaks the barrier.
///
/// # Broken barriers
/// A party that has come and leaves before the others, because its time is over or its future is dropped, *breaks* the
/// barrier. So does a [`party`](Barrier::party) that panics, and [`break_barrier`](Barrier::break_barrier). Every
/// wait at that moment, and every later one until a [`reset`](Barrier::reset), returns [`BrokenBarrier`]. A round that
/// was passed stays passed.
///
/// # Memory ordering
/// Everything before the wait of each party happens before the return of the wait of each other one, if the barrier
/// is passed.
pub struct Barrier {
    parties: usize,
    state: Mutex<State>,
}

/// What the lock protects.
#[derive(Debug)]
pub(super) struct State {
    queue: Queue<Answer>,
    waiting: usize,
    is_broken: bool,
}

/// A waiter's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Waiting,
    Passed,
    Broken,
}

/// What an arrival comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// It waits for the others.
    Waits,
    /// It was the last, and has let the others pass.
    Leads,
    Broken,
}

/// Why a wait has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    TimedOut,
    Broken,
}

impl State {
    pub(super) fn queue(&mut self) -> &mut Queue<Answer> {
        &mut self.queue
    }

    /// Ends the generation. Returns the wake-ups of the waiters that sleep, for when the lock is released.
    fn answer_all(&mut self, answer: Answer) -> Vec<WakeUp> {
        self.waiting = 0;
        let mut wake_ups = Vec::new();
        while let Some(mut taken) = self.queue.take_first() {
            taken.message(|message| *message = answer);
            let wake_up = taken.release();
            if wake_up.is_needed() {
                wake_ups.push(wake_up);
            }
        }
        wake_ups
    }
}

fn wake(wake_ups: Vec<WakeUp>) {
    wake_ups.into_iter().for_each(WakeUp::wake);
}

impl Barrier {
    const_fn! {
        /// Creates a barrier for so many parties. In a normal build it is `const`.
        ///
        /// # Panics
        /// If there are none.
        #[must_use]
        pub fn new(parties: usize) -> Self {
            assert!(parties > 0, "Barrier::new: a barrier is for at least one party");
            let state = State { queue: Queue::new(), waiting: 0, is_broken: false };
            Barrier { parties, state: Mutex::new(state) }
        }
    }

    /// Returns how many parties pass it together.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// Comes to the barrier; `waiter` enters the queue if it isn't the last.
    ///
    /// # Safety
    /// The waiter leaves, or is taken and settled, before it or the barrier is moved or dropped.
    pub(super) unsafe fn arrive(&self, waiter: &Waiter<Answer>) -> Arrived {
        let mut state = self.state.lock();
        if state.is_broken {
            return Arrived::Broken;
        }
        if state.waiting + 1 == self.parties {
            let wake_ups = state.answer_all(Answer::Passed);
            drop(state);
            wake(wake_ups);
            return Arrived::Leads;
        }
        // SAFETY: the contract of this function.
        unsafe { state.queue.push(waiter) };
        state.waiting += 1;
        Arrived::Waits
    }

    /// Removes a waiter that leaves before the others came, and breaks the barrier. Not if it was answered.
    pub(super) fn leave(&self, waiter: &Waiter<Answer>) -> Removal {
        let mut state = self.state.lock();
        let removal = state.queue.remove(waiter);
        if removal == Removal::Removed {
            state.is_broken = true;
            let wake_ups = state.answer_all(Answer::Broken);
            drop(state);
            wake(wake_ups);
        }
        removal
    }

    /// Blocks until the others have come, the barrier is broken, or the deadline. Returns whether it was the last.
    #[track_caller]
    pub(super) fn meet(&self, deadline: Option<Instant>) -> Result<bool, Failed> {
        let mut arrived = Arrived::Waits;
        let (answer, ended) = wait(
            Answer::Waiting,
            Some(self.spin()),
            deadline,
            // SAFETY: `wait` returns once the waiter has left or is settled; the barrier is borrowed.
            |waiter| arrived = unsafe { self.arrive(waiter) },
            |waiter| _ = self.leave(waiter),
        );
        match (arrived, answer) {
            (Arrived::Leads, _) => Ok(true),
            (Arrived::Waits, Answer::Passed) => Ok(false),
            (Arrived::Waits, _) if ended == Ended::Removed => Err(Failed::TimedOut),
            _ => Err(Failed::Broken),
        }
    }

    /// While each party has a core the others are at work. Otherwise they may want this one.
    fn spin(&self) -> Spin {
        if self.parties > cores() { Spin::Yielding } else { Spin::WakeUp }
    }

    /// Breaks the barrier. Returns whether it wasn't broken.
    pub(super) fn break_up(&self) -> bool {
        let mut state = self.state.lock();
        let was_broken = std::mem::replace(&mut state.is_broken, true);
        let wake_ups = state.answer_all(Answer::Broken);
        drop(state);
        wake(wake_ups);
        !was_broken
    }

    /// Makes the barrier as new. Those that wait are told that it was broken.
    pub(super) fn renew(&self) {
        let mut state = self.state.lock();
        state.is_broken = false;
        let wake_ups = state.answer_all(Answer::Broken);
        drop(state);
        wake(wake_ups);
    }

    /// How many wait, and whether it is broken.
    pub(super) fn seen(&self) -> (usize, bool) {
        let state = self.state.lock();
        (state.waiting, state.is_broken)
    }

    /// The lock, for a task's wait.
    pub(super) fn state(&self) -> &Mutex<State> {
        &self.state
    }
}

/// What a wait without a deadline returns.
impl From<Failed> for BrokenBarrier {
    fn from(_: Failed) -> Self {
        BrokenBarrier
    }
}

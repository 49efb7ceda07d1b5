//! Waiting awake before sleeping.
//!
//! What is about to happen anyway is cheaper waited for awake, but only for about as long as a sleep would cost, and
//! only where another core can make it happen meanwhile. The figures are in [`tuning`](super::tuning).

use super::crowd;
use super::tuning::{
    BRIEF_POLLS, CHECKS_BEFORE_YIELDS, EARLY_CHECKS, LONGEST_PAUSE, MOST_CHECKS, POLLS_PER_READING,
    RESTED_CHECK, WAKE_UP, WATCHING_PAUSES, YIELDS,
};
use crate::sys::hint::spin_loop;
use crate::sys::{IS_MODEL, can_spin, cores};
use std::time::Instant;

/// How long to poll a word before sleeping on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spin {
    /// Not at all: there are more threads than cores, and the other side wants this one.
    None,
    /// A few microseconds: the other side may be about to arrive.
    Brief,
    /// As long as a wake-up would take: for helpers between two batches.
    WakeUp,
    /// About as long, with a yield between two polls: for partners that wait for one another in turn, and may be more
    /// than there are cores. Not at all where other threads keep the core when they get it.
    Yielding,
    /// The same with pauses before the yields, for partners that take turns after few messages.
    TakingTurns,
}

impl Spin {
    /// The spin for a group of `threads` that work together.
    pub(crate) fn for_threads(threads: usize) -> Spin {
        if threads > cores() { Spin::None } else { Spin::WakeUp }
    }

    /// Polls `ready` until it returns something or the time is over.
    pub(crate) fn poll<R>(self, ready: impl FnMut() -> Option<R>) -> Option<R> {
        self.poll_beside(|| 0, ready)
    }

    /// [`poll`](Self::poll) beside partners whose `progress` is a number that grows.
    pub(crate) fn poll_beside<R>(
        self,
        progress: impl Fn() -> u64,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let until = match self {
            Spin::None => return None,
            _ if !can_spin() => return None,
            Spin::Brief => None,
            Spin::WakeUp => Some(Instant::now() + WAKE_UP),
            Spin::Yielding => return poll_yielding(0, progress, ready),
            Spin::TakingTurns => return poll_yielding(CHECKS_BEFORE_YIELDS, progress, ready),
        };
        loop {
            for _ in 0..if until.is_some() { POLLS_PER_READING } else { BRIEF_POLLS } {
                if let Some(found) = ready() {
                    return Some(found);
                }
                spin_loop();
            }
            if until.is_none_or(|until| Instant::now() >= until) {
                return None;
            }
        }
    }
}

fn poll_yielding<R>(
    pauses: u32,
    progress: impl Fn() -> u64,
    mut ready: impl FnMut() -> Option<R>,
) -> Option<R> {
    if crowd::is_crowded() {
        return None;
    }
    for checks in 0..pauses {
        if let Some(found) = ready() {
            return Some(found);
        }
        pause(1 << checks);
    }
    for yields in 0..YIELDS {
        if let Some(found) = ready() {
            if yields > 0 {
                crowd::count_wait();
            }
            return Some(found);
        }
        if !crowd::yield_to_partners(&progress) {
            break;
        }
    }
    ready()
}

/// The checks of a waiter for a lock, and the pauses between them.
///
/// A thread that works under an uncontended lock takes 5 ns for it; each check by another thread takes the lock's
/// line away and costs ten times as much. So the pauses grow, and late checks are polite (see
/// [`may_acquire`](Self::may_acquire)), until it would have been as cheap to sleep.
#[derive(Debug)]
pub(crate) struct Backoff {
    checks: u32,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff { checks: 0 }
    }

    /// For a thread that has slept.
    pub(crate) fn rested() -> Self {
        Backoff { checks: RESTED_CHECK }
    }

    /// Whether it has not paused yet, and is going to.
    pub(crate) fn is_new(&self) -> bool {
        self.checks == 0 && !self.is_over()
    }

    pub(crate) fn is_late(&self) -> bool {
        self.checks >= EARLY_CHECKS
    }

    /// Whether it is better to sleep than to check again. In a model it always is.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.checks >= MOST_CHECKS || !can_spin()
    }

    /// Pauses before the next check. In a model it lets other threads run.
    #[inline]
    pub(crate) fn pause(&mut self) {
        pause(1 << self.checks.min(LONGEST_PAUSE));
        self.checks += 1;
    }

    /// [`pause`](Self::pause), on several cores: for a thread that has failed because another has made progress.
    #[cold]
    pub(crate) fn pause_if_useful(&mut self) {
        if can_spin() {
            self.pause();
        }
    }

    /// [`pause`](Self::pause), but yields instead of pausing for long: another thread's step may want this core.
    pub(crate) fn pause_or_yield(&mut self) {
        if self.checks < CHECKS_BEFORE_YIELDS {
            self.pause();
        } else if crowd::yield_uncounted() {
            self.checks += 1;
        } else {
            self.checks = MOST_CHECKS;
        }
    }

    /// [`pause`](Self::pause), but ends early when `same` returns `false`.
    pub(crate) fn pause_while(&mut self, same: impl Fn() -> bool) {
        let pauses = if IS_MODEL { 1 } else { 1 << self.checks.min(LONGEST_PAUSE) };
        (0..pauses)
            .step_by(WATCHING_PAUSES as usize)
            .take_while(|_| same())
            .for_each(|_| pause(WATCHING_PAUSES));
        self.checks += 1;
    }

    /// Whether a waiter may take a lock that it has just seen free: at once in its first `eager` checks, later only
    /// if `still_free` agrees after `pauses` more. A thread that works with the lock all the time is back by then,
    /// and goes on while it has the line, which makes it fast.
    #[inline]
    pub(crate) fn may_acquire(
        &self,
        eager: u32,
        pauses: u32,
        still_free: impl FnOnce() -> bool,
    ) -> bool {
        if self.checks < eager || self.is_over() {
            return true;
        }
        pause(pauses);
        still_free()
    }
}

#[inline]
fn pause(pauses: u32) {
    for _ in 0..if IS_MODEL { 1 } else { pauses } {
        spin_loop();
    }
}

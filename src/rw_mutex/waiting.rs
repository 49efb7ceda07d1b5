//! Waiting for a reader-writer lock, and waking those who wait.
//!
//! The invariants that this cites are those of `raw.rs`: 5, what each step owes to those that sleep,
//! and 6, when they may sleep.
//!
//! **Politeness.** In a lock that is read *and* written much, the readers of one word take its line
//! from one another: each entry costs ten times what it would cost the thread that has the line. So
//! readers that see others come and go (the word's turns tell) stay away for a moment, as if those
//! were writers. In measurement this is what takes a lock with 10 to 50 % of writes from behind the best
//! mutex to ahead of it.
//!
//! Where sections last, of half a microsecond and more, politeness makes readers come one after another for
//! nothing. Whoever sees nobody come or go between two looks notes that with the lock: from then on all who wait
//! join those inside at once, take a free lock at once, and watch for the end of what bars them. The note goes
//! when such a step fails, since somebody came or went in no time.

use super::raw::{CLAIMS, READERS_QUEUE, RawRwMutex, too_many_readers};
use super::word::*;
use crate::sys::atomic::Ordering;
use crate::support::backoff::Backoff;
use crate::support::tuning::StarvationTimer;
use crate::sys::{Dequeued, HandOff, Parked, park, unpark_one, unpark_threads};
use std::time::Instant;

/// Pauses, each twice the last, with which a waiter begins: it is here because others were busy.
const FIRST_PAUSES: u32 = 4;
/// Looks without a write in between, half a microsecond at least, after which a reader that still has
/// to wait for others takes the lock for one that is mostly read.
const CALM_LOOKS: u32 = 2;
/// How long one must have left a free lock alone before a polite waiter takes it, in pauses.
const POLITE_PAUSES: u32 = 10;

/// One that waits, from when it found that it must.
pub(super) struct Waiter {
    pub(super) kind: Kind,
    pub(super) deadline: Option<Instant>,
    pub(super) backoff: Backoff,
    pub(super) patience: StarvationTimer,
    /// `WOKEN` if this thread holds that bit (invariant 6), else nothing.
    pub(super) woken: u64,
    /// For a reader: whether to tell of a bias, or enter by the word.
    pub(super) may_mark: bool,
}

impl Waiter {
    pub(super) fn new(kind: Kind, deadline: Option<Instant>) -> Self {
        Waiter {
            kind,
            deadline,
            backoff: Backoff::new(),
            patience: StarvationTimer::new(),
            woken: 0,
            may_mark: true,
        }
    }
}

/// How waiting ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Inside by the word; a writer at the door.
    Entered,
    /// There is a bias: a reader may mark a slot.
    Biased,
    TimedOut,
}

impl RawRwMutex {
    /// Waits until inside by the word, or at the door.
    #[track_caller]
    pub(super) fn enter(&self, waiter: &mut Waiter) -> Entry {
        let kind = waiter.kind;
        loop {
            let word = match self.look(waiter) {
                Ok(entry) => return entry,
                Err(word) => word,
            };
            // Barred, and as good to sleep: with a mark, or a claim. Gives up WOKEN, as invariant 6
            // has it.
            let claims = waiter.patience.is_over() && word & STARVING == 0;
            let mark = if claims { STARVING } else { kind.parked() };
            // ORDERING: Relaxed: publishes nothing.
            if self.change(word, word & !waiter.woken | mark, Ordering::Relaxed).is_err() {
                continue;
            }
            waiter.woken = 0;
            if claims {
                return self.enter_as_claimant(kind, waiter.deadline);
            }
            let must_wait = || {
                // ORDERING: Relaxed: the queue's lock orders this with the step that matters.
                let word = self.word.load(Ordering::Relaxed);
                word & kind.bars() != 0 && word & kind.parked() != 0
            };
            match park(self.queue(kind), must_wait, waiter.deadline) {
                Parked::Handed => {
                    self.accept(kind);
                    return Entry::Entered;
                }
                Parked::Woken if kind != Kind::Reader => waiter.woken = WOKEN,
                Parked::Woken | Parked::Invalid => {}
                Parked::TimedOut => return Entry::TimedOut,
            }
            waiter.backoff = Backoff::rested();
        }
    }

    /// What was handed over to one of the writers' queue is what the other had: the door, or an upgradable
    /// reader's place. It makes that what it came for.
    fn accept(&self, kind: Kind) {
        // ORDERING: Relaxed: nobody else changes these bits, which this thread has inside.
        let has_door = self.word.load(Ordering::Relaxed) & WRITER != 0;
        match kind {
            Kind::Upgradable if has_door => self.downgrade_to_upgradable(),
            Kind::Writer if !has_door => self.take_door_from_upgradable(),
            _ => {}
        }
    }

    /// Enters, or gives the word that barred it when there was no more use in looking.
    #[track_caller]
    pub(super) fn look(&self, waiter: &mut Waiter) -> Result<Entry, u64> {
        let Waiter { kind, woken, may_mark, ref mut backoff, .. } = *waiter;
        let reads = kind == Kind::Reader;
        let calm_looks = CALM_LOOKS + self.reluctance();
        // One of many locks, whose users hardly ever meet: what bars this thread is over in a moment.
        let seldom_meet = self.is_steered();
        let (mut first_look, mut before) = (None, None);
        let was_long = self.is_long();
        let mut is_long = was_long;
        for looks in 0_u32.. {
            // ORDERING: Acquire: if this reads the bias, `mark` must read the id that it came with.
            // For all else the steps below decide.
            let word = self.word.load(Ordering::Acquire);
            let first = *first_look.get_or_insert(word);
            if !seldom_meet
                && !is_long
                && looks == 0
                && backoff.is_new()
                && word & (BIAS | SUSPENDED) == 0
            {
                (0..FIRST_PAUSES).for_each(|_| backoff.pause());
                before = Some(word);
                continue;
            }
            // Nobody came or went between two looks: this is no lock of short sections.
            if !seldom_meet && !is_long && word & TAKEN != 0 && before == Some(word) {
                is_long = true;
                self.set_long(true);
            }
            if word & kind.bars() == 0 {
                let biased = word & BIAS != 0;
                if biased && reads && may_mark {
                    return Ok(Entry::Biased);
                }
                // Nobody has written since the first look: readers may have the lock to themselves.
                let calm = reads && looks >= calm_looks && no_writes_between(first, word);
                let polite = || {
                    if word & TAKEN != 0 {
                        backoff.is_over()
                    } else {
                        backoff.may_acquire(0, POLITE_PAUSES, || {
                            // ORDERING: Relaxed: a look.
                            self.word.load(Ordering::Relaxed) == word
                        })
                    }
                };
                let Some(inside) = kind.enter(word & !woken) else { too_many_readers() };
                // ORDERING: Acquire: see `read` and `write`.
                // A reader that finds it out waits until it may be calm: it is the one to engage the bias.
                let joins = is_long && (was_long || !reads || looks >= calm_looks);
                if biased || seldom_meet || calm || joins || polite() {
                    if self.change(word, inside, Ordering::Acquire).is_ok() {
                        if calm {
                            self.engage_bias();
                        }
                        return Ok(Entry::Entered);
                    }
                    if is_long {
                        // Somebody came or went in no time.
                        is_long = false;
                        self.set_long(false);
                    }
                }
                if backoff.is_over() {
                    continue;
                }
            } else if backoff.is_over() {
                return Err(word);
            }
            before = Some(word);
            if is_long {
                // ORDERING: Relaxed: a look.
                backoff.pause_while(|| self.word.load(Ordering::Relaxed) == word);
            } else {
                backoff.pause();
            }
        }
        unreachable!("the pauses are over long before 2^32 looks")
    }

    /// Waits for what bars the claimant, with the claim standing; takes it back at the end.
    #[track_caller]
    pub(super) fn enter_as_claimant(&self, kind: Kind, deadline: Option<Instant>) -> Entry {
        let mut backoff = Backoff::new();
        let mut timed_out = false;
        loop {
            // ORDERING: Relaxed: the step decides.
            let word = self.word.load(Ordering::Relaxed);
            if word & kind.claimant_bars() == 0 {
                let Some(inside) = kind.enter(word & !STARVING) else {
                    self.step(|word| word & !STARVING);
                    too_many_readers()
                };
                // ORDERING: Acquire: see `read` and `write`.
                if self.change(word, inside, Ordering::Acquire).is_ok() {
                    if kind != Kind::Writer {
                        // The claim kept others out who may follow now (invariant 5).
                        self.step(|word| word);
                    }
                    return Entry::Entered;
                }
                continue;
            }
            if timed_out {
                self.step(|word| word & !STARVING);
                return Entry::TimedOut;
            }
            if !backoff.is_over() {
                backoff.pause();
                continue;
            }
            let barred = || {
                // ORDERING: Relaxed: the queue's lock orders this with the step that matters.
                self.word.load(Ordering::Relaxed) & kind.claimant_bars() != 0
            };
            timed_out = park(self.claims(), barred, deadline) == Parked::TimedOut;
            backoff = Backoff::rested();
        }
    }

    /// Takes a step that lets others in, and pays the wake-ups that it owes (invariant 5).
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
            let place = self.writers();
            // ORDERING: Release: what was done inside happens before the Acquire of who comes next.
            match self.change(word, next, Ordering::Release) {
                Ok(_) => return wakes.pay(place),
                Err(now) => word = now,
            }
        }
    }

    /// Hands what this thread has inside to the longest asleep of a kind, by the step `hand`. `false`,
    /// and still inside, if nobody is asleep or somebody claims the lock.
    pub(super) fn hand_over(&self, kind: Kind, hand: &dyn Fn(u64) -> u64) -> bool {
        self.step_with_sleeper(kind, Some(hand), &|word| word)
    }

    /// Wakes the longest asleep of a kind, in one step with `hand`, which gives it the lock, or if
    /// that isn't to be had, or nobody is asleep, or somebody claims the lock, with `change`. Whether
    /// it was handed over.
    pub(super) fn step_with_sleeper(
        &self,
        kind: Kind,
        hand: Option<&dyn Fn(u64) -> u64>,
        change: &dyn Fn(u64) -> u64,
    ) -> bool {
        let mut handed = false;
        let place = self.writers();
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
        wakes.pay(place);
        handed
    }
}

/// Who is to be woken after a step, by address alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wakes {
    readers: bool,
    claimant: bool,
}

impl Wakes {
    /// What a step to `word` owes, and the word without the mark of those to be woken.
    pub(super) fn of(word: u64) -> (u64, Wakes) {
        if word & WRITER != 0 {
            return (word, Wakes::default());
        }
        let wakes = Wakes { readers: word & READERS_PARKED != 0, claimant: word & STARVING != 0 };
        (word & !READERS_PARKED, wakes)
    }

    /// `place` is the lock's first address.
    pub(super) fn pay(self, place: usize) {
        if self.claimant {
            wake(place + CLAIMS);
        }
        if self.readers {
            wake(place + READERS_QUEUE);
        }
    }
}

#[cold]
pub(super) fn wake(place: usize) {
    unpark_threads(place);
}

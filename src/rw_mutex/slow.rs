//! Waiting for a reader-writer lock: spinning, sleeping, and claiming it after a millisecond.
//!
//! The invariants cited here are in `raw.rs`: R5, what each step owes to those asleep, and R6, when a waiter may
//! sleep. When it enters is for [`policy`](super::policy) to say.

use super::control::Control;
use super::core::Core;
use super::policy::{Advice, Approach, Sight};
use super::state::*;
use crate::support::backoff::Backoff;
use crate::support::tuning::StarvationTimer;
use crate::sys::atomic::Ordering;
use crate::sys::{Parked, park};
use std::time::Instant;

/// Pauses, each twice as long as the last, with which a waiter begins: it is here because others were busy.
const FIRST_PAUSES: u32 = 4;
/// How long everybody must have left a free lock alone before a polite waiter takes it, in pauses.
const POLITE_PAUSES: u32 = 10;

/// A thread that has to wait.
#[derive(Debug)]
pub(super) struct Waiter<'a, C> {
    core: &'a Core,
    control: &'a C,
    kind: Kind,
    deadline: Option<Instant>,
    backoff: Backoff,
    patience: StarvationTimer,
    /// `WOKEN` if this thread holds that bit (R6), else nothing.
    woken: u64,
    /// For a reader: whether [`enter`](Self::enter) returns [`Entry::Biased`], or enters by the word.
    may_mark: bool,
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A reader is inside by the word, a writer pending. `calm` as in [`Advice::Enter`].
    Entered {
        calm: bool,
    },
    /// There is a bias: the reader may mark a slot.
    Biased,
    TimedOut,
}

const NOT_CALM: Entry = Entry::Entered { calm: false };

impl<'a, C: Control> Waiter<'a, C> {
    pub(super) fn new(
        core: &'a Core,
        control: &'a C,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Self {
        Waiter {
            core,
            control,
            kind,
            deadline,
            backoff: Backoff::new(),
            patience: StarvationTimer::new(),
            woken: 0,
            may_mark: true,
        }
    }

    /// Waits until inside by the word, or pending.
    #[track_caller]
    pub(super) fn enter(&mut self) -> Entry {
        let (core, kind) = (self.core, self.kind);
        loop {
            let word = match self.spin() {
                Ok(entry) => return entry,
                Err(word) => word,
            };
            // Barred, and it is better to sleep: with a mark, or a claim. Clears WOKEN, as R6 allows.
            let claims = self.patience.is_over() && word & STARVING == 0;
            let mark = if claims { STARVING } else { kind.parked() };
            // ORDERING: Relaxed: publishes nothing.
            if core.change(word, word & !self.woken | mark, Ordering::Relaxed).is_err() {
                continue;
            }
            self.woken = 0;
            if claims {
                return self.enter_as_claimant();
            }
            let must_wait = || {
                // ORDERING: Relaxed: the queue's lock orders this with the step that matters.
                let word = core.word.load(Ordering::Relaxed);
                word & kind.bars() != 0 && word & kind.parked() != 0
            };
            match park(core.queue(kind), must_wait, self.deadline) {
                Parked::Handed => {
                    self.accept();
                    return NOT_CALM;
                }
                Parked::Woken if kind != Kind::Reader => self.woken = WOKEN,
                Parked::Woken | Parked::Invalid => {}
                Parked::TimedOut => return Entry::TimedOut,
            }
            self.backoff = Backoff::rested();
        }
    }

    /// After [`Entry::Biased`], if no slot could be marked. `revoked` tells that a writer was faster: then it is
    /// worth trying again, but not for ever.
    pub(super) fn has_no_slot(&mut self, revoked: bool) {
        self.may_mark = revoked && !self.backoff.is_late() && !self.backoff.is_over();
        if !self.backoff.is_over() {
            self.backoff.pause();
        }
    }

    /// What was handed over in the writers' queue is what the other thread had: it was inside as a writer, or as
    /// the upgradable reader. This thread turns that into what it waited for.
    fn accept(&self) {
        // ORDERING: Relaxed: nobody else changes these bits, which this thread has inside.
        let is_writer = self.core.word.load(Ordering::Relaxed) & WRITER != 0;
        match self.kind {
            Kind::Upgradable if is_writer => self.core.downgrade_to_upgradable(),
            Kind::Writer if !is_writer => self.core.upgrade(),
            _ => {}
        }
    }

    /// Enters, or returns the word that barred it once there is no use in checking any more.
    #[track_caller]
    fn spin(&mut self) -> Result<Entry, u64> {
        let mut approach = Approach::new(self.kind, self.may_mark, self.control.policy());
        loop {
            // ORDERING: Acquire: if this loads the bias, the reader must load the id that it came with.
            // For all else the step in `try_to_enter` decides.
            let word = self.core.word.load(Ordering::Acquire);
            let (is_new, is_over) = (self.backoff.is_new(), self.backoff.is_over());
            let was_long = approach.has_long_sections();
            let advice = approach.advise(Sight { word, is_new, is_over });
            if approach.has_long_sections() && !was_long {
                self.control.note_long_sections(true);
            }
            match advice {
                Advice::GiveWay => {
                    (0..FIRST_PAUSES).for_each(|_| self.backoff.pause());
                    continue;
                }
                Advice::UseSlot => return Ok(Entry::Biased),
                Advice::Sleep => return Err(word),
                Advice::Enter { calm } => {
                    if self.try_to_enter(word, &mut approach) {
                        return Ok(Entry::Entered { calm });
                    }
                }
                Advice::EnterIfUnchanged => {
                    // ORDERING: Relaxed: a hint.
                    let same = || self.core.word.load(Ordering::Relaxed) == word;
                    if self.backoff.may_acquire(0, POLITE_PAUSES, same)
                        && self.try_to_enter(word, &mut approach)
                    {
                        return Ok(NOT_CALM);
                    }
                }
                Advice::Wait => {}
            }
            if !is_over {
                self.pause(word, &approach);
            }
        }
    }

    fn pause(&mut self, word: u64, approach: &Approach) {
        if approach.has_long_sections() {
            // ORDERING: Relaxed: a hint.
            self.backoff.pause_while(|| self.core.word.load(Ordering::Relaxed) == word);
        } else {
            self.backoff.pause();
        }
    }

    /// Enters, from `word`. If the word has changed, a writer tries again at once until something bars it: it has
    /// the word's line then, which readers would take away during a pause.
    #[track_caller]
    fn try_to_enter(&self, mut word: u64, approach: &mut Approach) -> bool {
        loop {
            let Some(inside) = self.kind.enter(word & !self.woken) else { too_many_readers() };
            // ORDERING: Acquire: pairs with the Release of every reader and writer that left.
            // WEAKEN: survives, because the load in `spin` has read the same value with Acquire; a writer that tries
            // again loads the word with Acquire as it drains.
            match self.core.change(word, inside, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
            if approach.has_long_sections() {
                approach.has_failed();
                self.control.note_long_sections(false);
            }
            if self.kind != Kind::Writer || word & self.kind.bars() != 0 {
                return false;
            }
        }
    }

    /// Waits for what bars the claimant, with the claim standing; ends it in any case.
    #[track_caller]
    fn enter_as_claimant(&self) -> Entry {
        let (core, kind) = (self.core, self.kind);
        let mut backoff = Backoff::new();
        let mut timed_out = false;
        loop {
            // ORDERING: Relaxed: the step decides.
            let word = core.word.load(Ordering::Relaxed);
            if word & kind.claimant_bars() == 0 {
                let Some(inside) = kind.enter(word & !STARVING) else {
                    core.step(|word| word & !STARVING);
                    too_many_readers()
                };
                // ORDERING: Acquire: pairs with the Release of every reader and writer that left.
                if core.change(word, inside, Ordering::Acquire).is_ok() {
                    if kind != Kind::Writer {
                        // The claim kept other threads out, which may follow now (R5).
                        core.step(|word| word);
                    }
                    return NOT_CALM;
                }
                continue;
            }
            if timed_out {
                core.step(|word| word & !STARVING);
                return Entry::TimedOut;
            }
            if !backoff.is_over() {
                backoff.pause();
                continue;
            }
            let barred = || {
                // ORDERING: Relaxed: the queue's lock orders this with the step that matters.
                core.word.load(Ordering::Relaxed) & kind.claimant_bars() != 0
            };
            timed_out = park(core.claimant(), barred, self.deadline) == Parked::TimedOut;
            backoff = Backoff::rested();
        }
    }
}

#[cold]
#[track_caller]
pub(super) fn too_many_readers() -> ! {
    panic!("RwMutex: too many readers: 2^22 are inside, or forgot their guards")
}

//! A lock whose user decides on its bias: a store, about the locks of its shards.

use super::bias::BiasedCore;
use super::control::External;
use super::core::Core;
use super::raw::{Pass, RawRwMutex};
use super::readers::{First, Slot, mark_first};
use super::state::*;
use crate::sys::atomic::Ordering;
use crate::sys::const_fn;
use std::ops::Range;

/// What such a lock offers. The provided methods are those of a lock without a bias.
pub(crate) trait ExternalBias: lock_api::RawRwLock {
    /// Reads by this thread's slot, if the lock is biased and that slot is free: the cheapest way in.
    #[inline]
    fn try_read_fast(&self) -> Option<Self::SharedGuard> {
        None
    }

    /// Lets readers enter by slots from now on. Only for a reader inside.
    #[inline]
    fn engage_bias(&self) {}

    /// Locks for writing. If `keeps_bias` is `false`, readers enter by the word from when the writer has left.
    #[inline]
    fn write(&self, _keeps_bias: bool) -> Self::ExclusiveGuard {
        self.lock_exclusive()
    }

    /// Whether this thread reads a lock at one of these addresses by [`try_read_fast`](Self::try_read_fast), or by
    /// the bias.
    #[inline]
    fn reads_fast_within(_: &Range<usize>) -> bool {
        false
    }
}

impl RawRwMutex<External> {
    const_fn! {
        pub(super) fn new_external() -> Self {
            RawRwMutex(BiasedCore { core: Core::new(), control: External })
        }
    }

    /// Reads by this thread's first slot, if the lock is biased and the slot is free.
    #[inline]
    pub(super) fn try_read_fast(&self) -> Option<Pass> {
        // ORDERING: Relaxed: the id is the lock's address, and `validate` loads the word again.
        if self.core().word.load(Ordering::Relaxed) & BIAS == 0 {
            return None;
        }
        let First { slot, .. } = mark_first(self.0.id(), true)?;
        if self.0.validate(BIAS, slot) {
            return Some(Pass(Some(slot)));
        }
        self.leave_slot(slot)
    }

    #[cold]
    fn leave_slot(&self, slot: &Slot) -> Option<Pass> {
        self.0.unmark(slot);
        None
    }

    /// Lets readers enter by slots from now on. Only for a reader inside.
    #[inline]
    pub(super) fn engage_bias(&self) {
        // ORDERING: Relaxed: a hint.
        if self.core().word.load(Ordering::Relaxed) & BIAS == 0 {
            self.0.engage();
        }
    }

    /// [`write`](RawRwMutex::write). If `keeps_bias` is `false`, readers enter by the word once the writer has left.
    #[inline]
    pub(super) fn write_external(&self, keeps_bias: bool) {
        // ORDERING: Relaxed: the exchange decides.
        let word = self.core().word.load(Ordering::Relaxed);
        let pending = set_writer_pending(word);
        if word & BARS_WRITER == 0
            // ORDERING: Acquire: pairs with the Release of every reader and writer that left.
            && self.core().change(word, pending, Ordering::Acquire).is_ok()
        {
            if word & BIAS == 0 {
                return;
            }
            self.0.drain_slots(pending, None);
        } else {
            self.write_contended(None);
        }
        if !keeps_bias {
            self.end_bias();
        }
    }

    #[cold]
    fn end_bias(&self) {
        // ORDERING: Relaxed: changed by the writer alone, which is this thread.
        if self.core().word.load(Ordering::Relaxed) & REVOKING != 0 {
            self.0.end();
        }
    }
}

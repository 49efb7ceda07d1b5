//! What a lock offers whose user decides on its bias: a store, about the locks of its shards.

use std::ops::Range;

/// A lock whose user decides on its bias. What is provided is a lock that has none.
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

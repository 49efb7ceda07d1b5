//! A word that a `const` can make, for types that stand in a `static`.

use super::heap::Tracked;
use std::sync::atomic::AtomicU8;

/// A word that is 0 at first, and the tracking of what it guards. A model makes both anew in each execution.
#[derive(Debug)]
pub(crate) struct StaticWord(AtomicU8);

impl StaticWord {
    pub(crate) const fn new() -> Self {
        StaticWord(AtomicU8::new(0))
    }

    #[inline(always)]
    pub(crate) fn word(&self) -> &AtomicU8 {
        &self.0
    }

    /// Returns what a model tracks in place of the guarded memory. Here it is nothing.
    #[inline(always)]
    pub(crate) fn guarded(&self) -> &Tracked {
        &Tracked
    }
}

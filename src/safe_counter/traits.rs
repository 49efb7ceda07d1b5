//! The counter's trait impls. Cloning, making and formatting one is reading and adding.

use super::SafeCounter;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

// A panic leaves nothing half done.
impl UnwindSafe for SafeCounter {}
impl RefUnwindSafe for SafeCounter {}

impl Default for SafeCounter {
    /// A counter at zero.
    #[track_caller]
    fn default() -> Self {
        SafeCounter::new()
    }
}

impl Clone for SafeCounter {
    /// Creates a counter that starts at what [`get`](SafeCounter::get) returns. The two count separately from then
    /// on.
    ///
    /// # Examples
    /// ```
    /// use phalanx::SafeCounter;
    ///
    /// let count = SafeCounter::from(3);
    /// let copy = count.clone();
    /// count.increment();
    /// assert_eq!((count.get(), copy.get()), (4, 3));
    /// ```
    #[track_caller]
    fn clone(&self) -> Self {
        SafeCounter::from(self.get())
    }
}

impl FromIterator<i64> for SafeCounter {
    /// Creates a counter that starts at the sum, modulo 2^64.
    fn from_iter<I: IntoIterator<Item = i64>>(counts: I) -> Self {
        SafeCounter::from(counts.into_iter().fold(0, i64::wrapping_add))
    }
}

impl Extend<i64> for SafeCounter {
    /// Adds each.
    fn extend<I: IntoIterator<Item = i64>>(&mut self, counts: I) {
        Extend::extend(&mut &*self, counts);
    }
}

impl Extend<i64> for &SafeCounter {
    /// Adds each.
    fn extend<I: IntoIterator<Item = i64>>(&mut self, counts: I) {
        counts.into_iter().for_each(|n| self.add(n));
    }
}

impl fmt::Debug for SafeCounter {
    /// `SafeCounter(136)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SafeCounter").field(&self.get()).finish()
    }
}

impl fmt::Display for SafeCounter {
    /// The count, formatted as an `i64` is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.get(), f)
    }
}

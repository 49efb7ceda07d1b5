//! A sharded counter: many threads add at once, each on a cache line of its own.
//!
//! An `AtomicI64` is exact at every moment, and each addition takes its cache line from the thread that added last:
//! 5 to 10 ns for each further thread. A [`SafeCounter`] gives each thread a cell of its own once several threads
//! keep adding, and pays for it when it is read.
//!
//! | file | holds |
//! | --- | --- |
//! | this one | the type; reading and taking the count |
//! | `parts` | adding, the sum of all additions, invariants K1 to K3 |
//! | `cells` | a cell for each thread |
//! | `lazy` | a value that the first thread to need it makes |
//! | `traits`, `serde` | trait impls |
//!
//! The count is the sum of all additions less `taken`, the part of that sum that was taken:
//!
//! ```text
//! taken:  a sum => a later sum    take
//! ```
//!
//! Invariant:
//!
//! - K4. `taken` is a sum that a `take` has read, or 0. A thread that reads it with Acquire reads parts that are no
//!   older than that sum. So, while there are additions alone, no sum that is read after `taken` is below it. (With
//!   subtractions too, `taken` may return to an earlier value between a call's two loads of it. Takes lose nothing
//!   even so, since each one returns the difference between two values that `taken` had, one right after the other.
//!   A `get` may then count some of the calls beside it and not others, which is all that is promised.)
//!
//! Orderings: additions are Release and sums Acquire, for K3 and K4. `taken` is written with Release, and read with
//! Acquire before the parts.

mod cells;
mod lazy;
mod parts;
#[cfg(feature = "serde")]
mod serde;
mod traits;

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::const_fn;
use parts::Parts;

/// A sharded (striped) counter: counts up and down from many threads at once.
///
/// Use it for counts that are added to often and read now and then: requests, bytes, cache hits. Each thread adds to
/// a cell of its own, so that additions don't wait for one another's cache line; a read sums up the cells.
///
/// ```
/// use phalanx::{SafeCounter, WaitGroup};
/// use std::sync::Arc;
///
/// let count = Arc::new(SafeCounter::new());
/// let group = WaitGroup::new();
/// for _ in 0..2 {
///     let count = Arc::clone(&count);
///     group.go(move || (0..1000).for_each(|_| count.increment()));
/// }
/// group.wait();
/// assert_eq!(count.get(), 2000);
/// ```
///
/// **A read that is concurrent with additions may be inexact**: see [what a read
/// means](SafeCounter#what-a-read-means).
///
/// # When to use another type
/// - A count that is read as often as it is added to, or that decides something (a ticket number, a limit): an
///   [`AtomicI64`](crate::atomic::AtomicI64), whose `fetch_add` returns the count.
/// - Waiting until a count is zero: [`WaitGroup`](crate::WaitGroup).
/// - An atomic in a signal handler, since an addition of the thread that it interrupts may overwrite the handler's;
///   and in a global allocator, since cells are allocated.
///
/// # What a read means
/// [`get`](SafeCounter::get) and [`take`](SafeCounter::take) count every addition that happened before the call, and
/// none that happens after it. Of each thread's additions that are concurrent with the call, they count the
/// first ones up to some point.
///
/// - With additions only (or subtractions only), the result lies between the true counts at the call and at the
///   return. It never goes back: a `get` that happens after another returns no less, unless a `take` came between.
///   If each addition adds one, there is a moment during the call at which the result was the true count: reads
///   are linearizable.
/// - With both, the result may be a count that never was: an addition may be missed, and a later subtraction of
///   another thread counted. Once the threads that add happen before the call, it is exact.
/// - A `take` is two steps, a `get` and a subtraction of its result. What is added in between stays for the next
///   `take`: no addition is lost, and none is returned twice.
/// - Before, after and concurrent refer to happens-before (a join, a lock, a channel). An addition is a plain store,
///   which others may see some nanoseconds after the call: if two threads each add to one counter and then read the
///   other's, both may miss what the other did. Where that matters, put a [`fence`](crate::atomic::fence)`(SeqCst)`
///   between, or use an atomic.
///
/// # Memory ordering
/// An addition happens before each `get` or `take` that counts it.
///
/// # Overflow
/// The count is kept modulo 2^64, as `i64`: past `i64::MAX` it wraps to `i64::MIN`, and back the same way. A
/// count that was out of range for a while is right again afterwards.
///
/// # Memory
/// A counter takes 48 bytes, and counts in one word of them while only one thread adds. After some 64 additions by
/// other threads it allocates 1,152 bytes, cells for 8 threads. Each thread that counts has an index among all such
/// threads; a thread that adds with a higher index than there are cells allocates 8, 16, 32 more, of 128 bytes each.
/// Cells are reused by new threads. A thread that comes while 1,024 others have indices never gets one, and adds to a
/// shared cell, which is correct and slower. A counter's memory is freed when it is dropped.
///
/// # Clones and comparisons
/// A clone starts at what [`get`](SafeCounter::get) returned, and counts on its own; to share a counter, clone an
/// [`Arc`](std::sync::Arc) of it. Counters have no `==` and no order, as atomics have none: a count may change while
/// it is compared. Compare what `get` returns.
pub struct SafeCounter {
    parts: Parts,
    /// The part of the sum that was taken, K4.
    taken: AtomicU64,
}

impl SafeCounter {
    const_fn! {
        /// Creates a counter at zero. `const`, except in a model build.
        #[must_use]
        pub fn new() -> Self {
            SafeCounter { parts: Parts::new(), taken: AtomicU64::new(0) }
        }
    }

    /// Adds one.
    #[inline]
    #[track_caller]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Subtracts one.
    #[inline]
    #[track_caller]
    pub fn decrement(&self) {
        self.add(-1);
    }

    /// Adds `n`, which may be negative. Never blocks.
    #[inline]
    #[track_caller]
    pub fn add(&self, n: i64) {
        self.count(n as u64);
    }

    /// Adds `n`, and returns the new count of the part that it was added to.
    #[inline]
    #[track_caller]
    pub(crate) fn count(&self, n: u64) -> u64 {
        self.parts.add(n)
    }

    /// Returns the count: see [what a read means](SafeCounter#what-a-read-means).
    ///
    /// # Blocking
    /// Never. If another thread's [`take`](SafeCounter::take) completes meanwhile, it reads the count again.
    ///
    /// # Examples
    /// ```
    /// let count = phalanx::SafeCounter::new();
    /// count.add(3);
    /// count.decrement();
    /// assert_eq!(count.get(), 2);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn get(&self) -> i64 {
        loop {
            // ORDERING: Acquire: pairs with the Release in `take`, K4.
            let taken = self.taken.load(Ordering::Acquire);
            let sum = self.parts.sum();
            // ORDERING: Relaxed: the sum's Acquire keeps it behind the parts. If they have additions that a thread
            // made after a take, this load sees that take.
            if self.taken.load(Ordering::Relaxed) == taken {
                return sum.wrapping_sub(taken) as i64;
            }
        }
    }

    /// Returns the count and sets it to zero. What is added meanwhile is left for the next call: see [what a read
    /// means](SafeCounter#what-a-read-means).
    ///
    /// # Blocking
    /// Never. If another thread's `take` completes meanwhile, it reads the count again.
    ///
    /// # Examples
    /// ```
    /// let count = phalanx::SafeCounter::new();
    /// count.add(3);
    /// assert_eq!((count.take(), count.get()), (3, 0));
    /// ```
    #[track_caller]
    pub fn take(&self) -> i64 {
        // ORDERING: Acquire: pairs with the Release below of another take, K4.
        let mut taken = self.taken.load(Ordering::Acquire);
        loop {
            let sum = self.parts.sum();
            // ORDERING: Release: pairs with the Acquire above and in `get`: parts that are read after this are no
            // older than the sum. Acquire on failure: as above.
            let (release, acquire) = (Ordering::Release, Ordering::Acquire);
            match self.taken.compare_exchange(taken, sum, release, acquire) {
                Ok(_) => return sum.wrapping_sub(taken) as i64,
                Err(now) => taken = now,
            }
        }
    }
}

impl From<i64> for SafeCounter {
    /// Creates a counter that starts at `count`.
    #[track_caller]
    fn from(count: i64) -> Self {
        let counter = SafeCounter::new();
        counter.parts.start_at(count as u64);
        counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::IS_MODEL;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_counter_takes_48_bytes() {
        if !IS_MODEL {
            assert_eq!(size_of::<SafeCounter>(), 48);
        }
    }
}

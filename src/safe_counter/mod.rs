//! A counter that many threads add to at once, each on a line of its own.
//!
//! An `AtomicI64` is exact at every moment, and each addition takes its line from whoever added last:
//! 5 to 10 ns for each thread more. A [`SafeCounter`] gives each thread a cell of its own once several
//! add for a while, and pays when it is read.
//!
//! What a count is made of, and who writes it:
//!
//! | part | written by | with |
//! | --- | --- | --- |
//! | `first` | the holder of the number in `owner` | load and store |
//! | `rest` | everyone else, as long as there are no cells | a read-modify-write |
//! | a cell | the holder of its number | load and store |
//! | the shared cell | threads without a number | a read-modify-write |
//! | `taken` | whoever holds `takes` | load and store |
//!
//! ```text
//! owner:  NOBODY => n    the first thread to add          (claims `first`)
//!         any => MOVED   whoever made the cells           (nobody owns `first` from now on)
//! cells:  null => made   after VISITS additions to `rest`
//! ```
//!
//! So a counter of one thread is one word, one that several threads touch now and then is two, and one
//! that they work at has a cell for each.
//!
//! Invariants:
//!
//! 1. `first` and each cell have one writer at a time, the holder of a number. A number's next holder has
//!    acquired what the last did, so a plain load and store lose nothing.
//! 2. The owner may go on with `first` after there are cells, until it sees `MOVED`: it is a part of the
//!    sum like any other.
//! 3. Each thread goes through the parts in one order: `first` or `rest`, its cell, and when it has given its
//!    number back (in the destructors of thread-locals) the shared cell, or without cells `rest`. A sum reads
//!    them the other way round, with Acquire: the shared cell, the cells, `rest`, `first`. So of each
//!    thread it counts the first so many of its additions.
//! 4. The parts only grow, as far as additions do, and `taken` is a sum of them that was read before.
//!    Whoever reads `taken` with Acquire reads parts that are no older than that sum. (With subtractions too,
//!    `taken` may come back to a value it had; a sum beside that counts some of the calls beside it, which
//!    is all that is promised then.)
//!
//! Orderings: additions are Release and sums Acquire, for 3 and 4. `taken` is written with Release and
//! read with Acquire before the parts, and again after them: if it is the same, no take came between
//! that the parts may know of.

mod cells;
mod lazy;
#[cfg(feature = "serde")]
mod serde;

use crate::support::thread_index::{CAPACITY, claim_current, current};
use crate::sys::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sys::{Hint, IS_MODEL, Mutex, const_fn};
use cells::{Cells, add_alone};
use lazy::Lazy;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Counts up and down from many threads at once.
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
/// **A read beside additions is exact only once they are done**: see [what a read
/// means](SafeCounter#what-a-read-means).
///
/// # When to use it
/// - Counts that are added to often and read now and then (requests, bytes, cache hits): a
///   `SafeCounter`. On four threads an addition costs a twentieth of an `AtomicI64`'s.
/// - Counts that are read as often, or that decide something (a ticket number, a limit): an
///   [`AtomicI64`](crate::atomic::AtomicI64), whose `fetch_add` says what the count was.
/// - Waiting until a count is zero: [`WaitGroup`](crate::WaitGroup).
///
/// # What a read means
/// [`get`](SafeCounter::get) and [`take`](SafeCounter::take) count every addition that happened before
/// the call, and none that happens after it. Of those under way meanwhile they count some: of each
/// thread the first so many.
///
/// - With additions only (or subtractions only), the result lies between the true count at the call and
///   at the return. It never goes back: a `get` that happens after another gives no less, unless a
///   `take` came between. If all additions are of one, there is a moment during the call
///   at which the result was the true count: reads are linearizable.
/// - With both, the result may be a count that never was: an addition may be missed and a later
///   subtraction of another thread counted. Once the threads that add happen before the call, it is
///   exact.
/// - Before, after and beside are meant as happens-before orders calls (a join, a lock, a channel). An addition
///   is a plain store, which may be on its way for some nanoseconds after the call: of two threads that
///   each add to one counter and then read the other's, both may miss what the other did. Where that
///   matters, put a [`fence`](crate::atomic::fence)`(SeqCst)` between, or take an atomic.
/// - A `take` is two steps, a `get` and a subtraction of what it gave. What is added in between stays for
///   the next `take`: nothing is lost, and nothing given twice.
///
/// # Overflow
/// The count is kept modulo 2^64, as `i64`: past `i64::MAX` it goes on at `i64::MIN`, and comes back
/// the same way. A count that was out of range in between is right again.
///
/// # Memory
/// 48 bytes, and one word in it that counts as long as one thread adds. After some 64 additions by others it
/// gets 1,280 bytes, cells for 8 threads; when a thread comes whose number among all threads that count is higher,
/// 128 bytes for each of 8, 16, 32 more. A thread's cell is the next thread's after its end. A thread that
/// comes while 1,024 others have numbers gets none for good, and adds to a shared cell: right, and slower.
///
/// # Clones and comparisons
/// A clone is a counter of its own that starts at what [`get`](SafeCounter::get) returned; to share one, clone an
/// [`Arc`](std::sync::Arc) of it. Counters have no `==` and no order, as atomics have none: a count may change while
/// it is compared. Compare what `get` returns.
///
/// # Where not to use it
/// In a signal handler that may interrupt an addition of the same thread, which then may lose its own; in
/// a global allocator, as cells are allocated.
///
/// # Memory ordering
/// A `get` or `take` that counts an addition happens after it.
pub struct SafeCounter {
    owner: AtomicUsize,
    first: AtomicU64,
    rest: AtomicU64,
    cells: Lazy<Cells>,
    /// What was subtracted by takes.
    taken: AtomicU64,
    /// Additions to `rest`, about.
    visits: Hint,
    /// Protects the writing of `taken`.
    takes: Mutex<()>,
}

/// Owners that are nobody's number, nor what stands for one that is missing.
const NOBODY: usize = CAPACITY;
const MOVED: usize = CAPACITY + 1;
/// How many additions to `rest` make a counter worth its cells.
const VISITS: u32 = if IS_MODEL { 1 } else { 64 };

impl SafeCounter {
    const_fn! {
        /// Creates a counter at zero. `const`, but for a model build.
        #[must_use]
        pub fn new() -> Self {
            SafeCounter {
                owner: AtomicUsize::new(NOBODY),
                first: AtomicU64::new(0),
                rest: AtomicU64::new(0),
                cells: Lazy::new(),
                taken: AtomicU64::new(0),
                visits: Hint::new(),
                takes: Mutex::new(()),
            }
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

    /// Adds `n`, which may be negative.
    #[inline]
    #[track_caller]
    pub fn add(&self, n: i64) {
        self.count(n as u64);
    }

    /// Adds `n`, and gives what the part of the count that it went to is now.
    #[inline]
    #[track_caller]
    pub(crate) fn count(&self, n: u64) -> u64 {
        let number = current();
        // ORDERING: Relaxed: this thread's own store if it is the owner; else it isn't, whatever it reads.
        if self.owner.load(Ordering::Relaxed) == number {
            add_alone(&self.first, n)
        } else if let Some(cell) = self.cells.get().and_then(|cells| cells.find(number)) {
            add_alone(cell, n)
        } else {
            self.count_slowly(n)
        }
    }

    /// Returns the count: see [what a read means](SafeCounter#what-a-read-means).
    ///
    /// # Blocking
    /// Not for additions. If other threads are taking, for one of their takes at a time.
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
        // ORDERING: Acquire: invariant 4. Relaxed: the parts' Acquire keeps it behind them.
        let taken = self.taken.load(Ordering::Acquire);
        let sum = self.sum();
        if self.taken.load(Ordering::Relaxed) != taken {
            return self.get_between_takes();
        }
        sum.wrapping_sub(taken) as i64
    }

    /// The count, which is zero afterwards but for what is added meanwhile: see
    /// [what a read means](SafeCounter#what-a-read-means).
    ///
    /// # Blocking
    /// Not for additions. For the takes of other threads, one at a time.
    ///
    /// # Examples
    /// ```
    /// let count = phalanx::SafeCounter::new();
    /// count.add(3);
    /// assert_eq!((count.take(), count.get()), (3, 0));
    /// ```
    #[track_caller]
    pub fn take(&self) -> i64 {
        let _alone = self.takes.lock();
        // ORDERING: Relaxed: written under the lock.
        let taken = self.taken.load(Ordering::Relaxed);
        let sum = self.sum();
        // ORDERING: Release: pairs with the Acquire in `get`: what was summed here is not read anew
        // without being known to be taken.
        self.taken.store(sum, Ordering::Release);
        sum.wrapping_sub(taken) as i64
    }

    #[track_caller]
    fn get_between_takes(&self) -> i64 {
        let _alone = self.takes.lock();
        // ORDERING: Relaxed: written under the lock.
        let taken = self.taken.load(Ordering::Relaxed);
        self.sum().wrapping_sub(taken) as i64
    }

    /// All parts, in the order of invariant 3.
    #[track_caller]
    fn sum(&self) -> u64 {
        let cells = self.cells.get().map_or(0, Cells::sum);
        // ORDERING: Acquire: pairs with the Release of those that add, invariant 4.
        let rest = self.rest.load(Ordering::Acquire);
        let first = self.first.load(Ordering::Acquire);
        cells.wrapping_add(first).wrapping_add(rest)
    }

    #[cold]
    #[track_caller]
    fn count_slowly(&self, n: u64) -> u64 {
        let number = Some(current()).filter(|&number| number < CAPACITY).or_else(claim_current);
        if number.is_some_and(|number| self.owns_first(number)) {
            return add_alone(&self.first, n);
        }
        if let Some(cells) = self.cells.get() {
            return cells.add(number, n);
        }
        // ORDERING: Release: see `sum`.
        let before = self.rest.fetch_add(n, Ordering::Release);
        self.visits.add(1);
        if self.visits.get() >= VISITS {
            self.cells.get_or_make(Cells::new);
            // ORDERING: Release: pairs with the Acquire in `owns_first`: an owner that finds itself
            // moved finds the cells, and does not go to `rest` (invariant 3).
            self.owner.swap(MOVED, Ordering::Release);
        }
        before.wrapping_add(n)
    }

    /// Whether `first` is this number's, claimed now if it is nobody's.
    fn owns_first(&self, number: usize) -> bool {
        // ORDERING: Relaxed: publishes nothing; `first` is as the number's last holder left it. Acquire:
        // pairs with the Release of `MOVED`.
        let (relaxed, acquire) = (Ordering::Relaxed, Ordering::Acquire);
        match self.owner.compare_exchange(NOBODY, number, relaxed, acquire) {
            Ok(_) => true,
            Err(owner) => owner == number,
        }
    }
}

// Nothing is ever half done.
impl UnwindSafe for SafeCounter {}
impl RefUnwindSafe for SafeCounter {}

impl Default for SafeCounter {
    #[track_caller]
    fn default() -> Self {
        SafeCounter::new()
    }
}

impl Clone for SafeCounter {
    /// Creates a counter of its own that starts at what [`get`](SafeCounter::get) returns. What is added to one
    /// afterwards the other doesn't count.
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

impl From<i64> for SafeCounter {
    /// A counter that starts at `count`.
    #[track_caller]
    fn from(count: i64) -> Self {
        let counter = SafeCounter::new();
        // Not an addition, which would make this thread the owner of `first`: the first to add is to be it.
        // ORDERING: Relaxed: nobody else has the counter yet.
        counter.first.store(count as u64, Ordering::Relaxed);
        counter
    }
}

impl FromIterator<i64> for SafeCounter {
    /// A counter at the sum, modulo 2^64.
    fn from_iter<I: IntoIterator<Item = i64>>(counts: I) -> Self {
        SafeCounter::from(counts.into_iter().fold(0, i64::wrapping_add))
    }
}

impl Extend<i64> for SafeCounter {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread;
    use crate::testing::until;

    /// Numbers are given back: a thousand threads, four at a time, need no more cells than four would,
    /// and those of the tests that run beside this one.
    #[test]
    fn cells_are_used_again() {
        if IS_MODEL {
            return;
        }
        let counter = SafeCounter::new();
        for _ in 0..250 {
            let there = AtomicU64::new(0);
            thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| {
                        counter.increment();
                        // All four are there at once, however late they start.
                        there.fetch_add(1, Ordering::SeqCst);
                        until(|| there.load(Ordering::SeqCst) == 4);
                        (1..2 * VISITS).for_each(|_| counter.increment());
                    });
                }
            });
        }
        assert_eq!(counter.get(), 1000 * 2 * i64::from(VISITS));
        let cells = counter.cells.get().expect("several threads have counted");
        assert!(cells.count() <= 64, "{} cells", cells.count());
        // And nobody goes on with the first word, which would be the line that all look at.
        assert_eq!(counter.owner.load(Ordering::SeqCst), MOVED);
    }

    #[test]
    fn a_clone_belongs_to_the_first_thread_that_adds_to_it() {
        if IS_MODEL {
            return;
        }
        let counter = SafeCounter::from(5);
        counter.increment();
        let copy = counter.clone();
        assert_eq!(copy.owner.load(Ordering::SeqCst), NOBODY);
        thread::scope(|s| {
            s.spawn(|| (0..10 * VISITS).for_each(|_| copy.increment()));
        });
        assert_eq!(copy.get(), 6 + 10 * i64::from(VISITS));
        assert!(copy.cells.get().is_none());
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_counter_takes_48_bytes() {
        if !IS_MODEL {
            assert_eq!(size_of::<SafeCounter>(), 48);
        }
    }

    #[test]
    fn a_counter_of_one_thread_has_no_cells() {
        let counter = SafeCounter::new();
        (0..1000).for_each(|_| counter.increment());
        assert!(counter.cells.get().is_none());
    }
}

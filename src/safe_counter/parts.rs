//! The parts that a count is made of, how a thread finds the part it adds to, and their sum.
//!
//! | part | written by | with |
//! | --- | --- | --- |
//! | `first` | the thread that holds the index in `owner` | load and store |
//! | `rest` | every other thread, while there are no cells | a read-modify-write |
//! | a cell | the thread that holds its index | load and store |
//! | the shared cell | threads without an index | a read-modify-write |
//!
//! ```text
//! owner:  NOBODY => index   the first thread to add claims `first`
//! cells:  null => made      after VISITS additions to `rest`
//! ```
//!
//! So a counter of one thread is one word, a counter that several threads add to now and then is two, and a counter
//! that they keep adding to has a cell for each of them.
//!
//! Invariants:
//!
//! - K1. `first` and each cell have one writer at a time, the holder of an index. An index's next holder has
//!   acquired what the last one did, so a load and a store lose nothing.
//! - K2. A thread that has seen the cells adds only to cells. An owner that hasn't seen them yet may go on with
//!   `first`.
//! - K3. Each thread adds to parts in this order, and skips some: `first`, `rest`, its cell, the shared cell. (A
//!   thread releases its index among the destructors of its thread-locals; from then on it adds to the shared cell,
//!   or, without cells, to `rest`.) A sum reads the parts in the opposite order with Acquire. So it counts, of each
//!   thread, its first additions up to some point, and none after that.
//!
//! K4 is in the [counter](super).

use super::cells::{Cells, add_alone};
use super::lazy::Lazy;
use crate::support::thread_index::{CAPACITY, claim_current, current};
use crate::sys::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sys::{Hint, IS_MODEL, const_fn};

#[derive(Debug)]
pub(super) struct Parts {
    owner: AtomicUsize,
    first: AtomicU64,
    rest: AtomicU64,
    cells: Lazy<Cells>,
    /// Additions to `rest`, about.
    visits: Hint,
}

/// An owner that is no thread's index, nor what [`current`] returns for a missing one.
const NOBODY: usize = CAPACITY;
/// How many additions to `rest` make a counter worth its cells.
const VISITS: u32 = if IS_MODEL { 1 } else { 64 };

impl Parts {
    const_fn! {
        pub(super) fn new() -> Self {
            Parts {
                owner: AtomicUsize::new(NOBODY),
                first: AtomicU64::new(0),
                rest: AtomicU64::new(0),
                cells: Lazy::new(),
                visits: Hint::new(),
            }
        }
    }

    /// Makes the sum `count`, in a counter that no other thread has yet. This thread doesn't become the owner of
    /// `first`: the first thread to add will.
    #[track_caller]
    pub(super) fn start_at(&self, count: u64) {
        // ORDERING: Relaxed: no other thread has the counter.
        self.first.store(count, Ordering::Relaxed);
    }

    /// Adds `n`, modulo 2^64, and returns the new count of the part that it was added to.
    #[inline]
    #[track_caller]
    pub(super) fn add(&self, n: u64) -> u64 {
        let index = current();
        if let Some(cells) = self.cells.get() {
            if let Some(cell) = cells.find_first(index) {
                return add_alone(cell, n);
            }
        } else if self.is_owner(index) {
            return add_alone(&self.first, n);
        }
        self.add_further(index, n)
    }

    #[inline(never)]
    #[track_caller]
    fn add_further(&self, index: usize, n: u64) -> u64 {
        match self.cells.get().and_then(|cells| cells.find_further(index)) {
            Some(cell) => add_alone(cell, n),
            None => self.add_slowly(n),
        }
    }

    #[inline]
    fn is_owner(&self, index: usize) -> bool {
        // ORDERING: Relaxed: an owner reads its own store, or that of its index's last holder; another thread never
        // reads its own index here.
        self.owner.load(Ordering::Relaxed) == index
    }

    #[cold]
    #[track_caller]
    fn add_slowly(&self, n: u64) -> u64 {
        let index = claim_current();
        if let Some(cells) = self.cells.get() {
            return cells.add(index, n);
        }
        if index.is_some_and(|index| self.owns_first(index)) {
            return add_alone(&self.first, n);
        }
        // ORDERING: Release: pairs with the Acquire in `sum`.
        let before = self.rest.fetch_add(n, Ordering::Release);
        self.visits.add(1);
        if self.visits.get() >= VISITS {
            self.cells.get_or_make(Cells::new);
        }
        before.wrapping_add(n)
    }

    /// Whether `first` is this index's; claims it if it is nobody's.
    fn owns_first(&self, index: usize) -> bool {
        // ORDERING: Relaxed, both: publishes nothing. `first` is as the counter's maker left it.
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        match self.owner.compare_exchange(NOBODY, index, success, failure) {
            Ok(_) => true,
            Err(owner) => owner == index,
        }
    }

    /// Returns the sum of all parts, modulo 2^64, read in the order of K3.
    #[inline]
    #[track_caller]
    pub(super) fn sum(&self) -> u64 {
        let cells = self.cells.get().map_or(0, Cells::sum);
        // ORDERING: Acquire: pairs with the Release of an addition to `rest`, K3.
        let rest = self.rest.load(Ordering::Acquire);
        // ORDERING: Acquire: pairs with the Release of an addition to `first`, K4.
        let first = self.first.load(Ordering::Acquire);
        cells.wrapping_add(rest).wrapping_add(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread;
    use crate::testing::until;

    fn add(parts: &Parts, times: u32) {
        for _ in 0..times {
            parts.add(1);
        }
    }

    /// A thousand threads, four at a time, need no more cells than four would, and those of the tests that run
    /// beside this one.
    #[test]
    fn an_ended_thread_s_cell_is_used_again() {
        if IS_MODEL {
            return;
        }
        let parts = Parts::new();
        for _ in 0..250 {
            let there = AtomicU64::new(0);
            thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| {
                        parts.add(1);
                        // All four add at once, however late they start.
                        there.fetch_add(1, Ordering::SeqCst);
                        until(|| there.load(Ordering::SeqCst) == 4);
                        add(&parts, 2 * VISITS - 1);
                    });
                }
            });
        }
        assert_eq!(parts.sum(), 1000 * 2 * u64::from(VISITS));
        let cells = parts.cells.get().expect("several threads have added");
        assert!(cells.used() <= 64, "{} cells", cells.used());
    }

    /// Otherwise each addition would write the line that every other one reads.
    #[test]
    fn the_owner_of_first_adds_to_its_cell_once_there_are_cells() {
        if IS_MODEL {
            return;
        }
        let parts = Parts::new();
        parts.add(1);
        thread::scope(|s| {
            s.spawn(|| add(&parts, 2 * VISITS));
        });
        add(&parts, 10);
        assert_eq!(parts.first.load(Ordering::SeqCst), 1);
        assert_eq!(parts.rest.load(Ordering::SeqCst), u64::from(VISITS));
        assert_eq!(parts.sum(), 11 + 2 * u64::from(VISITS));
    }

    #[test]
    fn a_count_that_is_given_belongs_to_the_first_thread_that_adds() {
        if IS_MODEL {
            return;
        }
        let parts = Parts::new();
        parts.start_at(6);
        assert_eq!(parts.owner.load(Ordering::SeqCst), NOBODY);
        thread::scope(|s| {
            s.spawn(|| add(&parts, 10 * VISITS));
        });
        assert_eq!(parts.sum(), 6 + 10 * u64::from(VISITS));
        assert!(parts.cells.get().is_none());
    }

    #[test]
    fn a_counter_of_one_thread_has_no_cells() {
        let parts = Parts::new();
        add(&parts, 1000);
        assert!(parts.cells.get().is_none());
    }
}

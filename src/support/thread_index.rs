//! Small indices, each held by one thread at a time. A thread that holds an index owns what has that index in
//! some table: a row of slots, a cell of a counter.
//!
//! [`IndexSet`] says which indices are held, one bit for each:
//!
//! ```text
//! 0 => 1   claim      the lowest free index        1 => 0   release
//! ```
//!
//! A claim acquires what the last holder released, so the next holder finds the table as the last one left it.
//! Claims start at the lowest index: while threads come and go by the thousand, the indices in use stay below
//! the most that were ever held at once.
//!
//! [`Lease`] releases an index when its thread ends. A table of its own needs three things:
//!
//! ```text
//! global_array!(held: [AtomicU64; words(ROWS)] = AtomicU64::new(0));
//! local! { static ROW: Cell<Option<&'static Row>> = Cell::new(None); }     // the fast path reads this
//! local! { static LEASE: Lease = Lease::new(end_row); }                    // the slow path claims by this
//! ```
//!
//! `end_row(index)` empties `ROW` and then releases the index, in this order: destructors of other
//! thread-locals run afterwards, when another thread may hold the index.
//!
//! [`current`] is such a table's index that counters share.

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{IS_MODEL, global_array, local};
use std::cell::Cell;

/// Indices in a word of a set.
pub(crate) const GROUP: usize = 64;

/// How many words a set of so many indices takes.
pub(crate) const fn words(indices: usize) -> usize {
    indices.div_ceil(GROUP)
}

/// A set of indices, in memory made by `global_array!`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexSet(pub(crate) &'static [AtomicU64]);

impl IndexSet {
    fn word_and_mask(self, index: usize) -> (&'static AtomicU64, u64) {
        (&self.0[index / GROUP], 1 << (index % GROUP))
    }

    /// A hint: another thread may insert or remove the index meanwhile.
    pub(crate) fn contains(self, index: usize) -> bool {
        let (word, mask) = self.word_and_mask(index);
        // ORDERING: Relaxed: a caller that relies on it does a read-modify-write afterwards.
        word.load(Ordering::Relaxed) & mask != 0
    }

    /// Inserts the index, and returns whether it was absent.
    pub(crate) fn insert(self, index: usize, order: Ordering) -> bool {
        let (word, mask) = self.word_and_mask(index);
        word.fetch_or(mask, order) & mask == 0
    }

    pub(crate) fn remove(self, index: usize, order: Ordering) {
        let (word, mask) = self.word_and_mask(index);
        word.fetch_and(!mask, order);
    }

    /// Claims the lowest index below `end` that is free and that `is_wanted` accepts; `None` if there is none.
    pub(crate) fn claim(self, end: usize, is_wanted: impl Fn(usize) -> bool) -> Option<usize> {
        (0..end).find(|&index| {
            // ORDERING: Acquire: pairs with the Release in `release`.
            !self.contains(index) && is_wanted(index) && self.insert(index, Ordering::Acquire)
        })
    }

    /// Releases an index that the caller has claimed.
    pub(crate) fn release(self, index: usize) {
        // ORDERING: Release: pairs with the Acquire in `claim`.
        self.remove(index, Ordering::Release);
    }
}

/// A thread's hold on an index, for a thread-local: calls a function with the index when the thread ends.
#[derive(Debug)]
pub(crate) struct Lease {
    index: Cell<Option<usize>>,
    end: fn(usize),
}

impl Lease {
    pub(crate) const fn new(end: fn(usize)) -> Self {
        Lease { index: Cell::new(None), end }
    }

    /// Holds the index that `claim` returns until the thread ends.
    ///
    /// Where the lease itself is gone (`try_with` is an error), the thread is ending: don't claim, for nothing
    /// would release it.
    pub(crate) fn hold(&self, claim: impl FnOnce() -> Option<usize>) -> Option<usize> {
        debug_assert_eq!(self.index.get(), None, "a lease holds one index");
        self.index.set(claim());
        self.index.get()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            (self.end)(index);
        }
    }
}

/// How many threads can have a current index at once.
///
/// So few in a model that its third thread has none.
pub(crate) const CAPACITY: usize = if IS_MODEL { 2 } else { 1024 };

/// What [`current`] returns before the thread has claimed an index. Far above [`CAPACITY`], as is [`NONE`]: users
/// may give a meaning to values in between.
const UNCLAIMED: usize = usize::MAX - 1;
/// What [`current`] returns in a thread that has no index and gets none any more.
const NONE: usize = usize::MAX;

global_array!(pub(crate) owned: [AtomicU64; words(CAPACITY)] = AtomicU64::new(0));

local! {
    static CURRENT: Cell<usize> = Cell::new(UNCLAIMED);
}
local! {
    static LEASE: Lease = Lease::new(end_current);
}

fn end_current(index: usize) {
    let _ = CURRENT.try_with(|current| current.set(NONE));
    IndexSet(owned()).release(index);
}

/// Returns this thread's index, or a value of [`CAPACITY`] or more if it has none: see [`claim_current`].
#[inline]
pub(crate) fn current() -> usize {
    CURRENT.try_with(Cell::get).unwrap_or(NONE)
}

/// Returns this thread's index, and claims it if this is the first call.
///
/// Returns `None`, from then on, if all are held, or if the thread is ending and has released its own.
#[cold]
pub(crate) fn claim_current() -> Option<usize> {
    if current() == UNCLAIMED {
        let claim = || IndexSet(owned()).claim(CAPACITY, |_| true);
        let claimed = LEASE.try_with(|lease| lease.hold(claim)).ok().flatten();
        let _ = CURRENT.try_with(|current| current.set(claimed.unwrap_or(NONE)));
    }
    Some(current()).filter(|&index| index < CAPACITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Arc, thread};
    use std::cell::RefCell;
    use std::sync::Mutex;

    /// What a thread's destructors saw: `current` and `claim_current`.
    type Seen = Arc<Mutex<Vec<(usize, Option<usize>)>>>;

    struct AsksAtTheEnd(Seen);

    impl Drop for AsksAtTheEnd {
        fn drop(&mut self) {
            self.0.lock().unwrap().push((current(), claim_current()));
        }
    }

    std::thread_local! {
        static BEFORE: RefCell<Option<AsksAtTheEnd>> = const { RefCell::new(None) };
        static AFTER: RefCell<Option<AsksAtTheEnd>> = const { RefCell::new(None) };
    }

    /// Thread-locals are destroyed in the order of their first use, or in the opposite order: one of the two comes
    /// after the lease.
    #[test]
    fn a_thread_has_no_index_any_more_once_its_lease_has_ended() {
        if IS_MODEL {
            return;
        }
        let seen = Seen::default();
        let theirs = seen.clone();
        let claimed = thread::spawn(move || {
            BEFORE.set(Some(AsksAtTheEnd(theirs.clone())));
            let claimed = claim_current().expect("a thousand are free");
            AFTER.set(Some(AsksAtTheEnd(theirs)));
            claimed
        });
        let claimed = claimed.join().unwrap();
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        assert_eq!(seen, [(claimed, Some(claimed)), (NONE, None)]);
    }

    /// A destructor of a thread-local is the first to claim.
    #[test]
    fn an_index_that_is_claimed_while_the_thread_ends_is_released_too() {
        if IS_MODEL {
            return;
        }
        let seen = Seen::default();
        for _ in 0..2 * CAPACITY {
            let theirs = seen.clone();
            thread::spawn(move || BEFORE.set(Some(AsksAtTheEnd(theirs)))).join().unwrap();
        }
        let seen = seen.lock().unwrap();
        let got = |n: usize| seen[n].1.is_some();
        assert_eq!(got(0), got(2 * CAPACITY - 1), "none is released");
    }

    #[test]
    fn claims_take_the_lowest_free_index_that_is_wanted() {
        if IS_MODEL {
            return;
        }
        global_array!(held: [AtomicU64; words(70)] = AtomicU64::new(0));
        let set = IndexSet(held());
        for index in 0..70 {
            assert_eq!(set.claim(70, |_| true), Some(index));
        }
        assert_eq!(set.claim(70, |_| true), None);
        for index in [65, 3, 8] {
            set.release(index);
        }
        assert_eq!(set.claim(70, |index| index != 3), Some(8));
        assert_eq!(set.claim(70, |_| true), Some(3));
        assert_eq!(set.claim(65, |_| true), None);
        assert_eq!(set.claim(70, |_| true), Some(65));
    }
}

#[cfg(test)]
mod models {
    use super::*;
    use crate::model;
    use crate::sys::Arc;
    use crate::testing::{Plain, spawn};

    global_array!(held: [AtomicU64; 1] = AtomicU64::new(0));

    /// A table of two that three threads want a share of.
    #[test]
    fn an_index_has_one_holder_at_a_time_which_sees_what_the_last_one_wrote() {
        model(|| {
            let set = IndexSet(held());
            let table = Arc::new([Plain::new(), Plain::new()]);
            let work = move |table: &[Plain; 2]| {
                let Some(index) = set.claim(2, |_| true) else { return 0 };
                // A second holder beside this one is a race.
                table[index].add(1);
                set.release(index);
                1
            };
            let others = [(); 2].map(|()| spawn(&table, work));
            let done = work(&table) + others.map(|it| it.join()).iter().sum::<u32>();
            // One of the three finds each index free.
            assert!(done >= 1);
            assert_eq!(table[0].get() + table[1].get(), done);
            assert!(!set.contains(0) && !set.contains(1));
        });
    }
}

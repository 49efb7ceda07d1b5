//! Reentrancy: which stores this thread is inside of, running user code under one of their locks.
//!
//! Closures, a key's `Hash` and `Eq` and a `Clone` may call anything, the same store included. Such a call would wait
//! for a lock that its own thread holds, so it is refused.
//!
//! A thread that locks a shard by the lock's word is marked here. A biased read needs no mark: it has already marked a
//! slot of its thread for the lock, and each check here looks at the slots as well.
//!
//! Destructors of thread-locals may call stores, even nested ones. The thread-locals here have no destructor, so they
//! can be used until the last of those has run.

use crate::rw_mutex::{ExternalBias, RawShardLock};
use crate::sys::local;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::ops::Range;

/// What tells a store from all others while it exists.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The addresses of its locks.
    pub(super) locks: Range<usize>,
    /// Increases from store to store.
    pub(super) serial: u64,
}

impl Identity {
    /// The first lock's address.
    #[inline]
    pub(super) fn address(&self) -> usize {
        self.locks.start
    }
}

local! {
    /// The address of the store that this thread is inside of: of several, the innermost; 0 if there is none.
    static INNERMOST: Cell<usize> = Cell::new(0);
}
local! {
    /// The others, from the outermost on.
    static OUTER: RefCell<Outer> = RefCell::new(Outer::new());
}

/// How many outer stores are recorded without an allocation.
const FEW: usize = 4;

/// A stack of stores' addresses. Frees its memory when the last entry that needs it is popped, so it needs no
/// destructor.
#[derive(Debug)]
struct Outer {
    few: [usize; FEW],
    len: usize,
    more: ManuallyDrop<Vec<usize>>,
}

impl Outer {
    const fn new() -> Self {
        Outer { few: [0; FEW], len: 0, more: ManuallyDrop::new(Vec::new()) }
    }

    fn push(&mut self, store: usize) {
        match self.few.get_mut(self.len) {
            Some(entry) => *entry = store,
            None => self.more.push(store),
        }
        self.len += 1;
    }

    fn pop(&mut self) {
        self.len -= 1;
        if self.len == FEW {
            *self.more = Vec::new();
        } else {
            self.more.pop();
        }
    }

    fn contains(&self, store: usize) -> bool {
        let few = &self.few[..self.len.min(FEW)];
        few.contains(&store) || self.more.contains(&store)
    }
}

/// The result of a check: this thread isn't inside the store, and may wait for one of its locks.
#[derive(Debug)]
pub(super) struct Outside {
    store: usize,
    /// The innermost store of this thread.
    outer: usize,
}

impl Outside {
    /// Checks that this thread isn't inside the store.
    ///
    /// # Panics
    /// If it is.
    #[inline]
    #[track_caller]
    pub(super) fn check(store: &Identity) -> Self {
        // In a model, a thread that is ending has no thread-locals any more and isn't checked.
        let outer = INNERMOST.try_with(Cell::get).unwrap_or(0);
        if outer != 0 && is_marked(store) || RawShardLock::reads_fast_within(&store.locks) {
            refuse();
        }
        Outside { store: store.address(), outer }
    }

    /// Marks this thread as inside. A mark that is made under the lock costs less: the step that takes a lock waits for
    /// all stores before it.
    #[inline]
    pub(super) fn enter(self) -> Inside {
        let _ = INNERMOST.try_with(|innermost| innermost.set(self.store));
        if self.outer != 0 {
            record_outer(self.outer);
        }
        Inside { outer: self.outer }
    }
}

/// The mark that this thread is inside a store, removed when this is dropped.
#[derive(Debug)]
pub(super) struct Inside {
    /// The store that was the innermost before.
    outer: usize,
}

impl Inside {
    /// Marks this thread as inside the store.
    ///
    /// # Panics
    /// If it is inside that store already.
    #[inline]
    #[track_caller]
    pub(super) fn enter(store: &Identity) -> Self {
        Outside::check(store).enter()
    }

    /// [`enter`](Inside::enter), or `None` if the thread is inside that store already.
    pub(super) fn try_enter(store: &Identity) -> Option<Self> {
        (!is_inside(store)).then(|| Inside::enter(store))
    }
}

#[cold]
fn record_outer(outer: usize) {
    let _ = OUTER.try_with(|others| others.borrow_mut().push(outer));
}

#[cold]
fn forget_outer() {
    let _ = OUTER.try_with(|others| others.borrow_mut().pop());
}

#[cold]
#[track_caller]
fn refuse() -> ! {
    panic!(
        "Store: called from inside the same store: its closures, and the Hash, Eq and Clone of what is in it, \
         run under its lock"
    )
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        let _ = INNERMOST.try_with(|innermost| innermost.set(self.outer));
        if self.outer != 0 {
            forget_outer();
        }
    }
}

/// Whether this thread has no mark here. It may still be inside a biased read.
#[inline]
pub(super) fn is_unmarked() -> bool {
    INNERMOST.try_with(Cell::get).unwrap_or(0) == 0
}

/// Whether this thread is inside the store.
#[cold]
pub(super) fn is_inside(store: &Identity) -> bool {
    is_marked(store) || RawShardLock::reads_fast_within(&store.locks)
}

/// Whether this thread has a mark for the store.
#[cold]
fn is_marked(store: &Identity) -> bool {
    INNERMOST.try_with(|innermost| innermost.get() == store.address()).unwrap_or(false)
        || OUTER.try_with(|others| others.borrow().contains(store.address())).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::needs_drop;
    use std::panic::catch_unwind;

    #[test]
    fn a_store_is_entered_once_at_a_time() {
        let [first, second, third] =
            [8, 16, 24].map(|address| Identity { locks: address..address, serial: 0 });
        assert!(is_unmarked());
        let inside = Inside::enter(&first);
        let nested = Inside::enter(&second);
        assert!(is_inside(&first) && is_inside(&second) && !is_inside(&third) && !is_unmarked());
        for store in [&first, &second] {
            assert!(catch_unwind(|| Inside::enter(store)).is_err());
        }
        drop(nested);
        assert!(is_inside(&first) && !is_inside(&second));
        drop(Inside::enter(&second));
        drop(inside);
        assert!(!is_inside(&first) && is_unmarked());
        drop(Inside::enter(&first));
    }

    #[test]
    fn the_record_of_stores_has_no_destructor() {
        assert!(!needs_drop::<RefCell<Outer>>() && !needs_drop::<Cell<usize>>());
    }

    #[test]
    fn any_number_of_stores_nest_and_leave_nothing() {
        let stores = [(); 3 * FEW].map(|()| Box::new(0_u64));
        let identities: Vec<_> = (stores.iter())
            .map(|it| std::ptr::from_ref(&**it).addr())
            .map(|address| Identity { locks: address..address, serial: 0 })
            .collect();
        let mut inside = Vec::new();
        for (depth, store) in identities.iter().enumerate() {
            inside.push(Inside::enter(store));
            for (other, store) in identities.iter().enumerate() {
                assert_eq!(is_inside(store), other <= depth);
                assert_eq!(Inside::try_enter(store).is_none(), other <= depth);
            }
        }
        for store in &identities {
            assert!(catch_unwind(|| Inside::enter(store)).is_err());
        }
        while inside.pop().is_some() {
            let left = inside.len();
            assert!(identities.iter().enumerate().all(|(at, it)| is_inside(it) == (at < left)));
        }
        OUTER.with(|outer| {
            let outer = outer.borrow();
            assert_eq!((outer.len, outer.more.capacity()), (0, 0));
        });
    }
}

//! Which stores this thread is inside of, running somebody's code under a lock of theirs.
//!
//! Closures, but also a key's `Hash` and `Eq` and a value's `Clone`, may call anything, the same store
//! included; that call would wait for the lock that its own thread holds. So it is refused.

use crate::sys::local;
use std::cell::{Cell, RefCell};

local! {
    /// The store that this thread is inside of, the innermost if it is several; 0 if there is none.
    static INNERMOST: Cell<usize> = Cell::new(0);
}
local! {
    /// The others, from the outermost on.
    static OUTER: RefCell<Vec<usize>> = RefCell::new(Vec::new());
}

/// This thread is inside the store, until this is dropped.
#[derive(Debug)]
pub(super) struct Inside {
    outer: usize,
}

impl Inside {
    /// # Panics
    /// If the thread is inside that store already.
    #[inline]
    #[track_caller]
    pub(super) fn enter(store: usize) -> Self {
        // A thread that is ending can't be told any more, and is let in.
        let outer = INNERMOST.try_with(|innermost| innermost.replace(store)).unwrap_or(0);
        let inside = Inside { outer };
        if outer != 0 {
            inside.nest(store);
        }
        inside
    }

    #[cold]
    #[track_caller]
    fn nest(&self, store: usize) {
        let again = OUTER.try_with(|others| {
            let mut others = others.borrow_mut();
            others.push(self.outer);
            others.contains(&store)
        });
        let again = again.unwrap_or(self.outer == store);
        assert!(
            !again,
            "Store: called from inside the same store: its closures, and the Hash, Eq and Clone of what \
             is in it, run under its lock"
        );
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        let _ = INNERMOST.try_with(|innermost| innermost.set(self.outer));
        if self.outer != 0 {
            let _ = OUTER.try_with(|others| others.borrow_mut().pop());
        }
    }
}

/// Whether this thread is inside that store.
pub(super) fn is_inside(store: usize) -> bool {
    INNERMOST.try_with(|innermost| innermost.get() == store).unwrap_or(false)
        || OUTER.try_with(|others| others.borrow().contains(&store)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn a_store_is_entered_once_at_a_time() {
        let first = Inside::enter(8);
        let second = Inside::enter(16);
        assert!(is_inside(8) && is_inside(16) && !is_inside(24));
        for store in [8, 16] {
            assert!(catch_unwind(|| Inside::enter(store)).is_err());
        }
        drop(second);
        assert!(is_inside(8) && !is_inside(16));
        drop(Inside::enter(16));
        drop(first);
        assert!(!is_inside(8));
        drop(Inside::enter(8));
    }
}

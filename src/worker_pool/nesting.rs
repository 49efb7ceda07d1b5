//! Which pools the calling thread runs a task of.
//!
//! A thread that runs a task of a pool holds one of the pool's seats. A nested call on the same pool goes on in that
//! seat: it neither waits for another nor runs one task too many. Tasks of different pools nest too, so a thread has a
//! list of pools, linked through the frames of its calls.

use crate::sys::local;
use std::cell::Cell;
use std::ptr;

local! {
    /// The innermost pool that this thread runs a task of.
    static INNERMOST: Cell<*const Entered> = Cell::new(ptr::null());
}

/// A pool that the thread has entered, in the frame that runs its task.
struct Entered {
    /// The pool, by its address.
    pool: usize,
    outer: *const Entered,
}

/// Whether the calling thread runs a task of the pool at this address.
pub(super) fn is_in_pool(pool: usize) -> bool {
    let mut at = INNERMOST.with(Cell::get);
    // SAFETY: the list is the calling thread's own, and each entry is unlinked before its frame ends.
    while let Some(entered) = unsafe { at.as_ref() } {
        if entered.pool == pool {
            return true;
        }
        at = entered.outer;
    }
    false
}

/// Calls `f` with the calling thread marked as running a task of `pool`.
pub(super) fn enter_pool<R>(pool: usize, f: impl FnOnce() -> R) -> R {
    struct Unlink(*const Entered);
    impl Drop for Unlink {
        fn drop(&mut self) {
            INNERMOST.with(|innermost| innermost.set(self.0));
        }
    }
    let entered = Entered { pool, outer: INNERMOST.with(Cell::get) };
    let _unlink = Unlink(entered.outer);
    INNERMOST.with(|innermost| innermost.set(&raw const entered));
    f()
}

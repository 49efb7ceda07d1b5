//! Which pools' seats the calling thread holds.
//!
//! A thread that runs a task of a pool holds one of the pool's seats. A nested call on the same
//! pool goes on in that seat: it neither waits for another nor runs one task too many. Tasks of
//! different pools nest too, so what is held is a list, linked through the frames that hold.

use crate::sys::local;
use std::cell::Cell;
use std::ptr;

local! {
    /// The innermost seat that this thread holds.
    static INNERMOST: Cell<*const Held> = Cell::new(ptr::null());
}

/// A seat held by this frame.
struct Held {
    /// The pool, by its address.
    pool: usize,
    outer: *const Held,
}

/// Whether the calling thread holds a seat of the pool at this address.
pub(super) fn holds(pool: usize) -> bool {
    let mut at = INNERMOST.with(Cell::get);
    // SAFETY: the list is the calling thread's own, and each entry is unlinked before its frame
    // ends.
    while let Some(held) = unsafe { at.as_ref() } {
        if held.pool == pool {
            return true;
        }
        at = held.outer;
    }
    false
}

/// Runs `f` with the calling thread marked as holding a seat of `pool`.
pub(super) fn holding<R>(pool: usize, f: impl FnOnce() -> R) -> R {
    struct Unlink(*const Held);
    impl Drop for Unlink {
        fn drop(&mut self) {
            INNERMOST.with(|innermost| innermost.set(self.0));
        }
    }
    let held = Held { pool, outer: INNERMOST.with(Cell::get) };
    let _unlink = Unlink(held.outer);
    INNERMOST.with(|innermost| innermost.set(&raw const held));
    f()
}

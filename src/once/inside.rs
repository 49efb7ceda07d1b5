//! Which initialisers the calling thread is in, innermost first: a list through their stack frames.
//!
//! An initialiser that asks for the value that it is making would wait for itself. The list tells that from a wait for
//! another thread.

use crate::sys::local;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;

local! {
    /// The innermost initialiser, or null.
    static INNERMOST: Cell<*const Frame> = Cell::new(ptr::null());
}

struct Frame {
    once: usize,
    outer: *const Frame,
}

/// Calls `f`, which runs the initialiser of the once at `address`, or polls it.
#[inline]
pub(super) fn inside<R>(address: usize, f: impl FnOnce() -> R) -> R {
    let frame = Frame { once: address, outer: INNERMOST.with(Cell::get) };
    let entered = Entered { outer: frame.outer, _frame: PhantomData };
    INNERMOST.with(|innermost| innermost.set(&raw const frame));
    let result = f();
    drop(entered);
    result
}

/// Leaves the frame, in a panic too.
struct Entered<'a> {
    outer: *const Frame,
    _frame: PhantomData<&'a Frame>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        INNERMOST.with(|innermost| innermost.set(self.outer));
    }
}

/// Whether the calling thread is in the initialiser of the once at `address`.
pub(super) fn is_inside(address: usize) -> bool {
    let mut next = INNERMOST.with(Cell::get);
    while !next.is_null() {
        // SAFETY: `inside` has left the list before its frame ends, and the list is this thread's own.
        let frame = unsafe { &*next };
        if frame.once == address {
            return true;
        }
        next = frame.outer;
    }
    false
}

//! Memory whose lifetime loom checks.

use super::objects::{self, UnsafeCell};
use std::ptr::NonNull;

/// Stands for memory whose accesses loom is to check.
#[derive(Debug)]
pub(crate) struct Tracked(UnsafeCell<()>);

impl Tracked {
    #[track_caller]
    pub(crate) fn new() -> Self {
        Tracked(UnsafeCell::new(()))
    }

    /// Marks a use that other threads may share.
    #[track_caller]
    pub(crate) fn read(&self) {
        self.0.with(|_| ());
    }

    /// Marks an exclusive use: a write, or the end of the memory's life.
    #[track_caller]
    pub(crate) fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// A heap value that several owners reach by pointer and the last of them frees.
///
/// Its memory is kept until the execution ends, so a late use is a failed check, not a crash; loom
/// reports a value that is never freed.
#[derive(Debug)]
pub(crate) struct Heap<T> {
    /// Read at each use, written by the free: loom wants an order between the two.
    life: Tracked,
    /// `None` once freed. loom notices a leak by its `Track`.
    state: std::cell::UnsafeCell<Option<loom::alloc::Track<T>>>,
}

impl<T> Heap<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> NonNull<Self> {
        let state = std::cell::UnsafeCell::new(Some(objects::track(value)));
        NonNull::from(Box::leak(Box::new(Heap { life: Tracked::new(), state })))
    }

    /// [`new`](Self::new), of a value that is on the heap already.
    #[expect(clippy::boxed_local, reason = "as on the machine, where the box stays")]
    #[track_caller]
    pub(crate) fn from_box(value: Box<T>) -> NonNull<Self> {
        Heap::new(*value)
    }

    /// Returns the value, for a caller whose reference the compiler vouches for: a borrow of the owner. Where
    /// that came from another thread, in an `Arc` of std's say, loom has not seen the order.
    pub(crate) fn get_borrowed(&self) -> &T {
        // SAFETY: the model runs one thread at a time, and `free` comes after the borrow's end.
        let state = unsafe { &*self.state.get() };
        state.as_ref().expect("use after free").get_ref()
    }

    /// Returns the value, for a caller that reaches it by pointer: loom checks the use against the free.
    #[track_caller]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: the model runs one thread at a time, and `life` fails a `free` that comes between here and
        // a use.
        let state = unsafe { &*self.state.get() };
        let value = state.as_ref().expect("use after free").get_ref();
        self.life.read();
        value
    }

    /// Drops the value. The memory stays, so that a late use is caught.
    ///
    /// # Safety
    /// - `this` came from [`Heap::new`] and has not been freed.
    /// - Every other use of it happens before this call, and none comes after.
    #[track_caller]
    pub(crate) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: a `Heap` of the model is never deallocated.
        let this = unsafe { this.as_ref() };
        this.life.write();
        // SAFETY: one thread runs at a time, and no reference is kept across this line.
        let state = unsafe { &mut *this.state.get() };
        drop(state.take().expect("freed twice"));
    }
}

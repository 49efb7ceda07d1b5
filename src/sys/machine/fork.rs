//! Telling a forked child from its parent, for values that a child must not use.
//!
//! `fork(2)` leaves the child one thread and a copy of the memory, in which a lock may be held by a
//! thread that is lost. The copies of other threads' writes need not even be of one moment.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A process among those that were forked from one another. Two processes may be equal if neither is the other's
/// ancestor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u64);

impl Process {
    /// Returns the caller's process.
    #[inline]
    pub(crate) fn current() -> Self {
        Process(system::current())
    }
}

/// A value of which each process has its own: a forked child makes one when it first asks for it. The inherited value
/// is leaked there, since a lost thread may have been changing it.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    current: AtomicPtr<Owned<T>>,
}

#[derive(Debug)]
struct Owned<T> {
    process: Process,
    value: Arc<T>,
}

// SAFETY: it shares a `T` with other threads as an `Arc` does, and frees it once, in `drop`.
unsafe impl<T: Send + Sync> Send for PerProcess<T> {}
// SAFETY: the same.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}

impl<T> PerProcess<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        system::prepare();
        let owned = Owned { process: Process::current(), value };
        PerProcess { current: AtomicPtr::new(Box::into_raw(Box::new(owned))) }
    }

    /// Returns this process's value. In a forked child that has none yet, `renew` makes it from the inherited one.
    #[inline]
    pub(crate) fn get(&self, renew: impl FnOnce(&T) -> Arc<T>) -> &Arc<T> {
        let owned = self.load();
        if owned.process == Process::current() { &owned.value } else { self.renew(owned, renew) }
    }

    /// Returns the current value, which may be inherited: only for parts of it that never change.
    #[inline]
    pub(crate) fn peek(&self) -> &T {
        &self.load().value
    }

    #[inline]
    fn load(&self) -> &Owned<T> {
        // ORDERING: Acquire: pairs with the Release in `renew`.
        let owned = self.current.load(Ordering::Acquire);
        // SAFETY: made from a box, and not freed before `drop`: a replaced value is leaked.
        unsafe { &*owned }
    }

    #[cold]
    fn renew(&self, inherited: &Owned<T>, renew: impl FnOnce(&T) -> Arc<T>) -> &Arc<T> {
        let owned = Owned { process: Process::current(), value: renew(&inherited.value) };
        let ours = Box::into_raw(Box::new(owned));
        let (before, order) = (ptr::from_ref(inherited).cast_mut(), Ordering::AcqRel);
        // ORDERING: AcqRel, and Acquire if another thread of the child was first: Release pairs with
        // the Acquire in `load`, Acquire with the Release of the other thread's exchange.
        if let Err(theirs) = self.current.compare_exchange(before, ours, order, Ordering::Acquire) {
            // SAFETY: made from a box above, and no other thread has seen it.
            drop(unsafe { Box::from_raw(ours) });
            // SAFETY: as in `load`.
            return &unsafe { &*theirs }.value;
        }
        // SAFETY: as in `load`.
        &unsafe { &*ours }.value
    }

    /// Returns the value, unless it is inherited.
    pub(crate) fn own(&self) -> Option<&Arc<T>> {
        let owned = self.load();
        (owned.process == Process::current()).then_some(&owned.value)
    }
}

impl<T> Drop for PerProcess<T> {
    /// Drops this process's value, and leaks an inherited one.
    fn drop(&mut self) {
        if self.own().is_some() {
            // SAFETY: made from a box, and not used after this.
            drop(unsafe { Box::from_raw(*self.current.get_mut()) });
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    //! A count of forks, kept by `pthread_atfork(3)`: reading it costs a load, where `getpid(2)` is a
    //! system call. A child made by a bare `clone(2)` or `vfork(2)` goes unnoticed.

    use std::ffi::c_int;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    type Handler = Option<extern "C" fn()>;

    // As in the crate `libc`, which only the feature `membarrier` needs; std links the C library anyway.
    unsafe extern "C" {
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
    }

    static FORKS: AtomicU64 = AtomicU64::new(0);
    static PREPARED: AtomicBool = AtomicBool::new(false);

    extern "C" fn in_child() {
        // ORDERING: Relaxed: the child has no other thread.
        FORKS.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn current() -> u64 {
        // ORDERING: Relaxed: it changes only while the process has one thread.
        FORKS.load(Ordering::Relaxed)
    }

    /// Counts forks from now on.
    pub(super) fn prepare() {
        // ORDERING: Relaxed: nothing is published. If two threads register the handler, a fork counts twice,
        // which does no harm.
        if !PREPARED.load(Ordering::Relaxed) {
            // SAFETY: the handler is a function of the program, and calls nothing.
            let failed = unsafe { pthread_atfork(None, None, Some(in_child)) };
            // ORDERING: Relaxed: as above.
            PREPARED.store(failed == 0, Ordering::Relaxed);
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    //! The process's id, where there is a `fork`.

    pub(super) fn current() -> u64 {
        if cfg!(all(unix, not(miri))) { u64::from(std::process::id()) } else { 0 }
    }

    pub(super) fn prepare() {}
}

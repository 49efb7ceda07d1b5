//! What a group and its guards share: the word and the kept panic, in one allocation.

use super::word::{BUSY, GUARDS, MAX, ONE_GUARD, ONE_MANUAL, OWNED, PANICKED, guards, manual};
use crate::support::first_panic::{FirstPanic, Payload};
use crate::support::latch::Latch;
use crate::sys::atomic::Ordering;
use crate::sys::{Heap, discard, thread};
use crossbeam_utils::CachePadded;
use std::panic::resume_unwind;
use std::ptr::NonNull;

/// What the group and its guards share. Freed as W1 has it.
#[derive(Debug)]
pub(super) struct Shared {
    /// On a cache line of its own: each count writes it.
    pub(super) latch: CachePadded<Latch>,
    /// The panic of a thread started by `go`. Its lock also protects `PANICKED`.
    panic: FirstPanic,
}

/// Up to this, `add` counts first and checks afterwards. It takes 4,096 threads that do so at once to overflow the
/// word's room for that.
const SMALL: usize = 1 << 16;

impl Shared {
    /// Returns the state of a group with a count of zero.
    #[track_caller]
    pub(super) fn new() -> NonNull<Heap<Self>> {
        let latch = CachePadded::new(Latch::new(OWNED));
        Heap::new(Shared { latch, panic: FirstPanic::new() })
    }

    #[inline]
    #[track_caller]
    pub(super) fn add(&self, n: usize) {
        if n > SMALL {
            return self.add_many(n);
        }
        let n = n as u64;
        // ORDERING: Relaxed: counting up publishes nothing. What the task may see is ordered by what starts it.
        let before = self.latch.word().fetch_add(n * ONE_MANUAL, Ordering::Relaxed);
        if manual(before) + n > MAX {
            self.latch.leave(n * ONE_MANUAL, BUSY);
            add_overflow();
        }
    }

    /// [`add`](Shared::add) of so many that the word has no room to count first.
    #[cold]
    #[track_caller]
    fn add_many(&self, n: usize) {
        let word = self.latch.word();
        let n = n as u64;
        // ORDERING: Relaxed: as in `add`.
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            if n > MAX || manual(seen) + n > MAX {
                add_overflow();
            }
            let more = seen.wrapping_add(n * ONE_MANUAL);
            // ORDERING: Relaxed twice: as in `add`.
            match word.compare_exchange_weak(seen, more, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    #[track_caller]
    pub(super) fn done(&self) {
        let before = self.latch.leave(ONE_MANUAL, BUSY);
        if manual(before) == 0 {
            self.latch.undo_leave(ONE_MANUAL);
            negative_counter();
        }
    }

    /// Counts a guard.
    #[inline]
    #[track_caller]
    pub(super) fn add_guard(&self) {
        // ORDERING: Relaxed: counting up publishes nothing. The group is alive by the caller's borrow.
        let before = self.latch.word().fetch_add(ONE_GUARD, Ordering::Relaxed);
        if guards(before) >= MAX {
            self.latch.leave(ONE_GUARD, BUSY);
            guard_overflow();
        }
    }

    /// Keeps the first panic for a waiter. The caller's guard still counts (W3).
    pub(super) fn keep_panic(&self, payload: Payload) {
        self.panic.keep(payload, || {
            // ORDERING: Relaxed: a thread that reads the bit takes the payload under the lock, and the guard's
            // leave comes later in the word's order.
            self.latch.word().fetch_or(PANICKED, Ordering::Relaxed);
        });
    }

    /// Ends a wait that has read `word`, drained.
    #[inline]
    pub(super) fn finish(&self, word: u64) {
        if word & PANICKED != 0 {
            self.resume_panic();
        }
    }

    #[cold]
    fn resume_panic(&self) {
        if thread::panicking() {
            return;
        }
        let payload = self.panic.take(|| {
            // ORDERING: Relaxed: under the lock, like each setting of the bit. A bit cleared after the lock is
            // released could be that of a later panic, which would be lost.
            self.latch.word().fetch_and(!PANICKED, Ordering::Relaxed);
        });
        if let Some(payload) = payload {
            resume_unwind(payload);
        }
    }

    /// The end of the group: frees the allocation if no guard is left.
    ///
    /// # Safety
    /// - `this` came from [`Shared::new`], and the group is gone: this is its only call.
    pub(super) unsafe fn disown(this: NonNull<Heap<Self>>) {
        // SAFETY: alive by W1: `OWNED` is still set.
        let shared = unsafe { this.as_ref() }.get();
        // ORDERING: AcqRel. Acquire: pairs with the Release of each guard's leave: if this frees, the guards' uses
        // come first. Release: pairs with the Acquire in `drop_guard`: if a guard frees, the group's uses come
        // first. `add`s without a `done` go: nothing is left to call it.
        let before = shared.latch.word().fetch_and(GUARDS, Ordering::AcqRel);
        if guards(before) == 0 {
            // SAFETY: this step took `OWNED` off a word without guards, and the Acquire is in it.
            unsafe { Shared::free(this) };
        }
    }

    /// The end of a guard: counts it off, and frees the allocation if the group is gone and this was the last guard.
    ///
    /// # Safety
    /// - `this` came from [`Shared::new`], and the guard is counted by `add_guard` and gone: this is its only call.
    #[inline]
    pub(super) unsafe fn drop_guard(this: NonNull<Heap<Self>>) {
        // SAFETY: alive by W1: the guard is still counted.
        let before = unsafe { this.as_ref() }.get().latch.leave(ONE_GUARD, BUSY);
        if guards(before) == 1 && before & OWNED == 0 {
            // SAFETY: the leave took the last count off a word without `OWNED`.
            unsafe { Shared::free_after_group(this) };
        }
    }

    /// # Safety
    /// - As in [`free`](Shared::free), except that the word is yet to be read with Acquire.
    #[cold]
    unsafe fn free_after_group(this: NonNull<Heap<Self>>) {
        // SAFETY: by the contract only this thread may free it.
        let shared = unsafe { this.as_ref() }.get();
        // ORDERING: Acquire: pairs with the Release of each earlier guard's leave and with that in `disown`, whose
        // release sequences this guard's leave has continued: their uses come first.
        shared.latch.word().load(Ordering::Acquire);
        // SAFETY: by the contract, and the load above is the Acquire.
        unsafe { Shared::free(this) };
    }

    /// Frees the allocation (W1).
    ///
    /// # Safety
    /// - The caller's step on the word took away `OWNED` or the last guard, and left neither.
    /// - The caller has read the word with Acquire in that step or since.
    unsafe fn free(this: NonNull<Heap<Self>>) {
        // SAFETY: by the contract nothing else uses it any more.
        let kept = unsafe { this.as_ref() }.get().panic.take(|| ());
        // SAFETY: as above; it came from `Heap::new` in `new`.
        unsafe { Heap::free(this) };
        if let Some(payload) = kept {
            discard(payload);
        }
    }
}

#[cold]
#[track_caller]
fn negative_counter() -> ! {
    panic!("WaitGroup: negative counter: more `done` calls than `add` has counted")
}

#[cold]
#[track_caller]
fn add_overflow() -> ! {
    panic!("WaitGroup: counter overflow: at most {MAX} tasks can be counted by `add`")
}

#[cold]
#[track_caller]
fn guard_overflow() -> ! {
    panic!("WaitGroup: counter overflow: at most {MAX} guards can be alive")
}

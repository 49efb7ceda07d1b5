//! What the two sides of a channel share, and who closes and frees it.
//!
//! Each side counts its handles. The last sender closes the channel; the last receiver closes it and drops what is
//! queued. Either side may be the second to go, which frees the memory: `is_half` tells it so.

use super::core::Core;
use super::flavor::Flavor;
use crate::support::first_panic::FirstPanic;
use crate::sys::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::{Heap, catch};
use std::ops::Deref;
use std::panic::resume_unwind;
use std::process;
use std::ptr::NonNull;

/// See the [module](self).
pub(super) struct Shared<T> {
    flavor: Flavor<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Whether one side is gone.
    is_half: AtomicBool,
}

/// A handle's pointer to what is shared. Each is counted by one of the sides.
pub(super) struct Handle<T>(NonNull<Heap<Shared<T>>>);

// SAFETY: a channel is shared between threads, and passes values between them.
unsafe impl<T: Send> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Handle<T> {}

/// Which count a handle is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Senders,
    Receivers,
}

impl<T> Handle<T> {
    /// Returns a handle for each side.
    #[track_caller]
    pub(super) fn pair(flavor: Flavor<T>) -> [Self; 2] {
        let shared = Shared {
            flavor,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            is_half: AtomicBool::new(false),
        };
        let shared = Heap::new(shared);
        [Handle(shared), Handle(shared)]
    }

    #[inline]
    fn shared(&self) -> &Shared<T> {
        // SAFETY: freed by the last handle of the second side, and this one is counted.
        unsafe { self.0.as_ref() }.get()
    }

    fn count(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Senders => &self.shared().senders,
            Side::Receivers => &self.shared().receivers,
        }
    }

    /// Returns another handle of the same side.
    pub(super) fn share(&self, side: Side) -> Self {
        // ORDERING: Relaxed: counting up publishes nothing; the channel is alive by this handle.
        if self.count(side).fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            // As with `Arc`: so many handles exist only if most were leaked, and one more could wrap the count.
            process::abort();
        }
        Handle(self.0)
    }

    /// Whether both are handles of the same channel.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Returns the address of the channel.
    pub(super) fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// Ends a handle.
    ///
    /// # Safety
    /// The handle is counted by `side`, and not used after this call, which is its only one.
    pub(super) unsafe fn release(&self, side: Side) {
        // ORDERING: AcqRel. Release: this handle's uses come before the last one's. Acquire: if this is the last, the
        // others' uses come before the close.
        if self.count(side).fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.shared().flavor.close();
        // The first panic of a value's drop goes on when everything is done.
        let panic = if side == Side::Receivers { drain(&self.shared().flavor) } else { None };
        // ORDERING: AcqRel. Release: this side's uses come before the free by the other. Acquire: the other way round.
        if self.shared().is_half.swap(true, Ordering::AcqRel) {
            // SAFETY: both sides are gone, and this is the second.
            unsafe { Heap::free(self.0) };
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

impl<T> Deref for Handle<T> {
    type Target = Flavor<T>;

    #[inline]
    fn deref(&self) -> &Flavor<T> {
        &self.shared().flavor
    }
}

/// Drops what is queued in a closed channel, without a lock. Returns the first panic.
fn drain<T>(flavor: &Flavor<T>) -> Option<crate::support::first_panic::Payload> {
    let panics = FirstPanic::new();
    while let Ok(value) = flavor.try_recv() {
        if let Err(payload) = catch(|| drop(value)) {
            panics.keep(payload, || ());
        }
    }
    panics.take(|| ())
}

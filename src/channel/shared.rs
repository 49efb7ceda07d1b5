//! What the two sides of a channel share, and who closes and frees it.
//!
//! Each side counts its handles. The last sender closes the channel; the last receiver closes it and drops what is
//! queued. Either side may be the second to go, which frees the memory: `is_half` tells it so.

use super::core::Core;
use super::flavor::Flavor;
use crate::support::first_panic::{FirstPanic, Payload};
use crate::sys::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::{Heap, can_drop, catch};
use std::marker::PhantomData;
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

/// The sending side's count.
pub(super) enum Sending {}

/// The receiving side's count.
pub(super) enum Receiving {}

/// A side of a channel: which count its handles are in.
pub(super) trait Side {
    fn count<T>(shared: &Shared<T>) -> &AtomicUsize;

    /// Whether its last handle drops what is queued.
    const DRAINS: bool;
}

impl Side for Sending {
    const DRAINS: bool = false;

    fn count<T>(shared: &Shared<T>) -> &AtomicUsize {
        &shared.senders
    }
}

impl Side for Receiving {
    const DRAINS: bool = true;

    fn count<T>(shared: &Shared<T>) -> &AtomicUsize {
        &shared.receivers
    }
}

/// What a sender or a receiver holds: a counted pointer to the channel.
pub(super) struct Handle<T, S: Side> {
    shared: NonNull<Heap<Shared<T>>>,
    side: PhantomData<S>,
}

// SAFETY: a channel is shared between threads, and passes values between them.
unsafe impl<T: Send, S: Side> Send for Handle<T, S> {}
// SAFETY: as above.
unsafe impl<T: Send, S: Side> Sync for Handle<T, S> {}

/// Returns a handle for each side of a new channel.
#[track_caller]
pub(super) fn pair<T>(flavor: Flavor<T>) -> (Handle<T, Sending>, Handle<T, Receiving>) {
    let shared = Shared::new(flavor, 1);
    (Handle { shared, side: PhantomData }, Handle { shared, side: PhantomData })
}

/// Returns a handle of a new channel that has no senders.
#[track_caller]
pub(super) fn receiving_only<T>(flavor: Flavor<T>) -> Handle<T, Receiving> {
    Handle { shared: Shared::new(flavor, 0), side: PhantomData }
}

impl<T> Shared<T> {
    /// With one receiver.
    #[track_caller]
    fn new(flavor: Flavor<T>, senders: usize) -> NonNull<Heap<Self>> {
        Heap::new(Shared {
            flavor,
            senders: AtomicUsize::new(senders),
            receivers: AtomicUsize::new(1),
            is_half: AtomicBool::new(senders == 0),
        })
    }
}

impl<T, S: Side> Handle<T, S> {
    #[inline]
    fn shared(&self) -> &Shared<T> {
        // SAFETY: freed by the last handle of the second side, and this one is counted.
        unsafe { self.shared.as_ref() }.get()
    }

    /// Whether both are handles of the same channel.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.shared == other.shared
    }

    /// Returns the address of the channel.
    pub(super) fn address(&self) -> usize {
        self.shared.addr().get()
    }

    /// The end of the side's last handle.
    #[cold]
    fn end_side(&self) {
        self.shared().flavor.close();
        // The first panic of a value's drop goes on when everything is done.
        let panic = if S::DRAINS { drain(&self.shared().flavor) } else { None };
        // ORDERING: AcqRel. Release: this side's uses come before the free by the other. Acquire: the other way round.
        if self.shared().is_half.swap(true, Ordering::AcqRel) {
            // SAFETY: both sides are gone, and this is the second.
            unsafe { Heap::free(self.shared) };
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

impl<T, S: Side> Deref for Handle<T, S> {
    type Target = Flavor<T>;

    #[inline]
    fn deref(&self) -> &Flavor<T> {
        &self.shared().flavor
    }
}

impl<T, S: Side> Clone for Handle<T, S> {
    fn clone(&self) -> Self {
        // ORDERING: Relaxed: counting up publishes nothing; the channel is alive by this handle.
        if S::count(self.shared()).fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            // As with `Arc`: so many handles exist only if most were leaked, and one more could wrap the count.
            process::abort();
        }
        Handle { shared: self.shared, side: PhantomData }
    }
}

impl<T, S: Side> Drop for Handle<T, S> {
    fn drop(&mut self) {
        if !can_drop() {
            return;
        }
        // ORDERING: AcqRel. Release: this handle's uses come before the last one's. Acquire: if this is the last, the
        // others' uses come before the close.
        if S::count(self.shared()).fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end_side();
        }
    }
}

/// Drops what is queued in a closed channel, without a lock. Returns the first panic.
fn drain<T>(flavor: &Flavor<T>) -> Option<Payload> {
    let panics = FirstPanic::new();
    while let Ok(value) = flavor.try_recv() {
        if let Err(payload) = catch(|| drop(value)) {
            panics.keep(payload, || ());
        }
    }
    panics.take(|| ())
}

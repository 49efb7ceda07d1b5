//! Where a buffered channel keeps its messages: [a ring](super::ring) of slots, or [blocks](super::blocks) of them.
//!
//! A slot has a *stamp*, which says whose it is:
//!
//! ```text
//! p       => p + 1       the sender that has claimed position p has written the message
//! p + 1   => p + a lap   the receiver that has claimed position p has moved the message out; in a ring
//! ```
//!
//! The invariants B1 to B4 are in [buffered](super::buffered).

use super::core::{Message, Unsent};
use super::end::{End, Seen};
use super::error::TryRecvError;
use super::stalled::Stalled;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::cell::UnsafeCell;
use crate::sys::make_uninit_cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::vec;

/// The most messages that are claimed at once.
pub(super) const MOST_AT_ONCE: u64 = 64;

/// A message's slot, and its stamp.
pub(super) struct Slot<T> {
    stamp: AtomicU64,
    message: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a slot is used by the thread that has claimed it alone (B1), and messages are passed between threads.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// Returns `n` empty slots. Large messages aren't made on the stack, nor is their memory touched.
    #[track_caller]
    pub(super) fn many(n: usize, first_stamp: impl Fn(usize) -> u64) -> Box<[Slot<T>]> {
        let mut slots = Box::<[Slot<T>]>::new_uninit_slice(n);
        for (index, slot) in slots.iter_mut().enumerate() {
            // SAFETY: in bounds of the allocation, and valid for a write.
            unsafe { Slot::make(slot.as_mut_ptr(), first_stamp(index)) };
        }
        // SAFETY: each was made.
        unsafe { slots.assume_init() }
    }

    /// Makes an empty slot where it is to be.
    ///
    /// # Safety
    /// `slot` is valid for a write.
    #[track_caller]
    pub(super) unsafe fn make(slot: *mut Self, stamp: u64) {
        // SAFETY: in bounds by the contract.
        let stamp_at = unsafe { &raw mut (*slot).stamp };
        // SAFETY: valid for a write by the contract; nothing is dropped.
        unsafe { ptr::write(stamp_at, AtomicU64::new(stamp)) };
        // SAFETY: in bounds by the contract.
        let message_at = unsafe { &raw mut (*slot).message };
        // SAFETY: valid for a write by the contract. A cell of a `MaybeUninit` is whatever its bytes are.
        unsafe { make_uninit_cell(message_at) };
    }

    /// Returns the stamp.
    #[inline]
    pub(super) fn stamp(&self) -> u64 {
        // ORDERING: Acquire: pairs with the Release in `fill` and in `empty`: the other side's use of the slot comes
        // before.
        self.stamp.load(Ordering::Acquire)
    }

    /// Returns the stamp. A hint.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        // ORDERING: Relaxed: a hint.
        self.stamp.load(Ordering::Relaxed)
    }

    /// Moves the message in, which others see from now on.
    ///
    /// # Safety
    /// The slot is claimed by this thread, and empty: a message in it would be leaked.
    ///
    /// # Panics
    /// If there is no message.
    #[inline]
    pub(super) unsafe fn fill(&self, message: &mut Message<T>, stamp: u64) {
        let from = ptr::from_mut(message.as_mut().expect("a message to send"));
        // SAFETY: by the contract this is the only use, and a message is no part of a channel's slot.
        self.message.with_mut(|slot| unsafe { slot.cast::<T>().copy_from_nonoverlapping(from, 1) });
        // SAFETY: valid for a write. The message has moved, so it isn't dropped here.
        unsafe { ptr::write(message, None) };
        // ORDERING: Release: pairs with the Acquire in `stamp`: the message comes before.
        self.stamp.store(stamp, Ordering::Release);
    }

    /// Moves the message out.
    ///
    /// # Safety
    /// The slot is claimed by this thread, and holds a message, which isn't read again.
    #[inline]
    pub(super) unsafe fn take(&self) -> T {
        self.message.with_mut(|slot| {
            // SAFETY: by the contract this is the only use.
            let slot = unsafe { &mut *slot };
            // SAFETY: by the contract the message is there, and isn't read again.
            unsafe { slot.assume_init_read() }
        })
    }

    /// [`take`](Self::take), and lets others use the slot.
    ///
    /// # Safety
    /// As for `take`.
    #[inline]
    pub(super) unsafe fn empty(&self, stamp: u64) -> T {
        // SAFETY: the contract of this function.
        let message = unsafe { self.take() };
        // ORDERING: Release: pairs with the Acquire in `stamp`: the read comes before the next message.
        self.stamp.store(stamp, Ordering::Release);
        message
    }
}

/// The ends of a channel. `N` is what a storage keeps beside an end's position.
pub(super) struct Ends<T, N> {
    pub(super) tail: End<N, Message<T>>,
    pub(super) head: End<N, Message<T>>,
    /// Threads that wait for a claimed slot, or for the lock of an end.
    pub(super) stalled: Stalled,
}

/// Returns the error of a receiver that has found the tail at the head's position.
pub(super) fn nothing(tail: Seen) -> TryRecvError {
    if tail.is_closed() { TryRecvError::Disconnected } else { TryRecvError::Empty }
}

/// The memory of a buffered channel.
pub(super) trait Storage<T> {
    /// What is kept beside an end's position, on its cache line.
    type Near;

    /// Returns it for the tail and for the head, at position 0.
    fn near(&self) -> [Self::Near; 2];

    /// Returns how many messages come before a position.
    fn count(&self, position: u64) -> u64;

    /// Sends the message, or leaves it.
    fn try_send(&self, ends: &Ends<T, Self::Near>, message: &mut Message<T>) -> Result<(), Unsent>;

    /// Receives a message.
    fn try_recv(&self, ends: &Ends<T, Self::Near>) -> Result<T, TryRecvError>;

    /// Sends some of the messages, as far as there is room, and leaves the others.
    fn try_send_many(
        &self,
        ends: &Ends<T, Self::Near>,
        messages: &mut vec::IntoIter<T>,
    ) -> Result<(), Unsent>;

    /// Receives up to `limit` messages and passes each to `take`, which must not panic. Returns how many.
    fn try_recv_many(
        &self,
        ends: &Ends<T, Self::Near>,
        limit: usize,
        take: impl FnMut(T),
    ) -> Result<usize, TryRecvError>;

    /// Whether a send may succeed. A hint, for a thread that waits awake: a close may go unnoticed.
    fn hints_at_room(&self, ends: &Ends<T, Self::Near>) -> bool;

    /// As [`hints_at_room`](Self::hints_at_room), for a receive.
    fn hints_at_message(&self, ends: &Ends<T, Self::Near>) -> bool;

    /// Frees what the ends lead to. All messages have been received.
    fn free(&mut self, ends: &mut Ends<T, Self::Near>);
}

//! Where a buffered channel keeps its messages: a ring of slots, or blocks of them.
//!
//! A slot belongs to one end at a time. The sender that holds the tail's lock writes the slot at the tail's position,
//! and publishes; the receiver that holds the head's lock reads the slot at the head's position, which is smaller than
//! a tail that it has read with Acquire.

use crate::sys::cell::UnsafeCell;
use crate::sys::uninit_cells;
use std::mem::MaybeUninit;

/// A message's slot.
pub(super) type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// Fills a slot.
///
/// # Safety
/// No other thread uses the slot, and it is empty: a message in it would be leaked.
#[inline]
pub(super) unsafe fn write_slot<T>(slot: &Slot<T>, value: T) {
    // SAFETY: by the contract this is the only use.
    slot.with_mut(|slot| unsafe { (*slot).write(value) });
}

/// Empties a slot.
///
/// # Safety
/// No other thread uses the slot, and it holds a message, which this call moves out.
#[inline]
pub(super) unsafe fn read_slot<T>(slot: &Slot<T>) -> T {
    slot.with_mut(|slot| {
        // SAFETY: by the contract this is the only use.
        let slot = unsafe { &mut *slot };
        // SAFETY: by the contract the message is there, and isn't read again.
        unsafe { slot.assume_init_read() }
    })
}

/// The memory of a buffered channel. A cursor is what an end knows of where it is, beside its position.
pub(super) trait Storage<T> {
    type Cursor;

    /// Returns the cursors of both ends, at position 0.
    fn cursors(&self) -> [Self::Cursor; 2];

    /// Writes the message at `position`.
    ///
    /// # Safety
    /// - `cursor` is the tail's, whose lock is held, and has been at each position before this one, in order.
    /// - The slot is empty: its last message has been read, and the caller has read the head's position with Acquire.
    unsafe fn write(&self, cursor: &mut Self::Cursor, position: u64, value: T);

    /// Moves the message at `position` out.
    ///
    /// # Safety
    /// - `cursor` is the head's, whose lock is held, and has been at each position before this one, in order.
    /// - The message has been written, and the caller has read a later tail with Acquire.
    unsafe fn read(&self, cursor: &mut Self::Cursor, position: u64) -> T;

    /// Frees what the head's cursor leads to. All messages have been read.
    fn free(&mut self, head: &mut Self::Cursor);
}

/// As many slots as the capacity, rounded up to a power of two.
pub(super) struct Ring<T> {
    slots: Box<[Slot<T>]>,
}

impl<T> Ring<T> {
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Self {
        Ring { slots: uninit_cells(capacity.next_power_of_two()) }
    }

    #[inline]
    fn slot(&self, position: u64) -> &Slot<T> {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }
}

impl<T> Storage<T> for Ring<T> {
    type Cursor = ();

    fn cursors(&self) -> [(); 2] {
        [(), ()]
    }

    #[inline]
    unsafe fn write(&self, (): &mut (), position: u64, value: T) {
        // SAFETY: by the contract the slot is empty, and the lock's holder's.
        unsafe { write_slot(self.slot(position), value) };
    }

    #[inline]
    unsafe fn read(&self, (): &mut (), position: u64) -> T {
        // SAFETY: by the contract the slot holds a message, and is the lock's holder's.
        unsafe { read_slot(self.slot(position)) }
    }

    fn free(&mut self, (): &mut ()) {}
}

//! Storage without a bound, or with one that is too large for a ring: a list of blocks.
//!
//! Senders append blocks, receivers drop them behind them. One emptied block is kept for the next sender that needs
//! one, so a channel that stays short allocates nothing.

use super::storage::{Slot, Storage, read_slot, write_slot};
use crate::sys::atomic::{AtomicPtr, Ordering};
use crate::sys::cell::UnsafeCell;
use crate::sys::{Heap, IS_MODEL, uninit_cells};
use std::ptr::{self, NonNull};

/// Slots in a block. In a model there are few, so that it gets from one block to the next.
const SLOTS: usize = if IS_MODEL { 2 } else { 32 };

pub(super) struct Block<T> {
    /// Apart, so that a block of large messages isn't made on the stack.
    slots: Box<[Slot<T>]>,
    /// The next block. Written by the sender that writes the next block's first message, before it publishes that; read
    /// by the receiver that reads the message.
    next: UnsafeCell<*mut Heap<Block<T>>>,
}

/// See the [module](self).
pub(super) struct Blocks<T> {
    /// The first block: both ends begin there.
    first: NonNull<Heap<Block<T>>>,
    /// An empty block that a receiver has left, or null.
    spare: AtomicPtr<Heap<Block<T>>>,
}

// SAFETY: blocks are reached by the holder of an end's lock alone, and their messages are passed between threads.
unsafe impl<T: Send> Send for Blocks<T> {}
// SAFETY: as above; the spare block belongs to the thread that takes it out.
unsafe impl<T: Send> Sync for Blocks<T> {}

/// The block that an end is in.
pub(super) struct Cursor<T>(NonNull<Heap<Block<T>>>);

// SAFETY: as for `Blocks`.
unsafe impl<T: Send> Send for Cursor<T> {}

impl<T> Blocks<T> {
    #[track_caller]
    pub(super) fn new() -> Self {
        Blocks { first: new_block(), spare: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Appends a block to the tail's.
    #[cold]
    fn append(&self, cursor: &mut Cursor<T>) {
        // ORDERING: Acquire: pairs with the Release in `advance`: the receivers' use of the block comes before.
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        let block = NonNull::new(spare).unwrap_or_else(new_block);
        // SAFETY: the tail's block is freed by a receiver that has left it, for a position that isn't published yet.
        let tail = unsafe { cursor.0.as_ref() }.get();
        // SAFETY: `next` is the tail's lock holder's until that position is published.
        tail.next.with_mut(|next| unsafe { *next = block.as_ptr() });
        cursor.0 = block;
    }

    /// Moves the head to the next block.
    #[cold]
    fn advance(&self, cursor: &mut Cursor<T>) {
        let block = cursor.0;
        // SAFETY: the head's block is freed by the head's lock holder alone, which this thread is.
        let head = unsafe { block.as_ref() }.get();
        // SAFETY: written before the position that this thread is about to read, and not again.
        let next = head.next.with(|next| unsafe { *next });
        cursor.0 = NonNull::new(next).expect("a message was published there");
        // ORDERING: Release: pairs with the Acquire in `append`: the receivers' use of the block comes before its next
        // user's. A block that comes out was put in by a receiver, with the head's lock, which this thread holds now.
        let surplus = self.spare.swap(block.as_ptr(), Ordering::Release);
        if let Some(surplus) = NonNull::new(surplus) {
            // SAFETY: a block from `Heap::new`, which this thread alone has taken out of `spare`.
            unsafe { Heap::free(surplus) };
        }
    }
}

#[track_caller]
fn new_block<T>() -> NonNull<Heap<Block<T>>> {
    Heap::new(Block { slots: uninit_cells(SLOTS), next: UnsafeCell::new(ptr::null_mut()) })
}

/// The index of a position in its block.
#[inline]
fn index(position: u64) -> usize {
    position as usize % SLOTS
}

/// Whether a position is the first of a block that isn't the first block.
#[inline]
fn begins_block(position: u64) -> bool {
    index(position) == 0 && position > 0
}

impl<T> Storage<T> for Blocks<T> {
    type Cursor = Cursor<T>;

    fn cursors(&self) -> [Cursor<T>; 2] {
        [Cursor(self.first), Cursor(self.first)]
    }

    #[inline]
    unsafe fn write(&self, cursor: &mut Cursor<T>, position: u64, value: T) {
        if begins_block(position) {
            self.append(cursor);
        }
        // SAFETY: the tail's block is freed after its last message is read, and this one isn't published yet.
        let block = unsafe { cursor.0.as_ref() }.get();
        // SAFETY: by the contract the slot is empty, and the lock's holder's.
        unsafe { write_slot(&block.slots[index(position)], value) };
    }

    #[inline]
    unsafe fn read(&self, cursor: &mut Cursor<T>, position: u64) -> T {
        if begins_block(position) {
            self.advance(cursor);
        }
        // SAFETY: the head's block is freed by the head's lock holder alone, which this thread is.
        let block = unsafe { cursor.0.as_ref() }.get();
        // SAFETY: by the contract the slot holds a message, and is the lock's holder's.
        unsafe { read_slot(&block.slots[index(position)]) }
    }

    fn free(&mut self, head: &mut Cursor<T>) {
        // ORDERING: Relaxed: exclusive by `&mut`.
        let spare = NonNull::new(self.spare.swap(ptr::null_mut(), Ordering::Relaxed));
        for block in spare.into_iter().chain([head.0]) {
            // SAFETY: with all messages read, both ends are in one block or the tail has not begun the next, and no
            // other user is left.
            unsafe { Heap::free(block) };
        }
    }
}

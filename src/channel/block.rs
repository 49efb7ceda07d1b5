//! A block of slots.

use super::storage::Slot;
use crate::sys::atomic::AtomicPtr;
use crate::sys::{Heap, IS_MODEL, prefetch_to_write};
use std::mem;
use std::ptr::{self, NonNull};

/// Slots in a block. In a model there are few, so that it gets from one block to the next.
pub(super) const SLOTS: u64 = if IS_MODEL { 2 } else { 31 };

/// Slots in turn, and the way to the next block.
pub(super) struct Block<T> {
    /// Set before the last slot is filled.
    pub(super) next: AtomicPtr<Heap<Block<T>>>,
    pub(super) slots: [Slot<T>; SLOTS as usize],
}

pub(super) type BlockPointer<T> = NonNull<Heap<Block<T>>>;

/// Returns an empty block.
#[track_caller]
pub(super) fn new_block<T>() -> BlockPointer<T> {
    // Large messages are not to be made on the stack.
    let mut block = Box::<Block<T>>::new_uninit();
    let made = block.as_mut_ptr();
    // SAFETY: in bounds of the allocation.
    let next = unsafe { &raw mut (*made).next };
    // SAFETY: valid for a write; nothing is dropped.
    unsafe { ptr::write(next, AtomicPtr::new(ptr::null_mut())) };
    // SAFETY: in bounds of the allocation.
    let slots = unsafe { &raw mut (*made).slots }.cast::<Slot<T>>();
    for index in 0..SLOTS as usize {
        // SAFETY: as above.
        let slot = unsafe { slots.add(index) };
        // The stamp of an empty slot is no position's.
        // SAFETY: as above.
        unsafe { Slot::make(slot, 0) };
    }
    // SAFETY: all fields were made.
    Heap::from_box(unsafe { block.assume_init() })
}

/// Starts to fetch a block's first lines into this core's cache. A block that is used again was read by another core.
pub(super) fn prefetch_block<T>(block: BlockPointer<T>) {
    const LINE: usize = 64;
    const MOST: usize = 8 * LINE;
    for line in (0..mem::size_of::<Block<T>>().min(MOST)).step_by(LINE) {
        prefetch_to_write(block.addr().get() + line);
    }
}

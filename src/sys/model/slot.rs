//! Slots in the model, see the machine's `slot.rs`.
//!
//! A light mark lies in a store buffer, where no other thread sees it until a heavy fence drains that. It never
//! drains by itself: that is the worst that a processor may do. But once it is drained all threads see it, also a
//! thread that learnt of the fence without an order. A model that is about such an order calls
//! [`let_unfenced_marks_be_stores`]: then a thread that is not ordered after the fence may load an old value of the
//! slot, which has some ten times the executions.

use super::atomic::{AtomicU64, Ordering, fence};
use super::execution::PerExecution;
use std::cell::Cell;

#[derive(Debug)]
pub(crate) struct Slot {
    /// A mark, but for one in the buffer.
    word: AtomicU64,
    /// A mark in the buffer, and whether that has been drained. Plain memory, changed right after a step of `word`.
    light: Cell<u64>,
    drained: Cell<bool>,
    /// From the first light mark on, each load reads the newest word, with what it is ordered with.
    was_light: Cell<bool>,
}

// SAFETY: a model runs one thread at a time, all on one thread of the system.
unsafe impl Sync for Slot {}

impl Slot {
    #[track_caller]
    pub(crate) fn new() -> Self {
        Slot {
            word: AtomicU64::new(0),
            light: Cell::new(0),
            drained: Cell::new(false),
            was_light: Cell::new(false),
        }
    }

    #[track_caller]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        let heavy = self.word_now(order);
        if self.drained.get() { heavy | self.light.get() } else { heavy }
    }

    #[track_caller]
    pub(crate) fn load_own(&self, order: Ordering) -> u64 {
        self.word_now(order) | self.light.get()
    }

    #[track_caller]
    fn word_now(&self, order: Ordering) -> u64 {
        if !self.was_light.get() {
            let word = self.word.load(order);
            if !self.was_light.get() {
                return word;
            }
        }
        self.word.fetch_add(0, order)
    }

    #[track_caller]
    pub(crate) fn clear(&self, order: Ordering) {
        // As a swap, see `store`.
        self.word.swap(0, order);
        self.light.set(0);
        self.drained.set(false);
    }

    #[track_caller]
    pub(crate) fn mark(&self, value: u64) {
        // ORDERING: as on the machine where there is no exchange that does both.
        self.word.store(value, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    #[track_caller]
    pub(crate) fn mark_unfenced(&self, value: u64) {
        // ORDERING: AcqRel: what comes after a heavy fence sees what its caller did before, and the caller
        // what came before.
        if are_stores(Cell::get) {
            self.word.swap(value, Ordering::AcqRel);
            return;
        }
        self.word.fetch_add(0, Ordering::AcqRel);
        self.light.set(value);
        self.was_light.set(true);
    }
}

/// Runs `f` with whether this execution's light marks are stores.
fn are_stores<R>(f: impl FnOnce(&Cell<bool>) -> R) -> R {
    std::thread_local! {
        static ARE_STORES: PerExecution<Cell<bool>> = const { PerExecution::new() };
    }
    ARE_STORES.with(|are_stores| f(are_stores.get(|| Cell::new(false))))
}

/// Makes light marks stores, where loads are plain: loads that are read-modify-writes read the newest value.
#[cfg(test)]
pub(crate) fn let_unfenced_marks_be_stores() {
    are_stores(|are_stores| are_stores.set(!super::atomic::all_loads_are_rmw()));
}

pub(crate) const MAY_BE_UNFENCED: bool = true;

pub(crate) fn has_heavy_fence() -> bool {
    true
}

pub(crate) fn prepare_heavy_fence() {}

#[track_caller]
pub(crate) fn heavy_fence<'a>(slots: impl Iterator<Item = &'a Slot>) {
    for slot in slots {
        // ORDERING: AcqRel: what each thread did before the fence is seen after it, what this one did
        // before it by each thread after it.
        slot.word.fetch_add(0, Ordering::AcqRel);
        slot.drained.set(slot.light.get() != 0);
    }
}

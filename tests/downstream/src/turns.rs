//! A question and its answer in one cell, with a flag each.

use phalanx::atomic::{AtomicBool, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::hint;

/// A cell that two threads use in turns.
#[derive(Default)]
pub struct Turns {
    asked: AtomicBool,
    answered: AtomicBool,
    cell: UnsafeCell<u32>,
}

// SAFETY: used by the asking thread before `asked` and after `answered`, by the other in between.
unsafe impl Sync for Turns {}

impl Turns {
    /// Asks, and waits for the answer.
    pub fn ask(&self, question: u32) -> u32 {
        // SAFETY: not asked yet.
        self.cell.with_mut(|cell| unsafe { *cell = question });
        // ORDERING: Release: pairs with the Acquire in `answer`.
        self.asked.store(true, Ordering::Release);
        // ORDERING: Acquire: pairs with the Release in `answer`.
        while !self.answered.load(Ordering::Acquire) {
            hint::spin_loop();
        }
        // SAFETY: answered.
        self.cell.with(|cell| unsafe { *cell })
    }

    /// Waits for the question and answers it.
    pub fn answer(&self, answer: impl FnOnce(u32) -> u32) {
        self.answer_with(answer, Ordering::Release);
    }

    /// Race: the answer isn't published.
    pub fn answer_weakly(&self, answer: impl FnOnce(u32) -> u32) {
        self.answer_with(answer, Ordering::Relaxed);
    }

    fn answer_with(&self, answer: impl FnOnce(u32) -> u32, publish: Ordering) {
        // ORDERING: Acquire: pairs with the Release in `ask`.
        while !self.asked.load(Ordering::Acquire) {
            hint::spin_loop();
        }
        // SAFETY: asked, and not answered.
        self.cell.with_mut(|cell| unsafe { *cell = answer(*cell) });
        // ORDERING: Release in `answer`: pairs with the Acquire in `ask`.
        self.answered.store(true, publish);
    }
}

//! Waiting for something that may have happened already.

use phalanx::WaitGroup;
use phalanx::atomic::{AtomicUsize, Ordering};

const READY: usize = 1;
const WAITING: usize = 2;

/// A door that one thread opens and another passes, asleep only as long as the door is closed.
pub struct Door {
    state: AtomicUsize,
    opened: WaitGroup,
}

impl Default for Door {
    fn default() -> Self {
        let door = Door { state: AtomicUsize::new(0), opened: WaitGroup::new() };
        door.opened.add(1);
        door
    }
}

impl Door {
    /// Opens the door, and wakes the other thread if it waits.
    pub fn open(&self) {
        if self.state.fetch_or(READY, Ordering::AcqRel) & WAITING != 0 {
            self.opened.done();
        }
    }

    /// Waits for the door: checks it and announces the wait in one step.
    pub fn pass(&self) {
        if self.state.fetch_or(WAITING, Ordering::AcqRel) & READY == 0 {
            self.opened.wait();
        }
    }

    /// Lost wake-up: checks the door, and announces the wait only afterwards.
    pub fn pass_carelessly(&self) {
        if self.state.load(Ordering::Acquire) & READY == 0 {
            self.state.fetch_or(WAITING, Ordering::AcqRel);
            self.opened.wait();
        }
    }
}

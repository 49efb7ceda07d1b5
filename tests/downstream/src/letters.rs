//! A value handed over under a mutex, with a condition variable.

use phalanx::{Condvar, Mutex};

/// A letter box for one letter.
#[derive(Default)]
pub struct LetterBox {
    letter: Mutex<Option<u32>>,
    came: Condvar,
}

impl LetterBox {
    /// Puts a letter in.
    pub fn put(&self, letter: u32) {
        *self.letter.lock() = Some(letter);
        self.came.notify_one();
    }

    /// Waits for the letter.
    pub fn take(&self) -> u32 {
        let mut letter = self.letter.lock();
        self.came.wait_while(&mut letter, |letter| letter.is_none());
        letter.take().unwrap()
    }

    /// Lost wake-up: checks, unlocks, and then waits for a letter that may have come meanwhile.
    pub fn take_carelessly(&self) -> u32 {
        if let Some(letter) = self.letter.lock().take() {
            return letter;
        }
        let mut letter = self.letter.lock();
        self.came.wait(&mut letter);
        letter.take().unwrap()
    }
}

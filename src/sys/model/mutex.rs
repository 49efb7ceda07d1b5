//! loom's mutex, with the face of the machine's: no poisoning.

use super::objects;
use super::waits::{Room, waits};
use std::fmt;

/// A lock of the seam's users.
pub(crate) struct Mutex<T>(objects::Mutex<T>);

pub(crate) type MutexGuard<'a, T> = objects::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Mutex(objects::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let _waits = waits(Room::Inside);
        self.0.lock()
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex { .. }")
    }
}

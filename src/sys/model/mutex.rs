//! loom's mutex, with the machine's methods: no poisoning.

use super::objects;
use super::waiting::Site;
use super::waits::waits;
use std::fmt;

/// A lock for phalanx's own code.
pub(crate) struct Mutex<T>(objects::Mutex<T>);

pub(crate) type MutexGuard<'a, T> = objects::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Mutex(objects::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let _waits = waits(Site::Internal);
        self.0.lock()
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex { .. }")
    }
}

//! A pointer that is replaced beside its readers, and a pointer that is set once.

use phalanx::atomic::{AtomicPtr, Ordering};
use phalanx::cell::UnsafeCell;
use std::ptr;

type Version = UnsafeCell<u64>;

/// A setting of which readers see some version. Old versions are kept until the setting is dropped.
pub struct Setting {
    current: AtomicPtr<Version>,
    old: UnsafeCell<Vec<*mut Version>>,
}

// SAFETY: versions are written before they are published; `old` is the one writer's.
unsafe impl Sync for Setting {}
// SAFETY: as above.
unsafe impl Send for Setting {}

fn version(value: u64) -> *mut Version {
    let version = Box::into_raw(Box::new(UnsafeCell::new(0)));
    // SAFETY: this thread's own.
    unsafe { &*version }.with_mut(|place| unsafe { *place = value });
    version
}

impl Setting {
    /// Creates the first version.
    pub fn new(value: u64) -> Self {
        Setting { current: AtomicPtr::new(version(value)), old: UnsafeCell::new(Vec::new()) }
    }

    /// Returns the value of some version.
    pub fn read(&self) -> u64 {
        // ORDERING: Acquire: pairs with the Release in `replace`.
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: published, and kept until `self` is dropped.
        unsafe { &*current }.with(|value| unsafe { *value })
    }

    /// Publishes a new version. For one thread.
    pub fn replace(&self, value: u64) {
        self.replace_with(value, Ordering::Release);
    }

    /// Race: the new version isn't published.
    pub fn replace_weakly(&self, value: u64) {
        self.replace_with(value, Ordering::Relaxed);
    }

    fn replace_with(&self, value: u64, publish: Ordering) {
        // ORDERING: Release in `replace`: pairs with the Acquire in `read`.
        let old = self.current.swap(version(value), publish);
        // SAFETY: the one writer's.
        self.old.with_mut(|list| unsafe { (*list).push(old) });
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let mut all = self.old.with_mut(|list| unsafe { std::mem::take(&mut *list) });
        all.push(*self.current.get_mut());
        for version in all {
            // SAFETY: from `Box::into_raw`, and no thread reads any more.
            drop(unsafe { Box::from_raw(version) });
        }
    }
}

/// A value that is made when it is first needed; if two threads make it at once, one value is dropped.
#[derive(Default)]
pub struct Lazy {
    made: AtomicPtr<Version>,
}

impl Lazy {
    /// Returns the value, made if need be.
    pub fn get(&self, make: impl FnOnce() -> u64) -> u64 {
        // ORDERING: Acquire: the thread that loses reads the winner's value.
        self.get_with(make, Ordering::Acquire)
    }

    /// Race: the thread that loses reads the winner's value unordered.
    pub fn get_and_lose_weakly(&self, make: impl FnOnce() -> u64) -> u64 {
        self.get_with(make, Ordering::Relaxed)
    }

    fn get_with(&self, make: impl FnOnce() -> u64, lost: Ordering) -> u64 {
        // ORDERING: Acquire: pairs with the Release below.
        let mut made = self.made.load(Ordering::Acquire);
        if made.is_null() {
            let mine = version(make());
            // ORDERING: Release: publishes the value. On failure: see `get`.
            made = match self.made.compare_exchange(ptr::null_mut(), mine, Ordering::Release, lost)
            {
                Ok(_) => mine,
                Err(theirs) => {
                    // SAFETY: never published.
                    drop(unsafe { Box::from_raw(mine) });
                    theirs
                }
            };
        }
        // SAFETY: published, and kept until `self` is dropped.
        unsafe { &*made }.with(|value| unsafe { *value })
    }
}

impl Drop for Lazy {
    fn drop(&mut self) {
        let made = *self.made.get_mut();
        if !made.is_null() {
            // SAFETY: from `Box::into_raw`, and no thread reads any more.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}

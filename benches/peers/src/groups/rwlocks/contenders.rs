//! The reader-writer locks that race, and their adapters.
//!
//! Two mutexes take part as if they were reader-writer locks, because with short
//! sections they often win; and arc-swap, which replaces the data as a whole.

use super::{Data, RwLock, Task, in_go, ours, peer, unlocked};
use crate::entry::Entry;
use arc_swap::ArcSwap;
use crossbeam_utils::sync::ShardedLock;

pub fn all() -> Vec<Entry<Task>> {
    vec![
        ours::<phalanx::RwMutex<Data>>("phalanx"),
        ours::<phalanx::Mutex<Data>>("phalanx Mutex"),
        peer::<std::sync::RwLock<Data>>("std"),
        peer::<parking_lot::RwLock<Data>>("parking_lot"),
        peer::<ShardedLock<Data>>("ShardedLock"),
        peer::<usync::RwLock<Data>>("usync"),
        peer::<std::sync::Mutex<Data>>("std Mutex"),
        peer::<parking_lot::Mutex<Data>>("parking_lot Mutex"),
        peer::<ArcSwap<Data>>("arc-swap"),
        in_go(),
        unlocked(),
    ]
}

/// The reader-writer locks alone, and Go's.
pub fn locks() -> Vec<Entry<Task>> {
    let other = |entry: &Entry<Task>| entry.name.contains("Mutex") || entry.name == "arc-swap";
    all().into_iter().filter(|entry| !other(entry)).collect()
}

impl RwLock for std::sync::RwLock<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&std::sync::RwLock::read(self).unwrap())
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut std::sync::RwLock::write(self).unwrap());
    }
}

impl RwLock for parking_lot::RwLock<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&parking_lot::RwLock::read(self))
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut parking_lot::RwLock::write(self));
    }
}

impl RwLock for ShardedLock<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&ShardedLock::read(self).unwrap())
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut ShardedLock::write(self).unwrap());
    }
}

impl RwLock for usync::RwLock<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&usync::RwLock::read(self))
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut usync::RwLock::write(self));
    }
}

impl RwLock for std::sync::Mutex<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&self.lock().unwrap())
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut self.lock().unwrap());
    }
}

impl RwLock for parking_lot::Mutex<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&self.lock())
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut self.lock());
    }
}

impl RwLock for ArcSwap<Data> {
    fn new() -> Self {
        ArcSwap::from_pointee(Data::default())
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&self.load())
    }

    /// Copy, change, and put back unless another writer was faster.
    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        self.rcu(|data| {
            let mut data = **data;
            f(&mut data);
            data
        });
    }
}

impl RwLock for phalanx::Mutex<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&self.lock())
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut self.lock());
    }
}

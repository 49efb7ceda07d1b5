//! The reader-writer locks that are compared, and their adapters.
//!
//! Mutexes take part as if they were reader-writer locks, because they are often faster with short
//! critical sections. So does arc-swap, which replaces the data as a whole.

use super::{Data, RwLock, Task, in_go, ours, peer, unlocked};
use crate::entry::Entry;
use crate::groups::locked::Lock;
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

impl<L: Lock<Data>> RwLock for L {
    fn new() -> Self {
        L::of(Data::default())
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        Lock::read(self, f)
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        Lock::write(self, f);
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

    /// Copies the data, changes the copy, and stores it unless another writer was faster.
    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        self.rcu(|data| {
            let mut data = **data;
            f(&mut data);
            data
        });
    }
}

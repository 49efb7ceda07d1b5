//! Two stores compared: as they are at one moment, so all shards of both are locked for reading.
//!
//! The older store is locked first (invariant S3 in `mod.rs`), by its serial number. So two threads that
//! compare the same stores in opposite orders, with writers waiting in between, don't deadlock.

use super::map::Store;
use super::shards::ReadingAll;
use std::hash::{BuildHasher, Hash};

impl<K, V, S> Store<K, V, S> {
    fn is_older_than(&self, other: &Self) -> bool {
        self.shards.identity().serial < other.shards.identity().serial
    }
}

impl<K: Hash + Eq, V: PartialEq, S: BuildHasher> Store<K, V, S> {
    /// Whether all entries of `theirs` are equal to those of this store, whose shards are `ours`, and there are no
    /// others.
    fn has_just(&self, ours: &ReadingAll<'_, K, V>, theirs: &ReadingAll<'_, K, V>) -> bool {
        let is_equal = |(key, value): &(K, V)| {
            let hash = self.hash(key);
            let table = &ours.shard(self.shards.index_of(hash)).table;
            table.find(hash, |it| it == key).is_some_and(|(_, ours)| value == ours)
        };
        ours.len() == theirs.len() && theirs.entries().all(is_equal)
    }
}

/// Two stores are equal if they have the same keys with equal values, whatever their hashers and shards.
///
/// All shards of both are locked for reading, so the two are compared as they are at one moment. Threads may compare
/// the same stores in any order, and a store with itself.
impl<K: Hash + Eq, V: PartialEq, S: BuildHasher> PartialEq for Store<K, V, S> {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        if self.shards.identity().serial == other.shards.identity().serial {
            let both = self.shards.read_all();
            other.has_just(&both, &both)
        } else if self.is_older_than(other) {
            let ours = self.shards.read_all();
            let theirs = other.shards.read_all();
            other.has_just(&theirs, &ours)
        } else {
            let theirs = other.shards.read_all();
            let ours = self.shards.read_all();
            other.has_just(&theirs, &ours)
        }
    }
}

impl<K: Hash + Eq, V: Eq, S: BuildHasher> Eq for Store<K, V, S> {}

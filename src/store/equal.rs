//! Two stores compared: all shards of both are locked for reading, as one moment is what is compared.
//!
//! The older store is locked first, which the ids of its locks tell: so two threads that compare the same stores in
//! opposite order, with writers waiting in between, don't wait for each other.

use super::Store;
use super::inside::Inside;
use super::shards::Shard;
use crate::rw_mutex::RwMutexReadGuard;
use std::hash::{BuildHasher, Hash};

/// All shards of a store, unlocked when this is dropped, and the mark that this thread is inside, which goes last.
struct Whole<'a, K, V> {
    shards: Vec<RwMutexReadGuard<'a, Shard<K, V>>>,
    _inside: Inside,
}

impl<K, V, S> Store<K, V, S> {
    #[track_caller]
    fn whole(&self) -> Whole<'_, K, V> {
        let (inside, shards) = self.shards.read_all();
        Whole { shards, _inside: inside }
    }

    /// Whether this store is to be locked before the other one.
    fn goes_before(&self, other: &Self) -> bool {
        self.shards.identity().ids.start < other.shards.identity().ids.start
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// The key's value among all shards of this store.
    fn find_in<'a>(&self, whole: &'a Whole<'_, K, V>, key: &K) -> Option<&'a V> {
        let hash = self.hash(key);
        let found = whole.shards[self.shards.place(hash)].table.find(hash, |it| it == key);
        found.map(|(_, value)| value)
    }
}

/// Two stores are equal if they have the same keys with equal values, whatever their hashers and shards.
///
/// All shards of both are locked for reading at once, so the two are compared as they are at one moment. Threads may
/// compare the same stores in any order, and a store with itself.
impl<K: Hash + Eq, V: PartialEq, S: BuildHasher> PartialEq for Store<K, V, S> {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        let equal = |ours: &Whole<'_, K, V>, theirs: &Whole<'_, K, V>| {
            let len = |whole: &Whole<'_, K, V>| -> usize {
                whole.shards.iter().map(|shard| shard.table.len()).sum()
            };
            let mut entries = ours.shards.iter().flat_map(|shard| shard.table.iter());
            len(ours) == len(theirs)
                && entries.all(|(key, value)| {
                    other.find_in(theirs, key).is_some_and(|theirs| value == theirs)
                })
        };
        if self.shards.identity().address == other.shards.identity().address {
            let both = self.whole();
            equal(&both, &both)
        } else if self.goes_before(other) {
            let ours = self.whole();
            let theirs = other.whole();
            equal(&ours, &theirs)
        } else {
            let theirs = other.whole();
            let ours = self.whole();
            equal(&ours, &theirs)
        }
    }
}

impl<K: Hash + Eq, V: Eq, S: BuildHasher> Eq for Store<K, V, S> {}

//! The standard map behind a lock, or behind a pointer that is swapped: the usual choices before a
//! concurrent map.

use super::{Hasher, Store, hasher};
use crate::groups::locked::Lock;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;

pub type Map = HashMap<u64, u64, Hasher>;

fn map(keys: usize) -> Map {
    Map::with_capacity_and_hasher(keys, hasher())
}

/// The map behind a lock of type `L`.
pub struct Locked<L>(L);

impl<L: Lock<Map>> Store for Locked<L> {
    fn new(keys: usize) -> Self {
        Self(L::of(map(keys)))
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.0.read(|map| map.get(&key).copied())
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.0.write(|map| map.insert(key, value));
    }
}

/// Filled once and then only read: a write would copy the map.
pub struct Swapped {
    map: ArcSwap<Map>,
    keys: usize,
}

impl Store for Swapped {
    fn new(keys: usize) -> Self {
        let map = ArcSwap::from_pointee(map(keys));
        Self { map, keys }
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.map.load().get(&key).copied()
    }

    /// The first call stores all keys at once. Only the filling before a round calls it.
    fn put(&self, key: u64, value: u64) {
        if self.map.load().is_empty() {
            let mut full = map(self.keys);
            full.extend((0..self.keys as u64).map(|key| (key, super::value(key, 0))));
            self.map.store(Arc::new(full));
        }
        debug_assert_eq!(self.get(key), Some(value));
    }
}

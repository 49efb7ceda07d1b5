//! The standard map behind a lock, or behind a pointer that is swapped: what people
//! use before they look for a concurrent map.

use super::{Hasher, Store, hasher};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;

type Map = HashMap<u64, u64, Hasher>;

fn map(keys: usize) -> Map {
    Map::with_capacity_and_hasher(keys, hasher())
}

pub struct RwLocked(parking_lot::RwLock<Map>);

impl Store for RwLocked {
    fn new(keys: usize) -> Self {
        Self(parking_lot::RwLock::new(map(keys)))
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.0.read().get(&key).copied()
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.0.write().insert(key, value);
    }
}

pub struct Mutexed(parking_lot::Mutex<Map>);

impl Store for Mutexed {
    fn new(keys: usize) -> Self {
        Self(parking_lot::Mutex::new(map(keys)))
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.0.lock().get(&key).copied()
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.0.lock().insert(key, value);
    }
}

pub struct StdRwLocked(std::sync::RwLock<Map>);

impl Store for StdRwLocked {
    fn new(keys: usize) -> Self {
        Self(std::sync::RwLock::new(map(keys)))
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.0.read().unwrap().get(&key).copied()
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.0.write().unwrap().insert(key, value);
    }
}

/// Made as a whole and then only read: a write would copy the map.
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

    /// The first key to be put in brings all the others along; only the filling
    /// before a round comes here.
    fn put(&self, key: u64, value: u64) {
        if self.map.load().is_empty() {
            let mut full = map(self.keys);
            full.extend((0..self.keys as u64).map(|key| (key, super::value(key, 0))));
            self.map.store(Arc::new(full));
        }
        debug_assert_eq!(self.get(key), Some(value));
    }
}

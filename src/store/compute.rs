//! Values that are computed when they are first asked for, once.

use super::Store;
use super::flights::Landing;
use super::shards::Shards;
use crate::sys::Arc;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};

/// Calls that compute.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// The key's value, computed by `f` if there is none.
    ///
    /// Of the calls that find no value at the same time one computes, without any lock, and the others
    /// wait for it. If the function panics, that call's caller gets the panic, and another one's function is
    /// tried. If somebody inserts a value meanwhile, that one stays and is given.
    ///
    /// # Blocking
    /// While another call computes the value.
    ///
    /// # Panics
    /// Whatever `f` panics with. If it would wait for itself: `f` asks for the same key in the same way, or
    /// for one whose function, in another thread, waits for this one. (Other ways to wait for oneself are
    /// not seen: `f` must not join a thread that asks for the key.) From inside this store.
    ///
    /// # Examples
    /// ```
    /// let lengths = phalanx::Store::new();
    /// let long = |text: &&str| text.len();
    /// assert_eq!(lengths.get_or_compute("seven..", long), 7);
    /// assert_eq!(lengths.get_or_compute("seven..", |_| unreachable!("is there")), 7);
    /// ```
    #[track_caller]
    pub fn get_or_compute(&self, key: K, f: impl FnOnce(&K) -> V) -> V
    where
        V: Clone,
    {
        let Ok(value) = self.try_get_or_compute(key, |key| Ok::<V, Infallible>(f(key)));
        value
    }

    /// [`get_or_compute`](Store::get_or_compute) with a function that may fail.
    ///
    /// # Errors
    /// What this call's own `f` failed with. Then the store has no value, and another call's function is
    /// tried.
    ///
    /// # Blocking
    /// While another call computes the value.
    ///
    /// # Panics
    /// As [`get_or_compute`](Store::get_or_compute).
    #[track_caller]
    pub fn try_get_or_compute<E>(&self, key: K, f: impl FnOnce(&K) -> Result<V, E>) -> Result<V, E>
    where
        V: Clone,
    {
        let hash = self.hash(&key);
        {
            let shard = self.shards.read(true, hash);
            if let Some((_, value)) = shard.table.find(hash, |it| *it == key) {
                return Ok(value.clone());
            }
        }
        let key = Arc::new(key);
        let landing = loop {
            let mut shard = self.shards.write(true, hash);
            if let Some((_, value)) = shard.table.find(hash, |it| *it == *key) {
                return Ok(value.clone());
            }
            match shard.flights.find(hash, |it| *it == *key) {
                Some(landing) => {
                    drop(shard);
                    landing.wait();
                }
                None => break shard.flights.start(hash, key.clone()),
            }
        };
        let leader = Leader { shards: &self.shards, hash, landing, has_ended: false };
        let value = f(&key)?;
        let copy = value.clone();
        Ok(leader.put_in(self, key, value, copy))
    }
}

/// The one that computes: ends its flight, whatever becomes of it (invariant 1 in `flights.rs`).
struct Leader<'a, K, V> {
    shards: &'a Shards<K, V>,
    hash: u64,
    landing: Arc<Landing>,
    has_ended: bool,
}

impl<K: Hash + Eq, V: Clone> Leader<'_, K, V> {
    /// Puts the value in, unless somebody else has put one in meanwhile, and gives what is there.
    fn put_in<S: BuildHasher>(
        mut self,
        store: &Store<K, V, S>,
        key: Arc<K>,
        value: V,
        copy: V,
    ) -> V {
        let mut shard = self.shards.write(true, self.hash);
        if let Some((_, theirs)) = shard.table.find(self.hash, |it| *it == *key) {
            let theirs = theirs.clone();
            drop(shard);
            // First those who wait, then what is dropped here, which may take its time or panic.
            drop(self);
            return theirs;
        }
        let (table, site) = shard.table();
        table.make_room(site, |key| store.hash_inside(key));
        // No foreign code from here on.
        drop(shard.flights.end(&self.landing));
        self.has_ended = true;
        let key = Arc::into_inner(key).expect("invariant 2: the list has given its reference up");
        let (table, site) = shard.table();
        table.insert_new(site, self.hash, (key, value));
        copy
    }
}

impl<K, V> Drop for Leader<'_, K, V> {
    fn drop(&mut self) {
        let ended = (!self.has_ended)
            .then(|| self.shards.write(true, self.hash).flights.end(&self.landing));
        self.landing.land();
        // A key is dropped outside of the lock, and when nobody waits any more: its drop may panic.
        drop(ended);
    }
}

//! Calls that neither block nor panic, for code that may run anywhere, such as a panic hook.

use super::entry::Entry;
use super::error::Busy;
use super::map::Store;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

/// Calls that don't block.
///
/// Each does what the call of that name without `try_` does. But where that one would wait for a lock, or panic because
/// it is called [from a closure that runs on this store](Store#reentrant-calls), these return [`Busy`]. They are for a
/// panic hook, which may run while the panicking closure has a lock of the store, for logging, and for destructors.
///
/// They may return `Busy` needlessly while another thread is just locking or unlocking. User code that they call may
/// still block or panic.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns a clone of the key's value, or `None` if the key is absent, without waiting.
    ///
    /// # Errors
    /// [`Busy`] in a closure that runs on this store, or while another thread writes in the key's shard.
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use phalanx::store::Busy;
    ///
    /// let store = Store::from([("key", 1)]);
    /// assert_eq!(store.try_get("key"), Ok(Some(1)));
    /// store.with("key", |_| assert_eq!(store.try_get("key"), Err(Busy)));
    /// ```
    pub fn try_get<Q>(&self, key: &Q) -> Result<Option<V>, Busy>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.try_with(key, V::clone)
    }

    /// Calls `f` with the key's value and returns its result, without waiting; `None` if the key is absent. `f` runs
    /// under the lock for reading.
    ///
    /// # Errors
    /// [`Busy`] in a closure that runs on this store, or while another thread writes in the key's shard.
    ///
    /// # Panics
    /// If `f` panics.
    pub fn try_with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Result<Option<R>, Busy>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        // In an `Option`, so that an `f` that isn't called is dropped without the lock, with what it owns.
        let mut f = Some(f);
        let shard = self.shards.try_read(hash).ok_or(Busy)?;
        let found = shard.table.find(hash, |it| it.borrow() == key);
        Ok(found.and_then(|(_, value)| f.take().map(|f| f(value))))
    }

    /// Returns whether the key is in the store, without waiting.
    ///
    /// # Errors
    /// [`Busy`] in a closure that runs on this store, or while another thread writes in the key's shard.
    pub fn try_contains_key<Q>(&self, key: &Q) -> Result<bool, Busy>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Ok(self.try_with(key, |_| ())?.is_some())
    }

    /// Calls `f` with the key's value, which it may change, and returns its result, without waiting; `None` if the key
    /// is absent. `f` runs under the lock for writing.
    ///
    /// # Errors
    /// [`Busy`] in a closure that runs on this store, or while another thread reads or writes in the key's shard.
    ///
    /// # Panics
    /// If `f` panics: the value stays as `f` left it.
    pub fn try_update<Q, R>(&self, key: &Q, f: impl FnOnce(&mut V) -> R) -> Result<Option<R>, Busy>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut f = Some(f);
        let mut shard = self.shards.try_write(hash).ok_or(Busy)?;
        let found = shard.table.find_mut(hash, |it| it.borrow() == key);
        Ok(found.and_then(|(_, value)| f.take().map(|f| f(value))))
    }

    /// Calls `f` with the key's entry and returns its result, without waiting. Use it for whatever the other calls here
    /// don't do, such as inserting and removing. `f` runs under the lock for writing.
    ///
    /// # Errors
    /// [`Busy`] in a closure that runs on this store, or while another thread reads or writes in the key's shard. The key
    /// and `f` are dropped then.
    ///
    /// # Panics
    /// If `f` panics: the entry stays as `f` left it.
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    ///
    /// let panics = Store::<&str, u32>::new();
    /// assert!(panics.try_entry("main", |entry| *entry.or_default() += 1).is_ok());
    /// assert_eq!(panics.get("main"), Some(1));
    /// ```
    pub fn try_entry<R>(&self, key: K, f: impl FnOnce(Entry<'_, K, V>) -> R) -> Result<R, Busy> {
        let hash = self.hash(&key);
        let shard = self.shards.try_write(hash).ok_or(Busy)?;
        Ok(self.entry_in(shard, hash, key, f))
    }
}

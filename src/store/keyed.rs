//! Calls on one key.

use super::error::NotRemoved;
use super::map::Store;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::mem;

/// Calls on one key.
///
/// Each is one step, as all other calls on that key see it (linearizable).
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns a clone of the key's value, or `None` if the key is absent.
    ///
    /// # Panics
    /// If [called from a closure that runs on this store](Store#reentrant-calls).
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.find(key, |_, value| value.clone())
    }

    /// Returns clones of the store's key and of its value, or `None` if the key is absent.
    ///
    /// # Panics
    /// If [called from a closure that runs on this store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// let store = phalanx::Store::from([(String::from("one"), 1)]);
    /// assert_eq!(store.get_key_value("one"), Some((String::from("one"), 1)));
    /// assert_eq!(store.get_key_value("two"), None);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q> + Clone,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        // If the value's `Clone` panics, the cloned key is dropped without the lock.
        let mut cloned = None;
        let value = self.with_key_value(key, |key, value| {
            cloned = Some(key.clone());
            value.clone()
        })?;
        cloned.map(|key| (key, value))
    }

    /// Calls `f` with the key's value and returns its result; `None` if the key is absent. `f` runs under the lock for
    /// reading.
    ///
    /// # Panics
    /// If `f` panics. If [called from a closure that runs on this store](Store#reentrant-calls).
    #[inline]
    #[track_caller]
    pub fn with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(key, |_, value| f(value))
    }

    /// Calls `f` with the store's key and its value, and returns its result; `None` if the key is absent. `f` runs under
    /// the lock for reading.
    ///
    /// # Panics
    /// If `f` panics. If [called from a closure that runs on this store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    ///
    /// // One allocation for all users of the same name.
    /// let names = phalanx::Store::from([(Arc::<str>::from("index"), ())]);
    /// let shared = names.with_key_value("index", |name, ()| Arc::clone(name));
    /// assert_eq!(shared.as_deref(), Some("index"));
    /// ```
    #[track_caller]
    pub fn with_key_value<Q, R>(&self, key: &Q, f: impl FnOnce(&K, &V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(key, f)
    }

    /// Returns whether the key is in the store.
    ///
    /// # Panics
    /// If [called from a closure that runs on this store](Store#reentrant-calls).
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(key, |_, _| ()).is_some()
    }

    /// Calls `f` with the key's value, which it may change, and returns its result; `None` if the key is absent. `f`
    /// runs under the lock for writing.
    ///
    /// What `f` drops is dropped under the lock: see [reentrant calls](Store#reentrant-calls).
    ///
    /// # Panics
    /// If `f` panics: the value stays as `f` left it. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// let store = phalanx::Store::from([("one", vec![1])]);
    /// assert_eq!(store.update("one", |list| (list.push(2), list.len()).1), Some(2));
    /// // The caller drops the old value, without the lock:
    /// assert_eq!(store.update("one", std::mem::take), Some(vec![1, 2]));
    /// assert_eq!(store.update("two", std::mem::take), None);
    /// ```
    #[inline]
    #[track_caller]
    pub fn update<Q, R>(&self, key: &Q, f: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // In an `Option`, so that an `f` that isn't called is dropped without the lock, with what it owns.
        let mut f = Some(f);
        let hash = self.hash(key);
        let mut shard = self.shards.write(hash);
        let (_, value) = shard.table.find_mut(hash, |it| it.borrow() == key)?;
        f.take().map(|f| f(value))
    }

    /// Inserts a value and returns the one that was there. A key that is already there stays.
    ///
    /// # Panics
    /// If [called from a closure that runs on this store](Store#reentrant-calls).
    #[inline]
    #[track_caller]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        let hash = self.hash(&key);
        let mut shard = self.shards.write(hash);
        if let Some((_, old)) = shard.table.find_mut(hash, |it| *it == key) {
            return Some(mem::replace(old, value));
        }
        let mut table = shard.table_mut();
        table.reserve_one(|key| self.hash(key));
        table.insert_new(hash, (key, value));
        None
    }

    /// Removes the key and returns its value.
    ///
    /// # Panics
    /// If [called from a closure that runs on this store](Store#reentrant-calls).
    #[inline]
    #[track_caller]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Removes the key, and returns the store's key and its value.
    ///
    /// # Panics
    /// If [called from a closure that runs on this store](Store#reentrant-calls).
    #[track_caller]
    pub fn remove_entry<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        // Declared before the lock, and so dropped without it.
        let _unlisted;
        let mut shard = self.shards.write(hash);
        _unlisted = shard.flights.unlist_key(hash, |it| it.borrow() == key);
        let removed = shard.table.remove(hash, |it| it.borrow() == key);
        if removed.is_some() {
            self.shrink_if_sparse(shard);
        }
        removed
    }

    /// Removes the key if `f` returns `true` for its value, and returns the value. `f` runs under the lock for writing.
    ///
    /// Returns `None` if nothing was removed; [`try_remove_if`](Store::try_remove_if) says why.
    ///
    /// # Panics
    /// If `f` panics: the key stays. If [called from a closure that runs on this store](Store#reentrant-calls).
    #[track_caller]
    pub fn remove_if<Q>(&self, key: &Q, f: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.try_remove_if(key, f).ok()
    }

    /// Removes the key if `f` returns `true` for its value, and returns the value. `f` runs under the lock for writing.
    ///
    /// # Errors
    /// If the key is absent, or `f` returned `false`.
    ///
    /// # Panics
    /// If `f` panics: the key stays. If [called from a closure that runs on this store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use phalanx::store::NotRemoved;
    ///
    /// let sessions = Store::from([("idle", 600), ("busy", 1)]);
    /// let expire = |name| sessions.try_remove_if(name, |seconds| *seconds > 300);
    /// assert_eq!(expire("idle"), Ok(600));
    /// assert_eq!(expire("idle"), Err(NotRemoved::Absent));
    /// assert_eq!(expire("busy"), Err(NotRemoved::Kept));
    /// ```
    #[track_caller]
    pub fn try_remove_if<Q>(&self, key: &Q, f: impl FnOnce(&V) -> bool) -> Result<V, NotRemoved>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        // Declared before the lock, and so dropped without it.
        let _unlisted;
        let mut shard = self.shards.write(hash);
        let found = shard.table.find_index(hash, |it| it.borrow() == key);
        let index = found.ok_or(NotRemoved::Absent)?;
        if !f(&shard.table.bucket(index).get().1) {
            return Err(NotRemoved::Kept);
        }
        _unlisted = shard.flights.unlist_key(hash, |it| it.borrow() == key);
        let ((_key, value), _) = shard.table.bucket(index).remove();
        self.shrink_if_sparse(shard);
        Ok(value)
    }
}

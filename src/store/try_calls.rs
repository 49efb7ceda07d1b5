//! Calls that neither block nor panic: for code that may run anywhere, as a panic hook.

use super::entry::{Opened, Removed};
use super::{Entry, Store, VacantEntry};
use std::borrow::Borrow;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// A call on a [`Store`] that would have had to wait, or that came from inside the same store.
///
/// Returned by [`Store::try_get`] and the calls like it. Nothing has been changed, and no closure called. From inside
/// it is returned each time, so a loop that tries again might never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the Store is in use, by another thread or by a call that this one is inside of",
        )
    }
}

impl Error for Busy {}

/// Calls that don't wait.
///
/// Each is as the call of that name without `try_`, but where that one would wait for a lock, or panic because it
/// comes [from inside](Store#calls-from-inside) this store, these return [`Busy`]. So they are for a panic hook,
/// which may run while the panicking closure has a lock of the store, for logging from anywhere, and for a
/// destructor.
///
/// They may return `Busy` without need: while another thread is on its way in or out of a lock. A user's code that
/// they call may still block or panic.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns a clone of the key's value, or `None` if the key is absent, without waiting.
    ///
    /// # Errors
    /// [`Busy`] from inside this store, or while another thread writes in the key's shard.
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

    /// Returns what `f` returns for the key's value, or `None` if the key is absent, without waiting.
    /// `f` runs under the lock for reading.
    ///
    /// # Errors
    /// [`Busy`] from inside this store, or while another thread writes in the key's shard.
    ///
    /// # Panics
    /// Whatever `f` panics with.
    pub fn try_with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Result<Option<R>, Busy>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        // What `f` holds is dropped outside of the lock, if the key is absent.
        let mut f = Some(f);
        let shard = self.shards.try_read(hash).ok_or(Busy)?;
        let found = shard.table.find(hash, |it| it.borrow() == key);
        Ok(found.and_then(|(_, value)| f.take().map(|f| f(value))))
    }

    /// Returns whether the key is there, without waiting.
    ///
    /// # Errors
    /// [`Busy`] from inside this store, or while another thread writes in the key's shard.
    pub fn try_contains_key<Q>(&self, key: &Q) -> Result<bool, Busy>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Ok(self.try_with(key, |_| ())?.is_some())
    }

    /// Returns what `f` returns for the key's value, or `None` if the key is absent, without waiting. `f` may change
    /// the value, and runs under the lock for writing.
    ///
    /// # Errors
    /// [`Busy`] from inside this store, or while another thread reads or writes in the key's shard.
    ///
    /// # Panics
    /// Whatever `f` panics with: the value stays as `f` has left it.
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

    /// Returns what `f` returns for the key's entry, without waiting: [`entry`](Store::entry) for all else that is to
    /// be done, as inserting and removing. `f` runs under the lock for writing.
    ///
    /// # Errors
    /// [`Busy`] from inside this store, or while another thread reads or writes in the key's shard. Key and `f` are
    /// dropped.
    ///
    /// # Panics
    /// Whatever `f` panics with: the entry stays as `f` has left it.
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
        let (mut key, mut removed, mut f) = (Some(key), Removed::new(), Some(f));
        let mut shard = self.shards.try_write(hash).ok_or(Busy)?;
        let had = shard.table.len();
        let is_it = |it: &K| Some(it) == key.as_ref();
        let entry = match self.open(&mut shard, hash, is_it, &mut removed) {
            Opened::Occupied(entry) => Entry::Occupied(entry),
            Opened::Vacant(table, site) => {
                Entry::Vacant(VacantEntry { table, site, hash, key: &mut key })
            }
        };
        let f = f.take().expect("called once");
        let result = f(entry);
        self.close(shard, had);
        Ok(result)
    }
}

//! Calls on one key that return more than their plain forms.

use super::{Entry, Store};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

/// More calls on one key.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns copies of the key as the store has it, and of its value.
    ///
    /// # Panics
    /// If called from inside this store.
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
        // A key whose value can't be copied is dropped after the lock.
        let mut copied = None;
        let value = self.with_key_value(key, |key, value| {
            copied = Some(key.clone());
            value.clone()
        })?;
        copied.map(|key| (key, value))
    }

    /// Calls `f` with the key as the store has it, and its value, and returns what it returns; `None` if the key is
    /// absent. `f` runs under the lock for reading.
    ///
    /// # Panics
    /// Whatever `f` panics with. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    ///
    /// // One allocation for all who use the same name.
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
        self.find(true, key, f)
    }

    /// Changes the key's value by `update` and returns `Some` of what that returns, or inserts the value of `insert`
    /// and returns `None`. Both run under the lock for writing.
    ///
    /// What `update` drops is dropped under the lock: see [calls from inside](Store#calls-from-inside).
    ///
    /// # Panics
    /// Whatever they panic with: a value stays as `update` has left it. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// let visits = phalanx::Store::new();
    /// let visit = |page| {
    ///     visits.upsert_with(page, || 1, |count| {
    ///         *count += 1;
    ///         *count
    ///     })
    /// };
    /// assert_eq!((visit("index"), visit("index"), visit("about")), (None, Some(2), None));
    /// ```
    #[track_caller]
    pub fn upsert_with<R>(
        &self,
        key: K,
        insert: impl FnOnce() -> V,
        update: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        // Outside of the lock, as what the other one holds is dropped with it.
        let (mut insert, mut update) = (Some(insert), Some(update));
        self.entry(key, |entry| match entry {
            Entry::Occupied(mut entry) => update.take().map(|update| update(entry.get_mut())),
            Entry::Vacant(entry) => {
                if let Some(insert) = insert.take() {
                    entry.insert(insert());
                }
                None
            }
        })
    }

    /// Returns a copy of the key's value, after inserting that of `insert` if the key is absent. `insert` runs under
    /// the lock for writing.
    ///
    /// For values that are made at once. [`get_or_compute`](Store::get_or_compute) computes without a lock, and
    /// lets other callers of the same key wait for the result.
    ///
    /// # Panics
    /// Whatever `insert` panics with. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{Mutex, Store};
    /// use std::sync::Arc;
    ///
    /// let rooms = Store::new();
    /// let room = |name| rooms.get_or_insert_with(name, || Arc::new(Mutex::new(Vec::new())));
    /// room("lobby").lock().push("hello");
    /// assert_eq!(*room("lobby").lock(), ["hello"]);
    /// ```
    #[track_caller]
    pub fn get_or_insert_with(&self, key: K, insert: impl FnOnce() -> V) -> V
    where
        V: Clone,
    {
        if let Some(value) = self.get(&key) {
            return value;
        }
        // Outside of the lock, as in `upsert_with`.
        let mut insert = Some(insert);
        self.entry(key, |entry| match entry {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => {
                let insert = insert.take().expect("called once");
                entry.insert(insert()).clone()
            }
        })
    }
}

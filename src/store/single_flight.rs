//! The calls that compute a value when it is first asked for, once. The protocol is in [`flight`](super::flight).

use super::flight::{Flight, Outcome};
use super::map::{Store, assert_owned_equals};
use super::shards::{Shard, Shards};
use crate::sys::Arc;
use std::borrow::Borrow;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::mem;

/// Calls that compute a missing value: one for all that need it at the same time.
///
/// [Single-flight](Store#single-flight) describes which call computes, which ones wait, and what each returns.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns a clone of the key's value, which `f` computes if the key is absent.
    ///
    /// If several threads call this at once for one key, only one runs `f`, without a lock, and the others wait for the
    /// value. See [single-flight](Store#single-flight).
    ///
    /// # Blocking
    /// While another call computes the value.
    ///
    /// # Panics
    /// If `f` panics. If [called from a closure that runs on this store](Store#reentrant-calls). If the call would wait
    /// for itself: `f` asks for its own key, without having removed it or inserted a value, or for a key whose
    /// function, in another thread, waits for this call. (A call that waits for itself in another way isn't noticed:
    /// `f` must not join a thread that asks for the key.)
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
    /// All calls that wait get a clone of the error. An error that isn't `Clone`, such as [`std::io::Error`], goes into
    /// an `Arc`.
    ///
    /// # Errors
    /// The error of `f`, or of the function of the call that this one waited for. Nothing is inserted then, and the
    /// next call computes again.
    ///
    /// # Blocking
    /// While another call computes the value.
    ///
    /// # Panics
    /// As [`get_or_compute`](Store::get_or_compute).
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use std::sync::Arc;
    ///
    /// let files: Store<&str, Arc<str>> = Store::new();
    /// let read = |name: &&str| match std::fs::read_to_string(name) {
    ///     Ok(text) => Ok(text.into()),
    ///     Err(error) => Err(Arc::new(error)),
    /// };
    /// let error = files.try_get_or_compute("no such file", read).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// assert!(files.is_empty());
    /// ```
    #[track_caller]
    pub fn try_get_or_compute<E>(&self, key: K, f: impl FnOnce(&K) -> Result<V, E>) -> Result<V, E>
    where
        V: Clone,
        E: Clone + Send + Sync + 'static,
    {
        let hash = self.hash(&key);
        self.compute(hash, Asked::<K, K>::Owned(key), f)
    }

    /// [`get_or_compute`](Store::get_or_compute) by a borrowed key. An owned key is made of it, by `From`, only when
    /// the value has to be computed: a call that finds a value allocates nothing for the key.
    ///
    /// # Blocking
    /// While another call computes the value.
    ///
    /// # Panics
    /// As [`get_or_compute`](Store::get_or_compute). If the owned key is not equal to the borrowed one.
    ///
    /// # Examples
    /// ```
    /// let lengths = phalanx::Store::<String, usize>::new();
    /// assert_eq!(lengths.get_or_compute_by_ref("seven..", str::len), 7);
    /// assert_eq!(lengths.get("seven.."), Some(7));
    /// ```
    #[track_caller]
    pub fn get_or_compute_by_ref<'q, Q>(&self, key: &'q Q, f: impl FnOnce(&'q Q) -> V) -> V
    where
        K: Borrow<Q> + From<&'q Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let f = |key: &'q Q| Ok::<V, Infallible>(f(key));
        let Ok(value) = self.try_get_or_compute_by_ref(key, f);
        value
    }

    /// [`try_get_or_compute`](Store::try_get_or_compute) by a borrowed key. An owned key is made of it only when the
    /// value has to be computed.
    ///
    /// # Errors
    /// As [`try_get_or_compute`](Store::try_get_or_compute).
    ///
    /// # Blocking
    /// While another call computes the value.
    ///
    /// # Panics
    /// As [`get_or_compute_by_ref`](Store::get_or_compute_by_ref).
    #[track_caller]
    pub fn try_get_or_compute_by_ref<'q, Q, E>(
        &self,
        key: &'q Q,
        f: impl FnOnce(&'q Q) -> Result<V, E>,
    ) -> Result<V, E>
    where
        K: Borrow<Q> + From<&'q Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
        E: Clone + Send + Sync + 'static,
    {
        self.compute(self.hash(key), Asked::Borrowed(key, K::from), |_| f(key))
    }

    #[track_caller]
    fn compute<Q, E>(
        &self,
        hash: u64,
        mut asked: Asked<'_, K, Q>,
        f: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<V, E>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
        V: Clone,
        E: Clone + Send + Sync + 'static,
    {
        let (leader, key) = loop {
            match self.find_value_or_flight(hash, |it| asked.is(it)) {
                Found::Value(value) => return Ok(value),
                Found::Flight(flight) => {
                    flight.wait();
                    if let Some(result) = flight.into_outcome().result() {
                        return result;
                    }
                }
                Found::Nothing => {
                    let key = asked.into_shared();
                    if let Some(leader) = self.start_flight(hash, &key) {
                        break (leader, key);
                    }
                    asked = Asked::Shared(key);
                }
            }
        };
        match f(&key) {
            Ok(value) => Ok(leader.insert_and_complete(self, key, value)),
            Err(error) => {
                leader.complete(Outcome::Error(Box::new(error.clone())));
                Err(error)
            }
        }
    }

    /// Looks for the key's value, and then for its flight, in one critical section.
    #[inline]
    #[track_caller]
    fn find_value_or_flight(&self, hash: u64, is_it: impl Fn(&K) -> bool) -> Found<V>
    where
        V: Clone,
    {
        let find = |shard: &Shard<K, V>| match shard.table.find(hash, &is_it) {
            Some((_, value)) => Found::Value(value.clone()),
            None => shard.flights.find(hash, &is_it).cloned().map_or(Found::Nothing, Found::Flight),
        };
        match self.shards.read_fast(hash) {
            Some(shard) => find(&shard),
            None => find(&self.shards.read(hash)),
        }
    }

    /// Starts a flight, unless there is a value or a flight by now.
    #[track_caller]
    fn start_flight(&self, hash: u64, key: &Arc<K>) -> Option<Leader<'_, K, V>> {
        let mut shard = self.shards.write(hash);
        let is_it = |it: &K| *it == **key;
        if shard.table.find(hash, is_it).is_some() || shard.flights.find(hash, is_it).is_some() {
            return None;
        }
        let flight = shard.flights.start(hash, key.clone());
        let outcome = Outcome::Panicked;
        Some(Leader { shards: &self.shards, hash, flight, is_listed: true, outcome })
    }
}

/// The key that a call asks for.
enum Asked<'q, K, Q: ?Sized> {
    Owned(K),
    /// With the function that makes an owned key of it.
    Borrowed(&'q Q, fn(&'q Q) -> K),
    /// An owned key, ready to be listed.
    Shared(Arc<K>),
}

impl<K: Eq + Borrow<Q>, Q: Eq + ?Sized> Asked<'_, K, Q> {
    fn is(&self, it: &K) -> bool {
        match self {
            Asked::Owned(key) => it == key,
            Asked::Borrowed(key, _) => it.borrow() == *key,
            Asked::Shared(key) => *it == **key,
        }
    }

    #[track_caller]
    fn into_shared(self) -> Arc<K> {
        match self {
            Asked::Owned(key) => Arc::new(key),
            Asked::Borrowed(key, from) => {
                let owned = from(key);
                assert_owned_equals(&owned, key);
                Arc::new(owned)
            }
            Asked::Shared(key) => key,
        }
    }
}

/// What there is for a key.
enum Found<V> {
    Value(V),
    Flight(Arc<Flight<V>>),
    Nothing,
}

/// The call that computes. Completes its flight when it is dropped (F1).
struct Leader<'a, K, V> {
    shards: &'a Shards<K, V>,
    hash: u64,
    flight: Arc<Flight<V>>,
    /// Whether the flight may be listed: a removal may have unlisted it.
    is_listed: bool,
    /// What the flight will complete with.
    outcome: Outcome<V>,
}

impl<K: Hash + Eq, V: Clone> Leader<'_, K, V> {
    /// Inserts the value, unless a removal or an insertion came first, and completes the flight. Returns what all
    /// callers get.
    fn insert_and_complete<S: BuildHasher>(
        mut self,
        store: &Store<K, V, S>,
        key: Arc<K>,
        value: V,
    ) -> V {
        let is_it = |it: &K| *it == *key;
        // A value that turns out not to be needed is dropped after the completion: its drop may take time, or panic.
        let (mut outcome, mut unneeded) = (value.clone(), None);
        loop {
            let mut shard = self.shards.write(self.hash);
            self.is_listed = shard.flights.lists(&self.flight);
            if !self.is_listed {
                break;
            }
            if shard.table.find(self.hash, is_it).is_none() {
                let (mut table, flights) = shard.table_and_flights();
                table.reserve_one(|key| store.hash(key));
                // No user code from here on: S2.
                drop(flights.unlist(&self.flight));
                self.is_listed = false;
                let key = Arc::into_inner(key).expect("F4: the list's reference is gone");
                table.insert_new(self.hash, (key, value));
                break;
            }
            drop(shard);
            // Clones the inserted value as a reader. If it has been removed by now, so has the flight.
            if let Found::Value(inserted) = store.find_value_or_flight(self.hash, is_it) {
                unneeded = Some(mem::replace(&mut outcome, inserted));
                break;
            }
        }
        let flight = self.flight.clone();
        self.complete(Outcome::Value(outcome));
        drop(unneeded);
        match flight.into_outcome().result::<Infallible>() {
            Some(Ok(value)) => value,
            None => unreachable!("completed with a value above"),
        }
    }
}

impl<K, V> Leader<'_, K, V> {
    fn complete(mut self, outcome: Outcome<V>) {
        self.outcome = outcome;
    }
}

impl<K, V> Drop for Leader<'_, K, V> {
    fn drop(&mut self) {
        let unlisted =
            self.is_listed.then(|| self.shards.write(self.hash).flights.unlist(&self.flight));
        self.flight.complete(mem::replace(&mut self.outcome, Outcome::Panicked));
        // A key is dropped without a lock, and after the completion: its drop may panic.
        drop(unlisted);
    }
}

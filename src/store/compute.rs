//! Values that are computed when they are first asked for, once. The protocol is in [`flights`](super::flights).

use super::Store;
use super::flights::{Flight, Outcome};
use super::shards::{Shard, Shards};
use crate::sys::Arc;
use std::borrow::Borrow;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::mem;

/// Calls that compute: one for all that ask at the same time.
///
/// Who computes, who waits, and what each returns is told under [single-flight](Store#single-flight).
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns a clone of the key's value, which `f` computes if there is none.
    ///
    /// Of several calls at a time one calls its `f`, without a lock, and the others wait for the value. See
    /// [single-flight](Store#single-flight).
    ///
    /// # Blocking
    /// While another call computes the value.
    ///
    /// # Panics
    /// Whatever `f` panics with. If the call would wait for itself: `f` asks for the same key in the same way, without
    /// having removed it, or for one whose function, in another thread, waits for this one. (Other ways to wait for oneself are
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
    /// The error goes to all calls that wait, so it is cloned. One that can't be, as [`std::io::Error`], goes into
    /// an `Arc`.
    ///
    /// # Errors
    /// What `f` failed with, or the function of the call that this one waited for. Nothing is put in then. The next
    /// call computes again.
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

    /// [`get_or_compute`](Store::get_or_compute) by a borrowed key. An owned one is made of it, by `From`, only when
    /// the value has to be computed: where the key is there, nothing is allocated for it.
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

    /// [`try_get_or_compute`](Store::try_get_or_compute) by a borrowed key, of which an owned one is made only when
    /// the value has to be computed.
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
            match self.look(hash, |it| asked.is(it)) {
                Found::Value(value) => return Ok(value),
                Found::Flight(flight) => {
                    flight.wait();
                    if let Some(result) = flight.outcome().result() {
                        return result;
                    }
                }
                Found::Nothing => {
                    let key = asked.share();
                    if let Some(leader) = self.take_off(hash, &key) {
                        break (leader, key);
                    }
                    asked = Asked::Shared(key);
                }
            }
        };
        match f(&key) {
            Ok(value) => Ok(leader.put_in(self, key, value)),
            Err(error) => {
                leader.land(Outcome::Error(Box::new(error.clone())));
                Err(error)
            }
        }
    }

    /// What is there for the key, as a reader sees it.
    #[inline]
    #[track_caller]
    fn look(&self, hash: u64, is_it: impl Fn(&K) -> bool) -> Found<V>
    where
        V: Clone,
    {
        let find = |shard: &Shard<K, V>| match shard.table.find(hash, &is_it) {
            Some((_, value)) => Found::Value(value.clone()),
            None => shard.flights.find(hash, &is_it).cloned().map_or(Found::Nothing, Found::Flight),
        };
        match self.shards.read_at_once(hash) {
            Some(shard) => find(&shard),
            None => find(&self.shards.read(true, hash)),
        }
    }

    /// Starts a flight, if there is still nothing for the key.
    #[track_caller]
    fn take_off(&self, hash: u64, key: &Arc<K>) -> Option<Leader<'_, K, V>> {
        let mut shard = self.shards.write(true, hash);
        let is_it = |it: &K| *it == **key;
        if shard.table.find(hash, is_it).is_some() || shard.flights.find(hash, is_it).is_some() {
            return None;
        }
        let flight = shard.flights.start(hash, key.clone());
        let outcome = Outcome::Panicked;
        Some(Leader { shards: &self.shards, hash, flight, is_listed: true, outcome })
    }
}

/// An owned key, made of a borrowed one by `from`.
///
/// # Panics
/// If the two are not equal: no call would find it.
#[track_caller]
fn own<'q, K, Q>(key: &'q Q, from: impl FnOnce(&'q Q) -> K) -> K
where
    K: Borrow<Q>,
    Q: Eq + ?Sized,
{
    let owned = from(key);
    assert_owns(&owned, key);
    owned
}

/// # Panics
/// If an owned key is not equal to the borrowed one that it was made of.
#[track_caller]
pub(super) fn assert_owns<K, Q>(owned: &K, key: &Q)
where
    K: Borrow<Q>,
    Q: Eq + ?Sized,
{
    assert!(owned.borrow() == key, "Store: the key made of a borrowed one is not equal to it");
}

/// The key that a call asks for.
enum Asked<'q, K, Q: ?Sized> {
    Owned(K),
    /// With what makes an owned one of it.
    Borrowed(&'q Q, fn(&'q Q) -> K),
    /// An owned one, ready to be listed.
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
    fn share(self) -> Arc<K> {
        match self {
            Asked::Owned(key) => Arc::new(key),
            Asked::Borrowed(key, from) => Arc::new(own(key, from)),
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

/// The call that computes. Ends its flight, whatever becomes of it (invariant 1 in `flights.rs`).
struct Leader<'a, K, V> {
    shards: &'a Shards<K, V>,
    hash: u64,
    flight: Arc<Flight<V>>,
    /// Whether the flight may be on the list: a removal may have taken it off.
    is_listed: bool,
    /// What is to be told.
    outcome: Outcome<V>,
}

impl<K: Hash + Eq, V: Clone> Leader<'_, K, V> {
    /// Puts the value in, unless a removal or an insertion came first, and lands. Returns what the callers get.
    fn put_in<S: BuildHasher>(mut self, store: &Store<K, V, S>, key: Arc<K>, value: V) -> V {
        let is_it = |it: &K| *it == *key;
        // What is not needed in the end is dropped after the landing: its drop may take its time, or panic.
        let (mut told, mut spare) = (value.clone(), None);
        loop {
            let mut shard = self.shards.write(true, self.hash);
            self.is_listed = shard.flights.lists(&self.flight);
            if !self.is_listed {
                break;
            }
            if shard.table.find(self.hash, is_it).is_none() {
                let (table, site) = shard.table();
                table.make_room(site, |key| store.hash_inside(key));
                // No foreign code from here on: invariant 2.
                drop(shard.flights.end(&self.flight));
                self.is_listed = false;
                let key = Arc::into_inner(key).expect("invariant 4: the list's reference is gone");
                let (table, site) = shard.table();
                table.insert_new(site, self.hash, (key, value));
                break;
            }
            drop(shard);
            // Cloned as a reader. It may be removed by now, and then the flight is off the list too.
            if let Found::Value(inserted) = store.look(self.hash, is_it) {
                spare = Some(mem::replace(&mut told, inserted));
                break;
            }
        }
        let flight = self.flight.clone();
        self.land(Outcome::Value(told));
        drop(spare);
        match flight.outcome().result::<Infallible>() {
            Some(Ok(value)) => value,
            None => unreachable!("it has just landed with a value"),
        }
    }
}

impl<K, V> Leader<'_, K, V> {
    fn land(mut self, outcome: Outcome<V>) {
        self.outcome = outcome;
    }
}

impl<K, V> Drop for Leader<'_, K, V> {
    fn drop(&mut self) {
        let ended =
            self.is_listed.then(|| self.shards.write(true, self.hash).flights.end(&self.flight));
        self.flight.land(mem::replace(&mut self.outcome, Outcome::Panicked));
        // A key is dropped outside of the lock, and when nobody waits any more: its drop may panic.
        drop(ended);
    }
}

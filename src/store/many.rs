//! Calls on several keys, with all their shards locked for writing at once.
//!
//! The shards are locked in their own order, whatever the order of the keys (invariant 3 in `mod.rs`). What
//! becomes of each key is noted in a [`Spot`]: the spots are sorted, so that keys of one shard stand together,
//! and within them those of one hash.

use super::Store;
use super::error::DuplicateKey;
use super::inside::Inside;
use super::shards::Shard;
use crate::rw_mutex::RwMutexWriteGuard;
use std::array;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::ptr::NonNull;

/// One of the keys: its position among those that were given, and where its entry is.
#[derive(Clone, Copy, Debug)]
struct Spot {
    at: usize,
    hash: u64,
    place: usize,
    /// The entry's index in the shard's table, once it is found.
    found: Option<usize>,
}

/// The shards of several keys, unlocked when this is dropped, and the mark that this thread is inside, which
/// goes last.
#[derive(Debug)]
struct Locked<'a, K, V> {
    _shards: Vec<RwMutexWriteGuard<'a, Shard<K, V>>>,
    _inside: Inside,
}

/// Calls on several keys.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Calls `f` with the values of several keys, `None` for each that is absent, and returns what it returns.
    /// All the keys are locked for writing at once, in an order in which calls can't wait for each other.
    ///
    /// What `f` drops is dropped under the locks: see [calls from inside](Store#calls-from-inside).
    ///
    /// # Panics
    /// If two of the keys are equal: [`try_with_many`](Store::try_with_many) returns an error. Whatever `f` panics
    /// with: the values stay as `f` has left them. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// let accounts = phalanx::Store::from([("checking", 10), ("savings", 0)]);
    /// accounts.with_many(["checking", "savings"], |[from, to]| {
    ///     if let (Some(from), Some(to)) = (from, to) {
    ///         (*from, *to) = (*from - 3, *to + 3);
    ///     }
    /// });
    /// assert_eq!((accounts.get("checking"), accounts.get("savings")), (Some(7), Some(3)));
    /// ```
    #[track_caller]
    pub fn with_many<Q, R, const N: usize>(
        &self,
        keys: [&Q; N],
        f: impl FnOnce([Option<&mut V>; N]) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.try_with_many(keys, f) {
            Ok(result) => result,
            Err(DuplicateKey { first, second }) => {
                panic!("Store: with_many was given the same key twice, at {first} and {second}")
            }
        }
    }

    /// [`with_many`](Store::with_many), for keys of which two may be equal.
    ///
    /// # Blocking
    /// As [`with_many`](Store::with_many).
    ///
    /// # Errors
    /// If two of the keys are equal, whether they are in the store or not: which ones. `f` is not called then.
    ///
    /// # Panics
    /// Whatever `f` panics with: the values stay as `f` has left them. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// let accounts = phalanx::Store::from([("checking", 10), ("savings", 0)]);
    /// let transfer = |from: &str, to: &str| {
    ///     accounts.try_with_many([from, to], |values| match values {
    ///         [Some(from), Some(to)] => (*from, *to) = (*from - 3, *to + 3),
    ///         _ => panic!("no such account"),
    ///     })
    /// };
    /// assert!(transfer("checking", "savings").is_ok());
    /// let error = transfer("savings", "savings").unwrap_err();
    /// assert_eq!(error.to_string(), "key 1 is the same as key 0");
    /// ```
    #[track_caller]
    pub fn try_with_many<Q, R, const N: usize>(
        &self,
        keys: [&Q; N],
        f: impl FnOnce([Option<&mut V>; N]) -> R,
    ) -> Result<R, DuplicateKey>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut values = [None; N];
        let mut spots: [_; N] = array::from_fn(|at| self.spot(at, keys[at]));
        let _locked = self.lock_many(&keys, &mut spots, &mut values)?;
        // SAFETY: each points to a value of a table that `_locked` has locked for writing and that nothing touches
        // while `f` runs, and all are different entries.
        Ok(f(values.map(|value| value.map(|mut value| unsafe { value.as_mut() }))))
    }

    /// [`with_many`](Store::with_many) for a number of keys that is known only at run time.
    ///
    /// # Panics
    /// As [`with_many`](Store::with_many).
    ///
    /// # Examples
    /// ```
    /// let stock = phalanx::Store::from([("apples", 3), ("pears", 5)]);
    /// let order = vec!["pears", "plums", "apples"];
    /// let sold = stock.with_many_slice(&order, |amounts| {
    ///     let there = amounts.iter_mut().flatten();
    ///     there.map(|amount| std::mem::take(*amount)).sum::<i32>()
    /// });
    /// assert_eq!(sold, 8);
    /// ```
    #[track_caller]
    pub fn with_many_slice<Q, R>(
        &self,
        keys: &[&Q],
        f: impl FnOnce(&mut [Option<&mut V>]) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.try_with_many_slice(keys, f) {
            Ok(result) => result,
            Err(DuplicateKey { first, second }) => {
                panic!(
                    "Store: with_many_slice was given the same key twice, at {first} and {second}"
                )
            }
        }
    }

    /// [`try_with_many`](Store::try_with_many) for a number of keys that is known only at run time.
    ///
    /// # Errors
    /// As [`try_with_many`](Store::try_with_many).
    ///
    /// # Panics
    /// As [`try_with_many`](Store::try_with_many).
    ///
    /// # Examples
    /// ```
    /// let stock = phalanx::Store::from([("apples", 3), ("pears", 5)]);
    /// let count = |order: &[&str]| {
    ///     stock.try_with_many_slice(order, |amounts| amounts.iter().flatten().count())
    /// };
    /// assert_eq!(count(&["pears", "plums", "apples"]), Ok(2));
    /// assert_eq!(count(&["pears", "apples", "pears"]).unwrap_err().second, 2);
    /// ```
    #[track_caller]
    pub fn try_with_many_slice<Q, R>(
        &self,
        keys: &[&Q],
        f: impl FnOnce(&mut [Option<&mut V>]) -> R,
    ) -> Result<R, DuplicateKey>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut values = vec![None; keys.len()];
        let mut spots: Vec<Spot> =
            keys.iter().enumerate().map(|(at, key)| self.spot(at, *key)).collect();
        let _locked = self.lock_many(keys, &mut spots, &mut values)?;
        // SAFETY: as in `try_with_many`.
        let exclusive = |value: Option<NonNull<V>>| value.map(|mut it| unsafe { it.as_mut() });
        let mut values: Vec<Option<&mut V>> = values.into_iter().map(exclusive).collect();
        Ok(f(&mut values))
    }

    fn spot<Q: Hash + ?Sized>(&self, at: usize, key: &Q) -> Spot {
        let hash = self.hash(key);
        Spot { at, hash, place: self.shards.place(hash), found: None }
    }

    /// Locks the shards of all keys, and points `values` to those that are there: all different ones.
    #[track_caller]
    fn lock_many<Q>(
        &self,
        keys: &[&Q],
        spots: &mut [Spot],
        values: &mut [Option<NonNull<V>>],
    ) -> Result<Locked<'_, K, V>, DuplicateKey>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // First of all: a call from inside panics, whatever its keys are.
        let inside = Inside::enter(self.shards.identity());
        spots.sort_unstable_by_key(|spot| (spot.place, spot.hash, spot.at));
        if let Some(duplicate) = first_duplicate(keys, spots) {
            return Err(duplicate);
        }
        // In the order of their places: invariant 3.
        let runs = spots.chunk_by(|one, next| one.place == next.place);
        let shards: Vec<_> = runs.map(|run| self.shards.lock(run[0].place)).collect();
        let mut locked = Locked { _shards: shards, _inside: inside };

        let runs = spots.chunk_by_mut(|one, next| one.place == next.place);
        for (shard, run) in locked._shards.iter_mut().zip(runs) {
            for spot in &mut *run {
                spot.found = shard.table.index(spot.hash, |it| it.borrow() == keys[spot.at]);
            }
            // An `Eq` that contradicts itself may find one entry for two keys.
            run.sort_unstable_by_key(|spot| (spot.found, spot.at));
            for pair in run.windows(2) {
                if pair[0].found.is_some() && pair[0].found == pair[1].found {
                    return Err(DuplicateKey { first: pair[0].at, second: pair[1].at });
                }
            }
            // No foreign code from here on.
            for spot in run {
                let value = |index| NonNull::from(&mut shard.table.place(index).get_mut().1);
                values[spot.at] = spot.found.map(value);
            }
        }
        Ok(locked)
    }
}

/// Of the keys that are equal to one before them, the first. `spots` are sorted.
fn first_duplicate<Q: Eq + ?Sized>(keys: &[&Q], spots: &[Spot]) -> Option<DuplicateKey> {
    let runs = spots.chunk_by(|one, next| one.hash == next.hash);
    let pairs = runs.flat_map(|run| {
        let with_earlier = |(n, second): (usize, &Spot)| {
            let earlier = run[..n].iter().find(|first| keys[first.at] == keys[second.at])?;
            Some(DuplicateKey { first: earlier.at, second: second.at })
        };
        run.iter().enumerate().filter_map(with_earlier)
    });
    pairs.min_by_key(|duplicate| duplicate.second)
}

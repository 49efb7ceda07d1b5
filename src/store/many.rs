//! Calls on several keys, with all their shards locked for writing at once.
//!
//! The shards are locked in the order of their indices, whatever the order of the keys (invariant S3 in `mod.rs`). For
//! that the keys are sorted, as [`Target`]s: first by shard, then by hash.

use super::error::DuplicateKey;
use super::map::Store;
use super::reentrancy::Inside;
use super::shards::WriteGuard;
use std::array;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::ptr::NonNull;

/// One of the keys.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// Its position among the keys.
    at: usize,
    hash: u64,
    /// The index of its shard.
    shard: usize,
    /// The index of its bucket in the shard's table, once that is found.
    bucket: Option<usize>,
}

/// The shards of several keys. Fields are dropped in order: first the locks, then the mark that this thread is inside.
#[derive(Debug)]
struct Locked<'a, K, V> {
    shards: Vec<WriteGuard<'a, K, V>>,
    _inside: Inside,
}

/// Calls on several keys.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Calls `f` with the values of several keys, `None` for each that is absent, and returns its result. All keys are
    /// locked for writing at once, in an order that can't deadlock with other calls.
    ///
    /// What `f` drops is dropped under the locks: see [reentrant calls](Store#reentrant-calls).
    ///
    /// # Panics
    /// If two of the keys are equal; [`try_with_many`](Store::try_with_many) returns an error instead. If `f` panics:
    /// the values stay as `f` left them. If [called from a closure that runs on this store](Store#reentrant-calls).
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

    /// [`with_many`](Store::with_many) for keys of which two may be equal.
    ///
    /// # Blocking
    /// As [`with_many`](Store::with_many).
    ///
    /// # Errors
    /// If two of the keys are equal, whether they are in the store or not. `f` is not called then.
    ///
    /// # Panics
    /// If `f` panics: the values stay as `f` left them. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
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
        let mut targets: [_; N] = array::from_fn(|at| self.target(at, keys[at]));
        let _locked = self.lock_many(&keys, &mut targets, &mut values)?;
        // SAFETY: each points to a value in a table that `_locked` has locked for writing, and that nothing accesses
        // while `f` runs; and all are of different entries.
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
        let mut targets: Vec<Target> =
            keys.iter().enumerate().map(|(at, key)| self.target(at, *key)).collect();
        let _locked = self.lock_many(keys, &mut targets, &mut values)?;
        // SAFETY: as in `try_with_many`.
        let exclusive = |value: Option<NonNull<V>>| value.map(|mut it| unsafe { it.as_mut() });
        let mut values: Vec<Option<&mut V>> = values.into_iter().map(exclusive).collect();
        Ok(f(&mut values))
    }

    fn target<Q: Hash + ?Sized>(&self, at: usize, key: &Q) -> Target {
        let hash = self.hash(key);
        Target { at, hash, shard: self.shards.index_of(hash), bucket: None }
    }

    /// Locks the shards of all keys, and points `values` to the values of the keys that are there, no two to the same.
    #[track_caller]
    fn lock_many<Q>(
        &self,
        keys: &[&Q],
        targets: &mut [Target],
        values: &mut [Option<NonNull<V>>],
    ) -> Result<Locked<'_, K, V>, DuplicateKey>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // First of all: a reentrant call panics, whatever its keys are.
        let inside = Inside::enter(self.shards.identity());
        targets.sort_unstable_by_key(|target| (target.shard, target.hash, target.at));
        if let Some(duplicate) = first_duplicate(keys, targets) {
            return Err(duplicate);
        }
        // In the order of their indices: S3.
        let runs = targets.chunk_by(|one, next| one.shard == next.shard);
        let shards: Vec<_> = runs.map(|run| self.shards.lock(run[0].shard)).collect();
        let mut locked = Locked { shards, _inside: inside };

        let runs = targets.chunk_by_mut(|one, next| one.shard == next.shard);
        for (shard, run) in locked.shards.iter_mut().zip(runs) {
            for target in &mut *run {
                let is_it = |it: &K| it.borrow() == keys[target.at];
                target.bucket = shard.table.find_index(target.hash, is_it);
            }
            // An `Eq` that contradicts itself may find one entry for two keys.
            run.sort_unstable_by_key(|target| (target.bucket, target.at));
            for pair in run.windows(2) {
                if pair[0].bucket.is_some() && pair[0].bucket == pair[1].bucket {
                    return Err(DuplicateKey { first: pair[0].at, second: pair[1].at });
                }
            }
            // No user code from here on.
            for target in run {
                let value = |index| NonNull::from(&mut shard.table.bucket(index).get_mut().1);
                values[target.at] = target.bucket.map(value);
            }
        }
        Ok(locked)
    }
}

/// Of the keys that are equal to an earlier one, the first. `targets` are sorted.
fn first_duplicate<Q: Eq + ?Sized>(keys: &[&Q], targets: &[Target]) -> Option<DuplicateKey> {
    let runs = targets.chunk_by(|one, next| one.hash == next.hash);
    let pairs = runs.flat_map(|run| {
        let with_earlier = |(n, second): (usize, &Target)| {
            let earlier = run[..n].iter().find(|first| keys[first.at] == keys[second.at])?;
            Some(DuplicateKey { first: earlier.at, second: second.at })
        };
        run.iter().enumerate().filter_map(with_earlier)
    });
    pairs.min_by_key(|duplicate| duplicate.second)
}

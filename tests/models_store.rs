//! Models of the store, which has two shards here. In a plain build each runs once, on real threads;
//! with `--cfg phalanx_loom` loom explores its interleavings.
//!
//! The locks are the specification's; biased reads are in the models of the lock itself.
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | scc#176 | the lock is gone before the closure has finished | `a_closure_is_alone_with_its_value` |
//! | – | two compute the same value; a waiter is not woken | `one_computes_and_the_other_waits` |
//! | – | a panic leaves the waiters asleep | `after_a_panic_another_computes`, `after_a_panic_one_of_the_waiters_computes` |
//! | guava#1881, greptimedb#7825 | a value computed from before a removal is inserted after it, or returned to a call that asks after it | `nothing_computed_from_before_a_removal_is_found_after_it` |
//! | the same | a removal makes more than one call compute again, or mixes up values | `a_removal_beside_two_calls_causes_at_most_one_more_computation` |
//! | the same | the same, after an insertion and a removal | `a_removal_of_an_inserted_value_unlists_the_flight_before_it` |
//! | caffeine#521, #287 | calls that wait for a failing call all compute, one after another | `a_failure_is_shared_by_its_waiters` |
//! | – | an error goes to a call with another error type | `a_failure_of_another_type_is_not_shared` |
//! | – | threads wait for one another in a cycle | `a_cycle_of_two_is_refused_and_ends` |
//! | – | a wait for a leader that has completed, and now waits itself, is taken for a cycle | `a_leader_may_wait_for_a_thread_that_has_waited_for_it` |
//! | – | a call that doesn't block blocks, or changes something when it is refused | `a_call_that_does_not_block_changes_all_or_nothing` |

#[path = "common/models.rs"]
mod common;
#[path = "common/history.rs"]
mod history;

use common::spawn;
use history::{Clock, Sequential, is_linearizable};
use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use phalanx::cell::UnsafeCell;
use phalanx::store::{Busy, Entry};
use phalanx::{Model, SafeCounter, Store, model};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

type Numbers = Arc<Store<u32, u32>>;

#[test]
fn changes_of_one_key_lose_nothing() {
    model(|| {
        let store: Numbers = Arc::new(Store::new());
        let add = |store: &Store<u32, u32>| store.upsert(1, || 1, |it| *it += 1);
        let others = [(); 2].map(|()| spawn(&store, add));
        add(&store);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((store.get(&1), store.len()), (Some(3), 1));
    });
}

/// A plain cell in the value: the model fails two accesses that the shard's lock does not order.
#[test]
fn a_closure_is_alone_with_its_value() {
    struct Plain(UnsafeCell<u32>);
    // SAFETY: accessed in closures of the store alone, which is what the model checks.
    unsafe impl Sync for Plain {}
    // SAFETY: a number.
    unsafe impl Send for Plain {}
    model(|| {
        let store: Arc<Store<u32, Plain>> = Arc::new(Store::new());
        store.insert(1, Plain(UnsafeCell::new(0)));
        // SAFETY: `update` has it alone, `with` shares it with readers.
        let add = |it: &mut Plain| it.0.with_mut(|place| unsafe { *place += 1 });
        // SAFETY: as above.
        let get = |it: &Plain| it.0.with(|place| unsafe { *place });
        let writer = spawn(&store, move |store| store.update(&1, add));
        let many = spawn(&store, move |store| {
            store.with_many([&2, &1], |[_, it]| it.map(add));
        });
        let seen = store.with(&1, get).unwrap();
        assert!(seen <= 2);
        writer.join().unwrap();
        many.join().unwrap();
        assert_eq!(store.with(&1, get), Some(2));
    });
}

#[test]
fn calls_that_lock_several_keys_do_not_deadlock() {
    model(|| {
        let store: Numbers = Arc::new([1, 2, 3].map(|key| (key, 10)).into_iter().collect());
        let moves = |from: u32, to: u32| {
            move |store: &Store<u32, u32>| {
                store.with_many([&from, &to], |[from, to]| {
                    *from.unwrap() -= 1;
                    *to.unwrap() += 1;
                });
            }
        };
        let others = [spawn(&store, moves(1, 2)), spawn(&store, moves(2, 3))];
        let sum: u32 = store.snapshot().iter().map(|(_, amount)| amount).sum();
        assert_eq!(sum, 30);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!([1, 2, 3].map(|key| store.get(&key)), [Some(9), Some(10), Some(11)]);
    });
}

/// Gets of a key beside an insertion and a removal.
#[test]
fn calls_on_one_key_are_linearizable() {
    #[derive(Clone, Debug)]
    enum Op {
        Get(Option<u32>),
        Insert(u32, Option<u32>),
        Remove(Option<u32>),
    }
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    struct Slot(Option<u32>);
    impl Sequential for Slot {
        type Op = Op;
        fn allows(&mut self, op: &Op) -> bool {
            let now = self.0;
            match *op {
                Op::Get(given) => given == now,
                Op::Insert(value, given) => {
                    self.0 = Some(value);
                    given == now
                }
                Op::Remove(given) => {
                    self.0 = None;
                    given == now
                }
            }
        }
    }
    model(|| {
        let shared = Arc::new((Store::<u32, u32>::new(), Clock::new()));
        let writer = spawn(&shared, |(store, clock)| {
            vec![
                clock.record(|| store.insert(1, 10), |old| Op::Insert(10, old)),
                clock.record(|| store.remove(&1), Op::Remove),
            ]
        });
        let reader = spawn(&shared, |(store, clock)| {
            vec![clock.record(|| store.get(&1), Op::Get), clock.record(|| store.get(&1), Op::Get)]
        });
        let (store, clock) = &*shared;
        let mut history = vec![clock.record(|| store.insert(1, 20), |old| Op::Insert(20, old))];
        history.extend(writer.join().unwrap());
        history.extend(reader.join().unwrap());
        assert!(is_linearizable(Slot::default(), &history), "{history:?}");
    });
}

#[test]
fn one_computes_and_the_other_waits() {
    model(|| {
        let shared = Arc::new((Store::<u32, u32>::new(), AtomicUsize::new(0)));
        let compute = |(store, computed): &(Store<u32, u32>, AtomicUsize)| {
            store.get_or_compute(1, |key| {
                // ORDERING: Relaxed: counted, and asked after the joins.
                computed.fetch_add(1, Relaxed);
                key + 6
            })
        };
        let other = spawn(&shared, compute);
        assert_eq!(compute(&shared), 7);
        assert_eq!(other.join().unwrap(), 7);
        // ORDERING: as above.
        assert_eq!(shared.1.load(Relaxed), 1);
    });
}

#[test]
fn after_a_panic_another_computes() {
    model(|| {
        let store: Numbers = Arc::new(Store::new());
        let fails = spawn(&store, |store| {
            let computes = || store.get_or_compute(1, |_| resume_unwind(Box::new("no value")));
            catch_unwind(AssertUnwindSafe(computes)).ok()
        });
        assert_eq!(store.get_or_compute(1, |_| 7), 7);
        assert!([None, Some(7)].contains(&fails.join().unwrap()));
        assert_eq!(store.get(&1), Some(7));
    });
}

#[test]
fn a_value_inserted_meanwhile_stays() {
    model(|| {
        let store: Numbers = Arc::new(Store::new());
        let inserts = spawn(&store, |store| store.insert(1, 5));
        let value = store.get_or_compute(1, |_| 7);
        let replaced = inserts.join().unwrap();
        let left = store.get(&1).unwrap();
        assert!(
            (value, replaced, left) == (7, Some(7), 5) || (value, replaced, left) == (5, None, 5),
            "{value} {replaced:?} {left}"
        );
    });
}

/// A source changes, and then the value that was computed from it is removed. A call that began before may return the old
/// value, but that doesn't stay; a call after the removal computes the new one.
#[test]
fn nothing_computed_from_before_a_removal_is_found_after_it() {
    model(|| {
        let shared = Arc::new((Store::<u32, usize>::new(), AtomicUsize::new(1)));
        // ORDERING: Relaxed: what the removal's lock orders is what this is about.
        let compute = |(store, source): &(Store<u32, usize>, AtomicUsize)| {
            store.get_or_compute(1, |_| source.load(Relaxed))
        };
        let other = spawn(&shared, compute);
        // ORDERING: as above. A swap, as loom has no order of plain stores and read-modify-writes.
        shared.1.swap(2, Relaxed);
        let removed = shared.0.remove(&1);
        assert_eq!(compute(&shared), 2, "a call that asks after the removal");
        let theirs = other.join().unwrap();
        assert!([1, 2].contains(&theirs));
        assert!(removed.is_none_or(|it| it == theirs));
        assert_eq!(shared.0.get(&1), Some(2));
    });
}

#[test]
fn a_removal_of_an_inserted_value_unlists_the_flight_before_it() {
    model(|| {
        let shared = Arc::new((Store::<u32, usize>::new(), AtomicUsize::new(1)));
        let other = spawn(&shared, |(store, source)| {
            // ORDERING: Relaxed, and a swap below: as above.
            store.get_or_compute(1, |_| source.load(Relaxed))
        });
        let (store, source) = &*shared;
        let replaced = store.insert(1, 5);
        source.swap(2, Relaxed);
        let removed = store.entry(1, |entry| match entry {
            Entry::Occupied(entry) => entry.remove(),
            Entry::Vacant(_) => unreachable!("nobody else removes"),
        });
        assert_eq!(removed, 5, "what was inserted stays");
        let theirs = other.join().unwrap();
        let left = store.get(&1);
        // Before the insertion, beside it, or after the removal.
        match theirs {
            5 => assert_eq!((replaced, left), (None, None)),
            2 if left.is_some() => assert_eq!((replaced, left), (None, Some(2))),
            computed => {
                assert!([None, Some(computed)].contains(&replaced), "{computed} {replaced:?}");
                assert_eq!(left, None);
            }
        }
    });
}

/// Each call's function fails with an error of its own; a call that waited returns the error of the other.
#[test]
fn a_failure_is_shared_by_its_waiters() {
    model(|| {
        let shared = Arc::new((Store::<u32, u32>::new(), AtomicUsize::new(0)));
        let fail = |own: usize| {
            move |(store, computed): &(Store<u32, u32>, AtomicUsize)| {
                store.try_get_or_compute(1, |_| {
                    // ORDERING: Relaxed: counted, and asked after the joins.
                    computed.fetch_add(1, Relaxed);
                    Err(own)
                })
            }
        };
        let other = spawn(&shared, fail(1));
        let mine = fail(0)(&shared).unwrap_err();
        let theirs = other.join().unwrap().unwrap_err();
        // ORDERING: as above.
        let computed = shared.1.load(Relaxed);
        assert_eq!(computed, if mine == theirs { 1 } else { 2 });
        assert!(mine == theirs || (mine, theirs) == (0, 1));
        assert!(shared.0.is_empty());
    });
}

/// The same with two calls, which may share a flight.
#[test]
fn a_removal_beside_two_calls_causes_at_most_one_more_computation() {
    model(|| {
        let shared = Arc::new((Store::<u32, usize>::new(), AtomicUsize::new(0)));
        let compute = |(store, computed): &(Store<u32, usize>, AtomicUsize)| {
            // ORDERING: Relaxed: counted, and asked after the joins.
            store.get_or_compute(1, |_| 1 + computed.fetch_add(1, Relaxed))
        };
        let others = [spawn(&shared, compute), spawn(&shared, compute)];
        let removed = shared.0.remove(&1);
        let values = others.map(|other| other.join().unwrap());
        let left = shared.0.get(&1);
        // ORDERING: as above.
        let computed = shared.1.load(Relaxed);
        // One removal causes at most one more computation, and each value is that of one flight.
        assert!((1..=2).contains(&computed), "{computed}");
        assert_eq!(computed == 1, values[0] == values[1], "{values:?}");
        assert!(removed.is_none_or(|it| it == 1), "{removed:?}");
        assert!(left.is_none_or(|it| values.contains(&it)), "{left:?} of {values:?}");
        assert!(removed.is_none() || left.is_none_or(|it| it == 2), "{removed:?} {left:?}");
    });
}

/// One of three calls panics: of the other two one computes, and the other returns a clone.
#[test]
fn after_a_panic_one_of_the_waiters_computes() {
    model(|| {
        let shared = Arc::new((Store::<u32, u32>::new(), AtomicUsize::new(0)));
        let compute = |(store, computed): &(Store<u32, u32>, AtomicUsize)| {
            // ORDERING: Relaxed: counted, and asked after the joins.
            store.get_or_compute(1, |_| 10 + computed.fetch_add(1, Relaxed) as u32)
        };
        let others = [spawn(&shared, compute), spawn(&shared, compute)];
        let fails = || shared.0.get_or_compute(1, |_| resume_unwind(Box::new("no value")));
        let failed = catch_unwind(AssertUnwindSafe(fails));
        assert!(failed.is_err() || failed.is_ok_and(|value| value == 10));
        assert_eq!(others.map(|other| other.join().unwrap()), [10, 10]);
        assert_eq!(shared.0.get(&1), Some(10));
    });
}

#[test]
fn a_failure_of_another_type_is_not_shared() {
    model(|| {
        let store: Numbers = Arc::new(Store::new());
        let fails = spawn(&store, |store| store.try_get_or_compute(1, |_| Err("none")));
        // This call has no error type.
        assert_eq!(store.get_or_compute(1, |_| 7), 7);
        assert!([Ok(7), Err("none")].contains(&fails.join().unwrap()));
        assert_eq!(store.get(&1), Some(7));
    });
}

/// One thread computes a value, and then asks for a key that another thread computes. That one waits for the first value
/// while it computes. The chain of waits leads back, but its first wait is over: no call is refused.
#[test]
fn a_leader_may_wait_for_a_thread_that_has_waited_for_it() {
    Model::new().max_branches(20_000).check(|| {
        let store: Numbers = Arc::new(Store::new());
        let other =
            spawn(&store, |store| store.get_or_compute(2, |_| 10 + store.get_or_compute(1, |_| 1)));
        assert_eq!(store.get_or_compute(1, |_| 1), 1);
        assert_eq!(store.get_or_compute(2, |_| 11), 11);
        assert_eq!(other.join().unwrap(), 11);
    });
}

#[test]
fn a_call_that_does_not_block_changes_all_or_nothing() {
    model(|| {
        let store: Numbers = Arc::new([(1, 0)].into_iter().collect());
        let add = |store: &Store<u32, u32>| store.try_update(&1, |it| *it += 1).is_ok();
        let other = spawn(&store, add);
        let read = spawn(&store, |store| store.try_get(&1));
        let added = u32::from(add(&store)) + u32::from(other.join().unwrap());
        let seen = read.join().unwrap();
        assert!(seen == Err(Busy) || seen.is_ok_and(|seen| seen.is_some_and(|it| it <= added)));
        assert_eq!(store.try_get(&1), Ok(Some(added)));
    });
}

/// Each function asks for the other's key: at least one call is refused, none waits for ever, and a call that isn't
/// refused returns a value.
#[test]
fn a_cycle_of_two_is_refused_and_ends() {
    Model::new().max_branches(20_000).check(|| {
        let store: Numbers = Arc::new(Store::new());
        let compute = |own: u32, needed: u32| {
            move |store: &Store<u32, u32>| {
                let asks =
                    || store.get_or_compute(own, |_| 1 + store.get_or_compute(needed, |_| 10));
                catch_unwind(AssertUnwindSafe(asks)).ok()
            }
        };
        let other = spawn(&store, compute(2, 1));
        let mine = compute(1, 2)(&store);
        let theirs = other.join().unwrap();
        assert!(mine.is_some() || theirs.is_some() || store.is_empty());
    });
}

#[test]
fn counters_by_key_count() {
    model(|| {
        let store: Arc<Store<&str, SafeCounter>> = Arc::new(Store::new());
        let count = |store: &Store<&'static str, SafeCounter>| {
            if store.with("page", SafeCounter::increment).is_none() {
                store.entry("page", |entry| entry.or_default().increment());
            }
        };
        let other = spawn(&store, count);
        count(&store);
        other.join().unwrap();
        assert_eq!(store.with("page", SafeCounter::get), Some(2));
    });
}

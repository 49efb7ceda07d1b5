//! Models of the store, which has two shards here. In a plain build each runs once, on real threads;
//! with `--cfg phalanx_loom` loom explores its interleavings.
//!
//! The locks are the specification; the way past them is in the models of the lock itself.
//!
//! | told in | the bug | model |
//! | --- | --- | --- |
//! | scc#176 (LITMUS 36) | the lock is gone before the closure has finished | `a_closure_is_alone_with_its_value` |
//! | – | two compute the same value; a waiter is not woken | `one_computes_and_the_other_waits` |
//! | – | a panic leaves the waiters asleep | `after_a_panic_another_computes` |
//! | – | threads wait for one another in a circle | `a_circle_of_two_is_refused_and_ends` |

#[path = "common/history.rs"]
mod history;

use history::{Clock, Sequential, is_linearizable};
use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use phalanx::cell::UnsafeCell;
use phalanx::{Model, SafeCounter, Store, model, thread};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

type Numbers = Arc<Store<u32, u32>>;

fn spawn<T: Send + Sync + 'static, R: Send + 'static>(
    shared: &Arc<T>,
    f: impl FnOnce(&T) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || f(&shared))
}

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
fn calls_that_lock_several_keys_do_not_wait_in_a_circle() {
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

/// Gets of a key beside an insertion and a removal: results in an order.
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
fn a_value_put_in_meanwhile_stays() {
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

/// Each needs the other's value: one is refused at least, nobody waits for ever, and who is not
/// refused gets a value.
#[test]
fn a_circle_of_two_is_refused_and_ends() {
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

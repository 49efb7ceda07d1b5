//! Flights of a store: what becomes of a value that is being computed, and of the calls that wait for it.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | guava#1881, greptimedb#7825 | a call that asks after a removal returns a value computed from before it | `calls_before_a_removal_get_the_old_value_and_calls_after_it_compute_anew` |
//! | caffeine#521, #287 | calls that wait for a failing call compute one after another | `calls_that_wait_for_a_failure_share_it` |

mod common;

use common::{Counted, watchdog};
use phalanx::Store;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope, ScopedJoinHandle};

/// Blocks until a counter has reached a number.
fn until(counter: &AtomicUsize, number: usize) {
    while counter.load(SeqCst) < number {
        thread::yield_now();
    }
}

/// A key that counts how often it is compared. A call that finds a flight compares its key once, under the lock for
/// reading, and waits for it from then on: the flight can't complete in between.
#[derive(Clone)]
struct Key(u32, Arc<AtomicUsize>);

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.1.fetch_add(1, SeqCst);
        self.0 == other.0
    }
}

impl Eq for Key {}

const WAITERS: usize = 20;

/// A store of one shard, in which key 1 is about to be computed.
struct Gate<V> {
    store: Arc<Store<Key, V>>,
    key: Key,
    /// How many functions have been called.
    computed: AtomicUsize,
    open: Sender<()>,
}

/// The leader's side of a [`Gate`].
struct Leader {
    computing: Sender<()>,
    go_on: Receiver<()>,
}

impl<V: Clone + Send + Sync> Gate<V> {
    fn new() -> (Self, Leader, Receiver<()>) {
        let ((computing, started), (open, go_on)) = (channel(), channel());
        let key = Key(1, Arc::default());
        let store = Arc::new(Store::with_shards(1));
        let gate = Gate { store, key, computed: AtomicUsize::new(0), open };
        (gate, Leader { computing, go_on }, started)
    }

    /// Leads the flight: computes until the gate opens.
    fn lead<E: Clone + Send + Sync + 'static>(
        &self,
        leader: Leader,
        result: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        self.store.try_get_or_compute(self.key.clone(), |_| {
            self.computed.fetch_add(1, SeqCst);
            leader.computing.send(()).unwrap();
            leader.go_on.recv().unwrap();
            result()
        })
    }

    /// Asks for the key. Its function returns `own`.
    fn ask<E: Clone + Send + Sync + 'static>(&self, own: Result<V, E>) -> Result<V, E> {
        self.store.try_get_or_compute(self.key.clone(), |_| {
            self.computed.fetch_add(1, SeqCst);
            own
        })
    }

    /// Starts threads, and returns when all of them wait for the leader.
    fn waiters<'s, 'e, R: Send + 's>(
        &'s self,
        s: &'s Scope<'s, 'e>,
        count: usize,
        ask: impl Fn(usize) -> R + Clone + Send + 's,
    ) -> Vec<ScopedJoinHandle<'s, R>> {
        let compared = self.key.1.load(SeqCst);
        let spawn = |number| {
            let ask = ask.clone();
            s.spawn(move || ask(number))
        };
        let waiters = (0..count).map(spawn).collect();
        until(&self.key.1, compared + count);
        waiters
    }

    fn open(&self) {
        self.open.send(()).unwrap();
    }

    fn computed(&self) -> usize {
        self.computed.load(SeqCst)
    }
}

fn results<R>(threads: Vec<ScopedJoinHandle<'_, R>>) -> Vec<R> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// The old value isn't inserted, whichever of the two computations ends first.
#[test]
fn calls_before_a_removal_get_the_old_value_and_calls_after_it_compute_anew() {
    watchdog(|| {
        let (gate, leader, started) = Gate::<u32>::new();
        thread::scope(|s| {
            let leads = s.spawn(|| gate.lead(leader, || Ok::<_, ()>(1)));
            started.recv().unwrap();
            let waiters = gate.waiters(s, WAITERS, |_| gate.ask(Err(())));
            // The removal doesn't wait for the flight.
            assert_eq!(gate.store.remove(&gate.key), None);
            assert_eq!(gate.ask(Ok::<_, ()>(2)), Ok(2));
            assert_eq!(gate.store.get(&gate.key), Some(2));
            gate.open();
            assert_eq!(leads.join().unwrap(), Ok(1));
            assert!(results(waiters).iter().all(|it| *it == Ok(1)));
        });
        assert_eq!((gate.store.get(&gate.key), gate.computed()), (Some(2), 2));
    });
}

#[test]
fn a_value_inserted_meanwhile_is_what_all_get() {
    watchdog(|| {
        let (gate, leader, started) = Gate::<u32>::new();
        thread::scope(|s| {
            let leads = s.spawn(|| gate.lead(leader, || Ok::<_, ()>(1)));
            started.recv().unwrap();
            let waiters = gate.waiters(s, WAITERS, |_| gate.ask(Err(())));
            assert_eq!(gate.store.insert(gate.key.clone(), 5), None);
            gate.open();
            assert_eq!(leads.join().unwrap(), Ok(5));
            assert!(results(waiters).iter().all(|it| *it == Ok(5)));
        });
        assert_eq!((gate.store.get(&gate.key), gate.computed()), (Some(5), 1));
    });
}

#[test]
fn calls_that_wait_for_a_failure_share_it() {
    watchdog(|| {
        for removes in [false, true] {
            let (gate, leader, started) = Gate::<u32>::new();
            thread::scope(|s| {
                let leads = s.spawn(|| gate.lead(leader, || Err("the leader's")));
                started.recv().unwrap();
                let waiters = gate.waiters(s, WAITERS, |_| gate.ask(Err("its own")));
                if removes {
                    gate.store.clear();
                }
                gate.open();
                assert_eq!(leads.join().unwrap(), Err("the leader's"));
                assert!(results(waiters).iter().all(|it| *it == Err("the leader's")));
            });
            assert_eq!(gate.computed(), 1);
            // The store doesn't keep it.
            assert_eq!(gate.ask(Err("later")), Err("later"));
            assert_eq!(gate.ask(Ok::<_, ()>(7)), Ok(7));
        }
    });
}

/// Waiters with the leader's error type get its error. Of the others one computes, and the rest get its value.
#[test]
fn a_failure_is_shared_by_waiters_with_its_type() {
    #[derive(Debug, PartialEq)]
    enum Got {
        Text(Result<u32, &'static str>),
        Number(Result<u32, u8>),
        Value(u32),
    }
    watchdog(|| {
        let (gate, leader, started) = Gate::<u32>::new();
        thread::scope(|s| {
            let leads = s.spawn(|| gate.lead(leader, || Err("none")));
            started.recv().unwrap();
            let waiters = gate.waiters(s, 3 * WAITERS, |number| match number % 3 {
                0 => Got::Text(gate.ask(Err("its own"))),
                1 => Got::Number(gate.ask(Ok(7))),
                _ => Got::Value(gate.store.get_or_compute(gate.key.clone(), |_| {
                    gate.computed.fetch_add(1, SeqCst);
                    7
                })),
            });
            gate.open();
            assert_eq!(leads.join().unwrap(), Err("none"));
            for (number, got) in results(waiters).into_iter().enumerate() {
                let expected = [Got::Text(Err("none")), Got::Number(Ok(7)), Got::Value(7)];
                assert_eq!(got, expected[number % 3]);
            }
        });
        assert_eq!((gate.store.get(&gate.key), gate.computed()), (Some(7), 2));
    });
}

#[test]
fn after_a_panic_one_of_the_waiters_computes_for_all() {
    watchdog(|| {
        let (gate, leader, started) = Gate::<u32>::new();
        thread::scope(|s| {
            let leads = s.spawn(|| {
                gate.lead(leader, || -> Result<u32, ()> { resume_unwind(Box::new("no value")) })
            });
            started.recv().unwrap();
            let waiters = gate.waiters(s, WAITERS, |number| gate.ask(Ok::<_, ()>(number as u32)));
            gate.open();
            assert_eq!(leads.join().unwrap_err().downcast_ref(), Some(&"no value"));
            let values = results(waiters);
            assert!(values.iter().all(|it| *it == values[0]), "{values:?}");
        });
        assert_eq!(gate.computed(), 2);
    });
}

/// Each caller gets the panic of its own function.
#[test]
fn if_all_functions_panic_each_caller_gets_its_own_panic() {
    watchdog(|| {
        let (gate, leader, started) = Gate::<u32>::new();
        let panics = |number: usize| -> Result<u32, ()> { resume_unwind(Box::new(number)) };
        thread::scope(|s| {
            let leads = s.spawn(|| gate.lead(leader, || panics(WAITERS)));
            started.recv().unwrap();
            let gate = &gate;
            let asks = move |number| {
                let asks = || {
                    gate.store.try_get_or_compute(gate.key.clone(), |_| {
                        gate.computed.fetch_add(1, SeqCst);
                        panics(number)
                    })
                };
                let payload = catch_unwind(AssertUnwindSafe(asks)).unwrap_err();
                payload.downcast_ref::<usize>().copied()
            };
            let waiters = gate.waiters(s, WAITERS, asks);
            gate.open();
            assert_eq!(leads.join().unwrap_err().downcast_ref(), Some(&WAITERS));
            for (number, seen) in results(waiters).into_iter().enumerate() {
                assert_eq!(seen, Some(number));
            }
        });
        assert_eq!((gate.computed(), gate.store.len()), (1 + WAITERS, 0));
    });
}

/// A value whose `Clone` calls the store, and waits until all clones have begun.
struct Meets {
    clones: Arc<AtomicUsize>,
    store: Arc<Store<Key, Meets>>,
    counted: Counted,
}

impl Clone for Meets {
    fn clone(&self) -> Self {
        // The first is the leader's, before it completes.
        if self.clones.fetch_add(1, SeqCst) > 0 {
            let key = Key(1, Arc::default());
            assert_eq!(self.store.try_contains_key(&key), Ok(true), "cloned under a lock");
            until(&self.clones, 1 + WAITERS);
        }
        let counted = self.counted.clone();
        Meets { clones: self.clones.clone(), store: self.store.clone(), counted }
    }
}

/// All waiters' clones begin before one ends. None is needless, and each is dropped once.
#[test]
fn waiters_clone_the_value_in_parallel_and_without_a_lock() {
    watchdog(|| {
        let (gate, leader, started) = Gate::<Meets>::new();
        let (counted, drops) = Counted::new();
        let (clones, store) = (Arc::default(), gate.store.clone());
        let value = Meets { clones: Arc::clone(&clones), store, counted };
        thread::scope(|s| {
            let leads = s.spawn(|| gate.lead(leader, || Ok::<_, ()>(value)).is_ok());
            started.recv().unwrap();
            let waiters = gate.waiters(s, WAITERS, |_| gate.ask(Err(())).is_ok());
            gate.open();
            assert!(leads.join().unwrap());
            assert!(results(waiters).into_iter().all(|it| it));
        });
        // One for the table, one for each call but perhaps the last, which takes the shared one.
        let cloned = clones.load(SeqCst);
        assert!([1 + WAITERS, 2 + WAITERS].contains(&cloned), "{cloned} clones");
        assert_eq!(drops.load(SeqCst), cloned);
        gate.store.clear();
        assert_eq!(drops.load(SeqCst), cloned + 1);
    });
}

/// If a waiter's `Clone` panics, only that waiter does: the value is in the store, and the others get theirs.
#[test]
fn a_clone_that_panics_is_its_callers_own() {
    #[derive(Debug, PartialEq)]
    struct Value(u32);
    impl Clone for Value {
        fn clone(&self) -> Self {
            if thread::current().name() == Some("fails") {
                resume_unwind(Box::new("clone"));
            }
            Value(self.0)
        }
    }
    watchdog(|| {
        let (gate, leader, started) = Gate::<Value>::new();
        thread::scope(|s| {
            let gate = &gate;
            let leads = s.spawn(|| gate.lead(leader, || Ok::<_, ()>(Value(7))));
            started.recv().unwrap();
            let fails = thread::Builder::new().name("fails".to_owned());
            let fails = fails.spawn_scoped(s, || gate.ask::<()>(Err(()))).unwrap();
            until(&gate.key.1, 1);
            let waiters = gate.waiters(s, 3, |_| gate.ask(Err(())));
            gate.open();
            match fails.join() {
                Err(payload) => assert_eq!(payload.downcast_ref(), Some(&"clone")),
                // The last call of all takes the value itself.
                Ok(value) => assert_eq!(value, Ok(Value(7))),
            }
            assert_eq!(results(waiters), [(); 3].map(|()| Ok(Value(7))));
            assert_eq!(leads.join().unwrap(), Ok(Value(7)));
        });
        assert_eq!(gate.store.with(&gate.key, |it| it.0), Some(7));
        assert_eq!(gate.computed(), 1);
    });
}

//! What a call was given and hasn't used is dropped without a lock, also if user code panics under the lock. Otherwise a
//! `Drop` that calls the store would panic during the unwinding, and abort the process.

mod common;

use common::{ignore, watchdog};
use phalanx::Store;
use phalanx::store::Entry;
use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};

type Users = Store<Key, Uses>;

thread_local! {
    /// Calls of user code until one panics.
    static FUSE: Cell<usize> = const { Cell::new(usize::MAX) };
    static STORE: RefCell<Weak<Users>> = RefCell::default();
    /// How many [`Uses`] there are, and how many drops of them the store has refused.
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
    /// What called closures moved out of the lock.
    static KEPT: RefCell<Vec<Uses>> = const { RefCell::new(Vec::new()) };
    /// Whether owned keys differ from the names they are made of.
    static LIES: Cell<bool> = const { Cell::new(false) };
}

fn burn() {
    let left = FUSE.get();
    if left == 0 {
        FUSE.set(usize::MAX);
        resume_unwind(Box::new("burnt"));
    }
    FUSE.set(left - 1);
}

/// Calls the store when it is dropped.
#[derive(Debug)]
struct Uses;

impl Uses {
    fn new() -> Self {
        LIVE.set(LIVE.get() + 1);
        Uses
    }

    fn keep(self) {
        KEPT.with_borrow_mut(|kept| kept.push(self));
    }
}

impl Clone for Uses {
    fn clone(&self) -> Self {
        burn();
        Uses::new()
    }
}

impl Drop for Uses {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
        let store = STORE.with_borrow(Weak::upgrade);
        if store.is_some_and(|it| catch_unwind(AssertUnwindSafe(|| it.len())).is_err()) {
            REFUSED.set(REFUSED.get() + 1);
        }
    }
}

#[derive(Debug)]
struct Name(u32);

impl Hash for Name {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        burn();
        self.0.hash(hasher);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}

impl Eq for Name {}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Key(Name, Pad);

/// Makes keys call the store too.
#[derive(Clone, Debug)]
struct Pad(Uses);

impl Hash for Pad {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialEq for Pad {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Pad {}

impl Clone for Name {
    fn clone(&self) -> Self {
        burn();
        Name(self.0)
    }
}

impl Borrow<Name> for Key {
    fn borrow(&self) -> &Name {
        &self.0
    }
}

impl From<&Name> for Key {
    fn from(name: &Name) -> Self {
        burn();
        key(name.0 + u32::from(LIES.get()))
    }
}

fn key(n: u32) -> Key {
    Key(Name(n), Pad(Uses::new()))
}

/// A closure that owns a [`Uses`], and moves it out of the lock when it is called.
macro_rules! owner {
    (|$argument:pat_param| $result:expr) => {{
        let uses = Uses::new();
        move |$argument| {
            uses.keep();
            burn();
            $result
        }
    }};
}

/// A closure that can be called any number of times.
macro_rules! visitor {
    ($result:expr) => {{
        let uses = Uses::new();
        move |_, _| {
            let _ = &uses;
            burn();
            $result
        }
    }};
}

/// A closure that makes a value.
fn maker() -> impl FnOnce() -> Uses {
    let make = owner!(|()| Uses::new());
    move || make(())
}

/// Makes a call with each user code in it panicking in turn, on a store with one full shard.
fn is_clean(name: &str, reads: u32, call: &dyn Fn(&Users, u32)) {
    for (is_there, n) in [(true, 3), (false, 1000)] {
        for at in 0.. {
            let store = Arc::new(Store::with_shards(1));
            STORE.set(Arc::downgrade(&store));
            let mut keys = 0;
            while keys < 20 || store.len() < store.capacity() {
                store.insert(key(keys), Uses::new());
                keys += 1;
            }
            (0..reads).for_each(|_| assert!(store.contains_key(&Name(1))));
            FUSE.set(at);
            let outcome = catch_unwind(AssertUnwindSafe(|| call(&store, n)));
            FUSE.set(usize::MAX);
            drop(KEPT.take());
            let here = format!("{name}, of a key that is there: {is_there}, with a panic at {at}");
            assert_eq!(REFUSED.replace(0), 0, "dropped under the lock: {here}");
            assert_eq!(LIVE.get(), 2 * store.len(), "leaked, or dropped twice: {here}");
            STORE.take();
            drop(store);
            assert_eq!(LIVE.get(), 0, "{here}");
            match outcome {
                Err(payload) => assert_eq!(payload.downcast_ref(), Some(&"burnt"), "{here}"),
                Ok(()) => {
                    assert!(at > 0 || ["clear", "drain"].contains(&name), "nothing ran: {here}");
                    break;
                }
            }
        }
    }
}

type Call = (&'static str, fn(&Users, u32));

const ON_OWNED_KEYS: [Call; 12] = [
    ("insert", |it, n| ignore(it.insert(key(n), Uses::new()))),
    ("insert_if_absent", |it, n| ignore(it.insert_if_absent(key(n), Uses::new()))),
    ("upsert", |it, n| it.upsert(key(n), maker(), owner!(|_| ()))),
    ("upsert_with", |it, n| ignore(it.upsert_with(key(n), maker(), owner!(|_| ())))),
    ("entry", |it, n| it.entry(key(n), owner!(|entry| ignore(entry)))),
    ("entry that inserts", |it, n| {
        it.entry(key(n), owner!(|entry| ignore(entry.or_insert_with(Uses::new))));
    }),
    ("entry that removes", |it, n| {
        fn remove(entry: Entry<'_, Key, Uses>) -> Option<Uses> {
            match entry {
                Entry::Occupied(entry) => Some(entry.remove()),
                Entry::Vacant(_) => None,
            }
        }
        drop(it.entry(key(n), owner!(|entry| remove(entry))));
    }),
    ("try_entry", |it, n| assert!(it.try_entry(key(n), owner!(|it| ignore(it))).is_ok())),
    ("get_or_insert_with", |it, n| ignore(it.get_or_insert_with(key(n), maker()))),
    ("get_or_compute", |it, n| ignore(it.get_or_compute(key(n), owner!(|_| Uses::new())))),
    ("try_get_or_compute", |it, n| {
        ignore(it.try_get_or_compute(key(n), owner!(|_| Err(()))));
    }),
    ("extend", |mut it, n| it.extend([(key(n), Uses::new()), (key(n + 1), Uses::new())])),
];

const ON_BORROWED_KEYS: [Call; 20] = [
    ("upsert_by_ref", |it, n| it.upsert_by_ref(&Name(n), maker(), owner!(|_| ()))),
    ("entry_by_ref", |it, n| it.entry_by_ref(&Name(n), owner!(|entry| ignore(entry)))),
    ("entry_by_ref that inserts", |it, n| {
        it.entry_by_ref(&Name(n), owner!(|entry| ignore(entry.or_insert_with(Uses::new))));
    }),
    ("get_or_compute_by_ref", |it, n| {
        ignore(it.get_or_compute_by_ref(&Name(n), owner!(|_| Uses::new())));
    }),
    ("try_get_or_compute_by_ref", |it, n| {
        ignore(it.try_get_or_compute_by_ref(&Name(n), owner!(|_| Err(()))));
    }),
    ("get", |it, n| ignore(it.get(&Name(n)))),
    ("with", |it, n| ignore(it.with(&Name(n), owner!(|_| ())))),
    ("with_key_value", |it, n| {
        let f = owner!(|()| ());
        ignore(it.with_key_value(&Name(n), |_, _| f(())));
    }),
    ("update", |it, n| ignore(it.update(&Name(n), owner!(|_| ())))),
    ("try_get", |it, n| assert!(it.try_get(&Name(n)).is_ok())),
    ("try_with", |it, n| assert!(it.try_with(&Name(n), owner!(|_| ())).is_ok())),
    ("try_update", |it, n| assert!(it.try_update(&Name(n), owner!(|_| ())).is_ok())),
    ("remove", |it, n| ignore(it.remove(&Name(n)))),
    ("remove_entry", |it, n| ignore(it.remove_entry(&Name(n)))),
    ("remove_if", |it, n| ignore(it.remove_if(&Name(n), owner!(|_| true)))),
    ("try_remove_if", |it, n| ignore(it.try_remove_if(&Name(n), owner!(|_| false)))),
    ("with_many", |it, n| it.with_many([&Name(n), &Name(1)], owner!(|_| ()))),
    ("try_with_many", |it, n| {
        ignore(it.try_with_many([&Name(n), &Name(n)], owner!(|_| ())));
    }),
    ("with_many_slice", |it, n| it.with_many_slice(&[&Name(n), &Name(1)], owner!(|_| ()))),
    ("try_with_many_slice", |it, n| {
        ignore(it.try_with_many_slice(&[&Name(n), &Name(1)], owner!(|_| ())));
    }),
];

const ON_ALL: [Call; 8] = [
    ("for_each", |it, _| it.for_each(visitor!(()))),
    ("try_for_each", |it, _| {
        let _ = it.try_for_each(visitor!(ControlFlow::<()>::Continue(())));
    }),
    ("for_each_mut", |it, _| it.for_each_mut(visitor!(()))),
    ("retain", |it, _| it.retain(visitor!(false))),
    ("snapshot", |it, _| ignore(it.snapshot())),
    ("clone", |it, _| ignore(it.clone())),
    ("clear", |it, _| it.clear()),
    ("drain", |it, _| ignore(it.drain())),
];

#[test]
fn what_a_panicking_call_has_not_used_is_dropped_outside_of_the_lock() {
    watchdog(|| {
        for (name, call) in ON_OWNED_KEYS.into_iter().chain(ON_BORROWED_KEYS).chain(ON_ALL) {
            is_clean(name, 0, &call);
        }
    });
}

/// The same with biased reads.
#[test]
fn what_a_panicking_biased_read_has_not_used_is_dropped_outside_of_the_lock() {
    watchdog(|| {
        for (name, call) in ON_OWNED_KEYS.into_iter().chain(ON_BORROWED_KEYS) {
            if ["get_or_compute", "get_or_insert_with", "get", "with"].contains(&name) {
                is_clean(name, 20_000, &call);
            }
        }
    });
}

/// The owned key itself, and the value that was to be inserted with it.
#[test]
fn what_goes_with_an_unequal_owned_key_is_dropped_outside_of_the_lock() {
    watchdog(|| {
        let calls: [fn(&Users); 3] = [
            |it| it.upsert_by_ref(&Name(50), Uses::new, |_| ()),
            |it| it.entry_by_ref(&Name(50), |entry| ignore(entry.or_insert(Uses::new()))),
            |it| ignore(it.get_or_compute_by_ref(&Name(50), |_| Uses::new())),
        ];
        for call in calls {
            let store = Arc::new(Store::with_shards(1));
            STORE.set(Arc::downgrade(&store));
            LIES.set(true);
            let seen = common::panic_of(|| call(&store));
            LIES.set(false);
            assert!(seen.message.contains("is not equal to it"), "{}", seen.message);
            assert_eq!((REFUSED.get(), LIVE.get(), store.len()), (0, 0, 0));
        }
    });
}

//! The optional features: guards that keep their lock alive; locks, stores and counters that serialize.

mod common;

use common::{ignore, panic_of, watchdog};
use phalanx::{
    ArcMutexGuard, ArcRwMutexReadGuard, ArcRwMutexUpgradableReadGuard, ArcRwMutexWriteGuard, Mutex,
    RwMutex, SafeCounter, Store,
};
use serde::ser::{Serialize, Serializer};
use std::sync::{Arc, Weak};
use std::thread;

#[test]
fn a_guard_keeps_its_lock_alive_and_goes_to_other_threads() {
    let mutex = Arc::new(Mutex::new(String::from("kept")));
    let weak = Arc::downgrade(&mutex);
    let guard: ArcMutexGuard<String> = mutex.lock_arc();
    drop(mutex);
    thread::spawn(move || assert_eq!(*guard, "kept")).join().unwrap();
    assert!(weak.upgrade().is_none());
}

#[test]
fn an_rw_mutex_in_an_arc_is_read_upgraded_and_written() {
    let lock = Arc::new(RwMutex::new(1));
    let read: ArcRwMutexReadGuard<i32> = lock.read_arc();
    let upgradable: ArcRwMutexUpgradableReadGuard<i32> = lock.upgradable_read_arc();
    assert_eq!(*read + *upgradable, 2);
    drop(read);
    let mut write: ArcRwMutexWriteGuard<i32> = ArcRwMutexUpgradableReadGuard::upgrade(upgradable);
    *write += 1;
    drop(write);
    assert_eq!(*lock.read(), 2);
}

#[test]
fn locks_serialize_as_what_they_protect() {
    let json = serde_json::to_string(&(Mutex::new(1), RwMutex::new("two"))).unwrap();
    assert_eq!(json, r#"[1,"two"]"#);
    let (one, two): (Mutex<u32>, RwMutex<String>) = serde_json::from_str(&json).unwrap();
    assert_eq!((one.into_inner(), two.into_inner().as_str()), (1, "two"));
}

#[test]
fn stores_serialize_as_maps() {
    let store: Store<String, u32> = (0..100).map(|n| (n.to_string(), n)).collect();
    let json = serde_json::to_string(&store).unwrap();
    let back: Store<String, u32> = serde_json::from_str(&json).unwrap();
    let sorted = |store: Store<String, u32>| {
        let mut entries: Vec<_> = store.into_iter().collect();
        entries.sort_unstable();
        entries
    };
    assert_eq!(sorted(back), sorted(store));
    // The last value of a key stays.
    let twice: Store<String, u32> = serde_json::from_str(r#"{"a":1,"a":2}"#).unwrap();
    assert_eq!((twice.len(), twice.get("a")), (1, Some(2)));
    let error = serde_json::from_str::<Store<u32, u32>>("[1]").unwrap_err();
    assert!(error.to_string().contains("expected a map"), "{error}");
}

#[test]
fn counters_serialize_as_numbers_by_themselves_and_in_stores() {
    let counts: [SafeCounter; 3] = [i64::MIN, -1, i64::MAX].map(SafeCounter::from);
    let json = serde_json::to_string(&counts).unwrap();
    assert_eq!(json, "[-9223372036854775808,-1,9223372036854775807]");
    let back: [SafeCounter; 3] = serde_json::from_str(&json).unwrap();
    assert_eq!(back.map(|count| count.get()), [i64::MIN, -1, i64::MAX]);
    let views = Store::from([("index", SafeCounter::from(2))]);
    views.with("index", SafeCounter::increment);
    let json = serde_json::to_string(&views).unwrap();
    assert_eq!(json, r#"{"index":3}"#);
    let back: Store<String, SafeCounter> = serde_json::from_str(&json).unwrap();
    assert_eq!(back.with("index", SafeCounter::get), Some(3));
    assert!(serde_json::from_str::<SafeCounter>("9223372036854775808").is_err());
}

#[test]
fn a_store_in_use_by_this_thread_is_an_error_to_serialize() {
    const RULE: &str = "the Store is in use by this thread";
    watchdog(|| {
        // Reads that lock, and reads that bypass the lock.
        for reads in [0, 20_000] {
            let store = Store::from([(1, 1)]);
            (0..reads).for_each(|_| assert_eq!(store.get(&1), Some(1)));
            let refused = || {
                assert_eq!(serde_json::to_string(&store).unwrap_err().to_string(), RULE);
                // Another store isn't in use.
                assert_eq!(serde_json::to_string(&Store::from([(2, 2)])).unwrap(), r#"{"2":2}"#);
            };
            store.with(&1, |_| refused());
            store.update(&1, |_| refused());
            store.for_each(|_, _| refused());
            // From within another store's closure, too.
            let other = Store::from([(1, 1)]);
            store.with(&1, |_| other.update(&1, |_| refused()));
            assert_eq!(serde_json::to_string(&store).unwrap(), r#"{"1":1}"#);
        }
    });
}

/// A value's `Serialize` runs under the locks of all shards.
#[test]
fn a_value_that_serializes_its_own_store_gets_an_error() {
    struct Own(Weak<Store<u32, Own>>);
    impl Serialize for Own {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let store = self.0.upgrade().expect("is being serialized");
            let seen = panic_of(|| ignore(store.remove(&1)));
            assert!(seen.message.starts_with("Store: called from inside the same store"));
            store.serialize(serializer)
        }
    }
    watchdog(|| {
        let store = Arc::new(Store::new());
        store.insert(1, Own(Arc::downgrade(&store)));
        let error = serde_json::to_string(&*store).unwrap_err();
        assert_eq!(error.to_string(), "the Store is in use by this thread");
        // Nothing stays locked.
        assert!(store.remove(&1).is_some());
        assert_eq!(serde_json::to_string(&*store).unwrap(), "{}");
    });
}

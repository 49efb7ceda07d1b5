//! Reserved capacity: too much of it is an error or a panic, and the store stays usable.

mod common;

use common::{Counted, ignore, panic_of};
use phalanx::Store;
use phalanx::store::TryReserveError;
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::panic::catch_unwind;
use std::sync::atomic::Ordering::SeqCst;

/// More than any address space holds, in entries and in bytes.
const TOO_MUCH: [usize; 5] =
    [usize::MAX, usize::MAX - 1, usize::MAX / 2, isize::MAX as usize, usize::MAX / 8];
/// A valid request that no machine can grant: thousands of terabytes.
#[cfg(target_pointer_width = "64")]
const MORE_THAN_THERE_IS: [usize; 3] = [1 << 50, 1 << 54, 1 << 56];

#[test]
fn reserving_too_much_panics_as_a_hash_map_does_and_loses_nothing() {
    let (value, drops) = Counted::new();
    let store: Store<u32, Counted> = (0..100).map(|key| (key, value.clone())).collect();
    let capacity = store.capacity();
    for additional in TOO_MUCH {
        let mut map = HashMap::from([(1_u32, value.clone())]);
        assert!(panic_of(|| map.reserve(additional)).message.contains("capacity overflow"));
        drop(map);
        let seen = panic_of(|| store.reserve(additional));
        assert_eq!(seen.message, "Store: capacity overflow");
        assert!(seen.file.ends_with("store_reserve.rs"), "{seen:?}");
        assert_eq!(store.try_reserve(additional), Err(TryReserveError::CapacityOverflow));
    }
    drops.store(0, SeqCst);
    assert_eq!((store.len(), store.capacity()), (100, capacity));
    assert!((0..100).all(|key| store.contains_key(&key)));
    store.insert(100, value);
    store.reserve(1000);
    assert!(store.capacity() - store.len() >= 1000);
    assert_eq!(store.drain().len(), 101);
    assert_eq!(drops.load(SeqCst), 101);
}

/// For entries of any size, in few shards and in many.
#[test]
fn every_kind_of_store_refuses_too_large_a_capacity() {
    fn check<K: std::hash::Hash + Eq, V>() {
        for shards in [1, 2, 64, 65_536] {
            let store = Store::<K, V>::with_shards(shards);
            for additional in TOO_MUCH {
                let error = store.try_reserve(additional).unwrap_err();
                assert_eq!(
                    error,
                    TryReserveError::CapacityOverflow,
                    "{additional}, {shards} shards"
                );
            }
            assert_eq!((store.len(), store.try_reserve(0)), (0, Ok(())));
        }
        for capacity in TOO_MUCH {
            let with_capacity = || ignore(Store::<K, V>::with_capacity(capacity));
            assert_eq!(panic_of(with_capacity).message, "Store: capacity overflow");
            let hashed =
                || ignore(Store::<K, V>::with_capacity_and_hasher(capacity, RandomState::new()));
            let seen = panic_of(hashed);
            assert_eq!(seen.message, "Store: capacity overflow");
            assert!(seen.file.ends_with("store_reserve.rs"), "{seen:?}");
        }
    }
    check::<u64, u64>();
    check::<u8, ()>();
    check::<(), [u8; 4096]>();
    check::<String, String>();
}

#[test]
#[cfg(target_pointer_width = "64")]
fn what_the_allocator_refuses_is_an_error_and_no_abort() {
    for shards in [1, 128] {
        let store = Store::<u64, u64>::with_shards(shards);
        store.insert(1, 1);
        let capacity = store.capacity();
        for additional in MORE_THAN_THERE_IS {
            assert_eq!(store.try_reserve(additional), Err(TryReserveError::OutOfMemory));
            assert_eq!(panic_of(|| store.reserve(additional)).message, "Store: out of memory");
            let with_capacity = || ignore(Store::<u64, u64>::with_capacity(additional));
            assert_eq!(panic_of(with_capacity).message, "Store: out of memory");
        }
        assert_eq!((store.get(&1), store.len(), store.capacity()), (Some(1), 1, capacity));
    }
}

#[test]
fn reserved_capacity_is_there() {
    let store = Store::<u32, u32>::with_shards(8);
    assert_eq!(store.try_reserve(1000), Ok(()));
    let capacity = store.capacity();
    assert!(capacity >= 1000);
    // Each shard's share is there already.
    assert_eq!((store.try_reserve(1000), store.capacity()), (Ok(()), capacity));
    (0..500).for_each(|key| ignore(store.insert(key, key)));
    assert_eq!(store.try_reserve(capacity), Ok(()));
    assert!(store.capacity() >= capacity + 500);
    assert!((0..500).all(|key| store.get(&key) == Some(key)));
    let store = Store::<u32, u32>::with_capacity(10_000);
    assert!(store.capacity() >= 10_000);
    let error = TryReserveError::CapacityOverflow;
    assert_eq!((error.to_string().as_str(), error), ("capacity overflow", error));
    assert_eq!(TryReserveError::OutOfMemory.to_string(), "out of memory");
}

/// Keys are hashed while a table grows.
#[test]
fn a_hasher_that_panics_in_a_reservation_loses_nothing() {
    thread_local! {
        static LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
    }
    #[derive(Clone, Default)]
    struct Fragile(RandomState);
    impl BuildHasher for Fragile {
        type Hasher = <RandomState as BuildHasher>::Hasher;
        fn build_hasher(&self) -> Self::Hasher {
            LEFT.set(LEFT.get() - 1);
            assert!(LEFT.get() > 0, "no hash");
            self.0.build_hasher()
        }
    }
    let store = Store::with_shards_and_hasher(4, Fragile::default());
    (0..100).for_each(|key| ignore(store.insert(key, key)));
    LEFT.set(30);
    assert_eq!(panic_of(|| store.try_reserve(10_000)).message, "no hash");
    LEFT.set(u32::MAX);
    assert!((0..100).all(|key| store.get(&key) == Some(key)));
    assert_eq!((store.try_reserve(10_000), store.len()), (Ok(()), 100));
    assert!(store.capacity() >= 10_100);
}

/// `Store` is unwind safe, without an `AssertUnwindSafe`.
#[test]
fn a_store_is_used_again_after_a_panic_without_a_wrapper() {
    let store = Store::from([(1, 1)]);
    assert!(catch_unwind(|| store.reserve(usize::MAX)).is_err());
    assert!(catch_unwind(|| store.update(&1, |_| panic!("boom"))).is_err());
    assert_eq!(store.get(&1), Some(1));
}

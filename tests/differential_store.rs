//! The store against std's map: the same calls in the same order give the same results.

mod common;

use phalanx::Store;
use phalanx::store::Entry;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;
use std::collections::hash_map;
use std::ops::Range;

#[derive(Clone, Debug)]
enum Call {
    Get(u8),
    Insert(u8, u32),
    InsertIfAbsent(u8, u32),
    Update(u8, u32),
    Upsert(u8, u32),
    Remove(u8),
    RemoveIf(u8, u32),
    TakeEntry(u8),
    Compute(u8, u32),
    WithMany(u8, u8, u32),
    Retain(u32),
    Extend(Range<u8>),
    Drain,
    Clear,
    Reserve(u16),
    Shrink,
    /// So many reads that the store favours them, or writes that it doesn't.
    Favour(bool),
}

fn calls() -> impl Strategy<Value = Call> {
    use Call::*;
    let key = 0..40_u8;
    let value = 0..1000_u32;
    prop_oneof![
        6 => key.clone().prop_map(Get),
        6 => (key.clone(), value.clone()).prop_map(|(k, v)| Insert(k, v)),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| InsertIfAbsent(k, v)),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| Update(k, v)),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| Upsert(k, v)),
        4 => key.clone().prop_map(Remove),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| RemoveIf(k, v)),
        2 => key.clone().prop_map(TakeEntry),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| Compute(k, v)),
        2 => (key.clone(), key.clone(), value.clone()).prop_map(|(a, b, v)| WithMany(a, b, v)),
        1 => value.clone().prop_map(Retain),
        1 => (key.clone(), 0..200_u8).prop_map(|(a, b)| Extend(a..b)),
        1 => Just(Drain),
        1 => Just(Clear),
        1 => (0..500_u16).prop_map(Reserve),
        1 => Just(Shrink),
        1 => any::<bool>().prop_map(Favour),
    ]
}

fn sorted(entries: impl IntoIterator<Item = (u8, u32)>) -> Vec<(u8, u32)> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort_unstable();
    entries
}

/// Makes the call on both, and compares what they give.
fn both(store: &mut Store<u8, u32>, map: &mut HashMap<u8, u32>, call: Call) {
    match call {
        Call::Get(k) => {
            assert_eq!(store.get(&k), map.get(&k).copied());
            assert_eq!(store.contains_key(&k), map.contains_key(&k));
        }
        Call::Insert(k, v) => assert_eq!(store.insert(k, v), map.insert(k, v)),
        Call::InsertIfAbsent(k, v) => {
            let absent = !map.contains_key(&k);
            map.entry(k).or_insert(v);
            assert_eq!(store.insert_if_absent(k, v), if absent { Ok(()) } else { Err(v) });
        }
        Call::Update(k, v) => {
            let update = |it: &mut u32| std::mem::replace(it, v);
            assert_eq!(store.update(&k, update), map.get_mut(&k).map(update));
        }
        Call::Upsert(k, v) => {
            store.upsert(k, || v, |it| *it += v);
            map.entry(k).and_modify(|it| *it += v).or_insert(v);
        }
        Call::Remove(k) => assert_eq!(store.remove_entry(&k), map.remove_entry(&k)),
        Call::RemoveIf(k, v) => {
            let gone = map.get(&k).is_some_and(|it| *it < v).then(|| map.remove(&k)).flatten();
            assert_eq!(store.remove_if(&k, |it| *it < v), gone);
        }
        Call::TakeEntry(k) => {
            let from_store = store.entry(k, |entry| match entry {
                Entry::Occupied(entry) => Some(entry.remove()),
                Entry::Vacant(_) => None,
            });
            let from_map = match map.entry(k) {
                hash_map::Entry::Occupied(entry) => Some(entry.remove()),
                hash_map::Entry::Vacant(_) => None,
            };
            assert_eq!(from_store, from_map);
        }
        Call::Compute(k, v) => {
            assert_eq!(store.get_or_compute(k, |_| v), *map.entry(k).or_insert(v));
        }
        Call::WithMany(a, b, v) if a != b => {
            let change = |values: [Option<&mut u32>; 2]| {
                values.map(|value| value.map(|it| std::mem::replace(it, v)))
            };
            let from_map = change(map.get_disjoint_mut([&a, &b]));
            assert_eq!(store.with_many([&a, &b], change), from_map);
        }
        Call::WithMany(..) => {}
        Call::Retain(v) => {
            let keep = |_: &u8, it: &mut u32| {
                *it ^= 1;
                *it < v
            };
            store.retain(keep);
            map.retain(keep);
        }
        Call::Extend(keys) => {
            let entries = || keys.clone().map(|key| (key, u32::from(key) * 3));
            store.extend(entries());
            map.extend(entries());
        }
        Call::Drain => assert_eq!(sorted(store.drain()), sorted(map.drain())),
        Call::Clear => {
            store.clear();
            map.clear();
        }
        Call::Reserve(n) => store.reserve(n.into()),
        Call::Shrink => store.shrink_to_fit(),
        Call::Favour(true) => (0..6000).for_each(|n| common::ignore(store.get(&(n as u8)))),
        Call::Favour(false) => {
            (0..6000).for_each(|n| common::ignore(store.update(&(n as u8), |_| ())));
        }
    }
    assert_eq!((store.len(), store.is_empty()), (map.len(), map.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_store_is_a_map(calls in vec(calls(), 1..150), shards in prop_oneof![Just(1), Just(8)]) {
        let (mut store, mut map) = (Store::with_shards(shards), HashMap::new());
        for call in calls {
            both(&mut store, &mut map, call);
        }
        assert_eq!(sorted(store.snapshot()), sorted(map.clone()));
        assert_eq!(store.keys().len(), map.len());
        assert_eq!(sorted(store), sorted(map));
    }
}

//! The store against std's map: the same calls in the same order give the same results.

#[path = "../../common/mod.rs"]
mod common;

use phalanx::Store;
use phalanx::store::{Entry, NotRemoved};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;
use std::collections::hash_map;
use std::ops::{ControlFlow, Range};

#[derive(Clone, Debug)]
enum Call {
    Get(u8),
    Insert(u8, u32),
    InsertIfAbsent(u8, u32),
    Update(u8, u32),
    Upsert(u8, u32),
    Remove(u8),
    RemoveIf(u8, u32),
    TryRemoveIf(u8, u32),
    GetKeyValue(u8),
    UpsertWith(u8, u32),
    GetOrInsertWith(u8, u32),
    TakeEntry(u8),
    Compute(u8, u32),
    WithMany(u8, u8, u32),
    WithManySlice(Vec<u8>, u32),
    ForEachMut(u32),
    /// Visits so many entries.
    TryForEach(usize),
    /// Goes on with a clone of the store.
    Clone,
    /// Compares the store with a map in which one entry is changed, or none.
    Compare(u8, u32),
    ExtendByReference(Range<u8>),
    TryReserve(u16),
    Retain(u32),
    Extend(Range<u8>),
    Drain,
    Clear,
    Reserve(u16),
    Shrink,
    /// Makes so many reads that the store favours them, or so many writes that it doesn't.
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
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| TryRemoveIf(k, v)),
        2 => key.clone().prop_map(GetKeyValue),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| UpsertWith(k, v)),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| GetOrInsertWith(k, v)),
        2 => (vec(key.clone(), 0..12), value.clone()).prop_map(|(keys, v)| WithManySlice(keys, v)),
        1 => value.clone().prop_map(ForEachMut),
        1 => (0..50_usize).prop_map(TryForEach),
        1 => Just(Clone),
        2 => (key.clone(), value.clone()).prop_map(|(k, v)| Compare(k, v)),
        1 => (key.clone(), 0..60_u8).prop_map(|(a, b)| ExtendByReference(a..b)),
        1 => (0..500_u16).prop_map(TryReserve),
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

/// Makes the call on both, and compares the results.
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
        Call::TryRemoveIf(k, v) => {
            let expected = match map.get(&k) {
                None => Err(NotRemoved::Absent),
                Some(it) if *it < v => Ok(map.remove(&k).unwrap()),
                Some(_) => Err(NotRemoved::Kept),
            };
            assert_eq!(store.try_remove_if(&k, |it| *it < v), expected);
        }
        Call::GetKeyValue(k) => {
            let expected = map.get_key_value(&k).map(|(key, value)| (*key, *value));
            assert_eq!(store.get_key_value(&k), expected);
            assert_eq!(store.with_key_value(&k, |key, value| (*key, *value)), expected);
        }
        Call::UpsertWith(k, v) => {
            let update = |it: &mut u32| std::mem::replace(it, v);
            let expected = map.get_mut(&k).map(update);
            map.entry(k).or_insert(v);
            assert_eq!(store.upsert_with(k, || v, update), expected);
        }
        Call::GetOrInsertWith(k, v) => {
            assert_eq!(store.get_or_insert_with(k, || v), *map.entry(k).or_insert(v));
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
        Call::WithMany(a, b, _) => {
            let error = store.try_with_many([&a, &b], |_| unreachable!("twice")).unwrap_err();
            assert_eq!((error.first, error.second), (0, 1));
        }
        Call::WithManySlice(keys, v) => {
            let twice = (0..keys.len()).find(|&at| keys[..at].contains(&keys[at]));
            let wanted: Vec<&u8> = keys.iter().collect();
            let result = store.try_with_many_slice(&wanted, |values| -> Vec<_> {
                values
                    .iter_mut()
                    .map(|it| it.as_mut().map(|it| std::mem::replace(*it, v)))
                    .collect()
            });
            assert_eq!(result.as_ref().err().map(|error| error.second), twice);
            if let Ok(from_store) = result {
                let from_map: Vec<_> = keys
                    .iter()
                    .map(|key| map.get_mut(key).map(|it| std::mem::replace(it, v)))
                    .collect();
                assert_eq!(from_store, from_map);
            }
        }
        other => both_more(store, map, other),
    }
    assert_eq!((store.len(), store.is_empty()), (map.len(), map.is_empty()));
}

/// [`both`], for calls on the whole store.
fn both_more(store: &mut Store<u8, u32>, map: &mut HashMap<u8, u32>, call: Call) {
    match call {
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
        Call::ForEachMut(v) => {
            store.for_each_mut(|key, it| *it = *it / 2 + v + u32::from(*key));
            map.iter_mut().for_each(|(key, it)| *it = *it / 2 + v + u32::from(*key));
        }
        Call::TryForEach(most) => {
            let mut seen = 0;
            let stopped = store.try_for_each(|key, value| {
                assert_eq!(map.get(key), Some(value));
                seen += 1;
                if seen == most { ControlFlow::Break(*key) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(stopped.is_break(), (1..=map.len()).contains(&most));
            assert_eq!(seen, if stopped.is_break() { most } else { map.len() });
        }
        Call::Clone => *store = store.clone(),
        Call::Compare(k, v) => {
            let mut changed = map.clone();
            changed.insert(k, v);
            let other = Store::from(changed.clone());
            assert_eq!(*store == other, *map == changed);
            assert_eq!(other == *store, *map == changed);
            assert_eq!(*store, Store::from(map.clone()));
        }
        Call::ExtendByReference(keys) => {
            let entries: Vec<_> = keys.map(|key| (key, u32::from(key) * 5)).collect();
            store.extend(entries.iter().map(|(key, value)| (key, value)));
            map.extend(entries);
        }
        Call::TryReserve(n) => {
            assert_eq!(store.try_reserve(n.into()), Ok(()));
            // Fewer than there are shards reserve nothing.
            assert!(n < 8 || store.capacity() >= usize::from(n));
        }
        Call::Favour(true) => (0..6000).for_each(|n| common::ignore(store.get(&(n as u8)))),
        Call::Favour(false) => {
            (0..6000).for_each(|n| common::ignore(store.update(&(n as u8), |_| ())));
        }
        other => unreachable!("{other:?} is on one key or several"),
    }
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

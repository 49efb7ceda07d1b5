//! Stores as maps, to and from whatever serde speaks.

use super::Store;
use super::inside::is_inside;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

/// What a length that came from outside may reserve at once.
const TRUSTED: usize = 4096;

/// As a map, of one moment: all shards are locked for reading while they are written out. An error from
/// inside the same store.
impl<K: Serialize, V: Serialize, S> Serialize for Store<K, V, S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        if is_inside(self.shards.identity()) {
            return Err(T::Error::custom("the Store is in use by this thread"));
        }
        let (_inside, shards) = self.shards.read_all();
        let len = shards.iter().map(|shard| shard.table.len()).sum();
        let mut map = serializer.serialize_map(Some(len))?;
        for (key, value) in shards.iter().flat_map(|shard| shard.table.iter()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// From a map. The last value of a key stays.
impl<'de, K, V, S> Deserialize<'de> for Store<K, V, S>
where
    K: Deserialize<'de> + Hash + Eq,
    V: Deserialize<'de>,
    S: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V, S>(PhantomData<Store<K, V, S>>);

        impl<'de, K, V, S> Visitor<'de> for Entries<K, V, S>
        where
            K: Deserialize<'de> + Hash + Eq,
            V: Deserialize<'de>,
            S: BuildHasher + Default,
        {
            type Value = Store<K, V, S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let capacity = map.size_hint().unwrap_or(0).min(TRUSTED);
                let store = Store::with_capacity_and_hasher(capacity, S::default());
                while let Some((key, value)) = map.next_entry()? {
                    store.insert(key, value);
                }
                Ok(store)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

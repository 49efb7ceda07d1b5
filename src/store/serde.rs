//! Serialization and deserialization, as maps.

use super::map::Store;
use super::reentrancy::is_inside;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

/// The most entries that are reserved for a length that came with the data.
const MAX_TRUSTED_LEN: usize = 4096;

/// Serializes the entries of one moment as a map: all shards are locked for reading meanwhile. Fails in a closure that
/// runs on the same store.
impl<K: Serialize, V: Serialize, S> Serialize for Store<K, V, S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        if is_inside(self.shards.identity()) {
            return Err(T::Error::custom("the Store is in use by this thread"));
        }
        let shards = self.shards.read_all();
        let mut map = serializer.serialize_map(Some(shards.len()))?;
        for (key, value) in shards.entries() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Deserializes a map. If a key comes twice, its last value stays.
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
                let capacity = map.size_hint().unwrap_or(0).min(MAX_TRUSTED_LEN);
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

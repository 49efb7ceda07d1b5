//! A counter is serialized as its count.

use super::SafeCounter;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// As an `i64`: what [`get`](SafeCounter::get) returns.
impl Serialize for SafeCounter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.get())
    }
}

/// From an `i64`, at which the counter starts.
impl<'de> Deserialize<'de> for SafeCounter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(SafeCounter::from)
    }
}

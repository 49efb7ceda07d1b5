//! The types that are compared, and their adapters.

use super::{OnceCell, Task, entry};
use crate::entry::{Entry, Role};

pub fn all() -> Vec<Entry<Task>> {
    vec![
        entry::<phalanx::OnceLock<u64>>("phalanx", Role::Ours),
        entry::<std::sync::OnceLock<u64>>("std OnceLock", Role::Peer),
        entry::<once_cell::sync::OnceCell<u64>>("once_cell", Role::Peer),
    ]
}

macro_rules! adapter {
    ($t:ty) => {
        impl OnceCell for $t {
            fn new() -> Self {
                <$t>::new()
            }

            #[inline]
            fn get(&self) -> Option<&u64> {
                <$t>::get(self)
            }

            #[inline]
            fn get_or_init(&self, value: u64) -> &u64 {
                <$t>::get_or_init(self, || value)
            }
        }
    };
}

adapter!(phalanx::OnceLock<u64>);
adapter!(std::sync::OnceLock<u64>);
adapter!(once_cell::sync::OnceCell<u64>);

//! The `fetch_` methods of the model's atomics, as std has them for each kind of value.

use super::{Atomic, Ordering};

macro_rules! integers {
    ($($t:ty)*) => { $(
        integers!(@methods $t:
            fetch_add = |before, value| before.wrapping_add(value),
            fetch_sub = |before, value| before.wrapping_sub(value),
            fetch_and = |before, value| before & value,
            fetch_nand = |before, value| !(before & value),
            fetch_or = |before, value| before | value,
            fetch_xor = |before, value| before ^ value,
            fetch_max = |before, value| before.max(value),
            fetch_min = |before, value| before.min(value),
        );
    )* };
    (@methods $t:ty: $($method:ident = |$before:ident, $value:ident| $after:expr,)*) => {
        impl Atomic<$t> {
            $(
                /// As std's.
                #[track_caller]
                pub fn $method(&self, $value: $t, order: Ordering) -> $t {
                    self.fetch(order, |$before| $after)
                }
            )*
        }
    };
}

integers! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize }

impl Atomic<bool> {
    /// As std's.
    #[track_caller]
    pub fn fetch_and(&self, value: bool, order: Ordering) -> bool {
        self.fetch(order, |before| before & value)
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_nand(&self, value: bool, order: Ordering) -> bool {
        self.fetch(order, |before| !(before & value))
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_or(&self, value: bool, order: Ordering) -> bool {
        self.fetch(order, |before| before | value)
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_xor(&self, value: bool, order: Ordering) -> bool {
        self.fetch(order, |before| before ^ value)
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_not(&self, order: Ordering) -> bool {
        self.fetch(order, |before| !before)
    }
}

impl<P> Atomic<*mut P> {
    /// As std's: `count` values of `P` further.
    #[track_caller]
    pub fn fetch_ptr_add(&self, count: usize, order: Ordering) -> *mut P {
        self.fetch(order, |before| before.wrapping_add(count))
    }

    /// As std's: `count` values of `P` back.
    #[track_caller]
    pub fn fetch_ptr_sub(&self, count: usize, order: Ordering) -> *mut P {
        self.fetch(order, |before| before.wrapping_sub(count))
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_byte_add(&self, bytes: usize, order: Ordering) -> *mut P {
        self.fetch(order, |before| before.wrapping_byte_add(bytes))
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_byte_sub(&self, bytes: usize, order: Ordering) -> *mut P {
        self.fetch(order, |before| before.wrapping_byte_sub(bytes))
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_or(&self, bits: usize, order: Ordering) -> *mut P {
        self.fetch(order, |before| before.map_addr(|address| address | bits))
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_and(&self, bits: usize, order: Ordering) -> *mut P {
        self.fetch(order, |before| before.map_addr(|address| address & bits))
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_xor(&self, bits: usize, order: Ordering) -> *mut P {
        self.fetch(order, |before| before.map_addr(|address| address ^ bits))
    }
}

//! Atomics: loom's, with loads that can be made read-modify-writes.
//!
//! loom keeps one last access per atomic, so for `load; compare_exchange` against another thread's
//! load it explores one order only. With each load run as `fetch_add(0)` it explores both; but
//! then no load is ever stale. So every model runs in both modes, see [`Model`](super::Model).

use super::local;
use std::cell::Cell;
use std::fmt;

pub use loom::sync::atomic::fence;
pub use std::sync::atomic::Ordering;

std::thread_local! {
    /// Whether loads run as read-modify-writes on this OS thread, which runs the whole model.
    static RMW_LOADS: Cell<bool> = const { Cell::new(false) };
}

local! {
    /// Whether this thread of the model, for the moment, must read the newest value.
    static NEWEST: Cell<bool> = Cell::new(false);
}

/// Runs `f` with loads as read-modify-writes, or as plain loads.
pub(super) fn with_rmw_loads<R>(rmw: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            RMW_LOADS.set(self.0);
        }
    }
    let _restore = Restore(RMW_LOADS.replace(rmw));
    f()
}

/// Runs `f` with the calling thread's loads reading the newest value, as under a lock that the
/// writers' wake-ups take too.
pub(super) fn with_newest<R>(f: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            // Gone already if the thread is ending.
            let _ = NEWEST.try_with(|newest| newest.set(false));
        }
    }
    NEWEST.with(|newest| newest.set(true));
    let _restore = Restore;
    f()
}

/// Whether all loads of this run of the model are read-modify-writes.
#[cfg(test)]
pub(super) fn all_loads_are_rmw() -> bool {
    RMW_LOADS.get()
}

/// Whether the calling thread's next load is to be a read-modify-write.
fn rmw_load() -> bool {
    RMW_LOADS.get() || NEWEST.try_with(Cell::get).unwrap_or(false)
}

/// One atomic of the model. The public names are aliases of it: [`AtomicUsize`] and its like.
pub struct Atomic<T: Value>(T::Loom);

/// What an [`Atomic`] can hold.
pub trait Value: Copy + fmt::Debug {
    /// loom's atomic for it.
    type Loom;
    #[doc(hidden)]
    fn create(value: Self) -> Self::Loom;
    #[doc(hidden)]
    fn load(atomic: &Self::Loom, order: Ordering, rmw: bool) -> Self;
    #[doc(hidden)]
    fn store(atomic: &Self::Loom, value: Self, order: Ordering);
    #[doc(hidden)]
    fn swap(atomic: &Self::Loom, value: Self, order: Ordering) -> Self;
    #[doc(hidden)]
    fn exchange(
        atomic: &Self::Loom,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self>;
}

impl<T: Value> Atomic<T> {
    /// Wraps `value`. Not `const` in a model: an atomic belongs to one execution.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Atomic(T::create(value))
    }

    /// As std's.
    #[track_caller]
    pub fn load(&self, order: Ordering) -> T {
        T::load(&self.0, order, rmw_load())
    }

    /// As std's.
    #[track_caller]
    pub fn store(&self, value: T, order: Ordering) {
        T::store(&self.0, value, order);
    }

    /// As std's.
    #[track_caller]
    pub fn swap(&self, value: T, order: Ordering) -> T {
        T::swap(&self.0, value, order)
    }

    /// As std's.
    #[track_caller]
    pub fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        T::exchange(&self.0, current, new, success, failure)
    }

    /// As std's, but it never fails spuriously.
    #[track_caller]
    pub fn compare_exchange_weak(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        T::exchange(&self.0, current, new, success, failure)
    }
}

impl<T: Value> Atomic<T> {
    /// As std's.
    #[track_caller]
    pub fn into_inner(self) -> T {
        // ORDERING: Relaxed: alone with it. A read-modify-write reads the newest value.
        T::load(&self.0, Ordering::Relaxed, true)
    }

    /// As std's.
    ///
    /// # Errors
    /// The value for which `f` gave `None`.
    #[track_caller]
    pub fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        mut f: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        let mut seen = self.load(fetch_order);
        while let Some(next) = f(seen) {
            match self.compare_exchange(seen, next, set_order, fetch_order) {
                Ok(before) => return Ok(before),
                Err(now) => seen = now,
            }
        }
        Err(seen)
    }
}

impl<T: Value> From<T> for Atomic<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Atomic::new(value)
    }
}

impl<T: Value> fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A load would be a step of the model.
        f.write_str("Atomic { .. }")
    }
}

impl<T: Value + Default> Default for Atomic<T> {
    #[track_caller]
    fn default() -> Self {
        Atomic::new(T::default())
    }
}

macro_rules! integers {
    ($($name:ident: $t:ty,)*) => { $(
        #[doc = concat!("The model's `", stringify!($name), "`.")]
        pub type $name = Atomic<$t>;

        impl Value for $t {
            type Loom = loom::sync::atomic::$name;
            #[track_caller]
            fn create(value: Self) -> Self::Loom {
                Self::Loom::new(value)
            }
            #[track_caller]
            fn load(atomic: &Self::Loom, order: Ordering, rmw: bool) -> Self {
                if rmw { atomic.fetch_add(0, order) } else { atomic.load(order) }
            }
            #[track_caller]
            fn store(atomic: &Self::Loom, value: Self, order: Ordering) {
                atomic.store(value, order);
            }
            #[track_caller]
            fn swap(atomic: &Self::Loom, value: Self, order: Ordering) -> Self {
                atomic.swap(value, order)
            }
            #[track_caller]
            fn exchange(
                atomic: &Self::Loom,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, Self> {
                atomic.compare_exchange(current, new, success, failure)
            }
        }

        integers!(@methods $t: fetch_add, fetch_sub, fetch_and, fetch_nand, fetch_or, fetch_xor, fetch_max, fetch_min);
    )* };
    (@methods $t:ty: $($method:ident),*) => {
        impl Atomic<$t> {
            $(
                /// As std's.
                #[track_caller]
                pub fn $method(&self, value: $t, order: Ordering) -> $t {
                    self.0.$method(value, order)
                }
            )*
        }
    };
}

integers! {
    AtomicI8: i8,
    AtomicI16: i16,
    AtomicI32: i32,
    AtomicI64: i64,
    AtomicIsize: isize,
    AtomicU8: u8,
    AtomicU16: u16,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
}

/// The model's `AtomicBool`.
pub type AtomicBool = Atomic<bool>;

impl Value for bool {
    type Loom = loom::sync::atomic::AtomicBool;
    #[track_caller]
    fn create(value: Self) -> Self::Loom {
        Self::Loom::new(value)
    }
    #[track_caller]
    fn load(atomic: &Self::Loom, order: Ordering, rmw: bool) -> Self {
        if rmw { atomic.fetch_or(false, order) } else { atomic.load(order) }
    }
    #[track_caller]
    fn store(atomic: &Self::Loom, value: Self, order: Ordering) {
        atomic.store(value, order);
    }
    #[track_caller]
    fn swap(atomic: &Self::Loom, value: Self, order: Ordering) -> Self {
        atomic.swap(value, order)
    }
    #[track_caller]
    fn exchange(
        atomic: &Self::Loom,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self> {
        atomic.compare_exchange(current, new, success, failure)
    }
}

impl Atomic<bool> {
    /// As std's.
    #[track_caller]
    pub fn fetch_or(&self, value: bool, order: Ordering) -> bool {
        self.0.fetch_or(value, order)
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_and(&self, value: bool, order: Ordering) -> bool {
        self.0.fetch_and(value, order)
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_xor(&self, value: bool, order: Ordering) -> bool {
        self.0.fetch_xor(value, order)
    }

    /// As std's.
    #[track_caller]
    pub fn fetch_not(&self, order: Ordering) -> bool {
        self.0.fetch_xor(true, order)
    }
}

/// The model's `AtomicPtr`: the address, so that a load can be a read-modify-write.
pub type AtomicPtr<P> = Atomic<*mut P>;

impl<P> Value for *mut P {
    type Loom = loom::sync::atomic::AtomicUsize;
    #[track_caller]
    fn create(value: Self) -> Self::Loom {
        Self::Loom::new(value.expose_provenance())
    }
    #[track_caller]
    fn load(atomic: &Self::Loom, order: Ordering, rmw: bool) -> Self {
        std::ptr::with_exposed_provenance_mut(<usize as Value>::load(atomic, order, rmw))
    }
    #[track_caller]
    fn store(atomic: &Self::Loom, value: Self, order: Ordering) {
        atomic.store(value.expose_provenance(), order);
    }
    #[track_caller]
    fn swap(atomic: &Self::Loom, value: Self, order: Ordering) -> Self {
        std::ptr::with_exposed_provenance_mut(atomic.swap(value.expose_provenance(), order))
    }
    #[track_caller]
    fn exchange(
        atomic: &Self::Loom,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self> {
        atomic
            .compare_exchange(
                current.expose_provenance(),
                new.expose_provenance(),
                success,
                failure,
            )
            .map(std::ptr::with_exposed_provenance_mut)
            .map_err(std::ptr::with_exposed_provenance_mut)
    }
}

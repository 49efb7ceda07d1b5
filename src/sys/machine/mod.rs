//! The machine: std, `parking_lot` and `parking_lot_core`.

mod cpu;
mod fork;
mod heap;
mod heavy_fence;
mod park;
mod slot;
mod statics;

pub(crate) use cpu::{
    Hint, Moment, Stopwatch, can_spin, cores, prefetch, prefetch_to_write, uptime,
};
pub(crate) use fork::{PerProcess, Process};
pub(crate) use heap::{Heap, Tracked};
#[cfg(test)]
pub(crate) use heavy_fence::let_unfenced_marks_be_stores;
pub(crate) use heavy_fence::{MAY_BE_UNFENCED, has_heavy_fence, heavy_fence, prepare_heavy_fence};
pub(crate) use park::{park, park_thread_until, requeue_one, unpark_one, unpark_threads};
pub(crate) use parking_lot::Mutex;
pub(crate) use slot::Slot;
pub(crate) use statics::StaticWord;

use super::settings::Settings;
use std::hash::{BuildHasher, Hash};
use std::mem::MaybeUninit;

pub mod atomic {
    //! Atomics: std's own, and the model's in a model build.
    //!
    //! A model's atomics have all stable methods of std's but `as_ptr` and `from_ptr`: a model's
    //! atomic is more than its value. They can't be made in a `const` or a `static`: an atomic
    //! belongs to one execution.

    pub use std::sync::atomic::{
        AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8,
        AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
    };
}

pub mod hint {
    //! Hints for loops that wait.
    //!
    //! In a model [`spin_loop`] lets the other threads run, as
    //! [`yield_now`](crate::thread::yield_now) does: a loop that calls neither never ends there.
    //! Two threads that spin while a third holds what they want can take turns without end. Model a spin
    //! lock with two threads.

    pub use std::hint::spin_loop;
}

pub mod cell {
    //! A cell for a value that several threads share, accessed through closures.

    /// std's `UnsafeCell`, with the closure access that lets a model see each use.
    ///
    /// In a model build every access is checked: two of them that no happens-before orders, one
    /// of them through [`with_mut`](UnsafeCell::with_mut), fail the model as a data race.
    #[derive(Debug, Default)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Wraps `value`.
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Returns the value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Calls `f` with a pointer to read through, which must not outlive the call.
        #[inline]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls `f` with a pointer to read and write through, which must not outlive the call.
        #[inline]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

pub mod thread {
    //! Threads: std's own, and the model's in a model build.

    pub use std::thread::{
        Builder, JoinHandle, Scope, ScopedJoinHandle, Thread, ThreadId, available_parallelism,
        current, panicking, park, scope, sleep, spawn, yield_now,
    };
}

/// Whether this build explores interleavings rather than running on the machine's threads.
pub(crate) const IS_MODEL: bool = false;

/// A thread-local that needs no destructor.
macro_rules! local {
    ($(#[$attr:meta])* static $name:ident: $t:ty = $init:expr;) => {
        std::thread_local! { $(#[$attr])* static $name: $t = const { $init }; }
    };
}
pub(crate) use local;

/// Functions that are `const` on the machine; a model's atomics can't be made in a const.
macro_rules! const_fn {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $t:ty),*) -> $result:ty $body:block) => {
        $(#[$attr])* #[track_caller] $vis const fn $name($($arg: $t),*) -> $result $body
    };
}
pub(crate) use const_fn;

/// An array whose every element is the expression's value.
macro_rules! array {
    ($init:expr; $n:expr) => {
        [const { $init }; $n]
    };
}
pub(crate) use array;

/// Makes a cell without a value. Its memory isn't touched.
///
/// # Safety
/// `cell` is valid for a write.
#[inline(always)]
pub(crate) unsafe fn make_uninit_cell<T>(_cell: *mut cell::UnsafeCell<MaybeUninit<T>>) {}

/// Whether a destructor may use its object.
#[inline(always)]
pub(crate) fn can_drop() -> bool {
    true
}

/// An array of the whole program; in a model, of one execution.
macro_rules! global_array {
    ($vis:vis $name:ident: [$t:ty; $n:expr] = $init:expr) => {
        $vis fn $name() -> &'static [$t; $n] {
            static TABLE: [$t; $n] = [const { $init }; $n];
            &TABLE
        }
    };
}
pub(crate) use global_array;

/// Notes where the calling thread called this crate, for a model's verdict to name. Here it does nothing.
#[inline(always)]
pub(crate) fn calling() -> Calling {
    Calling
}

/// Lives as long as the call.
pub(crate) struct Calling;

/// A line of the user's, for a later call that it doesn't come to. Here it is nothing.
#[derive(Clone, Copy)]
pub(crate) struct Caller;

impl Caller {
    #[inline(always)]
    pub(crate) fn here() -> Self {
        Caller
    }

    /// As [`calling`], with this line.
    #[inline(always)]
    pub(crate) fn calling(self) -> Calling {
        Calling
    }
}

/// A number that no earlier call has returned: there are 2^64. Not 0.
pub(crate) fn new_serial() -> u64 {
    static LAST: atomic::AtomicU64 = atomic::AtomicU64::new(0);
    // ORDERING: Relaxed: the numbers only have to differ.
    LAST.fetch_add(1, atomic::Ordering::Relaxed) + 1
}

/// Hashes a key.
#[inline]
pub(crate) fn hash_one<S: BuildHasher, Q: Hash + ?Sized>(hasher: &S, key: &Q) -> u64 {
    hasher.hash_one(key)
}

/// Calls `f` once. Nothing is explored here.
#[track_caller]
pub(crate) fn explore(_: Settings, _prepare: fn(), f: impl Fn() + Send + Sync + 'static) {
    f();
}

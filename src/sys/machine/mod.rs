//! The seam on the machine: std, `parking_lot` and `parking_lot_core`.

mod check;
mod fork;
mod slot;
mod spin;

pub use check::{Model, model};
pub(crate) use fork::{PerProcess, Process};
pub(crate) use parking_lot::Mutex;
#[cfg(test)]
pub(crate) use slot::let_light_marks_be_stores;
pub(crate) use slot::{Slot, has_heavy_fence, heavy_fence, prepare_heavy_fence};
pub(crate) use spin::{Backoff, Grace, Hint, Patience, Spin, cores};

use super::{Dequeued, Handing, Parked};
use parking_lot_core::{
    DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, ParkResult, RequeueOp, UnparkResult, UnparkToken,
};
use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

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
    //! What a loop that waits tells the machine.
    //!
    //! In a model [`spin_loop`] lets the other threads run, as
    //! [`yield_now`](crate::thread::yield_now) does: a loop that calls neither never ends there.
    //! Two threads that spin while a third one holds what they want can take turns for so long that
    //! the model doesn't end. Model a spin lock with two threads.

    pub use std::hint::spin_loop;
}

pub mod cell {
    //! A cell for what several threads share, accessed through closures.

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

        /// Takes the value out.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Gives `f` a pointer to read through. It must not outlive the call.
        #[inline]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Gives `f` a pointer to read and write through. It must not outlive the call.
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

/// Measures how long a batch has been running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[inline]
    pub(crate) fn start() -> Self {
        Stopwatch(Instant::now())
    }

    #[inline]
    pub(crate) fn nanos(self) -> u128 {
        self.0.elapsed().as_nanos()
    }
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

/// What the crate has on the machine, and what in a model.
macro_rules! by_build {
    (machine { $($machine:item)* } model { $($model:item)* }) => { $($machine)* };
}
pub(crate) use by_build;

/// Stores `value`, where the model's other threads may run read-modify-writes: a swap there.
#[inline]
pub(crate) fn store(place: &atomic::AtomicU64, value: u64, order: atomic::Ordering) {
    place.store(value, order);
}

/// Functions that are `const` on the machine; a model's atomics can't be made in a const.
macro_rules! const_fn {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $t:ty),*) -> $result:ty $body:block) => {
        $(#[$attr])* $vis const fn $name($($arg: $t),*) -> $result $body
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

/// An array of the whole program; of one execution in a model.
macro_rules! global_array {
    ($vis:vis $name:ident: [$t:ty; $n:expr] = $init:expr) => {
        $vis fn $name() -> &'static [$t; $n] {
            static TABLE: [$t; $n] = [const { $init }; $n];
            &TABLE
        }
    };
}
pub(crate) use global_array;

/// Stands for memory whose accesses a model is to check. On the machine it is nothing.
#[derive(Debug)]
pub(crate) struct Tracked;

impl Tracked {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Tracked
    }

    /// Marks a use that others may share.
    #[inline(always)]
    pub(crate) fn read(&self) {}

    /// Marks a use that must be alone: a write, or the end of the memory's life.
    #[inline(always)]
    pub(crate) fn write(&self) {}
}

/// A heap value that several owners reach by pointer and the last of them frees.
///
/// On the machine a plain `Box`. In a model its memory outlives the execution, so that a use
/// after the free is a failed check rather than a crash.
#[derive(Debug)]
pub(crate) struct Heap<T>(T);

impl<T> Heap<T> {
    pub(crate) fn new(value: T) -> std::ptr::NonNull<Self> {
        std::ptr::NonNull::from(Box::leak(Box::new(Heap(value))))
    }

    /// The value, for one whose reference the compiler vouches for: a borrow of the owner.
    #[inline(always)]
    pub(crate) fn get_borrowed(&self) -> &T {
        &self.0
    }

    /// The value, for one who reaches it by pointer. A model checks the use against the free.
    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        &self.0
    }

    /// Drops the value and gives the memory back.
    ///
    /// # Safety
    /// - `this` came from [`Heap::new`] and has not been freed.
    /// - Every other use of it happens before this call, and none comes after.
    pub(crate) unsafe fn free(this: std::ptr::NonNull<Self>) {
        // SAFETY: by the contract `this` is a live box's pointer, and the caller its last user.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }
}

/// Notes where the calling thread called this crate, for a verdict of a model to name. Here it is nothing.
#[inline(always)]
pub(crate) fn calling() -> Calling {
    Calling
}

/// As long as it lives the call goes on.
pub(crate) struct Calling;

/// The key of an address in the queues, which all of the program's users of `parking_lot_core`
/// share: on 64 bits one that no object's own address is, on 32 hardly ever one in use. A late unpark of a freed word would otherwise be a
/// spurious wake-up of whoever parks on an object that stands there now, and parking_lot's
/// `Condvar`, for one, promises that there is none.
fn key(address: usize) -> usize {
    !address
}

/// Sleeps until an unpark of `address`, if `validate` allows it.
///
/// `validate` runs under the address's queue lock and must not unwind, block or park.
pub(crate) fn park(
    address: usize,
    validate: impl FnOnce() -> bool,
    deadline: Option<Instant>,
) -> Parked {
    let (key, token) = (key(address), DEFAULT_PARK_TOKEN);
    // SAFETY: the key is phalanx's own (see `key`); `validate` neither unwinds nor parks, the other
    // callbacks do nothing.
    let result =
        unsafe { parking_lot_core::park(key, validate, || {}, |_, _| {}, token, deadline) };
    match result {
        ParkResult::Unparked(HANDED) => Parked::Handed,
        ParkResult::Unparked(_) => Parked::Woken,
        ParkResult::Invalid => Parked::Invalid,
        ParkResult::TimedOut => Parked::TimedOut,
    }
}

/// What a thread is told that was handed what it waits for. Not parking_lot's own token for that.
const HANDED: UnparkToken = UnparkToken(0x6861_6e64);

/// Wakes every thread parked on `address`. Only the address is used: the word that stood there may
/// be gone.
pub(crate) fn unpark_threads(address: usize) {
    // SAFETY: the key is phalanx's own, and every user of `park` bears a spurious wake-up.
    unsafe { parking_lot_core::unpark_all(key(address), DEFAULT_UNPARK_TOKEN) };
}

/// Takes the thread that has been parked on `address` the longest out of the queue, tells `decide`
/// what was found, and wakes it; whether what it waits for is handed to it is what `decide` says.
///
/// `decide` runs under the address's queue lock and must not unwind, block, park or unpark.
pub(crate) fn unpark_one(address: usize, decide: impl FnOnce(Dequeued) -> Handing) {
    let decide = |result: UnparkResult| {
        let dequeued =
            Dequeued { found: result.unparked_threads > 0, more: result.have_more_threads };
        match decide(dequeued) {
            Handing::Nothing => DEFAULT_UNPARK_TOKEN,
            Handing::Over => HANDED,
        }
    };
    // SAFETY: the key is phalanx's own; `decide` neither unwinds nor parks or unparks.
    unsafe { parking_lot_core::unpark_one(key(address), decide) };
}

/// Moves the thread that has been parked on `from` the longest, if there is one, to the end of the queue
/// of `to`, where it sleeps on; not if `decide` returns `false`.
///
/// `decide` runs under both queues' locks and must not unwind, block, park or unpark.
pub(crate) fn requeue_one(from: usize, to: usize, decide: impl FnOnce() -> bool) {
    let decide = || if decide() { RequeueOp::RequeueOne } else { RequeueOp::Abort };
    let token = |_, _| DEFAULT_UNPARK_TOKEN;
    // SAFETY: both keys are phalanx's own; `decide` neither unwinds nor parks or unparks, the other
    // callback does nothing.
    unsafe { parking_lot_core::unpark_requeue(key(from), key(to), decide, token) };
}

/// Runs `f`, and gives its panic back as a value.
#[inline]
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
    catch_unwind(AssertUnwindSafe(f))
}

/// The hash of a key.
#[inline]
pub(crate) fn hash_one<S: BuildHasher, Q: Hash + ?Sized>(hasher: &S, key: &Q) -> u64 {
    hasher.hash_one(key)
}

/// Has the line at an address on its way into this core's cache. Any address will do: nothing is read.
#[inline]
pub(crate) fn prefetch(address: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) };
    }
    let _ = address;
}

/// [`prefetch`], to be written: no other core keeps the line.
#[inline]
pub(crate) fn prefetch_to_write(address: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // Not by the intrinsic, which without the target feature is a prefetch to read.
        // SAFETY: the instruction never faults, and where a 64-bit processor doesn't have it it does
        // nothing.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
        };
    }
    let _ = address;
}

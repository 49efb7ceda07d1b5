//! The seam in the model: every operation that other threads could notice goes through loom.
//!
//! What this rests on, and what loom 0.7 can't see, is told in [`Model`]'s docs. The parts:
//! [`atomic`] gives loads their two modes and writes their order, [`park`] the queue that replaces
//! `parking_lot_core`, [`thread`] what loom's threads lack, [`guard`] and [`objects`] the calls of loom, [`waits`] and
//! [`verdict`] what a verdict says, [`run`] and [`watch`] the two threads of an exploration, [`check`] the settings.

pub mod atomic;
mod check;
mod fork;
mod guard;
mod locks;
mod mutex;
mod objects;
mod park;
mod run;
mod slot;
pub mod thread;
mod verdict;
mod waits;
mod watch;

use check::with_settings;
pub use check::{Model, model};
pub(crate) use check::{PerExecution, catch};
pub(crate) use fork::{PerProcess, Process};
pub use locks::{RawMutex, RawRwMutex};
pub(crate) use mutex::Mutex;
pub(crate) use objects::Local;
pub(crate) use park::{park, requeue_one, unpark_one, unpark_threads};
#[cfg(test)]
pub(crate) use slot::let_light_marks_be_stores;
pub(crate) use slot::{Slot, has_heavy_fence, heavy_fence, prepare_heavy_fence};
pub(crate) use waits::calling;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::ptr::NonNull;

pub mod cell {
    //! A cell for what several threads share, accessed through closures.
    pub use super::objects::UnsafeCell;
}

pub mod hint {
    //! What a loop that waits tells the machine: nothing, and in a model to let the others run.
    pub use super::objects::yield_now as spin_loop;
}

/// In a model every batch has been running for a second: long enough to be shared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch;

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch
    }

    pub(crate) fn nanos(self) -> u128 {
        1_000_000_000
    }
}

/// The cores this process may use. `1` where the system doesn't say.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Whether this build explores interleavings rather than running on the machine's threads.
pub(crate) const IS_MODEL: bool = true;

/// A thread-local that needs no destructor.
macro_rules! local {
    ($(#[$attr:meta])* static $name:ident: $t:ty = $init:expr;) => {
        $(#[$attr])* static $name: $crate::sys::Local<$t> = {
            loom::thread_local! { static KEY: $t = $init; }
            $crate::sys::Local(&KEY)
        };
    };
}
pub(crate) use local;

/// An array whose every element is the expression's value.
macro_rules! array {
    ($init:expr; $n:expr) => {
        std::array::from_fn::<_, { $n }, _>(|_| $init)
    };
}
pub(crate) use array;

/// What the crate has on the machine, and what in a model.
macro_rules! by_build {
    (machine { $($machine:item)* } model { $($model:item)* }) => { $($model)* };
}
pub(crate) use by_build;

/// Functions that are `const` on the machine; a model's atomics can't be made in a const.
macro_rules! const_fn {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $t:ty),*) -> $result:ty $body:block) => {
        $(#[$attr])* #[track_caller] $vis fn $name($($arg: $t),*) -> $result $body
    };
}
pub(crate) use const_fn;

/// Stores `value`. As a swap: loom knows one order of all read-modify-writes of an atomic, but
/// not of a store among them, and here loads may be read-modify-writes.
#[track_caller]
pub(crate) fn store(place: &atomic::AtomicU64, value: u64, order: atomic::Ordering) {
    place.swap(value, order);
}

/// An array of the whole execution.
///
/// [`check`] touches each one before the model's closure starts: one made by whichever thread
/// comes first would hand that thread's history to all later ones.
macro_rules! global_array {
    ($vis:vis $name:ident: [$t:ty; $n:expr] = $init:expr) => {
        $vis fn $name() -> &'static [$t; $n] {
            std::thread_local! {
                static TABLE: $crate::sys::PerExecution<[$t; $n]> =
                    const { $crate::sys::PerExecution::new() };
            }
            TABLE.with(|table| table.get(|| std::array::from_fn(|_| $init)))
        }
    };
}
pub(crate) use global_array;

/// A model has no spinning: another thread's step is a switch away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spin {
    Brief,
    WakeUp,
}

impl Spin {
    pub(crate) fn for_threads(_threads: usize) -> Spin {
        Spin::WakeUp
    }

    pub(crate) fn poll<R>(self, _ready: impl FnMut() -> Option<R>) -> Option<R> {
        match self {
            Spin::Brief | Spin::WakeUp => None,
        }
    }
}

/// In a model a waiter never looks twice before it sleeps, nor is it polite.
#[derive(Debug)]
pub(crate) struct Backoff;

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff
    }

    pub(crate) fn rested() -> Self {
        Backoff
    }

    pub(crate) fn is_new(&self) -> bool {
        false
    }

    pub(crate) fn is_late(&self) -> bool {
        false
    }

    pub(crate) fn is_over(&self) -> bool {
        true
    }

    pub(crate) fn pause(&mut self) {
        objects::yield_now();
    }

    pub(crate) fn pause_while(&mut self, _same: impl Fn() -> bool) {
        self.pause();
    }

    pub(crate) fn grants(&self, _eager: u32, _pauses: u32, _still: impl FnOnce() -> bool) -> bool {
        true
    }
}

/// In a model a waiter's patience ends when it is asked a second time.
#[derive(Debug)]
pub(crate) struct Patience {
    asked: bool,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Patience { asked: false }
    }

    pub(crate) fn begin(&mut self) {}

    /// Whether it is over.
    pub(crate) fn is_over(&mut self) -> bool {
        std::mem::replace(&mut self.asked, true)
    }
}

/// In a model a thread that was woken has no grace to give.
#[derive(Debug)]
pub(crate) struct Grace;

impl Grace {
    pub(crate) fn now() -> u32 {
        0
    }

    pub(crate) fn is_over(_since: u32) -> bool {
        true
    }
}

/// A number that steers and never decides: nothing for loom to see.
#[derive(Debug)]
pub(crate) struct Hint(std::cell::Cell<u32>);

// SAFETY: a model runs one thread at a time, all on one thread of the system.
unsafe impl Sync for Hint {}

impl Hint {
    pub(crate) const fn new() -> Self {
        Hint(std::cell::Cell::new(0))
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.get()
    }

    pub(crate) fn set(&self, value: u32) {
        self.0.set(value);
    }

    pub(crate) fn add(&self, n: u32) {
        self.set(self.get().wrapping_add(n));
    }
}

/// Stands for memory whose accesses loom is to check.
#[derive(Debug)]
pub(crate) struct Tracked(objects::UnsafeCell<()>);

impl Tracked {
    #[track_caller]
    pub(crate) fn new() -> Self {
        Tracked(objects::UnsafeCell::new(()))
    }

    /// Marks a use that others may share.
    #[track_caller]
    pub(crate) fn read(&self) {
        self.0.with(|_| ());
    }

    /// Marks a use that must be alone: a write, or the end of the memory's life.
    #[track_caller]
    pub(crate) fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// A heap value that several owners reach by pointer and the last of them frees.
///
/// Its memory is kept until the execution ends, so a late use is a failed check, not a crash; loom
/// reports one that is never freed.
#[derive(Debug)]
pub(crate) struct Heap<T> {
    /// Read at each use, written by the free: loom wants an order between the two.
    life: Tracked,
    /// `None` once freed. Its `Track` is how loom notices a leak.
    state: std::cell::UnsafeCell<Option<loom::alloc::Track<T>>>,
}

impl<T> Heap<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> NonNull<Self> {
        let state = std::cell::UnsafeCell::new(Some(objects::track(value)));
        NonNull::from(Box::leak(Box::new(Heap { life: Tracked::new(), state })))
    }

    /// The value, for one whose reference the compiler vouches for: a borrow of the owner. Where
    /// that came from another thread, an `Arc` of std's say, loom has not seen the order.
    pub(crate) fn get_borrowed(&self) -> &T {
        // SAFETY: the model runs one thread at a time, and `free` comes after the borrow's end.
        let state = unsafe { &*self.state.get() };
        state.as_ref().expect("use after free").get_ref()
    }

    /// The value, for one who reaches it by pointer: loom checks the use against the free.
    #[track_caller]
    pub(crate) fn get(&self) -> &T {
        // SAFETY: the model runs one thread at a time, and a `free` between here and a use is what
        // `life` fails.
        let state = unsafe { &*self.state.get() };
        let value = state.as_ref().expect("use after free").get_ref();
        self.life.read();
        value
    }

    /// Drops the value. The memory stays, for late users to be caught.
    ///
    /// # Safety
    /// - `this` came from [`Heap::new`] and has not been freed.
    /// - Every other use of it happens before this call, and none comes after.
    #[track_caller]
    pub(crate) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: a `Heap` of the model is never deallocated.
        let this = unsafe { this.as_ref() };
        this.life.write();
        // SAFETY: one thread runs at a time, and no reference is kept across this line.
        let state = unsafe { &mut *this.state.get() };
        drop(state.take().expect("freed twice"));
    }
}

/// The hash of a key, by a hasher that is the same in each execution: a random one's choices would
/// make executions differ that loom takes for the same.
pub(crate) fn hash_one<S: BuildHasher, Q: Hash + ?Sized>(_: &S, key: &Q) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}

/// A hint to the machine.
pub(crate) fn prefetch(_address: usize) {}

/// As [`prefetch`].
pub(crate) fn prefetch_to_write(_address: usize) {}

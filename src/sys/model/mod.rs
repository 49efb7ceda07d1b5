//! The model: every operation that other threads could notice goes through loom.
//!
//! `README.md`, one folder up, tells what this rests on and what loom 0.7 can't see. The files, each of which uses
//! only those above it:
//!
//! | file | holds |
//! | --- | --- |
//! | [`waiting`], [`run`] | the threads that wait; one exploration, as both of its threads see it |
//! | [`guard`], [`objects`] | calls of loom that never unwind; loom's objects, reached by such calls |
//! | [`execution`], [`locals`] | values of an execution, and of one of its threads |
//! | [`waits`] | what a thread waits for |
//! | [`atomic`] | two modes of loads, and the order of writes |
//! | [`park`] | the queue that replaces `parking_lot_core` |
//! | [`mutex`], [`heap`], [`slot`], [`statics`], [`fork`], [`cpu`], [`thread`] | the rest of the machine |
//! | [`describe`], [`verdict`] | what a verdict says |
//! | [`watch`], [`explore`] | the two threads of an exploration |

pub mod atomic;
mod cpu;
mod describe;
pub(crate) mod execution;
mod explore;
mod fork;
mod guard;
mod heap;
pub(crate) mod locals;
mod mutex;
mod objects;
mod park;
mod run;
mod slot;
mod statics;
pub mod thread;
mod verdict;
mod waiting;
mod waits;
mod watch;

pub(crate) use cpu::{
    Hint, Moment, Stopwatch, can_spin, cores, prefetch, prefetch_to_write, uptime,
};
pub(crate) use execution::{PerExecution, global_array};
pub(crate) use explore::explore;
pub(crate) use fork::{PerProcess, Process};
pub(crate) use heap::{Heap, Tracked};
pub(crate) use locals::local;
pub(crate) use mutex::Mutex;
pub(crate) use park::{
    begin_step, park, requeue_one, sleep_on, unpark_one, unpark_threads, wake_sleepers,
};
#[cfg(test)]
pub(crate) use slot::let_unfenced_marks_be_stores;
pub(crate) use slot::{MAY_BE_UNFENCED, Slot, has_heavy_fence, heavy_fence, prepare_heavy_fence};
pub(crate) use statics::StaticWord;
pub(crate) use thread::park_thread_until;
pub(crate) use waits::{Caller, calling, holds, holds_no_more, pends};

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::mem::MaybeUninit;

pub mod cell {
    //! A cell for a value that several threads share, accessed through closures.
    pub use super::objects::UnsafeCell;
}

pub mod hint {
    //! Hints for loops that wait: in a model, to let the other threads run.
    pub use super::objects::yield_now as spin_loop;
}

/// Whether this build explores interleavings rather than running on the machine's threads.
pub(crate) const IS_MODEL: bool = true;

/// An array whose every element is the expression's value.
macro_rules! array {
    ($init:expr; $n:expr) => {
        std::array::from_fn::<_, { $n }, _>(|_| $init)
    };
}
pub(crate) use array;

/// Makes a cell without a value.
///
/// # Safety
/// `cell` is valid for a write.
#[track_caller]
pub(crate) unsafe fn make_uninit_cell<T>(cell: *mut cell::UnsafeCell<MaybeUninit<T>>) {
    // SAFETY: the contract of this function; nothing is dropped.
    unsafe { std::ptr::write(cell, cell::UnsafeCell::new(MaybeUninit::uninit())) };
}

/// Whether a destructor may use its object. Not in a thread that unwinds outside of a model: that is what it has
/// panicked for, and a second panic would abort the process.
pub(crate) fn can_drop() -> bool {
    run::current_run().is_some() || !std::thread::panicking()
}

/// Functions that are `const` on the machine; a model's atomics can't be made in a const.
macro_rules! const_fn {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $t:ty),*) -> $result:ty $body:block) => {
        $(#[$attr])* #[track_caller] $vis fn $name($($arg: $t),*) -> $result $body
    };
}
pub(crate) use const_fn;

/// A number that no earlier call of this execution has returned. Not 0.
pub(crate) fn new_serial() -> u64 {
    std::thread_local! {
        static LAST: PerExecution<std::cell::Cell<u64>> = const { PerExecution::new() };
    }
    LAST.with(|last| {
        let last = last.get(|| std::cell::Cell::new(0));
        last.set(last.get() + 1);
        last.get()
    })
}

/// Hashes a key, by a hasher that is the same in each execution: with a random one, executions would differ that
/// loom takes for the same.
pub(crate) fn hash_one<S: BuildHasher, Q: Hash + ?Sized>(_: &S, key: &Q) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}

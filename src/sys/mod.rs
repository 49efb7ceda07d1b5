//! The seam: the one place where phalanx touches the machine.
//!
//! Everything that makes a program concurrent (atomics, shared cells, threads, thread-locals,
//! time, sleeping until another thread calls) is reached through this module, and it has two
//! implementations of one small surface:
//!
//! | | [`machine`] | `model` |
//! | --- | --- | --- |
//! | atomics, cells | std's | loom's, with loads that can be made read-modify-writes |
//! | threads | std's | loom's, given std's bounds, `scope` and `park` |
//! | [`park`], [`unpark_one`], [`unpark_threads`], [`requeue_one`] | `parking_lot_core`'s queues | a queue loom can see |
//! | [`Mutex`] | parking_lot's | loom's |
//! | [`Tracked`] | nothing | a cell whose accesses loom checks |
//! | spinning, [`Backoff`] | bounded, none on one core | none |
//! | [`Patience`], [`Grace`] | a millisecond each | the first question, none |
//! | [`Slot`]: marks with fences, or without for [`heavy_fence`] to make up for | an exchange; a store and `membarrier(2)` | a store buffer |
//! | [`Hint`] | a Relaxed number | plain memory |
//! | [`Process`], [`PerProcess`] | the forks up to here, counted | one process |
//! | [`hash_one`] | the user's hasher | one that is the same in each execution |
//!
//! The model is built only when both the cfg `phalanx_loom` and the feature `loom` are set. A
//! plain `--cfg loom` would flip other crates too, and a feature alone would reach a production
//! build through feature unification.
//!
//! # Waiting on an address
//!
//! All blocking in the crate is [`park`]. Its contract, the same in both builds:
//!
//! 1. `validate` and the enqueueing are one step as seen by an unpark of the same address: an
//!    unpark either comes before the validation, which then sees everything the unparker did
//!    before it, or finds the thread in the queue. So a Relaxed load in `validate` is enough.
//! 2. A return from [`park`] may be spurious: addresses are reused, and an unpark names only an
//!    address. Every caller asks its own word again.
//! 3. [`unpark_threads`] never dereferences the address. It may be called after the memory is
//!    gone.
//! 4. [`unpark_one`] tells its callback what it found, under the same lock as `validate`: what the
//!    callback does to the word and who is in the queue change in one step. A thread that it woke
//!    as [`Parked::Handed`] was meant, never spurious.
//! 5. An unpark happens before the return of the park that it ends.
//! 6. [`requeue_one`] runs its callback under the locks of both queues. So the decision, the move, and
//!    whatever the callback does to the words behind both addresses are one step, as seen by every
//!    other call for either address. A moved thread goes on sleeping in the same [`park`], with the
//!    same deadline.
//!
//! The queues' own short locks, like the few others inside the crate, are parking_lot's
//! [`Mutex`] and never phalanx's: phalanx's mutex sleeps by way of this module and is the subject of
//! its models, so a lock below it must not be built on it.

#[cfg(all(phalanx_loom, not(feature = "loom")))]
compile_error!(
    "`--cfg phalanx_loom` needs phalanx's feature `loom`: add `--features phalanx/loom` \
     (or `--features loom` in phalanx itself), or drop the cfg"
);
#[cfg(not(target_has_atomic = "64"))]
compile_error!("phalanx counts in 64-bit words: this target has no 64-bit atomics");

#[cfg(not(all(phalanx_loom, feature = "loom")))]
mod machine;
#[cfg(not(all(phalanx_loom, feature = "loom")))]
use machine as build;

#[cfg(all(phalanx_loom, feature = "loom"))]
mod model;
#[cfg(all(phalanx_loom, feature = "loom"))]
use model as build;
#[cfg(all(phalanx_loom, feature = "loom"))]
pub(crate) use model::{Local, PerExecution};
#[cfg(all(phalanx_loom, feature = "loom"))]
pub use model::{RawMutex, RawRwMutex};

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
pub(crate) use build::let_light_marks_be_stores;
pub(crate) use build::{
    Backoff, Grace, Heap, Hint, IS_MODEL, Mutex, Patience, PerProcess, Process, Slot, Spin,
    Stopwatch, Tracked, array, by_build, calling, catch, const_fn, cores, global_array,
    has_heavy_fence, hash_one, heavy_fence, local, park, prefetch, prefetch_to_write,
    prepare_heavy_fence, requeue_one, store, unpark_one, unpark_threads,
};
pub use build::{Model, atomic, cell, hint, model, thread};
pub(crate) use std::sync::Arc;

use std::any::Any;
use std::mem;

/// Drops the payload of a panic that goes nowhere.
///
/// A payload is user code's value, so its drop may panic in turn; the payload of *that* panic is
/// leaked rather than dropped, for there is no end to it otherwise.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch(|| drop(payload)) {
        mem::forget(second);
    }
}

/// How a [`park`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Another thread unparked the address: look again.
    Woken,
    /// Woken by an [`unpark_one`] that handed over what this thread waited for.
    Handed,
    /// `validate` said that there is no reason to sleep.
    Invalid,
    /// The deadline passed first.
    TimedOut,
}

/// What an [`unpark_one`] found in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dequeued {
    /// A thread was taken out, and is about to be woken.
    pub(crate) found: bool,
    /// Others are still in.
    pub(crate) more: bool,
}

/// Whether an [`unpark_one`] gives the thread it wakes what that thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handing {
    /// It has to look for itself.
    Nothing,
    /// It has it. Never told to a thread whose wake-up is spurious.
    Over,
}

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
//! | [`park`], [`unpark_threads`] | `parking_lot_core`'s queues | a queue loom can see |
//! | [`Mutex`] | parking_lot's | loom's |
//! | [`Tracked`] | nothing | a cell whose accesses loom checks |
//! | spinning | bounded, none on one core | none |
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
//!
//! Futures wait on addresses too, on the same terms: [`park_task`] and [`wake_tasks`].

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
pub(crate) use model::PerExecution;

mod tasks;

use build::global_array;
pub(crate) use build::{
    Heap, IS_MODEL, Mutex, Spin, Stopwatch, Tracked, catch, local, park, unpark_threads,
};
pub use build::{Model, atomic, cell, model, thread};
pub(crate) use std::sync::Arc;
pub(crate) use tasks::{Ticket, cancel_task, park_task, wake_tasks};

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
    /// Another thread called [`unpark_threads`] on the address: look again.
    Woken,
    /// `validate` said that there is no reason to sleep.
    Invalid,
    /// The deadline passed first.
    TimedOut,
}

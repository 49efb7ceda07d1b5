//! The machine and its double: the one place where phalanx touches the machine.
//!
//! Everything that makes a program concurrent (atomics, shared cells, threads, thread-locals, time, sleeping until
//! another thread calls) is reached through this module. It has one surface and two implementations, [`machine`] and
//! `model`. `README.md` in this folder has the table, the contract of [`park`], and what the model rests on.

#[cfg(all(phalanx_loom, not(feature = "loom")))]
compile_error!(
    "`--cfg phalanx_loom` needs phalanx's feature `loom`: add `--features phalanx/loom` \
     (or `--features loom` in phalanx itself), or drop the cfg"
);
#[cfg(not(target_has_atomic = "64"))]
compile_error!("phalanx counts in 64-bit words: this target has no 64-bit atomics");

mod panics;
mod parking;
mod settings;

#[cfg(not(all(phalanx_loom, feature = "loom")))]
mod machine;
#[cfg(not(all(phalanx_loom, feature = "loom")))]
use machine as build;

#[cfg(all(phalanx_loom, feature = "loom"))]
pub(crate) mod model;
#[cfg(all(phalanx_loom, feature = "loom"))]
use model as build;
#[cfg(all(phalanx_loom, feature = "loom"))]
pub(crate) use model::{
    PerExecution, begin_step, holds, holds_no_more, pends, sleep_on, wake_sleepers,
};

#[cfg(test)]
pub(crate) use build::let_unfenced_marks_be_stores;
pub(crate) use build::{
    Caller, Heap, Hint, IS_MODEL, MAY_BE_UNFENCED, Moment, Mutex, PerProcess, Process, Slot,
    StaticWord, Stopwatch, Tracked, array, calling, can_drop, can_spin, const_fn, cores, explore,
    global_array, has_heavy_fence, hash_one, heavy_fence, local, make_uninit_cell, new_serial,
    park, park_thread_until, prefetch, prefetch_to_write, prepare_heavy_fence, requeue_one,
    unpark_one, unpark_threads, uptime,
};
pub use build::{atomic, cell, hint, thread};
pub(crate) use panics::{catch, discard};
pub(crate) use parking::{Dequeued, HandOff, Parked};
pub(crate) use settings::Settings;
pub(crate) use std::sync::Arc;

//! What the primitives share: one layer above the machine, and below every type that users see.
//!
//! | file | holds |
//! | --- | --- |
//! | [`alarm`] | the timer: a thread that does what is due at deadlines |
//! | [`deadline`] | the deadline of a timeout; none if the timeout is too long to represent |
//! | [`tuning`], [`crowd`], [`backoff`] | how long threads wait awake, and when they starve |
//! | [`thread_index`] | small numbers for threads, by which a thread owns its share of a table |
//! | [`first_panic`] | the first of several panics, kept for the thread that resumes it |
//! | [`in_callback`] | whether the thread is in a callback, where it must not wait for others |
//! | [`wakers`] | futures that wait on an address, beside the threads that park on it |
//! | [`waiters`] | a queue of waiters on their threads' stacks, woken one by one or all together |
//! | [`latch`] | a word of counts that threads and futures wait on until it drains |
//! | `spec` | the state machine that the locks are in a model |

pub(crate) mod alarm;
pub(crate) mod backoff;
pub(crate) mod crowd;
pub(crate) mod deadline;
pub(crate) mod first_panic;
pub(crate) mod in_callback;
pub(crate) mod latch;
#[cfg(phalanx_loom)]
pub(crate) mod spec;
pub(crate) mod thread_index;
pub(crate) mod tuning;
pub(crate) mod waiters;
pub(crate) mod wakers;

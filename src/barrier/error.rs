//! What a wait that fails returns.

use std::error::Error;
use std::fmt;

/// The barrier is broken: a party timed out, was cancelled or panicked, or broke or reset it. Returned by
/// [`Barrier::wait`](crate::Barrier::wait).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBarrier;

/// The barrier was not passed in time. Returned by [`Barrier::wait_timeout`](crate::Barrier::wait_timeout) and
/// [`Barrier::wait_deadline`](crate::Barrier::wait_deadline).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierTimeoutError {
    /// The time is over: this wait has broken the barrier.
    Timeout,
    /// The barrier is broken: see [`BrokenBarrier`].
    Broken,
}

impl BarrierTimeoutError {
    /// Whether the time was over.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        *self == BarrierTimeoutError::Timeout
    }
}

impl From<BrokenBarrier> for BarrierTimeoutError {
    fn from(_: BrokenBarrier) -> Self {
        BarrierTimeoutError::Broken
    }
}

const BROKEN: &str = "the barrier is broken: a party has left it before the others came";

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BROKEN)
    }
}

impl fmt::Display for BarrierTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BarrierTimeoutError::Timeout => "timed out while waiting for a barrier's other parties",
            BarrierTimeoutError::Broken => BROKEN,
        })
    }
}

impl Error for BrokenBarrier {}
impl Error for BarrierTimeoutError {}

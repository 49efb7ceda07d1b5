//! What a `try_go` that starts nothing returns.

use std::error::Error;
use std::fmt;

/// A task wasn't started. Returned by [`TaskGroup::try_go`](crate::TaskGroup::try_go), with the task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TryGoError<F> {
    /// As many tasks run as the group's limit allows.
    AtLimit(F),
    /// The group has failed: a task has returned an error or panicked.
    Failed(F),
}

impl<F> TryGoError<F> {
    /// Returns the task.
    pub fn into_inner(self) -> F {
        match self {
            TryGoError::AtLimit(f) | TryGoError::Failed(f) => f,
        }
    }
}

impl<F> fmt::Debug for TryGoError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryGoError::AtLimit(_) => "AtLimit(..)",
            TryGoError::Failed(_) => "Failed(..)",
        })
    }
}

impl<F> fmt::Display for TryGoError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryGoError::AtLimit(_) => "the task group is at its limit",
            TryGoError::Failed(_) => "the task group has failed",
        })
    }
}

impl<F> Error for TryGoError<F> {}

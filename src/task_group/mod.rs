//! Groups of tasks that may fail: Go's `errgroup`, on scoped threads.
//!
//! | file, each using only those above it | holds |
//! | --- | --- |
//! | [`error`] | what a `try_go` that starts nothing returns |
//! | [`shared`] | what the group and its tasks share: seats, outcomes, and the threads that wait for a seat |
//! | [`group`] | [`task_group`] and [`TaskGroup`] |

mod error;
mod group;
mod shared;

pub use error::TryGoError;
pub use group::{TaskGroup, task_group, task_group_under};

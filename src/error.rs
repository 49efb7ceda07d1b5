//! The errors that phalanx's calls return.

use std::error::Error;
use std::fmt;

/// A wait timed out before its group's count was zero.
///
/// Returned by [`WaitGroup::wait_timeout`](crate::WaitGroup::wait_timeout) and
/// [`WaitGroup::wait_deadline`](crate::WaitGroup::wait_deadline). The group is as before, and can be waited for
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitTimeout {
    /// How many tasks the group still counted; at least 1.
    pub remaining: usize,
}

impl fmt::Display for WaitTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out while the WaitGroup still counted {}", self.remaining)
    }
}

impl Error for WaitTimeout {}

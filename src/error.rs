//! The errors that phalanx's calls return.

use std::error::Error;
use std::fmt;

/// A wait whose time ran out before the group was empty.
///
/// Returned by [`WaitGroup::wait_timeout`](crate::WaitGroup::wait_timeout) and
/// [`WaitGroup::wait_deadline`](crate::WaitGroup::wait_deadline). Nothing is lost by it: the group
/// goes on as before, and may be waited for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitTimeout {
    /// How many the group still counted when the wait gave up; at least 1.
    pub remaining: usize,
}

impl fmt::Display for WaitTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out while the WaitGroup still counted {}", self.remaining)
    }
}

impl Error for WaitTimeout {}

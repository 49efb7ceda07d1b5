//! What an acquisition that fails returns.

use std::error::Error;
use std::fmt;

/// The semaphore is closed. Returned by [`Semaphore::acquire`](crate::Semaphore::acquire) and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireError;

/// No permits were acquired at once. Returned by [`Semaphore::try_acquire`](crate::Semaphore::try_acquire).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// There are too few permits, or other threads and tasks wait for theirs.
    NoPermits,
    /// The semaphore is closed.
    Closed,
}

/// No permits were acquired in time. Returned by [`Semaphore::acquire_timeout`](crate::Semaphore::acquire_timeout) and
/// [`Semaphore::acquire_deadline`](crate::Semaphore::acquire_deadline).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireTimeoutError {
    /// The time is over.
    Timeout,
    /// The semaphore is closed.
    Closed,
}

impl AcquireTimeoutError {
    /// Whether the time was over.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        *self == AcquireTimeoutError::Timeout
    }
}

impl From<AcquireError> for AcquireTimeoutError {
    fn from(_: AcquireError) -> Self {
        AcquireTimeoutError::Closed
    }
}

impl From<AcquireError> for TryAcquireError {
    fn from(_: AcquireError) -> Self {
        TryAcquireError::Closed
    }
}

const CLOSED: &str = "the semaphore is closed";

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::NoPermits => "the semaphore has too few permits to acquire now",
            TryAcquireError::Closed => CLOSED,
        })
    }
}

impl fmt::Display for AcquireTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AcquireTimeoutError::Timeout => "timed out while waiting for a semaphore's permits",
            AcquireTimeoutError::Closed => CLOSED,
        })
    }
}

impl Error for AcquireError {}
impl Error for TryAcquireError {}
impl Error for AcquireTimeoutError {}

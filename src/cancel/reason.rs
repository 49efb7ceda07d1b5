//! Why a token was cancelled.

use crate::sys::Arc;
use std::error::Error;
use std::fmt;

/// Why a [`CancelToken`](crate::CancelToken) was cancelled: Go's `context.Cause`.
///
/// The first reason stays. A descendant that is cancelled with its ancestor has the ancestor's.
///
/// # Examples
/// ```
/// use phalanx::{CancelReason, CancelToken};
///
/// let token = CancelToken::new();
/// token.cancel_with("the disk is full");
/// let reason = token.reason().unwrap();
/// assert!(matches!(reason, CancelReason::Custom(_)));
/// assert_eq!(reason.to_string(), "the disk is full");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CancelReason {
    /// By [`cancel`](crate::CancelToken::cancel).
    Cancelled,
    /// Its deadline has come.
    DeadlineExceeded,
    /// By [`cancel_with`](crate::CancelToken::cancel_with), with this error.
    Custom(Arc<dyn Error + Send + Sync>),
}

impl CancelReason {
    /// Returns the error of a [`Custom`](CancelReason::Custom) reason, if it is an `E`.
    ///
    /// # Examples
    /// ```
    /// use phalanx::CancelToken;
    /// use std::num::ParseIntError;
    ///
    /// let token = CancelToken::new();
    /// if let Err(error) = "seven".parse::<u32>() {
    ///     token.cancel_with(error);
    /// }
    /// let reason = token.reason().unwrap();
    /// assert!(reason.downcast_ref::<ParseIntError>().is_some());
    /// ```
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            CancelReason::Custom(error) => error.downcast_ref(),
            CancelReason::Cancelled | CancelReason::DeadlineExceeded => None,
        }
    }

    /// A reason that was passed on by way of an error is itself again.
    pub(super) fn new(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast() {
            Ok(reason) => *reason,
            Err(error) => CancelReason::Custom(error.into()),
        }
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CancelReason::Cancelled => f.write_str("cancelled"),
            CancelReason::DeadlineExceeded => f.write_str("deadline exceeded"),
            CancelReason::Custom(error) => error.fmt(f),
        }
    }
}

impl Error for CancelReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CancelReason::Custom(error) => error.source(),
            CancelReason::Cancelled | CancelReason::DeadlineExceeded => None,
        }
    }
}

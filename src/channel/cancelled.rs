//! The case of a select that is ready when a token is cancelled.

use super::case::{Case, Left};
use crate::cancel::{CancelReason, CancelToken};
use crate::support::waiters::{Removal, Signal, Waiter};
use std::fmt;
use std::time::Instant;

/// A wait for a token. `None` is off.
pub(super) struct CancelCase<'a> {
    token: Option<&'a CancelToken>,
    waiter: Option<Waiter<()>>,
}

impl<'a> CancelCase<'a> {
    pub(super) fn new(token: Option<&'a CancelToken>) -> Self {
        CancelCase { token, waiter: None }
    }

    /// Returns the result of the complete case, which stays complete.
    pub(super) fn reason(&self) -> CancelReason {
        self.token.and_then(CancelToken::reason).expect("the case is complete")
    }

    fn is_cancelled(&self) -> bool {
        self.token.is_some_and(CancelToken::is_cancelled)
    }
}

impl Case for CancelCase<'_> {
    fn is_on(&self) -> bool {
        self.token.is_some()
    }

    fn try_now(&mut self) -> bool {
        self.is_cancelled()
    }

    fn seems_ready(&self) -> bool {
        self.is_cancelled()
    }

    fn is_ready(&self) -> bool {
        self.is_cancelled()
    }

    fn stamp(&self) -> u64 {
        u64::from(self.is_cancelled())
    }

    unsafe fn enter(&mut self, signal: &Signal, _: bool) -> bool {
        let Some(token) = self.token else {
            return true;
        };
        // SAFETY: the contract of this function: the case leaves first, which ends the waiter.
        let waiter = self.waiter.insert(unsafe { Waiter::new((), signal) });
        // SAFETY: as above, and the token is borrowed.
        unsafe { token.enter(waiter) }
    }

    fn leave(&mut self) -> Left {
        let (Some(token), Some(waiter)) = (self.token, &self.waiter) else {
            return Left::Idle;
        };
        let removal = token.leave(waiter);
        self.waiter.take().map(Waiter::into_message);
        if removal == Removal::WasTaken { Left::Woken } else { Left::Idle }
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn fall_due(&self, _: Instant) {}

    /// All that wait for a token are woken.
    fn pass_on(&self) {}

    /// No channel. A case of a token has no result to be fetched by its channel.
    fn channel(&self) -> usize {
        0
    }
}

impl fmt::Debug for CancelCase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelCase").field("token", &self.token).finish_non_exhaustive()
    }
}

//! The token: what users hold.

use super::node::NodeRef;
use super::reason::CancelReason;
use super::tree;
use crate::support::deadline;
use crate::support::waiters::{Removal, Waiter, wait};
use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

/// Tells threads and tasks to stop: Go's `context`, for cancelling.
pub struct CancelToken {
    pub(super) node: NodeRef,
}

impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

impl CancelToken {
    /// Makes a token that is not cancelled.
    #[track_caller]
    pub fn new() -> Self {
        CancelToken { node: NodeRef::root() }
    }

    /// Cancels the token and all its descendants. Returns `false` if it was cancelled before.
    pub fn cancel(&self) -> bool {
        tree::cancel(&self.node, CancelReason::Cancelled)
    }

    /// Cancels the token and all its descendants, with a reason. Returns `false` if it was cancelled before: the first
    /// reason stays.
    pub fn cancel_with(&self, reason: impl Into<Box<dyn Error + Send + Sync>>) -> bool {
        tree::cancel(&self.node, CancelReason::new(reason.into()))
    }

    /// Whether the token is cancelled. One atomic load.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Returns why the token was cancelled; `None` if it isn't.
    pub fn reason(&self) -> Option<CancelReason> {
        if !self.is_cancelled() {
            return None;
        }
        self.node.inner.lock().reason.clone()
    }

    /// Makes a token that is cancelled when this one is, or by itself.
    #[track_caller]
    pub fn child(&self) -> CancelToken {
        CancelToken { node: self.node.child(None) }
    }

    /// Makes a child that is cancelled at `deadline` at the latest.
    #[track_caller]
    pub fn with_deadline(&self, deadline: Instant) -> CancelToken {
        let node = self.node.child(Some(deadline));
        let is_first = self.node.deadline.is_none_or(|earlier| deadline < earlier);
        if is_first && !node.is_cancelled() {
            tree::cancel_at(&node, deadline);
        }
        CancelToken { node }
    }

    /// Makes a child that is cancelled after `timeout` at the latest.
    #[track_caller]
    pub fn with_timeout(&self, timeout: Duration) -> CancelToken {
        match deadline::after(timeout) {
            Some(deadline) => self.with_deadline(deadline),
            None => self.child(),
        }
    }

    /// Returns when the token is cancelled at the latest: the earliest deadline of its own and its ancestors'.
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline
    }

    /// Blocks until the token is cancelled. Returns the reason.
    #[track_caller]
    pub fn wait(&self) -> CancelReason {
        self.wait_until(None).expect("a wait without a deadline ends with the token's cancelling")
    }

    /// Blocks until the token is cancelled, for at most `timeout`. Returns the reason; `None` if the time was up first.
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<CancelReason> {
        self.wait_until(deadline::after(timeout))
    }

    /// Blocks until the token is cancelled, until `deadline` at the latest. Returns the reason; `None` if the time was
    /// up first.
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Option<CancelReason> {
        self.wait_until(Some(deadline))
    }

    #[track_caller]
    fn wait_until(&self, deadline: Option<Instant>) -> Option<CancelReason> {
        if !self.is_cancelled() {
            wait(
                (),
                None,
                deadline,
                // SAFETY: `wait` returns once the waiter has left or is settled; the token is borrowed.
                |waiter| _ = unsafe { self.enter(waiter) },
                |waiter| _ = self.leave(waiter),
            );
        }
        self.reason()
    }

    /// Enters the queue of those that wait for the token, unless it is cancelled. Returns whether the waiter is in.
    ///
    /// # Safety
    /// The waiter leaves, or is settled, before it or the last handle to the token is moved or dropped.
    pub(crate) unsafe fn enter(&self, waiter: &Waiter<()>) -> bool {
        let mut inner = self.node.inner.lock();
        let is_live = inner.reason.is_none();
        if is_live {
            // SAFETY: by the contract; the queue is in the node, which isn't moved.
            unsafe { inner.waiters.push(waiter) };
        }
        is_live
    }

    /// Leaves the queue. A waiter that was taken is settled by now, since both are done under one hold of the lock.
    pub(crate) fn leave(&self, waiter: &Waiter<()>) -> Removal {
        self.node.inner.lock().waiters.remove(waiter)
    }
}

impl Clone for CancelToken {
    /// Returns another handle to the same token.
    fn clone(&self) -> Self {
        CancelToken { node: self.node.clone() }
    }
}

impl Default for CancelToken {
    #[track_caller]
    fn default() -> Self {
        CancelToken::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("reason", &self.reason())
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

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

/// Tells threads and tasks to stop. Go's `context`, for cancelling.
///
/// Clones are handles to the same token. A [`child`](CancelToken::child) is cancelled with its parent, and can be
/// cancelled alone. Work that is to stop early holds a token and asks it now and then, or waits for it beside what it
/// waits for otherwise:
///
/// | to do this | use |
/// | --- | --- |
/// | ask between two steps of work | [`is_cancelled`](CancelToken::is_cancelled): one atomic load |
/// | stop waiting for a channel | `cancelled(token)` in a [`select!`](crate::select) |
/// | sleep, but not beyond the cancel | [`wait_timeout`](CancelToken::wait_timeout) |
/// | wait in async code | `(&token).await` |
/// | have something done that ends another wait | [`on_cancel`](CancelToken::on_cancel) |
/// | stop part of the work | a [`child`](CancelToken::child) |
/// | stop after a time | [`with_timeout`](CancelToken::with_timeout), [`with_deadline`](CancelToken::with_deadline) |
///
/// Cancelling asks. Nothing stops that doesn't look at its token.
///
/// # Examples
/// ```
/// use phalanx::{CancelToken, channel, select};
/// use std::thread;
///
/// let token = CancelToken::new();
/// let (sender, receiver) = channel::bounded(1);
/// let worker = thread::spawn({
///     let token = token.child();
///     move || {
///         let mut sum = 0;
///         loop {
///             select! {
///                 recv(receiver) -> n => match n {
///                     Ok(n) => sum += n,
///                     Err(_) => return sum,
///                 },
///                 cancelled(token) => return sum,
///             }
///         }
///     }
/// });
/// sender.send(1).unwrap();
/// token.cancel();
/// assert!(worker.join().unwrap() <= 1);
/// ```
///
/// # The tree
/// When [`cancel`](CancelToken::cancel) returns, all descendants are cancelled, unless another thread was cancelling some
/// of them already. A child of a cancelled token is cancelled from the start, with its reason. The tree may be of any
/// depth: nothing here is recursive.
///
/// Dropping a token doesn't cancel it. Its memory is freed with its last handle and its last descendant; a child that
/// is dropped leaves nothing behind in its parent. A descendant keeps its ancestors, since it is cancelled with them.
///
/// # Deadlines
/// A thread of the process, `phalanx-timer`, cancels tokens at their deadlines. The first deadline starts it; it also wakes tasks
/// that await a timer channel. It ends when there was none for some seconds. A deadline that
/// has passed before the token is made cancels it at once; otherwise it is cancelled soon after its deadline, as soon as
/// the timer's thread is scheduled.
///
/// # Panics
/// A callback that panics stops no other: see [`on_cancel`](CancelToken::on_cancel).
///
/// # Memory ordering
/// What a thread does before it cancels a token happens before an `is_cancelled` that returns `true`, of the token or a
/// descendant, before the return of a wait, and before a callback.
///
/// # Models
/// Under [`model`](crate::model) a deadline comes after any step, or not before the token is dropped. A token with a
/// deadline takes one thread of the model, which all of them share. With
/// [`without_deadlines`](crate::Model::without_deadlines) none comes.
///
/// # Forks
/// A forked child has a copy of the tree. A deadline that was set before the fork doesn't come there; one that is set in
/// the child does.
///
/// # Compared with others
/// | | phalanx | tokio-util's `CancellationToken` | Go's `context` |
/// | --- | --- | --- | --- |
/// | a reason | yes | no | yes |
/// | deadlines | yes | no | yes |
/// | waits | block or await | await | in a select |
/// | callbacks that can be removed | yes | no | yes |
/// | carries values | no | no | yes |
pub struct CancelToken {
    pub(super) node: NodeRef,
}

impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

impl CancelToken {
    /// Creates a token without a parent.
    ///
    /// # Examples
    /// ```
    /// use phalanx::CancelToken;
    ///
    /// assert!(!CancelToken::new().is_cancelled());
    /// ```
    #[track_caller]
    pub fn new() -> Self {
        CancelToken { node: NodeRef::root() }
    }

    /// Cancels the token and all its descendants. Returns `false` if it was cancelled before.
    ///
    /// Wakes all that wait for any of them, and then calls the callbacks, in this thread. It returns after the last of them,
    /// and takes time in proportion to the size of the subtree. A call that returns `false` waits for nothing: another
    /// thread may still be waking and calling.
    ///
    /// # Panics
    /// With the first panic of a callback, after everything else is done.
    ///
    /// # Examples
    /// ```
    /// use phalanx::CancelToken;
    ///
    /// let token = CancelToken::new();
    /// let [one, other] = [token.child(), token.child()];
    /// assert!(one.cancel());
    /// assert!(!token.is_cancelled() && !other.is_cancelled());
    /// assert!(token.cancel());
    /// assert!(other.is_cancelled());
    /// assert!(!other.cancel(), "it is cancelled");
    /// ```
    pub fn cancel(&self) -> bool {
        tree::cancel(&self.node, CancelReason::Cancelled)
    }

    /// Cancels the token and all its descendants, with a reason. Returns `false` if it was cancelled before: the first
    /// reason stays.
    ///
    /// The reason may be any error, a string, or the [`CancelReason`] of another token, which stays what it is.
    ///
    /// # Panics
    /// As [`cancel`](CancelToken::cancel).
    ///
    /// # Examples
    /// ```
    /// use phalanx::CancelToken;
    ///
    /// let token = CancelToken::new();
    /// let child = token.child();
    /// assert!(token.cancel_with("out of memory"));
    /// assert!(!token.cancel_with("too late"));
    /// assert_eq!(child.reason().unwrap().to_string(), "out of memory");
    /// ```
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

    /// Creates a child: a token that is cancelled when this one is, or alone.
    ///
    /// Costs an allocation and two short locks, one when it is made and one when it is dropped.
    #[track_caller]
    pub fn child(&self) -> CancelToken {
        CancelToken { node: self.node.child(None) }
    }

    /// Creates a child that is cancelled at `deadline` at the latest, as
    /// [`DeadlineExceeded`](CancelReason::DeadlineExceeded). A deadline later than this token's own changes nothing.
    ///
    /// # Panics
    /// If the timer's thread can't be started.
    #[track_caller]
    pub fn with_deadline(&self, deadline: Instant) -> CancelToken {
        let node = self.node.child(Some(deadline));
        let is_first = self.node.deadline.is_none_or(|earlier| deadline < earlier);
        if is_first && !node.is_cancelled() {
            tree::cancel_at(&node, deadline);
        }
        CancelToken { node }
    }

    /// Creates a child that is cancelled after `timeout` at the latest. A timeout too long to represent is none.
    ///
    /// # Panics
    /// If the timer's thread can't be started.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{CancelReason, CancelToken};
    /// use std::time::Duration;
    ///
    /// let token = CancelToken::new();
    /// let child = token.with_timeout(Duration::from_millis(2));
    /// assert!(child.deadline().is_some());
    /// assert!(matches!(child.wait(), CancelReason::DeadlineExceeded));
    /// assert!(!token.is_cancelled());
    /// ```
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
    ///
    /// In a callback of the token's own it returns at once: the token is cancelled by then.
    #[track_caller]
    pub fn wait(&self) -> CancelReason {
        self.wait_until(None).expect("a wait without a deadline ends with the token's cancelling")
    }

    /// Blocks until the token is cancelled, for at most `timeout`. Returns the reason; `None` if the time was up first. A
    /// timeout too long to represent is none.
    ///
    /// A sleep that a cancel ends:
    ///
    /// ```
    /// use phalanx::CancelToken;
    /// use std::time::Duration;
    ///
    /// fn poll_now_and_then(token: &CancelToken) {
    ///     while token.wait_timeout(Duration::from_millis(1)).is_none() {
    ///         // poll
    /// #       token.cancel();
    ///     }
    /// }
    /// # poll_now_and_then(&CancelToken::new());
    /// ```
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

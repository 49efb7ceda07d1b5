//! Registering a function that is called when a token is cancelled.

use super::callback::{Callback, CallbackState, Function};
use super::node::NodeRef;
use super::token::CancelToken;
use crate::support::in_callback;
use crate::sys::Arc;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A function that is called when a token is cancelled, as long as this lives. Returned by
/// [`CancelToken::on_cancel`].
///
/// Dropping it removes the function, which is dropped without being called. The drop never blocks: if a thread is calling
/// the function, that goes on, so the registration may be dropped in the function itself.
/// [`unregister`](CancelRegistration::unregister) tells which of these it was.
///
/// It keeps the token's memory.
#[must_use = "dropping a registration removes its function; `detach` leaves it registered"]
pub struct CancelRegistration(Option<Registered>);

struct Registered {
    node: NodeRef,
    id: u64,
    callback: Arc<dyn Callback>,
}

impl UnwindSafe for CancelRegistration {}
impl RefUnwindSafe for CancelRegistration {}

impl CancelToken {
    /// Registers a function that is called when the token is cancelled, by the thread that cancels it. Go's
    /// `context.AfterFunc`.
    ///
    /// It is called once, by [`cancel`](CancelToken::cancel) of the token or of an ancestor, or at a deadline by the
    /// timer's thread. If the token is cancelled already, this call calls it, and then returns. It is dropped without a
    /// call if the registration is dropped first, or the token is freed.
    ///
    /// By the time of the call the token's descendants are cancelled, and its waiters woken. Callbacks of one token are
    /// called in the order of their registration, and those of an ancestor before those of its descendants.
    ///
    /// Keep it short: the thread that cancels waits for it, and on the timer's thread so do all other deadlines. It may use
    /// the token in any way. A wait that needs other threads to come, as a barrier's does, panics there.
    ///
    /// # Panics
    /// If the token is cancelled already, with the panic of `f`. Otherwise a panic of `f` is resumed by the `cancel` that has
    /// called it, after all callbacks were called; of several panics the first, and none if the thread is unwinding.
    /// At a deadline it ends with the panic hook.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{CallbackState, CancelToken, channel};
    ///
    /// let token = CancelToken::new();
    /// let (sender, receiver) = channel::unbounded();
    /// let registration = token.on_cancel(move || _ = sender.send("cancelled"));
    /// token.cancel();
    /// assert_eq!(receiver.recv(), Ok("cancelled"));
    /// assert_eq!(registration.unregister(), CallbackState::HasRun);
    /// ```
    #[track_caller]
    pub fn on_cancel<F>(&self, f: F) -> CancelRegistration
    where
        F: FnOnce() + Send + 'static,
    {
        if self.is_cancelled() {
            in_callback::run(f);
            return CancelRegistration(None);
        }
        let function = Arc::new(Function::new(f));
        let id = {
            let mut inner = self.node.inner.lock();
            let id = inner.next_id;
            if inner.reason.is_none() {
                inner.next_id += 1;
                inner.callbacks.insert(id, function.clone());
                Some(id)
            } else {
                None
            }
        };
        match id {
            Some(id) => {
                let node = self.node.clone();
                CancelRegistration(Some(Registered { node, id, callback: function }))
            }
            None => {
                function.run();
                CancelRegistration(None)
            }
        }
    }
}

impl CancelRegistration {
    /// Removes the function. Returns whether it was called, is being called, or never will be. Never blocks.
    ///
    /// Called by the function itself, it returns [`Running`](CallbackState::Running).
    ///
    /// # Examples
    /// ```
    /// use phalanx::{CallbackState, CancelToken};
    ///
    /// let token = CancelToken::new();
    /// let registration = token.on_cancel(|| unreachable!("it is removed"));
    /// assert_eq!(registration.unregister(), CallbackState::NeverRuns);
    /// token.cancel();
    /// ```
    pub fn unregister(mut self) -> CallbackState {
        self.remove()
    }

    /// Leaves the function registered: it is called if the token is ever cancelled, and dropped when the token is freed.
    pub fn detach(mut self) {
        self.0 = None;
    }

    fn remove(&mut self) -> CallbackState {
        let Some(Registered { node, id, callback }) = self.0.take() else {
            return CallbackState::HasRun;
        };
        // Dropped at the end, without the lock: it is user code.
        let _removed = node.inner.lock().callbacks.remove(&id);
        callback.state()
    }
}

impl Drop for CancelRegistration {
    fn drop(&mut self) {
        self.remove();
    }
}

impl fmt::Debug for CancelRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelRegistration").finish_non_exhaustive()
    }
}

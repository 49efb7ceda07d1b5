//! Registering a function that is called when a token is cancelled.

use super::callback::{Callback, CallbackState, Function};
use super::node::NodeRef;
use super::token::CancelToken;
use crate::sys::Arc;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A function that is called when a token is cancelled, as long as this lives. Returned by
/// [`CancelToken::on_cancel`].
///
/// Dropping it removes the function, which is dropped without being called. The drop doesn't block: if another thread is
/// calling the function, that goes on. [`unregister`](CancelRegistration::unregister) tells whether it does.
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
    /// Registers a function that the thread which cancels the token calls: Go's `context.AfterFunc`.
    ///
    /// It is called at once, before this returns, if the token is cancelled already.
    #[track_caller]
    pub fn on_cancel<F>(&self, f: F) -> CancelRegistration
    where
        F: FnOnce() + Send + 'static,
    {
        if self.is_cancelled() {
            f();
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
    /// Removes the function, and returns whether it has been called, is being called, or never will be. Never blocks.
    pub fn unregister(mut self) -> CallbackState {
        self.remove()
    }

    /// Leaves the function registered: it is called if the token is ever cancelled, and dropped with the token.
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

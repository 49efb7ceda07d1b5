//! What `on_cancel` registers.

use crate::support::in_callback;
use crate::sys::Mutex;
use crate::sys::atomic::{AtomicU8, Ordering};

/// What became of a callback. Returned by [`CancelRegistration::unregister`](crate::CancelRegistration::unregister).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackState {
    /// It has not been called, and never will be. It has been dropped.
    NeverRuns,
    /// It is being called, by another thread or by the calling one.
    Running,
    /// It has returned, or panicked. What it did happens before the call that returned this.
    HasRun,
}

/// A registered function, without its type.
pub(super) trait Callback: Send + Sync {
    /// Called under the node's lock by the thread that will call [`run`](Callback::run).
    fn start(&self);

    /// Calls the function. A panic unwinds from here.
    fn run(&self);

    /// The state of one that is not registered any more.
    fn state(&self) -> CallbackState;
}

/// A registered function.
pub(super) struct Function<F> {
    /// `IDLE`, `RUNNING`, `DONE`.
    state: AtomicU8,
    function: Mutex<Option<F>>,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;

impl<F> Function<F> {
    #[track_caller]
    pub(super) fn new(function: F) -> Self {
        Function { state: AtomicU8::new(IDLE), function: Mutex::new(Some(function)) }
    }
}

impl<F: FnOnce() + Send> Callback for Function<F> {
    fn start(&self) {
        // IDLE => RUNNING
        // ORDERING: Relaxed: the node's lock orders it.
        self.state.store(RUNNING, Ordering::Relaxed);
    }

    fn run(&self) {
        /// RUNNING => DONE, also when the function panics.
        struct Done<'a>(&'a AtomicU8);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                // ORDERING: Release: pairs with the Acquire in `state`.
                self.0.store(DONE, Ordering::Release);
            }
        }
        let done = Done(&self.state);
        let function = self.function.lock().take();
        if let Some(function) = function {
            in_callback::run(function);
        }
        drop(done);
    }

    fn state(&self) -> CallbackState {
        // ORDERING: Acquire: pairs with the Release in `run`.
        match self.state.load(Ordering::Acquire) {
            DONE => CallbackState::HasRun,
            RUNNING => CallbackState::Running,
            _ => CallbackState::NeverRuns,
        }
    }
}

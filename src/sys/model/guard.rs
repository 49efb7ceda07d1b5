//! Calling loom in such a way that its verdict never unwinds.
//!
//! loom panics where it finds a race or a deadlock: in the middle of some thread's call. Unwinding from there
//! would run destructors of user code, which call loom again, panic again, and abort the process. So a
//! verdict ends the model where it stands:
//!
//! - G1. An exploration has an OS thread of its own, the *model's thread*. The test's thread waits for its
//!   [`Report`](super::run::Report).
//! - G2. Every call of loom stands between [`Call::begin`] and [`Call::end`]. A panic in between is a verdict.
//!   It drops the [`Call`], which reports it and parks the model's thread for good: nothing above it on the
//!   stack is unwound, and what the model holds is leaked.
//! - G3. No user code runs in between, so a panic of the user's own is never taken for a verdict. It unwinds as
//!   anywhere, and is reported when it has left the model's closure.
//! - G4. A panic hook hears what loom says, and calls the hook set before it for every other panic. It only
//!   listens: std calls it under a lock, so it must return. If another hook has replaced it, a verdict has its
//!   places but not loom's words.
//!
//! A panic of loom's own scheduler, outside of all calls, unwinds on the model's thread, where no user code is:
//! `explore.rs` reports that.

use super::run::{Fault, Place, Run, current_run, execution};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, Location, PanicHookInfo};
use std::sync::{Mutex, PoisonError};
use std::{mem, thread};

std::thread_local! {
    /// Whether loom runs, rather than the model's code.
    static IN_LOOM: Cell<bool> = const { Cell::new(true) };
    /// Whether the next panic only asks for the hook, which answers by clearing this.
    static ASKS: Cell<bool> = const { Cell::new(false) };
    /// What loom's last panic said.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    /// What the last panic of the model's code said, and where.
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs user code from now on, rather than loom. The reverse of [`enter_loom`].
pub(super) fn leave_loom() {
    IN_LOOM.set(false);
}

/// Runs loom from now on, rather than user code.
pub(super) fn enter_loom() {
    IN_LOOM.set(true);
}

/// Forgets the panics of the execution before.
pub(super) fn forget_panics() {
    PANICKED.set(None);
}

/// A call of loom that is under way.
#[must_use = "a call that isn't ended is a verdict"]
pub(super) struct Call {
    run: &'static Run,
    at: Place,
    /// Whether the thread was unwinding already.
    unwinding: bool,
    /// Whether loom itself was at work, at the end of a thread.
    in_loom: bool,
}

impl Call {
    /// # Panics
    /// Outside of a model.
    #[track_caller]
    #[inline]
    pub(super) fn begin() -> Self {
        let Some(run) = current_run() else { outside() };
        let at = Location::caller();
        run.step(at);
        let in_loom = IN_LOOM.replace(true);
        Call { run, at, unwinding: thread::panicking(), in_loom }
    }

    #[inline]
    pub(super) fn end(self) {
        IN_LOOM.set(self.in_loom);
        mem::forget(self);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let unwinding = if self.unwinding { PANICKED.take() } else { None };
        self.run.fail(Fault::Loom { at: Some(self.at), said: SAID.take(), unwinding });
    }
}

#[cold]
#[track_caller]
pub(super) fn outside() -> ! {
    panic!(
        "phalanx: used outside of a model. In this build (`--cfg phalanx_loom`) its types work only inside the \
         closure of `phalanx::model` or `Model::check`"
    );
}

/// The execution that an object of loom's belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made(u64);

impl Made {
    pub(super) fn now() -> Self {
        Made(execution())
    }

    /// Begins a call that uses the object.
    #[track_caller]
    #[inline]
    pub(super) fn call(self) -> Call {
        let call = Call::begin();
        if self.0 != execution() {
            call.run.fail(Fault::Foreign(call.at));
        }
        call
    }
}

/// Sets the panic hook, unless it is already the one that panics call.
pub(super) fn listen() {
    static IS_SET: Mutex<bool> = Mutex::new(false);
    let mut is_set = IS_SET.lock().unwrap_or_else(PoisonError::into_inner);
    if mem::replace(&mut *is_set, true) && is_listening() {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !heard(info) {
            before(info);
        }
    }));
}

/// Whether a panic would be heard. Only a panic can tell: a test may have set another hook since.
fn is_listening() -> bool {
    ASKS.set(true);
    let asked = panic::catch_unwind(|| panic!("phalanx asks whether its panic hook is still set"));
    asked.is_err() && !ASKS.replace(false)
}

/// Notes a panic of a model's thread; `true` for loom's own.
fn heard(info: &PanicHookInfo<'_>) -> bool {
    if ASKS.replace(false) {
        return true;
    }
    if current_run().is_none() {
        return false;
    }
    let message = message(info.payload());
    if IN_LOOM.get() {
        let _ = SAID.try_with(|said| said.replace(Some(message.to_owned())));
        return true;
    }
    let place = info.location().map_or(String::new(), |at| format!(" at {at}"));
    let text = format!("a panic{place}: {message}");
    let _ = PANICKED.try_with(|panicked| panicked.replace(Some(text)));
    false
}

/// Returns what a panic says.
pub(super) fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        payload.downcast_ref::<&str>().copied().unwrap_or("a payload that isn't text")
    }
}

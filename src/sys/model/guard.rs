//! Calling loom in such a way that its verdict never unwinds.
//!
//! loom panics where it finds a race or a deadlock: in the middle of some thread's call. Unwinding from there
//! would run destructors of user code, which call loom again, panic again, and abort the process. So a
//! verdict ends the model where it stands:
//!
//! 1. An exploration has a thread of the system of its own, the *model's thread*. The test's thread waits for
//!    its [`Report`].
//! 2. Every call of loom stands between [`Call::begin`] and [`Call::end`]. A panic in between is a verdict.
//!    It drops the [`Call`], which reports it and parks the model's thread for good: nothing above it on
//!    the stack is unwound, and what the model holds is leaked.
//! 3. No user code runs in between, so a panic of the user's own is never taken for a verdict. It unwinds
//!    as anywhere, and is reported when it has left the model's closure.
//! 4. What loom says is heard by a panic hook that calls the one set before it for every other panic. The
//!    hook only listens: std calls it under a lock, so it must return. Where another hook has replaced it,
//!    a verdict has its places but not loom's words.
//!
//! A panic of loom's own scheduler, outside of all calls, unwinds on the model's thread, where no user code
//! is: `run.rs` reports that.

use super::verdict;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, Location, PanicHookInfo};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::{mem, ptr, thread};

/// How an exploration ended.
pub(super) enum Report {
    Holds,
    Verdict(String),
    /// The closure panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

/// One exploration, as both of its threads see it.
pub(super) struct Run {
    /// Its number among all of the process; not 0.
    pub(super) id: u64,
    pub(super) settings: Settings,
    pub(super) executions: AtomicU64,
    /// Calls of loom so far.
    pub(super) steps: AtomicU64,
    /// The place of the last of them.
    pub(super) last: AtomicPtr<Location<'static>>,
    /// The test's thread has given it up.
    pub(super) abandoned: AtomicBool,
    pub(super) reports: Sender<Report>,
}

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) rmw_loads: bool,
    pub(super) preemption_bound: Option<usize>,
    pub(super) max_branches: usize,
    pub(super) no_deadlines: bool,
}

impl Run {
    fn step(&self, at: &'static Location<'static>) {
        // ORDERING: Relaxed, here and for `executions`: only counts. Relaxed for the place: it is of a
        // constant. Relaxed for `abandoned`: nothing is read after it.
        self.steps.store(self.steps.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.last.store(ptr::from_ref(at).cast_mut(), Ordering::Relaxed);
        if self.abandoned.load(Ordering::Relaxed) {
            park_for_good();
        }
    }

    /// Where loom was called last.
    pub(super) fn last_place(&self) -> Option<&'static Location<'static>> {
        // ORDERING: Relaxed: see `step`.
        // SAFETY: null, or a reference to a constant.
        unsafe { self.last.load(Ordering::Relaxed).as_ref() }
    }

    /// Reports, on the model's thread, and never runs anything on it again.
    pub(super) fn end(&self, report: Report) -> ! {
        // A test that waits no longer has given the model up.
        let _ = self.reports.send(report);
        park_for_good()
    }
}

fn park_for_good() -> ! {
    loop {
        thread::park();
    }
}

std::thread_local! {
    /// The exploration whose thread this is.
    static RUN: Cell<Option<&'static Run>> = const { Cell::new(None) };
    /// The number of the execution under way, among all of the process.
    static EXECUTION: Cell<u64> = const { Cell::new(0) };
    /// Whether loom runs, rather than the model's code.
    static IN_LOOM: Cell<bool> = const { Cell::new(true) };
    /// Whether the next panic only asks for the hook, which says so by taking this back.
    static ASKS: Cell<bool> = const { Cell::new(false) };
    /// What loom's last panic said.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    /// What the last panic of the model's code said, and where.
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The exploration whose thread this is.
pub(super) fn current_run() -> Option<&'static Run> {
    RUN.get()
}

/// Makes the calling thread the one of `run`.
pub(super) fn set_run(run: &'static Run) {
    RUN.set(Some(run));
}

/// The number of the execution under way: no other has had it, or will have it.
pub(super) fn execution() -> u64 {
    EXECUTION.get()
}

/// Starts an execution.
pub(super) fn next_execution(run: &Run) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // ORDERING: Relaxed, both: numbers, and nothing goes with them.
    EXECUTION.set(NEXT.fetch_add(1, Ordering::Relaxed));
    run.executions.fetch_add(1, Ordering::Relaxed);
    PANICKED.set(None);
}

/// Says whether loom or the model's code runs from now on.
pub(super) fn set_in_loom(in_loom: bool) {
    IN_LOOM.set(in_loom);
}

/// What loom said when it panicked.
pub(super) fn take_said() -> Option<String> {
    SAID.take()
}

/// A call of loom that is under way.
#[must_use = "a call that isn't ended is a verdict"]
pub(super) struct Call {
    run: &'static Run,
    at: &'static Location<'static>,
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
        let Some(run) = RUN.get() else { outside() };
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
        let said = take_said();
        let mut text = verdict::translate(said.as_deref(), Some(self.at), self.run);
        if self.unwinding
            && let Some(first) = PANICKED.take()
        {
            text = format!("{first}\nand while that panic unwinds: {text}");
        }
        self.run.end(Report::Verdict(text));
    }
}

#[cold]
#[track_caller]
pub(super) fn outside() -> ! {
    panic!(
        "phalanx: used outside of a model. In this build (`--cfg phalanx_loom`) its types work inside the \
         closure of `phalanx::model` or `Model::check` alone"
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
            call.run.end(Report::Verdict(verdict::foreign(call.at, call.run)));
        }
        call
    }
}

/// Sets the panic hook, unless it is the one that is called already.
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
    let asked = panic::catch_unwind(|| panic!("phalanx asks whether its panic hook is set still"));
    asked.is_err() && !ASKS.replace(false)
}

/// Notes a panic of a model's thread; `true` for loom's own.
fn heard(info: &PanicHookInfo<'_>) -> bool {
    if ASKS.replace(false) {
        return true;
    }
    if RUN.get().is_none() {
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

/// What a panic says.
pub(super) fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        payload.downcast_ref::<&str>().copied().unwrap_or("a value that is no text")
    }
}

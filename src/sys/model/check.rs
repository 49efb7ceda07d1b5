//! Running a closure under loom, twice.

use super::super::{numbers, tasks};
use super::atomic::with_rmw_loads;
use super::{locks, park};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Runs `f` under the model checker: once for every interleaving within the bound.
///
/// `f` must do the same each time, given the same schedule: no clock, no random numbers, no real
/// threads. All of its threads, atomics and cells come from [`thread`](crate::thread),
/// [`atomic`](crate::atomic), [`cell`](crate::cell) or phalanx's types. See [`Model`] for what is
/// explored, and what is not.
///
/// # Panics
/// Whatever `f` panics with, and when loom finds a race, a deadlock or a leak. A failed model may
/// also abort the process: run models one a process.
#[track_caller]
pub fn model(f: impl Fn() + Send + Sync + 'static) {
    Model::new().check(f);
}

/// The settings of a [`model`] run.
///
/// # What is explored
/// Every schedule of up to five threads, the closure's own included, with at most
/// [`preemption_bound`](Model::preemption_bound) preemptions: 2 unless the environment's
/// `LOOM_MAX_PREEMPTIONS` or the setting says otherwise. A bug that needs more preemptions than
/// the bound is not found. Relaxed, Acquire and Release are modelled, with stale reads;
/// `fence(SeqCst)` is too, but a SeqCst *access* counts as AcqRel.
///
/// The closure is run through twice. Once as written; and once with every load as a
/// read-modify-write, because loom explores only one order of a load and another thread's
/// compare-exchange. `PHALANX_MODEL_LOADS` set to `plain` or `rmw` picks one of the two.
///
/// # What is not
/// - A thread spins by calling [`yield_now`](crate::thread::yield_now); a loop without it runs
///   into the branch limit.
/// - Time: a wait with a deadline may time out at any moment, however long the deadline, or never
///   with [`without_deadlines`](Model::without_deadlines).
/// - A compare_exchange_weak or a [`park`](crate::thread::park) that returns spuriously, memory
///   use, and anything outside the seam.
/// - A notification of a [`Condvar`](crate::Condvar) orders what came before it with what the
///   woken thread does, which on the machine only the mutex promises.
/// - std's `Arc` and locks add no order that loom sees; a plain `std::thread_local!` is one for all
///   threads of a model, which run on one thread of the system.
/// - Wake-ups of futures are ordered with one another, as on the machine only some are.
///
/// `LOOM_MAX_DURATION` and `LOOM_MAX_PERMUTATIONS` are ignored: loom ends such a run in success.
#[derive(Clone, Debug)]
pub struct Model {
    preemption_bound: Option<usize>,
    max_branches: usize,
    no_deadlines: bool,
}

const DEFAULT_PREEMPTION_BOUND: usize = 2;
const DEFAULT_MAX_BRANCHES: usize = 10_000;

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// The default settings.
    pub fn new() -> Self {
        Model {
            preemption_bound: match env::var("LOOM_MAX_PREEMPTIONS") {
                Err(_) => Some(DEFAULT_PREEMPTION_BOUND),
                Ok(bound) if bound == "unbounded" => None,
                Ok(bound) => Some(bound.parse().expect("LOOM_MAX_PREEMPTIONS is a number")),
            },
            max_branches: DEFAULT_MAX_BRANCHES,
            no_deadlines: false,
        }
    }

    /// Explores schedules with at most `bound` preemptions; `None` explores all.
    ///
    /// The default is 2, or what the environment's `LOOM_MAX_PREEMPTIONS` says.
    pub fn preemption_bound(mut self, bound: Option<usize>) -> Self {
        self.preemption_bound = bound;
        self
    }

    /// Fails an execution that passes more than `branches` points of choice.
    pub fn max_branches(mut self, branches: usize) -> Self {
        self.max_branches = branches;
        self
    }

    /// Treats every deadline as one that never comes: a timed wait sleeps until it is woken, so
    /// that a wake-up it would have missed shows as a deadlock.
    pub fn without_deadlines(mut self) -> Self {
        self.no_deadlines = true;
        self
    }

    /// Runs `f` once for every interleaving within the bound, in both modes of loads.
    #[track_caller]
    pub fn check(&self, f: impl Fn() + Send + Sync + 'static) {
        let f = Arc::new(f);
        let loads = env::var("PHALANX_MODEL_LOADS");
        for rmw in [false, true] {
            match loads.as_deref() {
                Ok("plain") if rmw => continue,
                Ok("rmw") if !rmw => continue,
                Ok("plain" | "rmw") | Err(_) => {}
                Ok(other) => panic!("PHALANX_MODEL_LOADS is `plain` or `rmw`, not `{other}`"),
            }
            let (f, before) = (f.clone(), EXECUTION.get());
            with_rmw_loads(rmw, || self.explore(move || f()));
            // Seen with `--nocapture`, or when the test fails.
            let (loads, executions) = (if rmw { "rmw" } else { "plain" }, EXECUTION.get() - before);
            eprintln!("model: {executions} executions with {loads} loads");
        }
    }

    fn explore(&self, f: impl Fn() + Send + Sync + 'static) {
        park::NO_DEADLINES.set(self.no_deadlines);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = self.preemption_bound;
        builder.max_branches = self.max_branches;
        builder.max_duration = None;
        builder.max_permutations = None;
        builder.check(move || {
            EXECUTION.set(EXECUTION.get() + 1);
            report_verdict();
            // Made here, by the thread from which all others descend.
            park::lot();
            tasks::table();
            numbers::owned();
            locks::orders();
            f();
            report_verdict();
        });
        // Threads that outlived the last execution's closure.
        report_verdict();
    }
}

/// Fails the model if loom found a failure that user code swallowed.
fn report_verdict() {
    if let Some(verdict) = VERDICT.take() {
        panic!("{verdict}");
    }
}

std::thread_local! {
    /// Counts the executions that this OS thread has run.
    static EXECUTION: Cell<u64> = const { Cell::new(0) };
    /// The first failure that loom raised in this execution, should user code swallow the panic.
    static VERDICT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A value made anew in each execution, and kept until the next one starts.
///
/// Not loom's `lazy_static`, which is gone when the closure returns: threads may run on after it.
pub(crate) struct PerExecution<T>(RefCell<Option<(u64, Box<T>)>>);

impl<T> PerExecution<T> {
    pub(crate) const fn new() -> Self {
        PerExecution(RefCell::new(None))
    }

    /// This execution's value. `'static` stands for "until the next execution".
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        let execution = EXECUTION.get();
        let mut slot = self.0.borrow_mut();
        if slot.as_ref().is_none_or(|(made_in, _)| *made_in != execution) {
            *slot = Some((execution, Box::new(make())));
        }
        let value: *const T = &*slot.as_ref().expect("made above").1;
        // SAFETY: the box stays where it is until the next execution, when every thread of this one
        // has ended; the model runs on one OS thread.
        unsafe { &*value }
    }
}

/// How loom's own failures begin, or what they hold.
const VERDICTS: [&str; 8] = [
    "Causality violation",
    "deadlock; threads",
    "Model exceeded",
    "currently writing to cell",
    "currently reading from cell",
    "use after free",
    "freed twice",
    "[loom internal bug]",
];

/// Runs `f`, and gives its panic back as a value.
///
/// A panic that is loom's verdict fails the execution even if the value is then dropped.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
    catch_unwind(AssertUnwindSafe(f)).inspect_err(|payload| {
        let message = message(payload.as_ref());
        if VERDICTS.iter().any(|verdict| message.contains(verdict)) {
            VERDICT.with_borrow_mut(|found| {
                found.get_or_insert_with(|| message.to_owned());
            });
        }
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        payload.downcast_ref::<&str>().copied().unwrap_or("")
    }
}

//! Running a closure under loom, twice.

use super::atomic::with_rmw_loads;
use super::guard::{self, Report, Run, Settings};
use super::run::{explore, is_running};
use super::{locks, park, verdict};
use crate::support::{thread_index, wakers};
use std::cell::RefCell;
use std::env;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs `f` under the model checker: once for every interleaving within the bound.
///
/// `f` must do the same each time, given the same schedule: no clock, no random numbers, no real
/// threads. All of its threads, atomics and cells come from [`thread`](crate::thread),
/// [`atomic`](crate::atomic), [`cell`](crate::cell) or phalanx's types. See [`Model`] for what is
/// explored, and what is not.
///
/// # Panics
/// Whatever `f` panics with, and when a race, a deadlock, a leak or an exceeded bound is found: the
/// message says which, and where.
#[track_caller]
pub fn model(f: impl Fn() + Send + Sync + 'static) {
    Model::new().check(f);
}

#[doc = include_str!("../model.md")]
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

    /// Fails an execution that passes more than `branches` points of choice. The default is 10,000.
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
    ///
    /// # Panics
    /// As [`model`]. Also if it is called inside a model.
    #[track_caller]
    pub fn check(&self, f: impl Fn() + Send + Sync + 'static) {
        assert!(
            guard::current_run().is_none(),
            "phalanx: a model inside of a model. `phalanx::model` and `Model::check` are for a test's own thread"
        );
        let f = Arc::new(f);
        let loads = env::var("PHALANX_MODEL_LOADS");
        for rmw_loads in [false, true] {
            match loads.as_deref() {
                Ok("plain") if rmw_loads => continue,
                Ok("rmw") if !rmw_loads => continue,
                Ok("plain" | "rmw") | Err(_) => {}
                Ok(other) => panic!("PHALANX_MODEL_LOADS is `plain` or `rmw`, not `{other}`"),
            }
            let settings = Settings {
                rmw_loads,
                preemption_bound: self.preemption_bound,
                max_branches: self.max_branches,
                no_deadlines: self.no_deadlines,
            };
            let f = f.clone();
            let (report, executions) = explore(settings, move || f());
            // Seen with `--nocapture`, or when the test fails.
            let loads = if rmw_loads { "rmw" } else { "plain" };
            eprintln!("model: {executions} executions with {loads} loads");
            match report {
                Report::Holds => {}
                Report::Verdict(text) => panic!("{text}"),
                // The hook has told it, with its place.
                Report::Panicked(payload) => resume_unwind(payload),
            }
        }
    }
}

/// Explores `f` on this thread, which is the one of `run`.
pub(super) fn with_settings(run: &'static Run, f: impl Fn() + Send + Sync + 'static) {
    park::NO_DEADLINES.set(run.settings.no_deadlines);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = run.settings.preemption_bound;
    builder.max_branches = run.settings.max_branches;
    builder.max_duration = None;
    builder.max_permutations = None;
    builder.location = true;
    let execute = move || {
        guard::set_in_loom(false);
        guard::next_execution(run);
        // Made here, by the thread from which all others descend.
        park::lot();
        wakers::table();
        thread_index::owned();
        locks::orders();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(&f)) {
            // Other threads of the model may be in the middle of anything: nothing of it goes on.
            run.end(Report::Panicked(payload));
        }
        guard::set_in_loom(true);
    };
    with_rmw_loads(run.settings.rmw_loads, || builder.check(execute));
}

/// A value made anew in each execution, and kept until the next one starts.
///
/// Not loom's `lazy_static`, which is gone when the closure returns: threads may run on after it.
///
/// One in a `static` is for one exploration at a time: `owner` is the one that uses it.
pub(crate) struct PerExecution<T> {
    owner: AtomicU64,
    slot: RefCell<Option<(u64, Box<T>)>>,
}

impl<T> PerExecution<T> {
    pub(crate) const fn new() -> Self {
        PerExecution { owner: AtomicU64::new(0), slot: RefCell::new(None) }
    }

    /// This execution's value. `'static` stands for "until the next execution".
    #[track_caller]
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        self.own();
        let execution = guard::execution();
        let mut slot = self.slot.borrow_mut();
        if slot.as_ref().is_none_or(|(made_in, _)| *made_in != execution) {
            *slot = Some((execution, Box::new(make())));
        }
        let value: *const T = &*slot.as_ref().expect("made above").1;
        // SAFETY: the box stays where it is until the next execution, when every thread of this one
        // has ended; the model runs on one OS thread, and no other model may use it meanwhile.
        unsafe { &*value }
    }

    /// Makes sure that no other exploration uses it.
    #[track_caller]
    fn own(&self) {
        let Some(run) = guard::current_run() else { guard::outside() };
        // ORDERING: Acquire, in all of them: pairs with the Release of the exchange, by which the last
        // owner's uses come before: it had ended when `is_running` was asked, which is a lock.
        let mut owner = self.owner.load(Ordering::Acquire);
        while owner != run.id {
            if owner != 0 && is_running(owner) {
                run.end(Report::Verdict(verdict::shared(Location::caller())));
            }
            let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
            match self.owner.compare_exchange(owner, run.id, success, failure) {
                Ok(_) => return,
                Err(now) => owner = now,
            }
        }
    }
}

/// Runs `f`, and returns its panic as a value. A verdict doesn't come this way: see `guard.rs`.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
    catch_unwind(AssertUnwindSafe(f))
}

//! `phalanx::model`: one face for the machine, where the closure runs once, and for the model, where it is
//! explored.

use crate::support::{alarm, thread_index, wakers};
use crate::sys::{Settings, explore};

/// Runs `f` once in a normal build, and under the model checker in a model build.
///
/// In a normal build `f` runs on real threads, so a test written with `model` is an ordinary test. A model build,
/// with `--cfg phalanx_loom` and the feature `loom`, explores every interleaving within a bound instead.
/// [`Model`] says what that proves, and what it doesn't.
///
/// # Examples
/// ```
/// use phalanx::atomic::{AtomicUsize, Ordering};
/// use phalanx::WaitGroup;
/// use std::sync::Arc;
///
/// phalanx::model(|| {
///     let (group, sum) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
///     for n in [1, 2] {
///         let sum = sum.clone();
///         group.go(move || { sum.fetch_add(n, Ordering::Relaxed); });
///     }
///     group.wait();
///     assert_eq!(sum.load(Ordering::Relaxed), 3);
/// });
/// ```
///
/// In a model build `f` must do the same each time, given the same schedule: no clock, no random numbers, no
/// std threads. All of its threads, atomics and cells come from [`thread`](crate::thread),
/// [`atomic`](crate::atomic), [`cell`](crate::cell) or phalanx's types.
///
/// # Panics
/// With the panic of `f`. In a model build also when a race, a deadlock, a leak or an exceeded limit is found:
/// the message says which, and where.
#[track_caller]
pub fn model(f: impl Fn() + Send + Sync + 'static) {
    Model::new().check(f);
}

#[doc = include_str!("model.md")]
#[derive(Clone, Debug)]
pub struct Model(Settings);

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// Creates the default settings.
    pub fn new() -> Self {
        Model(Settings::DEFAULT)
    }

    /// Explores schedules with at most `bound` preemptions; `None` explores all.
    ///
    /// The default is 2, or the value of `LOOM_MAX_PREEMPTIONS` in the environment.
    pub fn preemption_bound(mut self, bound: Option<usize>) -> Self {
        self.0.preemption_bound = Some(bound);
        self
    }

    /// Fails an execution that passes more than `branches` points of choice. The default is 10,000.
    pub fn max_branches(mut self, branches: usize) -> Self {
        self.0.max_branches = branches;
        self
    }

    /// Lets no deadline pass: a timed wait sleeps until it is woken, so a lost wake-up shows as a deadlock.
    pub fn without_deadlines(mut self) -> Self {
        self.0.no_deadlines = true;
        self
    }

    /// Runs `f`: once in a normal build, and in a model build once for every interleaving within the bound.
    ///
    /// # Panics
    /// As [`model`]. In a model build, also if called inside a model.
    #[track_caller]
    pub fn check(&self, f: impl Fn() + Send + Sync + 'static) {
        explore(self.0, prepare, f);
    }
}

/// Makes what an execution has once for all its threads, before the first of them does anything: made later,
/// it would carry the history of the thread that came first to all the others.
fn prepare() {
    wakers::table();
    alarm::place();
    thread_index::owned();
    #[cfg(phalanx_loom)]
    crate::support::spec::orders();
}

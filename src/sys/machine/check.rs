//! `phalanx::model` off the model: the closure runs once, on real threads.

/// Runs `f` under the model checker in a model build, and once, natively, in any other.
///
/// This is a native build: `f` runs once, so a test written with `model` is an ordinary test
/// here. Build with `--cfg phalanx_loom` and the feature `loom` to have every interleaving within
/// the bound explored instead. [`Model`] tells what that proves, and what it doesn't.
///
/// In a model build `f` must do the same each time, given the same schedule: no clock, no random numbers, no
/// real threads. All of its threads, atomics and cells come from [`thread`](crate::thread),
/// [`atomic`](crate::atomic), [`cell`](crate::cell) or phalanx's types.
///
/// # Panics
/// Whatever `f` panics with. In a model build also when a race, a deadlock, a leak or an exceeded bound is
/// found: the message says which, and where.
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
#[track_caller]
pub fn model(f: impl Fn() + Send + Sync + 'static) {
    f();
}

#[doc = include_str!("../model.md")]
#[derive(Clone, Debug, Default)]
pub struct Model(());

impl Model {
    /// The default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Explores schedules with at most `bound` preemptions; `None` explores all.
    ///
    /// The default is 2, or what the environment's `LOOM_MAX_PREEMPTIONS` says.
    pub fn preemption_bound(self, _bound: Option<usize>) -> Self {
        self
    }

    /// Fails an execution that passes more than `branches` points of choice. The default is 10,000.
    pub fn max_branches(self, _branches: usize) -> Self {
        self
    }

    /// Treats every deadline as one that never comes: a timed wait sleeps until it is woken, so
    /// that a wake-up it would have missed shows as a deadlock.
    pub fn without_deadlines(self) -> Self {
        self
    }

    /// Runs `f`: once here, in a model build once for every interleaving within the bound.
    #[track_caller]
    pub fn check(&self, f: impl Fn() + Send + Sync + 'static) {
        f();
    }
}

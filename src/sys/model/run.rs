//! One exploration, as both of its threads see it: the test's, and the model's that it waits for.

use super::super::settings::Settings;
use super::waiting::{self, List};
use std::any::Any;
use std::cell::Cell;
use std::ffi::OsStr;
use std::panic::Location;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::{ptr, thread};

/// A place in the source.
pub(super) type Place = &'static Location<'static>;

/// The folder of this crate's sources, as the compiler was told it.
const SOURCES: &str = file!().split_at(file!().len() - "sys/model/run.rs".len()).0;

/// Whether a place is in this crate.
pub(super) fn is_ours(at: Place) -> bool {
    at.file().starts_with(SOURCES)
}

/// Whether a place is in `lock_api`, from inside of which a guard's drop calls.
pub(super) fn is_in_lock_api(at: Place) -> bool {
    // Each step asks, and few paths pass the first question.
    at.file().contains(LOCK_API) && has_lock_api(at.file())
}

const LOCK_API: &str = "lock_api";

/// Whether a folder of the path is `lock_api`'s: of that name, or `lock_api-0.5.0`.
fn has_lock_api(path: &str) -> bool {
    let folders = Path::new(path).iter().filter_map(OsStr::to_str);
    let mut versions = folders.filter_map(|folder| folder.strip_prefix(LOCK_API));
    versions.any(|it| {
        it.is_empty() || it.starts_with('-') && it[1..].starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Whether a place is in the user's code.
pub(super) fn is_users(at: Place) -> bool {
    !is_ours(at) && !is_in_lock_api(at)
}

/// How an exploration ended.
pub(super) enum Report {
    Holds,
    /// The model is at fault, and these threads were waiting.
    Fault(Fault, List),
    /// The closure panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

/// What a verdict is about.
pub(super) enum Fault {
    /// loom panicked, in the call at `at` or outside of all calls.
    Loom {
        at: Option<Place>,
        /// What loom said; `None` if a panic hook of the test's kept it away.
        said: Option<String>,
        /// The panic of the closure that was unwinding meanwhile.
        unwinding: Option<String>,
    },
    /// A value that was made in another execution is used.
    Foreign(Place),
    /// A lock that another exploration uses is used.
    Shared(Place),
}

/// One exploration.
pub(super) struct Run {
    /// Its number among all of the process; not 0.
    pub(super) id: u64,
    pub(super) rmw_loads: bool,
    pub(super) preemption_bound: Option<usize>,
    pub(super) settings: Settings,
    pub(super) executions: AtomicU64,
    /// Calls of loom so far.
    pub(super) steps: AtomicU64,
    /// The place of the last of them that a line of the user's called.
    last: AtomicPtr<Location<'static>>,
    /// The test's thread has given it up.
    pub(super) abandoned: AtomicBool,
    reports: Sender<Report>,
}

impl Run {
    /// Creates a run, whose reports go to `reports`, and keeps it for good: the thread of a failed model is
    /// never freed either.
    pub(super) fn start(
        settings: Settings,
        preemption_bound: Option<usize>,
        rmw_loads: bool,
        reports: Sender<Report>,
    ) -> &'static Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let run = Box::leak(Box::new(Run {
            // ORDERING: Relaxed: a number.
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            rmw_loads,
            preemption_bound,
            settings,
            executions: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            last: AtomicPtr::default(),
            abandoned: AtomicBool::new(false),
            reports,
        }));
        running(|running| running.push(run.id));
        run
    }

    /// Notes that nothing of it runs any more.
    pub(super) fn finish(&self) {
        running(|running| running.retain(|&id| id != self.id));
    }

    /// Notes a call of loom at `at`.
    pub(super) fn step(&self, at: Place) {
        // ORDERING: Relaxed, load and store: only a count.
        self.steps.store(self.steps.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if is_users(at) {
            // ORDERING: Relaxed: the place is a constant.
            self.last.store(ptr::from_ref(at).cast_mut(), Ordering::Relaxed);
        }
        // ORDERING: Relaxed: nothing is read after it.
        if self.abandoned.load(Ordering::Relaxed) {
            park_for_good();
        }
    }

    /// Returns the user's line that called loom last.
    pub(super) fn last_place(&self) -> Option<Place> {
        // ORDERING: Relaxed: see `step`.
        let last = self.last.load(Ordering::Relaxed);
        // SAFETY: null, or a reference to a constant.
        unsafe { last.as_ref() }
    }

    /// Reports, on the model's thread.
    pub(super) fn report(&self, report: Report) {
        // A test that waits no longer has given the model up.
        let _ = self.reports.send(report);
    }

    /// Reports, on the model's thread, and never runs anything on it again.
    pub(super) fn end(&self, report: Report) -> ! {
        self.report(report);
        park_for_good()
    }

    /// Ends with a fault.
    pub(super) fn fail(&self, fault: Fault) -> ! {
        self.end(Report::Fault(fault, waiting::take()))
    }
}

fn park_for_good() -> ! {
    loop {
        thread::park();
    }
}

/// Runs `f` on the ids of the explorations under way. One that was given up stays: it may yet go on.
fn running<R>(f: impl FnOnce(&mut Vec<u64>) -> R) -> R {
    static RUNNING: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    f(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether an exploration is under way.
pub(super) fn is_running(id: u64) -> bool {
    running(|running| running.contains(&id))
}

std::thread_local! {
    /// The exploration whose thread this is.
    static RUN: Cell<Option<&'static Run>> = const { Cell::new(None) };
    /// The number of the execution under way, among all of the process.
    static EXECUTION: Cell<u64> = const { Cell::new(0) };
}

/// Returns the exploration whose thread this is.
pub(super) fn current_run() -> Option<&'static Run> {
    RUN.get()
}

/// Makes the calling thread the one of `run`.
pub(super) fn set_run(run: &'static Run) {
    RUN.set(Some(run));
}

/// Returns the number of the execution under way; no other has ever the same.
pub(super) fn execution() -> u64 {
    EXECUTION.get()
}

/// Starts an execution.
pub(super) fn next_execution(run: &Run) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // ORDERING: Relaxed: a number, and nothing goes with it.
    EXECUTION.set(NEXT.fetch_add(1, Ordering::Relaxed));
    // ORDERING: Relaxed: a count.
    run.executions.fetch_add(1, Ordering::Relaxed);
    waiting::take();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_lock_api_is_told_from_a_user_s_with_its_name_inside() {
        for theirs in ["/registry/lock_api-0.5.0/src/mutex.rs", "vendor/lock_api/src/mutex.rs"] {
            assert!(has_lock_api(theirs), "{theirs}");
        }
        for users in
            ["/home/my_lock_api/src/main.rs", "lock_api-demo/src/main.rs", "src/lock_api.rs"]
        {
            assert!(!has_lock_api(users), "{users}");
        }
    }
}

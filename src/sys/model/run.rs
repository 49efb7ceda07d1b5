//! One exploration, on a thread of its own.

use super::guard::{self, Report, Run, Settings};
use super::watch::{BETWEEN_LOOKS, Kernel, Watch};
use super::{verdict, with_settings};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The explorations under way. One that was given up stays: it may yet go on.
static RUNNING: Mutex<Vec<u64>> = Mutex::new(Vec::new());

fn running<R>(f: impl FnOnce(&mut Vec<u64>) -> R) -> R {
    f(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether an exploration is under way.
pub(super) fn is_running(id: u64) -> bool {
    running(|running| running.contains(&id))
}

/// Explores `f`, and returns how that ended and in how many executions.
pub(super) fn explore(settings: Settings, f: impl Fn() + Send + Sync + 'static) -> (Report, u64) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    guard::listen();
    let (reports, told) = channel();
    let (kernel, found) = channel();
    // Kept for good: the thread of a failed model is never freed either.
    let run: &'static Run = Box::leak(Box::new(Run {
        // ORDERING: Relaxed: a number.
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        settings,
        executions: AtomicU64::new(0),
        steps: AtomicU64::new(0),
        last: AtomicPtr::default(),
        abandoned: AtomicBool::new(false),
        reports,
    }));
    let here = thread::current();
    let body = move || {
        let _ = kernel.send(Kernel::of_this_thread());
        guard::set_run(run);
        // What unwinds so far is of loom's scheduler: see `guard.rs`.
        let ended = catch_unwind(AssertUnwindSafe(|| with_settings(run, f)));
        let report = match ended {
            Ok(()) => Report::Holds,
            Err(payload) => {
                let said = guard::message(payload.as_ref()).to_owned();
                Report::Verdict(verdict::translate(Some(&said), None, run))
            }
        };
        if matches!(report, Report::Holds) {
            let _ = run.reports.send(report);
        } else {
            // loom's thread-locals and objects are of an execution that is over.
            run.end(report);
        }
    };
    running(|running| running.push(run.id));
    let builder = match here.name() {
        Some(name) => thread::Builder::new().name(name.to_owned()),
        None => thread::Builder::new(),
    };
    let model = builder.spawn(body).expect("the system starts a thread for the model");
    let report = match found.recv() {
        Ok(kernel) => wait(run, &told, &kernel, here.name()),
        Err(_) => Report::Verdict("the model's thread ended before it began".to_owned()),
    };
    if matches!(report, Report::Holds) {
        let _ = model.join();
    }
    // ORDERING: Relaxed: a count; the report came after it.
    let (executions, given_up) =
        (run.executions.load(Ordering::Relaxed), run.abandoned.load(Ordering::Relaxed));
    if !given_up {
        running(|running| running.retain(|&id| id != run.id));
    }
    (report, executions)
}

fn wait(run: &Run, told: &Receiver<Report>, kernel: &Kernel, name: Option<&str>) -> Report {
    let mut watch = Watch::new(name);
    loop {
        match told.recv_timeout(BETWEEN_LOOKS) {
            Ok(report) => return report,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(why) = watch.look(run, kernel) {
                    // ORDERING: Relaxed: it steers, and publishes nothing.
                    run.abandoned.store(true, Ordering::Relaxed);
                    return Report::Verdict(why);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Report::Verdict("the model's thread ended without a report".to_owned());
            }
        }
    }
}

//! Exploring a closure: loom runs it, once in each mode of loads, on an OS thread of its own.

use super::super::settings::Settings;
use super::atomic::with_rmw_loads;
use super::run::{Fault, Report, Run, current_run, next_execution, set_run};
use super::watch::{BETWEEN_CHECKS, Kernel, Watch};
use super::{guard, park, statics, verdict};
use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

const DEFAULT_PREEMPTION_BOUND: usize = 2;

/// Runs `f` once for every interleaving within the bound, in both modes of loads; before each, `prepare`.
///
/// # Panics
/// With a verdict, or with the panic of `f`.
#[track_caller]
pub(crate) fn explore(settings: Settings, prepare: fn(), f: impl Fn() + Send + Sync + 'static) {
    assert!(
        current_run().is_none(),
        "phalanx: a model inside a model. `phalanx::model` and `Model::check` are for a test's own thread"
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
        let f = f.clone();
        let (ended, executions) = explore_once(settings, rmw_loads, prepare, move || f());
        // Seen with `--nocapture`, or when the test fails.
        let loads = if rmw_loads { "rmw" } else { "plain" };
        eprintln!("model: {executions} executions with {loads} loads");
        match ended {
            Ended::Holds => {}
            Ended::Verdict(text) => panic!("{text}"),
            // The hook has told it, with its line.
            Ended::Panicked(payload) => resume_unwind(payload),
        }
    }
}

/// What the test's thread makes of a report.
enum Ended {
    Holds,
    Verdict(String),
    Panicked(Box<dyn Any + Send>),
}

fn preemption_bound(settings: Settings) -> Option<usize> {
    settings.preemption_bound.unwrap_or_else(|| match env::var("LOOM_MAX_PREEMPTIONS") {
        Err(_) => Some(DEFAULT_PREEMPTION_BOUND),
        Ok(bound) if bound == "unbounded" => None,
        Ok(bound) => Some(bound.parse().expect("LOOM_MAX_PREEMPTIONS is a number")),
    })
}

/// Explores `f` in one mode of loads. Returns how that ended, and after how many executions.
fn explore_once(
    settings: Settings,
    rmw_loads: bool,
    prepare: fn(),
    f: impl Fn() + Send + Sync + 'static,
) -> (Ended, u64) {
    guard::listen();
    let (reports, told) = channel();
    let (kernel, found) = channel();
    let run = Run::start(settings, preemption_bound(settings), rmw_loads, reports);
    let here = thread::current();
    let body = move || {
        let _ = kernel.send(Kernel::of_this_thread());
        set_run(run);
        // What unwinds so far is a panic of loom's scheduler: see `guard.rs`.
        match catch_unwind(AssertUnwindSafe(|| run_loom(run, prepare, f))) {
            Ok(()) => run.report(Report::Holds),
            Err(payload) => {
                // loom's thread-locals and objects are those of an execution that is over.
                let said = Some(guard::message(payload.as_ref()).to_owned());
                run.fail(Fault::Loom { at: None, said, unwinding: None });
            }
        }
    };
    let builder = match here.name() {
        Some(name) => thread::Builder::new().name(name.to_owned()),
        None => thread::Builder::new(),
    };
    let model = builder.spawn(body).expect("the system starts a thread for the model");
    let ended = match found.recv() {
        Ok(kernel) => wait(run, &told, &kernel, here.name()),
        Err(_) => Ended::Verdict("the model's thread ended before it began".to_owned()),
    };
    if matches!(ended, Ended::Holds) {
        let _ = model.join();
    }
    // ORDERING: Relaxed: only this thread sets it.
    if !run.abandoned.load(Ordering::Relaxed) {
        run.finish();
    }
    // ORDERING: Relaxed: a count; the report came after it.
    (ended, run.executions.load(Ordering::Relaxed))
}

/// Explores `f` on this thread, which is the model's.
fn run_loom(run: &'static Run, prepare: fn(), f: impl Fn() + Send + Sync + 'static) {
    park::NO_DEADLINES.set(run.settings.no_deadlines);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = run.preemption_bound;
    builder.max_branches = run.settings.max_branches;
    builder.max_duration = None;
    builder.max_permutations = None;
    builder.location = true;
    let execute = move || {
        guard::leave_loom();
        guard::forget_panics();
        next_execution(run);
        // Made here, by the thread from which all others descend.
        park::lot();
        statics::words();
        prepare();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(&f)) {
            // Other threads of the model may be in the middle of anything, and nothing of it goes on.
            run.end(Report::Panicked(payload));
        }
        guard::enter_loom();
    };
    with_rmw_loads(run.rmw_loads, || builder.check(execute));
}

/// Waits for the model's thread to report.
fn wait(run: &Run, told: &Receiver<Report>, kernel: &Kernel, name: Option<&str>) -> Ended {
    let mut watch = Watch::new(name);
    loop {
        match told.recv_timeout(BETWEEN_CHECKS) {
            Ok(Report::Holds) => return Ended::Holds,
            Ok(Report::Fault(fault, waiting)) => {
                return Ended::Verdict(verdict::tell(fault, waiting, run));
            }
            Ok(Report::Panicked(payload)) => return Ended::Panicked(payload),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(why) = watch.check(run, kernel) {
                    // ORDERING: Relaxed: it steers, and publishes nothing.
                    run.abandoned.store(true, Ordering::Relaxed);
                    return Ended::Verdict(why);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ended::Verdict("the model's thread ended without a report".to_owned());
            }
        }
    }
}

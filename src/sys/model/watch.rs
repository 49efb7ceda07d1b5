//! What the test's thread sees of a running model: how far it is, and whether it is stuck outside of loom.
//!
//! All threads of a model run on one OS thread. If that sleeps in the kernel (for a message of std's mpsc, say, that
//! another thread of the model is to send), nothing can ever wake it. It counts as stuck after [`CHECKS`] checks in a
//! row, [`BETWEEN_CHECKS`] apart, at each of which it slept, had called loom no more, and had not run at all. A model
//! that computes runs. A model that was stopped with its process isn't checked meanwhile.

use super::run::Run;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{fs, path::PathBuf};

pub(super) const BETWEEN_CHECKS: Duration = Duration::from_secs(1);
const CHECKS: u32 = 10;
/// Checks where the system doesn't tell whether a thread sleeps.
const CHECKS_WITHOUT_STATE: u32 = 300;
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// A thread as the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It sleeps, and has used so much processor time.
    Asleep(u64),
    Awake,
    Unknown,
}

/// The model's thread, by its file in proc(5).
#[derive(Clone, Debug)]
pub(super) struct Kernel(Option<PathBuf>);

impl Kernel {
    /// For the calling thread.
    pub(super) fn of_this_thread() -> Self {
        let link = fs::read_link("/proc/thread-self").ok();
        Kernel(link.map(|thread| PathBuf::from("/proc").join(thread).join("stat")))
    }

    fn state(&self) -> Seen {
        let stat = self.0.as_ref().and_then(|file| fs::read_to_string(file).ok());
        stat.and_then(|stat| parse(&stat)).unwrap_or(Seen::Unknown)
    }
}

/// `stat` of proc(5): the state is the first field behind the name in parentheses, and the twelfth and thirteenth
/// from there are the times spent in user code and in the kernel.
fn parse(stat: &str) -> Option<Seen> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(if state == "S" { Seen::Asleep(user + system) } else { Seen::Awake })
}

/// Counts the checks in a row at which nothing had moved.
#[derive(Debug)]
struct Still {
    last: (u64, Seen),
    checks: u32,
}

impl Still {
    fn new() -> Self {
        Still { last: (u64::MAX, Seen::Unknown), checks: 0 }
    }

    /// Whether the model is stuck, after one more check.
    fn is_stuck(&mut self, steps: u64, seen: Seen) -> bool {
        let still = (steps, seen) == self.last && seen != Seen::Awake;
        self.checks = if still { self.checks + 1 } else { 0 };
        self.last = (steps, seen);
        self.checks >= if seen == Seen::Unknown { CHECKS_WITHOUT_STATE } else { CHECKS }
    }
}

pub(super) struct Watch {
    name: String,
    start: Instant,
    next_line: Duration,
    lines: u32,
    steps_at_line: u64,
    still: Still,
}

impl Watch {
    pub(super) fn new(name: Option<&str>) -> Self {
        Watch {
            name: name.unwrap_or("of a thread without a name").to_owned(),
            start: Instant::now(),
            next_line: BETWEEN_LINES,
            lines: 0,
            steps_at_line: 0,
            still: Still::new(),
        }
    }

    /// Checks the model. Returns why it has to be given up, if it has.
    pub(super) fn check(&mut self, run: &Run, kernel: &Kernel) -> Option<String> {
        // ORDERING: Relaxed, both: counts.
        let steps = run.steps.load(Ordering::Relaxed);
        let took = self.start.elapsed();
        if took >= self.next_line {
            self.next_line += BETWEEN_LINES;
            let line = self.line(run, steps, took);
            // Straight to the terminal: the harness keeps what is printed until the test has failed.
            let _ = io::stderr().write_all(line.as_bytes());
        }
        self.still.is_stuck(steps, kernel.state()).then(|| {
            let last = run.last_place();
            let last = last.map_or(String::new(), |at| format!(" The last call of phalanx: at {at}."));
            format!(
                "the model blocked outside of phalanx. All its threads run on one OS thread, which sleeps, and none \
                 of them can wake it.{last}\n  A model can't wait in std's channels, locks \
                 or barriers, call `std::thread::sleep`, or wait for input: use phalanx's Mutex, Condvar and \
                 WaitGroup, and `phalanx::thread`"
            )
        })
    }

    fn line(&mut self, run: &Run, steps: u64, took: Duration) -> String {
        // ORDERING: Relaxed: a count.
        let executions = run.executions.load(Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let loads = if run.rmw_loads { "rmw" } else { "plain" };
        let mut line = format!(
            "model {}: {executions} executions with {loads} loads so far, in {seconds:.0} s, {:.0} a second\n",
            self.name,
            executions as f64 / seconds
        );
        if self.lines > 0 && steps == self.steps_at_line {
            line.push_str("  no thread has called phalanx for 10 seconds: the model computes, or waits for something else\n");
        }
        if self.lines == 1 {
            let bound = run.preemption_bound;
            let bound = bound.map_or("none".to_owned(), |bound| bound.to_string());
            let _ = writeln!(
                line,
                "  To make it shorter: fewer threads (the most effective), fewer operations in each, or a lower \
                 preemption bound, now {bound}: `Model::preemption_bound`, LOOM_MAX_PREEMPTIONS"
            );
        }
        self.lines += 1;
        self.steps_at_line = steps;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_thread_is_read_from_proc() {
        let stat = |state| format!("7 (a) b) {state} 1 2 3 4 5 6 7 8 9 10 30 12 0");
        assert_eq!(parse(&stat("S")), Some(Seen::Asleep(42)));
        assert_eq!(parse(&stat("R")), Some(Seen::Awake));
        assert_eq!(parse("7 (a"), None);
    }

    #[test]
    fn a_thread_that_computes_is_never_stuck() {
        let mut still = Still::new();
        assert!((0..1_000).all(|_| !still.is_stuck(5, Seen::Awake)));
        // Nor is a thread that is seen asleep, but runs in between, or calls loom.
        assert!((0..1_000).all(|check| !still.is_stuck(5, Seen::Asleep(check))));
        assert!((0..1_000).all(|check| !still.is_stuck(check, Seen::Asleep(1))));
    }

    #[test]
    fn a_thread_that_sleeps_is_stuck_after_so_many_checks() {
        let mut still = Still::new();
        assert!((0..CHECKS).all(|_| !still.is_stuck(5, Seen::Asleep(1))));
        assert!(still.is_stuck(5, Seen::Asleep(1)));
    }
}

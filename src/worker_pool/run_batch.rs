//! A call of `run` or `map`, from its caller's side: its seat, its helpers, and its end.

use super::batch::{Batch, Grain, STOPPED};
use super::chunks::Trial;
use super::job::{Ended, Job};
use super::nesting::{enter_pool, is_in_pool};
use super::scheduler::{Request, Seat};
use super::shared::Shared;
use crate::sys::{Arc, Moment, Stopwatch, calling};
use std::cell::Cell;
use std::mem;
use std::panic::resume_unwind;
use std::ptr::NonNull;

/// How long the caller of a `map` keeps its seat while another call waits: longer than the change of seats costs by
/// far.
const SLICE_NS: u128 = 1_000_000;

/// Runs a batch whose tasks are claimed one by one, with its helpers' seats reserved before the first task starts.
#[track_caller]
pub(super) fn run_one_by_one<V, F, T>(shared: &Arc<Shared>, tasks: Vec<V>, f: F) -> Vec<T>
where
    V: Send,
    F: Fn(usize, V) -> T + Sync,
    T: Send,
{
    run_batch(shared, tasks, f, Grain::One, |batch, open| {
        batch.participate(&|| open.is_lost());
    })
}

/// Runs a batch that is claimed in chunks. It is opened to helpers once it has shown that it is worth helping.
#[track_caller]
pub(super) fn run_in_chunks<V, F, T>(shared: &Arc<Shared>, items: Vec<V>, f: F) -> Vec<T>
where
    V: Send,
    F: Fn(usize, V) -> T + Sync,
    T: Send,
{
    let participants = shared.seats();
    run_batch(shared, items, f, Grain::Guided(participants), |batch, open| {
        let mut trial = Trial::new(participants);
        if !run_trial(batch, open.len, &mut trial) {
            return;
        }
        batch.limit_first_claims(trial.limit());
        if open.helpers > 0 {
            open.list();
        }
        loop {
            let slice = Stopwatch::start();
            let should_stop =
                || open.is_lost() || (open.should_yield() && slice.nanos() >= SLICE_NS);
            if batch.participate(&should_stop) == Ended::Exhausted || open.is_lost() {
                return;
            }
            open.yield_seat();
        }
    })
}

/// Runs a batch in the calling thread's seat. `work` must claim every task, or find the batch lost.
#[track_caller]
fn run_batch<V, F, T>(
    shared: &Arc<Shared>,
    values: Vec<V>,
    f: F,
    grain: Grain,
    work: impl FnOnce(&Batch<V, T, F>, &OpenBatch<'_>),
) -> Vec<T>
where
    V: Send,
    F: Fn(usize, V) -> T + Sync,
    T: Send,
{
    let _call = calling();
    let len = values.len();
    // Only values without a size can be so many.
    assert!(len <= STOPPED, "WorkerPool: a batch holds at most {STOPPED} tasks");
    if len == 0 {
        return Vec::new();
    }
    let helpers = (len - 1).min(shared.seats() - 1);
    let nested = is_in_pool(shared.address());
    let batch = Batch::new(values, f, grain, helpers, nested);
    let is_lost = {
        let open = OpenBatch::new(shared, batch.job(), len, helpers, grain, nested);
        enter_pool(shared.address(), || work(&batch, &open));
        open.is_lost()
    };
    if is_lost {
        // Threads that are lost may have claimed any of its tasks: which items and results there are can't be known.
        mem::forget(batch);
        panic!(
            "WorkerPool: the process was forked inside a task, and the other tasks of its \
             batch are lost in the child"
        );
    }
    // SAFETY: `work` has claimed everything, and the drop of `open` has waited for the helpers.
    match unsafe { batch.finish() } {
        Ok(results) => results,
        Err(payload) => resume_unwind(payload),
    }
}

/// Runs a `map` batch on the calling thread alone, before others see it, until it is done or proves worth helping.
/// Returns whether it does.
fn run_trial<V, T, F: Fn(usize, V) -> T>(
    batch: &Batch<V, T, F>,
    len: usize,
    trial: &mut Trial,
) -> bool {
    let mut done = 0;
    let (clock, start) = (Stopwatch::start(), Moment::now());
    loop {
        let claimed = batch.claim_and_run_alone(trial.claim());
        done += claimed;
        let left = len - done;
        if claimed == 0 || left == 0 {
            return false;
        }
        // A batch that has just begun isn't judged: for that the cheaper clock is enough.
        let spent_ns = if start.is_recent() { 0 } else { clock.nanos() };
        if trial.wants_help(claimed, spent_ns, left) {
            return true;
        }
    }
}

/// A batch whose caller has a seat for it. Its drop closes the batch: it releases the seat, and waits for the helpers.
struct OpenBatch<'a> {
    shared: &'a Arc<Shared>,
    job: NonNull<Job>,
    len: usize,
    helpers: usize,
    /// Whether the scheduler lists the job, so that workers can find it.
    is_listed: Cell<bool>,
    seat: Seat,
}

impl<'a> OpenBatch<'a> {
    /// Gets the calling thread a seat, unless it holds one already. If tasks are claimed one by one, the job is listed
    /// by then: with a seat for each helper, or with the free seats if it is nested.
    fn new(
        shared: &'a Arc<Shared>,
        job: NonNull<Job>,
        len: usize,
        helpers: usize,
        grain: Grain,
        nested: bool,
    ) -> Self {
        let at_once = matches!(grain, Grain::One) && helpers > 0;
        let seat = match grain {
            _ if nested => Seat::Outer,
            Grain::One => Seat::Kept,
            Grain::Guided(_) => Seat::Lent,
        };
        let open = OpenBatch { shared, job, len, helpers, is_listed: Cell::new(false), seat };
        if nested && at_once {
            open.list();
        } else if !nested {
            shared.enter(Request {
                seats: if at_once { 1 + helpers } else { 1 },
                job: at_once.then_some(job),
                lent: seat == Seat::Lent,
            });
            open.is_listed.set(at_once);
        }
        open
    }

    /// Calls for help.
    fn list(&self) {
        self.is_listed.set(true);
        self.shared.open(self.job);
    }

    /// Whether a call waits that this caller's seat would be of use to.
    fn should_yield(&self) -> bool {
        self.seat == Seat::Lent && self.shared.should_yield()
    }

    /// Yields the seat to a call that waits, and gets another.
    fn yield_seat(&self) {
        if !self.shared.is_inherited() {
            self.shared.yield_seat();
        }
    }

    /// Whether a task has forked and this is the child, in which helpers are lost.
    #[inline]
    fn is_lost(&self) -> bool {
        self.is_listed.get() && self.shared.is_inherited()
    }
}

impl Drop for OpenBatch<'_> {
    /// Also if something unwinds, though nothing should: helpers must not outlive the frame.
    fn drop(&mut self) {
        // In a forked child no other thread is left, and no seat to release.
        if self.shared.is_inherited() {
            return;
        }
        let is_listed = self.is_listed.get();
        self.shared.close(is_listed.then_some(self.job), self.seat);
        if is_listed {
            // SAFETY: the batch outlives this value.
            self.shared.wait_for_helpers(unsafe { self.job.as_ref() });
        }
    }
}

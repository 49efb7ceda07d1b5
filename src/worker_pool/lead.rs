//! A batch from its caller's side: its seat, its helpers, and its end for everybody.

use super::WorkerPool;
use super::batch::{Batch, Ended, Grain, Header, STOPPED};
use super::chunks::Trial;
use super::held::{holding, holds};
use super::scheduler::{Request, Seat};
use super::shared::Shared;
use crate::sys::{Arc, Stopwatch, calling};
use std::cell::Cell;
use std::mem;
use std::panic::resume_unwind;
use std::ptr::NonNull;

/// How long the leader of a `map` keeps its seat while a call waits: longer than the change of
/// seats costs by far.
const SLICE_NS: u128 = 1_000_000;

impl WorkerPool {
    /// Leads a batch whose tasks are claimed one by one, with its helpers' seats reserved before
    /// the first task starts.
    #[track_caller]
    pub(super) fn lead_run<V, F, T>(&self, tasks: Vec<V>, f: F) -> Vec<T>
    where
        V: Send,
        F: Fn(usize, V) -> T + Sync,
        T: Send,
    {
        self.lead(tasks, f, Grain::One, |batch, lead| {
            batch.participate(&|| lead.is_lost());
        })
    }

    /// Leads a batch that is claimed in chunks, once it has shown that it is worth helping.
    #[track_caller]
    pub(super) fn lead_map<V, F, T>(&self, items: Vec<V>, f: F) -> Vec<T>
    where
        V: Send,
        F: Fn(usize, V) -> T + Sync,
        T: Send,
    {
        let participants = self.workers();
        self.lead(items, f, Grain::Guided(participants), |batch, lead| {
            let mut trial = Trial::new(participants);
            if !run_trial(batch, lead.len, &mut trial) {
                return;
            }
            batch.limit_first_claims(trial.limit());
            if lead.helpers > 0 {
                lead.open();
            }
            loop {
                let slice = Stopwatch::start();
                let enough = || lead.is_lost() || (lead.wants_room() && slice.nanos() >= SLICE_NS);
                if batch.participate(&enough) == Ended::Exhausted || lead.is_lost() {
                    return;
                }
                lead.make_room();
            }
        })
    }

    /// Leads a batch in the calling thread's seat: `work` is to claim everything.
    #[track_caller]
    fn lead<V, F, T>(
        &self,
        values: Vec<V>,
        f: F,
        grain: Grain,
        work: impl FnOnce(&Batch<V, T, F>, &Lead<'_>),
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
        let shared = self.shared();
        let helpers = (len - 1).min(shared.seats() - 1);
        let nested = holds(shared.address());
        let batch = Batch::new(values, f, grain, helpers, nested);
        let is_lost = {
            let lead = Lead::new(shared, batch.header(), len, helpers, grain, nested);
            holding(shared.address(), || work(&batch, &lead));
            lead.is_lost()
        };
        if is_lost {
            // Threads that are lost may have claimed any of its tasks: what is in which slot can't
            // be known.
            mem::forget(batch);
            panic!(
                "WorkerPool: the process was forked inside a task, and the other tasks of its \
                 batch are lost in the child"
            );
        }
        // SAFETY: `work` has claimed everything, and `lead`'s drop has waited for the helpers.
        match unsafe { batch.finish() } {
            Ok(results) => results,
            Err(payload) => resume_unwind(payload),
        }
    }
}

/// Runs a `map` batch on the calling thread alone, until it is done or proves worth helping:
/// whether it does.
fn run_trial<V, T, F: Fn(usize, V) -> T>(
    batch: &Batch<V, T, F>,
    len: usize,
    trial: &mut Trial,
) -> bool {
    let mut done = 0;
    let clock = Stopwatch::start();
    loop {
        let taken = batch.run_some(trial.claim());
        done += taken;
        let left = len - done;
        if taken == 0 || left == 0 {
            return false;
        }
        if trial.wants_help(taken, clock.nanos(), left) {
            return true;
        }
    }
}

/// A batch being led. Its drop ends the batch for everybody else.
struct Lead<'a> {
    shared: &'a Arc<Shared>,
    header: NonNull<Header>,
    len: usize,
    helpers: usize,
    /// Whether others can see it.
    opened: Cell<bool>,
    seat: Seat,
}

impl<'a> Lead<'a> {
    /// Gets the calling thread a seat, unless it holds one already. If tasks are claimed one by one
    /// the batch is open then, with a seat for each helper, or with those that are free if it is
    /// nested.
    fn new(
        shared: &'a Arc<Shared>,
        header: NonNull<Header>,
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
        let lead = Lead { shared, header, len, helpers, opened: Cell::new(false), seat };
        if nested && at_once {
            lead.open();
        } else if !nested {
            shared.enter(Request {
                seats: if at_once { 1 + helpers } else { 1 },
                batch: at_once.then_some(header),
                lent: seat == Seat::Lent,
            });
            lead.opened.set(at_once);
        }
        lead
    }

    /// Calls for help.
    fn open(&self) {
        self.opened.set(true);
        self.shared.open(self.header);
    }

    /// Whether a call waits that this leader's seat would be of use to.
    fn wants_room(&self) -> bool {
        self.seat == Seat::Lent && self.shared.wants_room()
    }

    /// Gives up its seat for a call that waits, and gets another.
    fn make_room(&self) {
        if !self.shared.is_inherited() {
            self.shared.make_room();
        }
    }

    /// Whether a task has forked and this is the child, in which helpers are lost.
    #[inline]
    fn is_lost(&self) -> bool {
        self.opened.get() && self.shared.is_inherited()
    }
}

impl Drop for Lead<'_> {
    /// Also if something unwinds, though nothing should: helpers must not outlive the frame.
    fn drop(&mut self) {
        // In a forked child no other thread is left, and no seat to give back.
        if self.shared.is_inherited() {
            return;
        }
        let opened = self.opened.get();
        self.shared.close(opened.then_some(self.header), self.seat);
        if opened {
            // SAFETY: the batch outlives its lead.
            self.shared.wait_for_helpers(unsafe { self.header.as_ref() });
        }
    }
}

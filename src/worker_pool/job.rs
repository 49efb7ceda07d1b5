//! A job: what the scheduler and the workers see of a call, whatever the call's types are.
//!
//! A job lies in its caller's frame, as the first field of a larger value that holds the tasks: no box, no queue node.
//! The workers that join it are its *helpers*. What a helper does there is behind a [`JobVtable`].
//!
//! Invariants:
//!
//! - J1. A helper enters only under the pool's lock and while the job is on the scheduler's list. It is counted in
//!   `helpers` before the lock is released.
//! - J2. The caller removes the job from the list, under the lock, and then waits until `helpers` is drained. By J1 no
//!   helper is inside then, and none can enter. Only then does the frame end.
//! - J3. A helper's leave of `helpers` is its last use of the frame.

use crate::support::backoff::Spin;
use crate::support::latch::{FIRST_BIT, Latch};
use crate::sys::Tracked;
use crate::sys::atomic::Ordering;
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::ptr::NonNull;

const ONE_HELPER: u64 = 1 << FIRST_BIT;
const HELPERS: u64 = !(ONE_HELPER - 1);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Job {
    /// The helpers inside.
    helpers: CachePadded<Latch>,
    demand: Demand,
    vtable: &'static JobVtable,
    /// Read by each helper, written when the frame ends: a model checks J2 with it.
    life: Tracked,
}

/// What a job does, for one type of the value around it. Both functions take a pointer to the whole value.
#[derive(Debug)]
pub(super) struct JobVtable {
    /// Runs tasks until none is left to claim or the closure returns `true`.
    pub(super) help: unsafe fn(NonNull<Job>, &dyn Fn() -> bool) -> Ended,
    /// Whether no task is left to claim. Once `true`, it stays so.
    pub(super) is_exhausted: unsafe fn(NonNull<Job>) -> bool,
}

/// Why a participant stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// No task is left to claim.
    Exhausted,
    /// It was told to stop. There may be tasks left.
    Yielded,
}

/// What a job asks the scheduler for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    /// How many helpers it can use.
    pub(super) helpers: usize,
    /// Whether it is served before all others: a nested `run`.
    pub(super) urgent: bool,
    /// Whether its helpers yield their seats between two claims.
    pub(super) lends: bool,
}

/// What a job still asks for. The cells are protected by the pool's lock.
#[derive(Debug)]
struct Demand {
    wants: Wants,
    /// How many more helpers may enter.
    helpers: Cell<usize>,
    /// How many seats are reserved for them; never more than `helpers`.
    reserved: Cell<usize>,
    /// When it began to wait for seats, in arrivals.
    arrival: Cell<u64>,
}

impl Job {
    pub(super) fn new(vtable: &'static JobVtable, wants: Wants) -> Self {
        Job {
            helpers: CachePadded::new(Latch::new(0)),
            demand: Demand {
                wants,
                helpers: Cell::new(wants.helpers),
                reserved: Cell::new(0),
                arrival: Cell::new(0),
            },
            vtable,
            life: Tracked::new(),
        }
    }

    /// When it began to wait for seats, in arrivals. Under the pool's lock.
    pub(super) fn arrival(&self) -> u64 {
        self.demand.arrival.get()
    }

    /// Sets when it began to wait for seats. Under the pool's lock.
    pub(super) fn set_arrival(&self, arrival: u64) {
        self.demand.arrival.set(arrival);
    }

    /// Whether it is served before all others.
    pub(super) fn is_urgent(&self) -> bool {
        self.demand.wants.urgent
    }

    /// Whether its helpers yield their seats between two claims.
    pub(super) fn lends(&self) -> bool {
        self.demand.wants.lends
    }

    /// How many seats are reserved for it. Under the pool's lock.
    pub(super) fn reserved(&self) -> usize {
        self.demand.reserved.get()
    }

    /// How many helpers it wants that no seat is reserved for. Under the pool's lock.
    pub(super) fn missing(&self) -> usize {
        self.demand.helpers.get() - self.demand.reserved.get()
    }

    /// Reserves seats for helpers. Under the pool's lock.
    pub(super) fn reserve(&self, seats: usize) {
        debug_assert!(seats <= self.missing(), "more seats than helpers are wanted");
        self.demand.reserved.set(self.reserved() + seats);
    }

    /// Reserves no seat from now on, and returns how many were reserved. Under the pool's lock.
    pub(super) fn unreserve(&self) -> usize {
        self.demand.reserved.take()
    }

    /// If no task is left to claim, wants no helper from now on, and returns how many seats were reserved for them.
    ///
    /// # Safety
    /// - `this` was made from the whole value, which lives.
    /// - The caller holds the pool's lock.
    pub(super) unsafe fn unreserve_if_exhausted(this: NonNull<Job>) -> usize {
        // SAFETY: by the contract.
        let job = unsafe { this.as_ref() };
        job.life.read();
        // SAFETY: by the contract; the vtable is that of the whole value.
        if !unsafe { (job.vtable.is_exhausted)(this) } {
            return 0;
        }
        job.demand.helpers.set(0);
        job.unreserve()
    }

    /// Counts the calling worker in, in a seat that was reserved for it. Under the pool's lock (J1).
    pub(super) fn enter(&self) {
        self.life.read();
        self.demand.reserved.set(self.reserved() - 1);
        self.demand.helpers.set(self.demand.helpers.get() - 1);
        // ORDERING: Relaxed: the caller takes the pool's lock after this before it reads it.
        self.helpers.word().fetch_add(ONE_HELPER, Ordering::Relaxed);
    }

    /// Wants one more helper, in place of a helper that is about to leave. Under the pool's lock.
    pub(super) fn want_one_more(&self) {
        self.life.read();
        self.demand.helpers.set(self.demand.helpers.get() + 1);
    }

    /// Runs tasks until none is left to claim or `should_stop` returns `true`.
    ///
    /// # Safety
    /// - The caller has [entered](Job::enter) and not left.
    /// - `this` was made from the whole value.
    pub(super) unsafe fn help(this: NonNull<Job>, should_stop: &dyn Fn() -> bool) -> Ended {
        // SAFETY: by the contract the frame lives.
        let job = unsafe { this.as_ref() };
        job.life.read();
        // SAFETY: by the contract; the vtable is that of the whole value.
        unsafe { (job.vtable.help)(this, should_stop) }
    }

    /// Counts the calling helper out. The frame may be gone afterwards (J3).
    ///
    /// # Safety
    /// - The caller has [entered](Job::enter) and not left.
    pub(super) unsafe fn leave(this: NonNull<Job>) {
        // SAFETY: by the contract the frame lives until this leave, whose last use of it is its read-modify-write.
        unsafe { this.as_ref() }.helpers.leave(ONE_HELPER, HELPERS);
    }

    /// Blocks until no helper is inside. The job is off the scheduler's list (J2).
    pub(super) fn wait_for_helpers(&self, spin: Spin) {
        self.helpers.wait_drained(HELPERS, spin);
        self.life.write();
    }

    /// How many helpers are inside.
    #[cfg(test)]
    pub(super) fn helpers_inside(&self) -> u64 {
        // ORDERING: Relaxed: for tests in which no other thread is at work.
        (self.helpers.word().load(Ordering::Relaxed) & HELPERS) / ONE_HELPER
    }
}

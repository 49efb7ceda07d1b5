//! One call's tasks, as those who run them see it.
//!
//! A batch stands in its caller's frame: no box and no queue node, and per task no allocation.
//! The caller *leads* it; workers that join are its *helpers*. All of them claim ranges of tasks
//! from one index until it is used up.
//!
//! Invariants:
//!
//! 1. A slot below `next` (up to `len`) is claimed by exactly one participant, who alone touches
//!    it: claims are read-modify-writes of one word.
//! 2. A helper enters only under the pool's lock and while the batch is on the pool's list, and
//!    counts itself in `helpers` before it lets the lock go.
//! 3. The leader takes the batch off the list, under the lock, and then waits until `helpers` is
//!    drained. By 2 nobody is inside then, and nobody can come. Only then does the frame end.
//! 4. A helper's leave of `helpers` is its last use of the frame.
//! 5. Who sees a task panic moves `next` past the end before it records anything, so that no
//!    further task starts; `cut` is where the claims had come to.

use super::chunks::{Pace, share};
use super::slots::{Slots, drop_quietly};
use crate::support::backoff::Spin;
use crate::support::first_panic::{FirstPanic, Payload};
use crate::support::latch::{FIRST_BIT, Latch};
use crate::sys::atomic::{AtomicUsize, Ordering};
use crate::sys::{Mutex, Stopwatch, Tracked};
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;

const ONE_HELPER: u64 = 1 << FIRST_BIT;
const HELPERS: u64 = !(ONE_HELPER - 1);

/// Where `next` is moved to when the rest is to be skipped, and the most tasks a batch can have.
/// Claims go on adding to it: the upper half of the range is room enough for them.
pub(super) const STOPPED: usize = usize::MAX / 2;

/// The part of a batch that doesn't depend on its types: what a worker gets to see.
#[derive(Debug)]
pub(super) struct Header {
    /// The first slot that nobody has claimed. The line that all participants write.
    next: CachePadded<AtomicUsize>,
    /// The helpers inside (invariants 2 to 4).
    helpers: CachePadded<Latch>,
    len: usize,
    /// The most items that a participant's first claim takes, in chunks. Set by the leader before
    /// others see the batch.
    limit: Cell<usize>,
    demand: Demand,
    /// `participate` for this batch's types.
    work: unsafe fn(NonNull<Header>, &dyn Fn() -> bool) -> Ended,
    /// Read by each helper, written when the frame ends: what a model checks invariant 3 with.
    life: Tracked,
}

/// What a batch asks the scheduler for. The cells are protected by the pool's lock.
#[derive(Debug)]
struct Demand {
    /// How many helpers more may enter.
    wanted: Cell<usize>,
    /// How many seats are kept for them: no more than are wanted.
    reserved: Cell<usize>,
    /// Its place among those that wait for seats.
    arrival: Cell<u64>,
    /// Whether it is served before all others: a nested `run`.
    urgent: bool,
    /// Whether its helpers make room between two claims.
    lends: bool,
}

impl Header {
    /// Since when it has waited for seats, in arrivals. Under the pool's lock.
    pub(super) fn queued_at(&self) -> u64 {
        self.demand.arrival.get()
    }

    /// Sets its place among those that wait for seats. Under the pool's lock.
    pub(super) fn queue_at(&self, arrival: u64) {
        self.demand.arrival.set(arrival);
    }

    /// Whether it is served before all others.
    pub(super) fn is_urgent(&self) -> bool {
        self.demand.urgent
    }

    /// Whether its helpers make room between two claims.
    pub(super) fn lends(&self) -> bool {
        self.demand.lends
    }

    /// How many seats are reserved for it. Under the pool's lock.
    pub(super) fn reserved(&self) -> usize {
        self.demand.reserved.get()
    }

    /// How many helpers it wants that no seat is reserved for. Under the pool's lock.
    pub(super) fn lacks(&self) -> usize {
        self.demand.wanted.get() - self.demand.reserved.get()
    }

    /// Reserves seats for helpers. Under the pool's lock.
    pub(super) fn reserve(&self, seats: usize) {
        debug_assert!(seats <= self.lacks(), "more seats than helpers are wanted");
        self.demand.reserved.set(self.reserved() + seats);
    }

    /// Gives the reserved seats back, and returns how many. Under the pool's lock.
    pub(super) fn take_back_reserved(&self) -> usize {
        self.demand.reserved.take()
    }

    /// If every task has been claimed, wants no helper from now on, gives the reserved seats back,
    /// and returns how many. Under the pool's lock.
    pub(super) fn take_back_unwanted(&self) -> usize {
        self.life.read();
        if !self.is_used_up() {
            return 0;
        }
        self.demand.wanted.set(0);
        self.take_back_reserved()
    }

    /// Counts the calling worker in, in a seat that was reserved for it. Under the pool's lock
    /// (invariant 2).
    pub(super) fn enter(&self) {
        self.life.read();
        self.demand.reserved.set(self.reserved() - 1);
        self.demand.wanted.set(self.demand.wanted.get() - 1);
        // ORDERING: Relaxed: the leader takes the pool's lock after this before it reads it.
        self.helpers.word().fetch_add(ONE_HELPER, Ordering::Relaxed);
    }

    /// Lets another helper take the caller's place. Under the pool's lock.
    pub(super) fn give_up_place(&self) {
        self.life.read();
        self.demand.wanted.set(self.demand.wanted.get() + 1);
    }

    /// Runs tasks until none is left to claim or `enough` says so.
    ///
    /// # Safety
    /// - The caller has [entered](Header::enter) and not left.
    pub(super) unsafe fn help(this: NonNull<Header>, enough: &dyn Fn() -> bool) -> Ended {
        // SAFETY: by the contract the frame lives, so its header does.
        let header = unsafe { this.as_ref() };
        header.life.read();
        // SAFETY: `work` was made for the batch that this header is the head of.
        unsafe { (header.work)(this, enough) }
    }

    /// Counts the calling helper out. The frame may be gone afterwards (invariant 4).
    ///
    /// # Safety
    /// - The caller has [entered](Header::enter) and not left.
    pub(super) unsafe fn leave(this: NonNull<Header>) {
        // SAFETY: by the contract the frame lives until this leave, whose last use of it is its
        // read-modify-write.
        unsafe { this.as_ref() }.helpers.leave(ONE_HELPER, HELPERS);
    }

    /// How many helpers are inside.
    #[cfg(test)]
    pub(super) fn helpers_inside(&self) -> u64 {
        // ORDERING: Relaxed: for tests in which nobody else is at work.
        (self.helpers.word().load(Ordering::Relaxed) & HELPERS) / ONE_HELPER
    }

    /// Whether every task has been claimed.
    fn is_used_up(&self) -> bool {
        // ORDERING: Relaxed: a hint. Whoever acts on it claims by a read-modify-write.
        self.next.load(Ordering::Relaxed) >= self.len
    }

    /// Blocks until no helper is inside. The batch is off the pool's list (invariant 3).
    pub(super) fn wait_for_helpers(&self, spin: Spin) {
        self.helpers.wait_drained(HELPERS, spin);
        self.life.write();
    }

    #[inline]
    fn claim(&self, size: usize) -> Option<Range<usize>> {
        // ORDERING: Relaxed: a claim divides the indices (invariant 1) and publishes nothing. The
        // items were published by the pool's lock, the results will be by the helper's leave.
        let start = self.next.fetch_add(size, Ordering::Relaxed);
        (start < self.len).then(|| start..self.len.min(start + size))
    }
}

/// Why a participant stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// No task is left to claim.
    Exhausted,
    /// It was told to; there may be more.
    Yielded,
}

/// How many tasks one claim takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grain {
    /// One: any task not started may be claimed by whoever is free, and tasks start in their order,
    /// as `run` promises. (Indices in several blocks, a cursor each, cost a tenth of this for tiny
    /// tasks. But then a task may start before an earlier one that it waits for, and take the
    /// seat that this one needs.)
    One,
    /// A share of what is left, ever smaller towards the end, for this many participants; no more
    /// than what takes a tenth of a millisecond.
    Guided(usize),
}

/// The whole batch. `header` stands first: a pointer to the one is a pointer to the other.
#[repr(C)]
pub(super) struct Batch<I, T, F> {
    header: Header,
    slots: Slots<I, T>,
    f: F,
    grain: Grain,
    panic: FirstPanic,
    /// Protects what is left of the batch after a panic.
    failure: Mutex<Failure>,
}

/// What is left of a batch in which a task panicked.
struct Failure {
    /// Slots below `cut` that hold neither item nor result.
    holes: Vec<Range<usize>>,
    /// Slots from here on hold items.
    cut: usize,
}

impl<I, T, F> Batch<I, T, F>
where
    F: Fn(usize, I) -> T,
{
    /// A batch that wants at most `helpers`. `nested` if a task of the same pool calls it.
    pub(super) fn new(items: Vec<I>, f: F, grain: Grain, helpers: usize, nested: bool) -> Self {
        let slots = Slots::new(items);
        let len = slots.len();
        Batch {
            header: Header {
                next: CachePadded::new(AtomicUsize::new(0)),
                helpers: CachePadded::new(Latch::new(0)),
                len,
                limit: Cell::new(1),
                demand: Demand {
                    wanted: Cell::new(helpers),
                    reserved: Cell::new(0),
                    arrival: Cell::new(0),
                    urgent: nested && matches!(grain, Grain::One),
                    lends: matches!(grain, Grain::Guided(_)),
                },
                work: work::<I, T, F>,
                life: Tracked::new(),
            },
            slots,
            f,
            grain,
            panic: FirstPanic::new(),
            failure: Mutex::new(Failure { holes: Vec::new(), cut: len }),
        }
    }

    pub(super) fn header(&self) -> NonNull<Header> {
        // From the whole batch, so that the pointer may be cast back to it.
        NonNull::from(self).cast()
    }

    /// Claims `size` tasks and runs them. How many that was; 0 when none is left.
    #[inline]
    pub(super) fn run_some(&self, size: usize) -> usize {
        let Some(range) = self.header.claim(size) else { return 0 };
        let taken = range.len();
        // SAFETY: `claim` gives ranges within `len`, each to one participant (invariant 1).
        if let Err((hole, payload)) = unsafe { self.slots.run(range, &self.f) } {
            self.fail(hole, payload);
        }
        taken
    }

    /// Sets the most items that a participant's first claim takes. For the leader, before it opens
    /// the batch.
    pub(super) fn limit_first_claims(&self, limit: usize) {
        self.header.limit.set(limit);
    }

    /// Runs tasks until none is left to claim or `enough` says so.
    #[inline]
    pub(super) fn participate(&self, enough: &dyn Fn() -> bool) -> Ended {
        match self.grain {
            Grain::One => loop {
                if self.run_some(1) == 0 {
                    return Ended::Exhausted;
                }
                if enough() {
                    return Ended::Yielded;
                }
            },
            Grain::Guided(participants) => self.participate_in_chunks(participants, enough),
        }
    }

    #[inline]
    fn participate_in_chunks(&self, participants: usize, enough: &dyn Fn() -> bool) -> Ended {
        let (clock, mut pace) = (Stopwatch::start(), Pace::new(self.header.limit.get()));
        loop {
            // ORDERING: Relaxed: a hint of how much is left.
            let next = self.header.next.load(Ordering::Relaxed);
            let share = share(self.header.len.saturating_sub(next), participants);
            let taken = self.run_some(share.min(pace.limit()));
            if taken == 0 {
                return Ended::Exhausted;
            }
            if enough() {
                return Ended::Yielded;
            }
            // Shares only shrink: once they are of one item the pace doesn't matter any more.
            if share > 1 {
                pace.note(taken, clock.nanos());
            }
        }
    }

    #[cold]
    fn fail(&self, hole: Range<usize>, payload: Payload) {
        // ORDERING: Relaxed: stops further claims (invariant 5). What the leader reads of the
        // rest comes with the lock, and with the helpers' leaves.
        let reached = self.header.next.swap(STOPPED, Ordering::Relaxed);
        {
            let mut failure = self.failure.lock();
            failure.cut = failure.cut.min(reached);
            failure.holes.push(hole);
        }
        self.panic.keep(payload, || ());
    }

    /// The results in the tasks' order, or the first panic after everything else was dropped.
    ///
    /// # Safety
    /// - The caller is the leader, and has waited for the helpers (invariant 3).
    /// - Nothing is left to claim.
    pub(super) unsafe fn finish(self) -> Result<Vec<T>, Payload> {
        let Batch { slots, panic, failure, f, .. } = self;
        let Some(payload) = panic.take(|| ()) else {
            // SAFETY: all was claimed, no call panicked, and the helpers' leaves came first.
            let results = unsafe { slots.into_results() };
            // What `f` has captured may panic when it is dropped: the results go with it then.
            drop(f);
            return Ok(results);
        };
        let mut failure = failure.lock();
        let (cut, mut at) = (failure.cut, 0);
        failure.holes.sort_unstable_by_key(|hole| hole.start);
        for hole in &failure.holes {
            // SAFETY: below `cut` and outside of holes each claim ran to its end.
            unsafe { slots.drop_results(at..hole.start) };
            at = hole.end;
        }
        // SAFETY: as above.
        unsafe { slots.drop_results(at..cut) };
        // SAFETY: from `cut` on nobody has claimed.
        unsafe { slots.drop_items(cut..slots.len()) };
        drop_quietly(f);
        Err(payload)
    }
}

/// [`Batch::participate`], for one who knows only the header.
///
/// # Safety
/// - `header` is that of a `Batch<I, T, F>` that lives until this returns.
unsafe fn work<I, T, F>(header: NonNull<Header>, enough: &dyn Fn() -> bool) -> Ended
where
    F: Fn(usize, I) -> T,
{
    // SAFETY: by the contract; `header` is the first field, and the pointer was made from the
    // whole.
    let batch = unsafe { header.cast::<Batch<I, T, F>>().as_ref() };
    batch.participate(enough)
}

//! A batch: one call's tasks, however many threads run them.
//!
//! A batch lies in its caller's frame: no box and no queue node, and no allocation per task. The caller and its helpers
//! are the batch's *participants*. All of them claim ranges of tasks from one index until it is exhausted.
//!
//! Invariants, beside those of its [`Job`](super::job):
//!
//! - B1. A task below `next` (up to `len`) is claimed by exactly one participant, and no other touches its item or
//!   result: claims are read-modify-writes of one word, except for the claims that the caller makes before others see
//!   the batch.
//! - B2. A participant that sees a task panic moves `next` past the end before it records anything, so that no further
//!   task starts. `cut` is where the claims had come to: later panics find `next` past the end, and leave it alone.

use super::buffers::{Buffers, drop_quietly};
use super::chunks::{Pace, share};
use super::job::{Ended, Job, JobVtable, Wants};
use crate::support::first_panic::{FirstPanic, Payload};
use crate::sys::atomic::{AtomicUsize, Ordering};
use crate::sys::{Mutex, Stopwatch};
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;

/// Where `next` is moved to when the rest is to be skipped, and the most tasks a batch can have. Claims go on adding to
/// it: the upper half of the range is enough for them.
pub(super) const STOPPED: usize = usize::MAX / 2;

/// How many tasks one claim takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grain {
    /// One. Any participant that is free may claim any task not started, and tasks start in their order, as `run`
    /// promises. (Indices in several blocks, a cursor each, cost a tenth of this for tiny tasks. But then a task may
    /// start before an earlier one that it waits for, and take the seat that this one needs.)
    One,
    /// A share of what is left, ever smaller towards the end, for this many participants; never more than what takes a
    /// tenth of a millisecond.
    Guided(usize),
}

/// See the [module](self). `job` is the first field: a pointer to the one is a pointer to the other.
#[repr(C)]
pub(super) struct Batch<I, T, F> {
    job: Job,
    /// The first task that is not claimed. All participants write this line.
    next: CachePadded<AtomicUsize>,
    buffers: Buffers<I, T>,
    f: F,
    grain: Grain,
    /// The most items that a participant's first claim takes, in chunks. Set by the caller before others see the batch.
    first_claim: Cell<usize>,
    panic: FirstPanic,
    /// Protects what is known of the values that a panic left.
    remains: Mutex<Remains>,
}

/// The values that are left after a panic.
struct Remains {
    /// Ranges below `cut` that hold neither items nor results.
    holes: Vec<Range<usize>>,
    /// From here on there are items.
    cut: usize,
}

impl<I, T, F> Batch<I, T, F>
where
    F: Fn(usize, I) -> T,
{
    const VTABLE: JobVtable =
        JobVtable { help: help::<I, T, F>, is_exhausted: is_exhausted::<I, T, F> };

    /// A batch that wants at most `helpers`. `nested` if a task of the same pool calls it.
    pub(super) fn new(items: Vec<I>, f: F, grain: Grain, helpers: usize, nested: bool) -> Self {
        let buffers = Buffers::new(items);
        let len = buffers.len();
        let wants = Wants {
            helpers,
            urgent: nested && matches!(grain, Grain::One),
            lends: matches!(grain, Grain::Guided(_)),
        };
        Batch {
            job: Job::new(&Self::VTABLE, wants),
            next: CachePadded::new(AtomicUsize::new(0)),
            buffers,
            f,
            grain,
            first_claim: Cell::new(1),
            panic: FirstPanic::new(),
            remains: Mutex::new(Remains { holes: Vec::new(), cut: len }),
        }
    }

    /// The batch as a job. The pointer may be cast back to the whole batch.
    pub(super) fn job(&self) -> NonNull<Job> {
        NonNull::from(self).cast()
    }

    /// Whether no task is left to claim.
    fn is_exhausted(&self) -> bool {
        // ORDERING: Relaxed: a hint. A thread that acts on it claims by a read-modify-write.
        self.next.load(Ordering::Relaxed) >= self.buffers.len()
    }

    #[inline]
    fn claim(&self, size: usize) -> Option<Range<usize>> {
        // ORDERING: Relaxed: a claim divides the indices (B1) and publishes nothing. The items were published by the
        // pool's lock, the results will be by the helper's leave.
        let start = self.next.fetch_add(size, Ordering::Relaxed);
        let len = self.buffers.len();
        (start < len).then(|| start..len.min(start + size))
    }

    /// [`claim`](Batch::claim), for the caller before others see the batch: no read-modify-write is needed.
    #[inline]
    fn claim_alone(&self, size: usize) -> Option<Range<usize>> {
        // ORDERING: Relaxed: no other thread reads or writes `next` yet. The pool's lock orders this before their
        // claims.
        let start = self.next.load(Ordering::Relaxed);
        let len = self.buffers.len();
        if start >= len {
            return None;
        }
        let end = len.min(start + size);
        // ORDERING: Relaxed: as for the load.
        self.next.store(end, Ordering::Relaxed);
        Some(start..end)
    }

    /// Runs claimed tasks. Returns how many, 0 if there was no claim.
    #[inline]
    fn run(&self, claim: Option<Range<usize>>) -> usize {
        let Some(range) = claim else { return 0 };
        let claimed = range.len();
        // SAFETY: a claim is a range within `len`, made by one participant alone (B1).
        if let Err((hole, payload)) = unsafe { self.buffers.run(range, &self.f) } {
            self.fail(hole, payload);
        }
        claimed
    }

    /// Claims up to `size` tasks and runs them. Returns how many it claimed, 0 if none was left.
    #[inline]
    pub(super) fn claim_and_run(&self, size: usize) -> usize {
        self.run(self.claim(size))
    }

    /// [`claim_and_run`](Batch::claim_and_run), for the caller before others see the batch.
    #[inline]
    pub(super) fn claim_and_run_alone(&self, size: usize) -> usize {
        self.run(self.claim_alone(size))
    }

    /// Sets the most items that a participant's first claim takes. For the caller, before others see the batch.
    pub(super) fn limit_first_claims(&self, limit: usize) {
        self.first_claim.set(limit);
    }

    /// Runs tasks until none is left to claim or `should_stop` returns `true`.
    #[inline]
    pub(super) fn participate(&self, should_stop: &dyn Fn() -> bool) -> Ended {
        match self.grain {
            Grain::One => loop {
                if self.claim_and_run(1) == 0 {
                    return Ended::Exhausted;
                }
                if should_stop() {
                    return Ended::Yielded;
                }
            },
            Grain::Guided(participants) => self.participate_in_chunks(participants, should_stop),
        }
    }

    #[inline]
    fn participate_in_chunks(&self, participants: usize, should_stop: &dyn Fn() -> bool) -> Ended {
        let (clock, mut pace) = (Stopwatch::start(), Pace::new(self.first_claim.get()));
        loop {
            // ORDERING: Relaxed: a hint of how much is left.
            let next = self.next.load(Ordering::Relaxed);
            let share = share(self.buffers.len().saturating_sub(next), participants);
            let claimed = self.claim_and_run(share.min(pace.limit()));
            if claimed == 0 {
                return Ended::Exhausted;
            }
            if should_stop() {
                return Ended::Yielded;
            }
            // Shares only shrink: once they are of one item the pace doesn't matter any more.
            if share > 1 {
                pace.note(claimed, clock.nanos());
            }
        }
    }

    #[cold]
    fn fail(&self, hole: Range<usize>, payload: Payload) {
        // ORDERING: Relaxed: stops further claims (B2). What the caller reads of the rest comes with the lock, and with
        // the helpers' leaves.
        let reached = self.next.swap(STOPPED, Ordering::Relaxed);
        {
            let mut remains = self.remains.lock();
            // The second panic finds `STOPPED` here, or more.
            remains.cut = remains.cut.min(reached);
            remains.holes.push(hole);
        }
        self.panic.keep(payload, || ());
    }

    /// Returns the results in the tasks' order, or the first panic after everything else was dropped.
    ///
    /// # Safety
    /// - The calling thread is the batch's caller, and has waited for the helpers (J2).
    /// - No task is left to claim.
    pub(super) unsafe fn finish(self) -> Result<Vec<T>, Payload> {
        let Batch { buffers, panic, remains, f, .. } = self;
        let Some(payload) = panic.take(|| ()) else {
            // SAFETY: every task was claimed, no call panicked, and the helpers' leaves came first.
            let results = unsafe { buffers.into_results() };
            // What `f` has captured may panic when it is dropped: the results are dropped with it then.
            drop(f);
            return Ok(results);
        };
        let mut remains = remains.lock();
        let (cut, mut at) = (remains.cut, 0);
        remains.holes.sort_unstable_by_key(|hole| hole.start);
        for hole in &remains.holes {
            // SAFETY: below `cut` and outside of the holes each claim ran to its end.
            unsafe { buffers.drop_results(at..hole.start) };
            at = hole.end;
        }
        // SAFETY: as above.
        unsafe { buffers.drop_results(at..cut) };
        // SAFETY: nothing from `cut` on was claimed.
        unsafe { buffers.drop_items(cut..buffers.len()) };
        drop_quietly(f);
        Err(payload)
    }
}

/// [`Batch::participate`], for a [`JobVtable`].
///
/// # Safety
/// - `job` was made by [`Batch::job`] of a `Batch<I, T, F>` that lives until this returns.
unsafe fn help<I, T, F>(job: NonNull<Job>, should_stop: &dyn Fn() -> bool) -> Ended
where
    F: Fn(usize, I) -> T,
{
    // SAFETY: by the contract; `job` is the first field, and the pointer was made from the whole.
    let batch = unsafe { job.cast::<Batch<I, T, F>>().as_ref() };
    batch.participate(should_stop)
}

/// [`Batch::is_exhausted`], for a [`JobVtable`].
///
/// # Safety
/// - As for [`help`].
unsafe fn is_exhausted<I, T, F>(job: NonNull<Job>) -> bool
where
    F: Fn(usize, I) -> T,
{
    // SAFETY: as in `help`.
    unsafe { job.cast::<Batch<I, T, F>>().as_ref() }.is_exhausted()
}

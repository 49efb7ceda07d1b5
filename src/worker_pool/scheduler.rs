//! A pool's seats: which thread holds one, which gets the next, which worker is signalled for it. Plain state under the
//! lock of [`Shared`](super::shared::Shared); nothing in here blocks.
//!
//! A pool of `n` has `n` seats, and up to `n` workers. A thread that runs the pool's tasks holds a seat: a caller while
//! its batch has tasks to start, a worker while it helps with a job. A seat is *free*, *reserved* for a helper of one
//! job, or *held*:
//!
//! ```text
//! free     => held      a caller is admitted
//! free     => reserved  for the helpers of a caller that is admitted in the same step (its gang),
//!                       or of a listed job that wants help
//! reserved => held      a worker enters the job
//! reserved => free      the job is exhausted or closed, or no worker can be had
//! held     => free      a caller closes its job or yields, a helper leaves
//! ```
//!
//! A top-level `run` of `len` tasks asks for a *gang* of `min(n, len)` seats. It gets it in one step, or waits and
//! holds none. `map` asks for one seat, and helpers come as seats are free. A nested call asks for none: it goes on in
//! the seat of the task that calls.
//!
//! Free seats are dispatched in this order:
//!
//! 1. To nested `run`s that want help, the oldest first, as many as it wants. The task that called holds a seat of an
//!    older gang, which can't end before the nested call has.
//! 2. By arrival, to the calls that wait and to the other jobs that want help. The first call in the queue waits until
//!    its whole gang is free; until then nothing that came after it gets a seat.
//!
//! Seats of `map` are *lent*: their holders yield them between two claims, if that completes the gang of the first call
//! in the queue. Seats of `run` are not lent. A task that has started may wait for a task that has not, and the call
//! that got the seat in between might need another to end.
//!
//! Invariants, whenever the lock is free:
//!
//! - S1. `free` + seats reserved + seats held = `n`. So never more than `n` tasks run.
//! - S2. The first waiting call doesn't fit: `free` < its gang. No call passes it.
//! - S3. Each worker is in one of three states. It is *parked*, or *signalled* (unparked or being started, and on its
//!   way to [`assign`](Scheduler::assign)), or it holds the seat in which it helps.
//! - S4. If a seat is reserved, a worker is signalled.
//! - S5. A seat is reserved only for a job that wants a helper, as of the last step.
//! - S6. A worker is in `parked` only with its parker empty; the thread that removes it unparks it once. So no wake-up
//!   is lost, and none is meant for another worker.
//!
//! Why a worker for S4 exists. A seat that is reserved is not held, so at most `n - 1` workers help (by S1 and S3).
//! Either fewer than `n` have been started and another can be, or one is parked or signalled. A worker that runs nested
//! calls holds one seat all the while, however many there are. (Up to `n` can be of use: a caller releases its seat
//! once no task is left to start, while its `n - 1` helpers go on and may nest calls of their own.)
//!
//! Why callers don't wait for one another. A call that waits holds no seat. One that was admitted has the seats of its
//! gang until none of its tasks is left to start, so any `min(n, len)` of its tasks can be under way at once, whatever
//! others do; if they don't nest, it ends. Then the seats are free, and by S2 they go to the first waiting call.
//!
//! One step signals one worker at most, and each worker that enters a job signals the next: a caller pays for one
//! wake-up, however many it needs.

use super::job::Job;
use super::parkers::{CallerWaiter, WorkerParker};
use crate::sys::Arc;
use std::collections::VecDeque;
use std::mem;
use std::ptr::NonNull;

/// What a top-level call asks for before it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// One for the caller, and one for each helper that has to be certain.
    pub(super) seats: usize,
    /// The job that the helpers are for; listed in the same step.
    pub(super) job: Option<NonNull<Job>>,
    /// Whether the caller's seat is lent.
    pub(super) lent: bool,
}

/// A call that waits for its seats.
#[derive(Debug)]
struct WaitingCall {
    request: Request,
    arrival: u64,
    waiter: NonNull<CallerWaiter>,
}

/// The seat that a caller works in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seat {
    /// That of the task which called: this call is nested.
    Outer,
    /// Its own until it has no task left to start.
    Kept,
    /// Its own until a waiting call can use it.
    Lent,
}

/// A helper that returns from a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Returning {
    /// Whether its seat was lent.
    pub(super) lent: bool,
    /// The job, if it may have tasks left. Its helper has not left it yet.
    pub(super) unfinished: Option<NonNull<Job>>,
}

/// What a worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assignment {
    /// It helps with this job, which it has entered, in a seat of its own.
    Help(NonNull<Job>),
    /// It is listed as parked, and must park.
    Park,
    /// It ends: the pool is shut down.
    End,
}

/// Which worker to signal once the lock is released.
#[derive(Debug)]
pub(super) enum Signal {
    None,
    Unpark(Arc<WorkerParker>),
    Start,
}

/// What a step leaves to do once the lock is released.
#[derive(Debug)]
#[must_use]
pub(super) struct FollowUp {
    /// Callers that have their seats.
    granted: Vec<NonNull<CallerWaiter>>,
    pub(super) signal: Signal,
}

impl FollowUp {
    fn none() -> Self {
        FollowUp { granted: Vec::new(), signal: Signal::None }
    }

    #[inline]
    pub(super) fn is_none(&self) -> bool {
        self.granted.is_empty() && matches!(self.signal, Signal::None)
    }

    /// Wakes the callers that have their seats.
    pub(super) fn grant_all(&mut self) {
        for waiter in mem::take(&mut self.granted) {
            // SAFETY: its frame waits for this very grant, whose last use of it is the wake-up.
            unsafe { waiter.as_ref() }.grant();
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Scheduler {
    seats: usize,
    free: usize,
    /// Seats held whose holders yield between two claims.
    lent: usize,
    /// Counts arrivals: a smaller number has waited for longer.
    arrivals: u64,
    /// The jobs that are listed, and may want help.
    jobs: Vec<NonNull<Job>>,
    /// The calls that wait for their seats, by arrival.
    waiting_callers: VecDeque<WaitingCall>,
    parked: Vec<Arc<WorkerParker>>,
    /// Workers started or being started, at most one per seat.
    workers: usize,
    /// Workers signalled that have not been assigned anything yet.
    signalled: usize,
    is_shut_down: bool,
}

// SAFETY: the pointers lead to frames whose owners wait until they have been taken off these lists, under the lock
// (J2, `CallerWaiter::wait`).
unsafe impl Send for Scheduler {}

impl Scheduler {
    pub(super) fn new(seats: usize) -> Self {
        Scheduler {
            seats,
            free: seats,
            lent: 0,
            arrivals: 0,
            jobs: Vec::new(),
            waiting_callers: VecDeque::new(),
            parked: Vec::new(),
            workers: 0,
            signalled: 0,
            is_shut_down: false,
        }
    }

    /// Admits a call if its seats are free and no other waits. After a `None` it has to
    /// [`enqueue`](Scheduler::enqueue).
    pub(super) fn try_enter(&mut self, request: Request) -> Option<FollowUp> {
        self.release_exhausted();
        if !self.waiting_callers.is_empty() || self.free < request.seats {
            return None;
        }
        let arrival = self.next_arrival();
        self.admit(request, arrival, true);
        Some(self.dispatch(true))
    }

    /// Adds a call to the end of the queue. It must wait until its seats are granted.
    pub(super) fn enqueue(&mut self, request: Request, waiter: &CallerWaiter) -> FollowUp {
        let arrival = self.next_arrival();
        let waiter = NonNull::from(waiter);
        self.waiting_callers.push_back(WaitingCall { request, arrival, waiter });
        self.dispatch(true)
    }

    /// Whether holders of lent seats should yield: with theirs the first waiting call would have its gang.
    pub(super) fn should_yield(&self) -> bool {
        let first = self.waiting_callers.front();
        first.is_some_and(|first| self.free + self.lent >= first.request.seats)
    }

    /// Releases a caller's lent seat, and enqueues the caller for another. Returns `None`, and the caller keeps the
    /// seat, if no waiting call can use it.
    pub(super) fn yield_seat(&mut self, waiter: &CallerWaiter) -> Option<FollowUp> {
        if !self.should_yield() {
            return None;
        }
        self.release(true);
        Some(self.enqueue(Request { seats: 1, job: None, lent: true }, waiter))
    }

    /// Lists a job whose caller holds a seat already.
    pub(super) fn open(&mut self, job: NonNull<Job>) -> FollowUp {
        let arrival = self.next_arrival();
        // SAFETY: the caller's own job, alive until it has closed it.
        unsafe { job.as_ref() }.set_arrival(arrival);
        self.jobs.push(job);
        self.dispatch(true)
    }

    /// Removes a job from the list, if there is one, and releases its caller's seat, unless that belongs to an outer
    /// call.
    pub(super) fn close(&mut self, listed: Option<NonNull<Job>>, seat: Seat) -> FollowUp {
        if let Some(job) = listed {
            let position = self.jobs.iter().position(|&other| other == job);
            self.jobs.remove(position.expect("a job is on the list until it is closed"));
            // SAFETY: the caller's own job.
            self.free += unsafe { job.as_ref() }.unreserve();
        }
        if seat != Seat::Outer {
            self.release(seat == Seat::Lent);
        }
        self.dispatch(true)
    }

    /// Returns what a worker does next, when it was `signalled` or is `returning` from a job.
    pub(super) fn assign(
        &mut self,
        parker: &Arc<WorkerParker>,
        returning: Option<Returning>,
        signalled: bool,
    ) -> (Assignment, FollowUp) {
        self.signalled -= usize::from(signalled);
        if let Some(Returning { lent, unfinished }) = returning {
            if let Some(job) = unfinished {
                let arrival = self.next_arrival();
                // SAFETY: its helper has entered it and not left, so it is alive.
                let job = unsafe { job.as_ref() };
                job.set_arrival(arrival);
                job.want_one_more();
            }
            self.release(lent);
        }
        let mut follow_up = FollowUp::none();
        self.release_exhausted();
        self.dispatch_seats(true, &mut follow_up);
        let found = self.oldest(|job| job.reserved() > 0);
        if let Some(job) = found {
            // SAFETY: on the list and under the lock, so alive (J2).
            let job = unsafe { job.as_ref() };
            job.enter();
            self.lent += usize::from(job.lends());
        }
        self.finish_step(true, &mut follow_up);
        let assignment = match found {
            Some(job) => Assignment::Help(job),
            None if self.is_shut_down => Assignment::End,
            None => {
                self.parked.push(parker.clone());
                Assignment::Park
            }
        };
        (assignment, follow_up)
    }

    /// Counts a worker that is to be started without being signalled.
    pub(super) fn count_worker(&mut self) {
        self.workers += 1;
    }

    /// Takes back the count of a worker that couldn't be started.
    pub(super) fn not_started(&mut self, signalled: bool) -> FollowUp {
        self.workers -= 1;
        self.signalled -= usize::from(signalled);
        self.dispatch(false)
    }

    /// Shuts the pool down. Returns the parked workers, which must be unparked.
    pub(super) fn shut_down(&mut self) -> Vec<Arc<WorkerParker>> {
        self.is_shut_down = true;
        self.signalled += self.parked.len();
        mem::take(&mut self.parked)
    }

    fn next_arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// Takes a seat back from its holder.
    fn release(&mut self, lent: bool) {
        self.free += 1;
        self.lent -= usize::from(lent);
    }

    /// Gives a call its seats, or its caller's alone if no worker can be had for the others.
    fn admit(&mut self, request: Request, arrival: u64, has_worker: bool) {
        self.free -= 1;
        self.lent += usize::from(request.lent);
        if let Some(job) = request.job {
            self.jobs.push(job);
            // SAFETY: the caller's own job, alive until it has closed it.
            let job = unsafe { job.as_ref() };
            job.set_arrival(arrival);
            if has_worker {
                self.free -= request.seats - 1;
                job.reserve(request.seats - 1);
            }
        }
    }

    fn listed(&self) -> impl Iterator<Item = &Job> {
        // SAFETY: a job on the list lives: its caller removes it before its frame ends (J2).
        self.jobs.iter().map(|job| unsafe { job.as_ref() })
    }

    /// Releases the seats that are reserved for exhausted jobs. From here to the end of the step these jobs count as
    /// exhausted, and no others.
    fn release_exhausted(&mut self) {
        for &job in &self.jobs {
            // SAFETY: as in `listed`, and a job is listed by a pointer to the whole value.
            self.free += unsafe { Job::unreserve_if_exhausted(job) };
        }
    }

    /// Returns the job that has waited for longest, of the listed jobs that `may` be served.
    fn oldest(&self, may: impl Fn(&Job) -> bool) -> Option<NonNull<Job>> {
        let found = self.jobs.iter().zip(self.listed()).filter(|(_, job)| may(job));
        found.min_by_key(|(_, job)| job.arrival()).map(|(&job, _)| job)
    }

    /// Dispatches the free seats, and signals a worker if one is reserved. Each step that could break S2, S4 or S5 ends
    /// in this.
    fn dispatch(&mut self, may_start: bool) -> FollowUp {
        let mut follow_up = FollowUp::none();
        self.finish_step(may_start, &mut follow_up);
        follow_up
    }

    /// [`dispatch`](Scheduler::dispatch), in a step that has dispatched some seats already.
    fn finish_step(&mut self, may_start: bool, follow_up: &mut FollowUp) {
        if self.jobs.is_empty() && self.waiting_callers.is_empty() {
            return;
        }
        self.release_exhausted();
        let may_start = may_start && self.workers < self.seats;
        let has_worker = may_start || self.signalled > 0 || !self.parked.is_empty();
        if !has_worker {
            let reserved = self.listed().map(Job::unreserve).sum::<usize>();
            self.free += reserved;
        }
        self.dispatch_seats(has_worker, follow_up);
        self.signal_worker(may_start, follow_up);
    }

    /// Dispatches the free seats, in the order that the [module](self) tells. Reserves some for helpers only if there
    /// are workers for them.
    fn dispatch_seats(&mut self, has_worker: bool, follow_up: &mut FollowUp) {
        let is_missing = |job: &Job| has_worker && job.missing() > 0;
        while self.free > 0 {
            let urgent = self.oldest(|job| job.is_urgent() && is_missing(job));
            let job = urgent.or_else(|| self.oldest(|job| is_missing(job) && job.reserved() == 0));
            // SAFETY: as in `listed`.
            let job = job.map(|job| unsafe { job.as_ref() });
            let first =
                self.waiting_callers.front().map(|first| (first.arrival, first.request.seats));
            match (job, first) {
                (Some(job), _) if urgent.is_some() => {
                    let seats = job.missing().min(self.free);
                    job.reserve(seats);
                    self.free -= seats;
                }
                (Some(job), first) if first.is_none_or(|first| job.arrival() < first.0) => {
                    job.reserve(1);
                    self.free -= 1;
                }
                (_, Some((arrival, seats))) if seats <= self.free => {
                    if let Some(first) = self.waiting_callers.pop_front() {
                        self.admit(first.request, arrival, has_worker);
                        follow_up.granted.push(first.waiter);
                    }
                }
                _ => break,
            }
        }
    }

    /// Signals a worker if a seat is reserved and none is on its way: a parked one, or a new one.
    fn signal_worker(&mut self, may_start: bool, follow_up: &mut FollowUp) {
        if self.signalled > 0 || !self.listed().any(|job| job.reserved() > 0) {
            return;
        }
        if let Some(parker) = self.parked.pop() {
            follow_up.signal = Signal::Unpark(parker);
        } else {
            debug_assert!(may_start && self.workers < self.seats, "a reserved seat has a worker");
            self.workers += 1;
            follow_up.signal = Signal::Start;
        }
        self.signalled += 1;
    }
}

#[cfg(test)]
mod tests;

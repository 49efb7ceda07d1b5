//! A pool's seats: who holds one, who gets the next, which worker is called for it. Plain state
//! under the lock of [`Shared`](super::shared::Shared); nothing in here blocks.
//!
//! A pool of `n` has `n` seats, and up to `n` workers. A thread that runs the pool's tasks holds a
//! seat: a caller while it leads its batch, a worker while it helps with one. A seat is *free*,
//! *reserved* for a helper of one batch, or held:
//!
//! ```text
//! free     => held      a caller is admitted, and leads
//! free     => reserved  for the helpers of a caller that is admitted in the same step (its gang),
//!                       or of an open batch that wants help
//! reserved => held      a worker enters the batch
//! reserved => free      the batch has no task left to start, is closed, or no worker is to be had
//! held     => free      a leader closes its batch or makes room, a helper leaves
//! ```
//!
//! A top-level `run` of `len` tasks asks for a *gang* of `min(n, len)` seats and gets it in one
//! step, or waits and holds none. `map` asks for one seat, and its helpers are sent as seats are
//! free. A nested call asks for none: it goes on in the seat of the task that calls.
//!
//! Free seats are given out in this order:
//!
//! 1. To nested `run`s that want help, the oldest first, as many as it wants. The task that called
//!    holds a seat of an older gang, which can't end before the nested call has.
//! 2. By arrival, to the calls that wait and to the other batches that want help. The first call
//!    in the queue waits until its whole gang is free; meanwhile whatever came after it gets
//!    nothing.
//!
//! Seats of `map` are *lent*: their holders give them up between two claims, if that completes the
//! gang of the first call in the queue. Those of `run` are not. A task that has started may wait
//! for one that has not, and whoever got the seat in between might need another to end.
//!
//! Invariants, whenever the lock is free:
//!
//! 1. `free` + seats reserved + seats held = `n`. So never more than `n` tasks run.
//! 2. The first waiting call doesn't fit: `free` < its gang. No call passes it.
//! 3. Each worker is in one of three states. It is *parked*, or *called* (woken or being started,
//!    and on its way to [`look`](Scheduler::look)), or it holds the seat in which it helps.
//! 4. If a seat is reserved, a worker is called.
//! 5. A seat is reserved only for a batch that wants a helper, as of the last step.
//! 6. A worker is in `parked` only with its parker empty; whoever takes it out wakes it once. So no
//!    wake-up is lost, and none is meant for another.
//!
//! Why a worker for 4 exists. A seat that is reserved is not held, so at most `n - 1` workers help
//! (by 1 and 3). Either fewer than `n` have been started and another can be, or one is parked or
//! called. A worker that leads nested batches holds one seat all the while, however many there are.
//! (Up to `n` can be of use: the caller of a batch gives its seat back once no task is left to
//! start, while its `n - 1` helpers go on and may nest calls of their own.)
//!
//! Why callers don't wait for one another. A call that waits holds no seat. One that was admitted
//! has the seats of its gang until none of its tasks is left to start, so any `min(n, len)` of its
//! tasks can be under way at once, whatever others do; if they don't nest, it ends. Then the seats
//! are free, and by 2 they are the first waiting call's.
//!
//! One step makes one call at the most, and each worker that enters a batch calls the next: a
//! caller pays for one wake-up, however many it needs.

use super::batch::Header;
use super::parkers::{CallerWaiter, WorkerParker};
use crate::sys::Arc;
use std::collections::VecDeque;
use std::mem;
use std::ptr::NonNull;

/// What a top-level call asks for before it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Its leader's seat, and one for each helper that has to be sure to come.
    pub(super) seats: usize,
    /// The batch that the helpers are for; opened in the same step.
    pub(super) batch: Option<NonNull<Header>>,
    /// Whether the leader's seat is lent.
    pub(super) lent: bool,
}

/// A call that waits for its seats.
#[derive(Debug)]
struct Waiting {
    request: Request,
    arrival: u64,
    caller: NonNull<CallerWaiter>,
}

/// The seat that a batch's leader works in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seat {
    /// That of the task which called: this call is nested.
    Outer,
    /// Its own until it has no task left to start.
    Kept,
    /// Its own until a waiting call has a use for it.
    Lent,
}

/// A helper that comes back from a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Returning {
    /// Whether its seat was lent.
    pub(super) lent: bool,
    /// The batch, if it may have work left. Its helper has not left it yet.
    pub(super) unfinished: Option<NonNull<Header>>,
}

/// Which worker to call once the lock is released.
#[derive(Debug)]
pub(super) enum Call {
    Nobody,
    Wake(Arc<WorkerParker>),
    Start,
}

/// What a step leaves to do once the lock is released.
#[derive(Debug)]
#[must_use]
pub(super) struct Next {
    /// Callers whose turn it is.
    granted: Vec<NonNull<CallerWaiter>>,
    pub(super) call: Call,
}

impl Next {
    fn nothing() -> Self {
        Next { granted: Vec::new(), call: Call::Nobody }
    }

    /// Whether nothing is left to do.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        self.granted.is_empty() && matches!(self.call, Call::Nobody)
    }

    /// Lets the callers go on whose turn it is.
    pub(super) fn hand_over(&mut self) {
        for caller in mem::take(&mut self.granted) {
            // SAFETY: its frame waits for this very grant, whose last use of it is the wake-up.
            unsafe { caller.as_ref() }.grant();
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Scheduler {
    seats: usize,
    free: usize,
    /// Seats held whose holders make room between two claims.
    lent: usize,
    /// Counts arrivals: a smaller number has waited for longer.
    arrivals: u64,
    /// The batches that are led and may want help.
    open: Vec<NonNull<Header>>,
    /// The calls that wait for their seats, by arrival.
    waiting: VecDeque<Waiting>,
    parked: Vec<Arc<WorkerParker>>,
    /// Workers started or being started, at most one a seat.
    workers: usize,
    /// Workers woken or being started that have not looked yet.
    called: usize,
    closed: bool,
}

// SAFETY: the pointers lead to frames whose owners wait until they have been taken off these
// lists, under the lock (batch invariant 3, `CallerWaiter::wait`).
unsafe impl Send for Scheduler {}

impl Scheduler {
    pub(super) fn new(seats: usize) -> Self {
        Scheduler {
            seats,
            free: seats,
            lent: 0,
            arrivals: 0,
            open: Vec::new(),
            waiting: VecDeque::new(),
            parked: Vec::new(),
            workers: 0,
            called: 0,
            closed: false,
        }
    }

    /// Admits a call if its seats are free and no other waits. `None` means that it has to
    /// [`queue`](Scheduler::queue).
    pub(super) fn enter(&mut self, request: Request) -> Option<Next> {
        self.take_back_unwanted();
        if !self.waiting.is_empty() || self.free < request.seats {
            return None;
        }
        let arrival = self.arrive();
        self.admit(request, arrival, true);
        Some(self.dispatch(true))
    }

    /// Puts a call at the end of the queue. It must wait until it is granted its seats.
    pub(super) fn queue(&mut self, request: Request, caller: &CallerWaiter) -> Next {
        let arrival = self.arrive();
        self.waiting.push_back(Waiting { request, arrival, caller: NonNull::from(caller) });
        self.dispatch(true)
    }

    /// Whether holders of lent seats should make room: with theirs the first waiting call would
    /// have its gang.
    pub(super) fn wants_room(&self) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|first| self.free + self.lent >= first.request.seats)
    }

    /// Gives up a leader's lent seat if that is of use, and queues it for another. `None` means
    /// that it keeps the seat.
    pub(super) fn make_room(&mut self, caller: &CallerWaiter) -> Option<Next> {
        if !self.wants_room() {
            return None;
        }
        self.release(true);
        Some(self.queue(Request { seats: 1, batch: None, lent: true }, caller))
    }

    /// Puts a batch on the list whose leader holds a seat already.
    pub(super) fn open(&mut self, header: NonNull<Header>) -> Next {
        let arrival = self.arrive();
        // SAFETY: the leader's own batch, alive until it has closed it.
        unsafe { header.as_ref() }.queue_at(arrival);
        self.open.push(header);
        self.dispatch(true)
    }

    /// Takes a batch off the list, if it was `opened`, and its leader's seat back, unless it is
    /// that of an outer call.
    pub(super) fn close(&mut self, opened: Option<NonNull<Header>>, seat: Seat) -> Next {
        if let Some(header) = opened {
            let place = self.open.iter().position(|&other| other == header);
            self.open.remove(place.expect("an open batch is on the list until it is closed"));
            // SAFETY: the leader's own batch.
            self.free += unsafe { header.as_ref() }.take_back_reserved();
        }
        if seat != Seat::Outer {
            self.release(seat == Seat::Lent);
        }
        self.dispatch(true)
    }

    /// What a worker is to do next, when it has been `called` or is `returning`: a batch to help
    /// with, already entered, in a seat of its own. It must [`park`](Scheduler::park) if there is
    /// none.
    pub(super) fn look(
        &mut self,
        returning: Option<Returning>,
        called: bool,
    ) -> (Option<NonNull<Header>>, Next) {
        self.called -= usize::from(called);
        if let Some(Returning { lent, unfinished }) = returning {
            if let Some(header) = unfinished {
                let arrival = self.arrive();
                // SAFETY: its helper has entered it and not left, so it is alive.
                let header = unsafe { header.as_ref() };
                header.queue_at(arrival);
                header.give_up_place();
            }
            self.release(lent);
        }
        let mut next = Next::nothing();
        self.take_back_unwanted();
        self.give_out(true, &mut next);
        let found = self.oldest(|header| header.reserved() > 0);
        if let Some(header) = found {
            // SAFETY: on the list and under the lock, so alive (batch invariant 2).
            let header = unsafe { header.as_ref() };
            header.enter();
            self.lent += usize::from(header.lends());
        }
        self.dispatch_more(true, &mut next);
        (found, next)
    }

    /// Puts a worker to sleep: it must wait on its parker next. `false` if the pool is closed.
    pub(super) fn park(&mut self, parker: &Arc<WorkerParker>) -> bool {
        if !self.closed {
            self.parked.push(parker.clone());
        }
        !self.closed
    }

    /// Counts a worker that is to be started without being called.
    pub(super) fn count_worker(&mut self) {
        self.workers += 1;
    }

    /// A worker that was counted couldn't be started.
    pub(super) fn not_started(&mut self, called: bool) -> Next {
        self.workers -= 1;
        self.called -= usize::from(called);
        self.dispatch(false)
    }

    /// Ends the pool. Returns the parked workers, which have to be woken.
    pub(super) fn shut_down(&mut self) -> Vec<Arc<WorkerParker>> {
        self.closed = true;
        self.called += self.parked.len();
        mem::take(&mut self.parked)
    }

    fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// Takes a seat back from its holder.
    fn release(&mut self, lent: bool) {
        self.free += 1;
        self.lent -= usize::from(lent);
    }

    /// Gives a call its seats, or its leader's alone if no worker is to be had for the others.
    fn admit(&mut self, request: Request, arrival: u64, has_worker: bool) {
        self.free -= 1;
        self.lent += usize::from(request.lent);
        if let Some(header) = request.batch {
            self.open.push(header);
            // SAFETY: the caller's own batch, alive until it has closed it.
            let header = unsafe { header.as_ref() };
            header.queue_at(arrival);
            if has_worker {
                self.free -= request.seats - 1;
                header.reserve(request.seats - 1);
            }
        }
    }

    fn headers(&self) -> impl Iterator<Item = &Header> {
        // SAFETY: a batch on the list lives: its leader takes it off before its frame ends.
        self.open.iter().map(|open| unsafe { open.as_ref() })
    }

    /// Takes the seats back that are reserved for batches without a task left to start. From here
    /// to the end of the step such a batch counts as used up, and only such a batch.
    fn take_back_unwanted(&mut self) {
        let unwanted = self.headers().map(Header::take_back_unwanted).sum::<usize>();
        self.free += unwanted;
    }

    /// Among the open batches that `may` be served, the one that has waited for longest.
    fn oldest(&self, may: impl Fn(&Header) -> bool) -> Option<NonNull<Header>> {
        let found = self.open.iter().zip(self.headers()).filter(|(_, header)| may(header));
        found.min_by_key(|(_, header)| header.queued_at()).map(|(&open, _)| open)
    }

    /// Gives the free seats out, and calls a worker if one is reserved. Each step that could break
    /// invariants 2, 4 or 5 ends in this.
    fn dispatch(&mut self, may_start: bool) -> Next {
        let mut next = Next::nothing();
        self.dispatch_more(may_start, &mut next);
        next
    }

    /// [`dispatch`](Scheduler::dispatch), in a step that has given some seats out already.
    fn dispatch_more(&mut self, may_start: bool, next: &mut Next) {
        if self.open.is_empty() && self.waiting.is_empty() {
            return;
        }
        self.take_back_unwanted();
        let may_start = may_start && self.workers < self.seats;
        let has_worker = may_start || self.called > 0 || !self.parked.is_empty();
        if !has_worker {
            let reserved = self.headers().map(Header::take_back_reserved).sum::<usize>();
            self.free += reserved;
        }
        self.give_out(has_worker, next);
        self.call(may_start, next);
    }

    /// Gives the free seats out, in the order that the [module](self) tells. Reserves some for
    /// helpers only if the system `has_worker`s for them.
    fn give_out(&mut self, has_worker: bool, next: &mut Next) {
        let lacks = |header: &Header| has_worker && header.lacks() > 0;
        while self.free > 0 {
            let urgent = self.oldest(|header| header.is_urgent() && lacks(header));
            let batch = urgent.or_else(|| self.oldest(|h| lacks(h) && h.reserved() == 0));
            // SAFETY: as in `headers`.
            let batch = batch.map(|batch| unsafe { batch.as_ref() });
            let first = self.waiting.front().map(|first| (first.arrival, first.request.seats));
            match (batch, first) {
                (Some(batch), _) if urgent.is_some() => {
                    let seats = batch.lacks().min(self.free);
                    batch.reserve(seats);
                    self.free -= seats;
                }
                (Some(batch), first) if first.is_none_or(|first| batch.queued_at() < first.0) => {
                    batch.reserve(1);
                    self.free -= 1;
                }
                (_, Some((arrival, seats))) if seats <= self.free => {
                    if let Some(first) = self.waiting.pop_front() {
                        self.admit(first.request, arrival, has_worker);
                        next.granted.push(first.caller);
                    }
                }
                _ => break,
            }
        }
    }

    /// Calls a worker if a seat is reserved and none is on its way: a parked one, or a new one.
    fn call(&mut self, may_start: bool, next: &mut Next) {
        if self.called > 0 || !self.headers().any(|header| header.reserved() > 0) {
            return;
        }
        if let Some(parker) = self.parked.pop() {
            next.call = Call::Wake(parker);
        } else {
            debug_assert!(may_start && self.workers < self.seats, "a reserved seat has a worker");
            self.workers += 1;
            next.call = Call::Start;
        }
        self.called += 1;
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod walks;

#[cfg(test)]
mod world;

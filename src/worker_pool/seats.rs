//! A pool's seats: who holds one, who is to get the next, whom to call. Plain state under the
//! [crew](super::crew)'s lock; nothing in here blocks.
//!
//! A pool of `n` has `n` seats. Whoever runs the pool's tasks holds one: a caller while it leads
//! its batch, a worker while it helps. A seat given back goes to whoever has wanted one longest:
//! a caller that waits, or an open batch that wants a helper. For the batch the seat is *promised*:
//! kept for the worker that is on its way, so that callers who arrive meanwhile can't slip in
//! front of it for ever.
//!
//! Invariants, whenever the lock is free:
//!
//! 1. `free` + `promised` + seats held = `n`. So never more than `n` tasks run.
//! 2. Callers wait only while no seat is free: `waiting` not empty ⇒ `free` = 0.
//! 3. For each promised seat a worker is on its way to look: one that was *called* (taken off
//!    `sleepers`, or being started), or one that has left a batch and is about to take the lock.
//!    Its look takes the seat, or gives the promised seats back if no batch wants help any more.
//! 4. If a batch wants help and a seat is free, some seat is promised, or no worker is to be had.
//!    Each step that could break this ends in [`Seats::settle`].
//! 5. A worker is on `sleepers` only with its latch armed; whoever takes it off leaves the latch
//!    once. So a wake-up can't be lost, nor one meant for another.
//!
//! A worker for invariant 3 exists: at most `n - 1` are started, and the open batch's leader and
//! the seat in question are two seats that no helper holds, so one worker at least isn't helping.
//!
//! One settling makes one call at the most, and each worker that joins settles again: the calls
//! chain, so that a caller pays for one wake-up, however many it needs.

use super::batch::Header;
use crate::latch::{FIRST_BIT, Latch};
use crate::sys::atomic::Ordering;
use crate::sys::{Arc, Spin, Tracked};
use crossbeam_utils::CachePadded;
use std::collections::VecDeque;
use std::mem;
use std::ptr::NonNull;

/// A latch that counts one wake-up owed.
const ONE: u64 = 1 << FIRST_BIT;

/// What a worker sleeps on.
#[derive(Debug)]
pub(super) struct Sleeper(CachePadded<Latch>);

impl Sleeper {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Sleeper(CachePadded::new(Latch::new(0))))
    }

    /// Sleeps until called. Only after [`Seats::sleep`].
    pub(super) fn wait(&self, spin: Spin) {
        self.0.wait_drained(ONE, spin);
    }

    pub(super) fn wake(&self) {
        self.0.leave(ONE, ONE);
    }
}

/// A caller that waits for a seat, in its own frame.
#[derive(Debug)]
pub(super) struct Applicant {
    latch: Latch,
    /// Read by the giver, written when the frame ends: what a model checks the hand-over with.
    life: Tracked,
}

impl Applicant {
    pub(super) fn new() -> Self {
        Applicant { latch: Latch::new(ONE), life: Tracked::new() }
    }

    /// Sleeps until the seat has been handed over.
    pub(super) fn wait(&self) {
        self.latch.wait_drained(ONE, Spin::Brief);
        self.life.write();
    }
}

/// Whom to call once the lock is released.
#[derive(Debug)]
pub(super) enum Call {
    Nobody,
    Wake(Arc<Sleeper>),
    Start,
}

/// What a settling leaves to do once the lock is released.
#[must_use]
pub(super) struct Next {
    /// Callers whose turn it is.
    granted: Vec<NonNull<Applicant>>,
    pub(super) call: Call,
}

impl Next {
    /// Hands the seats over.
    pub(super) fn hand_over(&mut self) {
        for applicant in mem::take(&mut self.granted) {
            // SAFETY: the applicant's frame waits for this very leave, the last use of it.
            let applicant = unsafe { applicant.as_ref() };
            applicant.life.read();
            applicant.latch.leave(ONE, ONE);
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Seats {
    free: usize,
    promised: usize,
    /// Counts arrivals: a smaller number has wanted a seat for longer.
    arrivals: u64,
    /// The batches that are led and may want help.
    open: Vec<NonNull<Header>>,
    /// The callers that wait for a seat, by arrival.
    waiting: VecDeque<(u64, NonNull<Applicant>)>,
    sleepers: Vec<Arc<Sleeper>>,
    /// Workers started or being started, and how many that may be.
    workers: usize,
    most_workers: usize,
    closed: bool,
}

// SAFETY: the pointers lead to frames whose owners wait until they have been taken off these
// lists, under the lock (batch invariant 3, `Applicant::wait`).
unsafe impl Send for Seats {}

impl Seats {
    pub(super) fn new(seats: usize) -> Self {
        Seats {
            free: seats,
            promised: 0,
            arrivals: 0,
            open: Vec::new(),
            waiting: VecDeque::new(),
            sleepers: Vec::new(),
            workers: 0,
            // Each batch has its caller in one of the seats: more workers would find none.
            most_workers: seats - 1,
            closed: false,
        }
    }

    /// A free seat, for a caller.
    pub(super) fn take(&mut self) -> bool {
        let free = self.free > 0;
        self.free -= usize::from(free);
        free
    }

    /// Puts a caller at the end of the queue. It must wait until it is granted its seat.
    pub(super) fn queue(&mut self, applicant: &Applicant) {
        let arrival = self.arrive();
        self.waiting.push_back((arrival, NonNull::from(applicant)));
    }

    /// How many callers wait.
    pub(super) fn hungry(&self) -> usize {
        self.waiting.len()
    }

    /// Puts a batch on the list. Its leader holds a seat.
    pub(super) fn open(&mut self, header: NonNull<Header>) -> Next {
        let arrival = self.arrive();
        // SAFETY: the leader's own batch, alive until it has closed it.
        unsafe { header.as_ref() }.queue_at(arrival);
        self.open.push(header);
        self.settle(true)
    }

    /// Takes a batch off the list, if it is `opened`, and its leader's seat back, if it `gives` it.
    pub(super) fn close(&mut self, opened: Option<NonNull<Header>>, gives: bool) -> Next {
        if let Some(header) = opened {
            let place = self.open.iter().position(|&other| other == header);
            self.open.remove(place.expect("an open batch is on the list until it is closed"));
        }
        self.free += usize::from(gives);
        self.settle(true)
    }

    /// A worker's look: a batch to help, already entered, with a seat to sit in.
    pub(super) fn look(&mut self) -> (Option<NonNull<Header>>, Next) {
        let found = self.wanting().filter(|_| {
            if self.promised > 0 {
                self.promised -= 1;
                true
            } else {
                self.take()
            }
        });
        if let Some(header) = found {
            // SAFETY: on the list and under the lock, so alive (batch invariant 2).
            unsafe { header.as_ref() }.enter();
        }
        (found, self.settle(true))
    }

    /// A helper gives its seat back. With `batch` it leaves work behind: the batch goes to the end
    /// of the queue, and is not to be left by its helper before this.
    pub(super) fn stand_up(&mut self, batch: Option<NonNull<Header>>) -> Next {
        if let Some(header) = batch {
            let arrival = self.arrive();
            // SAFETY: the caller has entered it and not left, so it is alive.
            let header = unsafe { header.as_ref() };
            header.queue_at(arrival);
            header.give_up_place();
        }
        self.free += 1;
        self.settle(true)
    }

    /// Puts a worker to sleep: it must wait on its `Sleeper` next. `false` if the pool is closed.
    pub(super) fn sleep(&mut self, sleeper: &Arc<Sleeper>) -> bool {
        if !self.closed {
            // Invariant 5.
            // ORDERING: Relaxed: whoever leaves the latch takes the lock first.
            sleeper.0.word().fetch_add(ONE, Ordering::Relaxed);
            self.sleepers.push(sleeper.clone());
        }
        !self.closed
    }

    /// Counts a worker that is to be started without being called.
    pub(super) fn count_worker(&mut self) {
        self.workers += 1;
    }

    /// A worker that was counted couldn't be started; `called` if a seat was promised for it.
    pub(super) fn not_started(&mut self, called: bool) -> Next {
        self.workers -= 1;
        if called && self.promised > 0 {
            self.promised -= 1;
            self.free += 1;
        }
        self.settle(false)
    }

    /// Ends the pool: the sleeping workers, to be woken.
    pub(super) fn shut(&mut self) -> Vec<Arc<Sleeper>> {
        self.closed = true;
        mem::take(&mut self.sleepers)
    }

    fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// The batch that has wanted help for longest.
    fn wanting(&self) -> Option<NonNull<Header>> {
        // SAFETY: a batch on the list lives: its leader takes it off before its frame ends.
        let header = |header: &NonNull<Header>| unsafe { header.as_ref() };
        let wanting = self.open.iter().filter(|open| header(open).wants_help());
        wanting.min_by_key(|open| header(open).queued_at()).copied()
    }

    /// Gives the free seats to those who have wanted them longest. Promises one at the most, and
    /// only if a worker is to be had, who may have to be started.
    fn settle(&mut self, may_start: bool) -> Next {
        let mut next = Next { granted: Vec::new(), call: Call::Nobody };
        let wanting = self.wanting();
        if wanting.is_none() {
            self.free += mem::take(&mut self.promised);
        }
        let mut wanted_since = wanting.filter(|_| self.promised == 0).map(|header| {
            // SAFETY: as in `wanting`.
            unsafe { header.as_ref() }.queued_at()
        });
        while self.free > 0 {
            let waits_since = self.waiting.front().map(|&(arrival, _)| arrival);
            let for_batch = match (wanted_since, waits_since) {
                (Some(batch), Some(caller)) => batch < caller,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if for_batch {
                wanted_since = None;
                if let Some(call) = self.call(may_start) {
                    self.free -= 1;
                    self.promised += 1;
                    next.call = call;
                }
            } else if let Some((_, applicant)) = self.waiting.pop_front() {
                self.free -= 1;
                next.granted.push(applicant);
            }
        }
        next
    }

    /// A worker for a promised seat: a sleeping one, a new one, or one that is about to look
    /// anyway. `None` if none is to be had.
    fn call(&mut self, may_start: bool) -> Option<Call> {
        if let Some(sleeper) = self.sleepers.pop() {
            Some(Call::Wake(sleeper))
        } else if self.workers == self.most_workers {
            Some(Call::Nobody)
        } else if may_start {
            self.workers += 1;
            Some(Call::Start)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Batch, Grain};
    use super::*;

    /// A batch of three tasks that wants two helpers.
    fn batch() -> Batch<(), (), fn(usize, ())> {
        Batch::new(vec![(); 3], |_, ()| (), Grain::One, 2)
    }

    fn calls(next: &Next) -> bool {
        !matches!(next.call, Call::Nobody)
    }

    /// The next caller in turn, handed its seat.
    fn granted(mut next: Next) -> Vec<NonNull<Applicant>> {
        let granted = next.granted.clone();
        next.hand_over();
        granted
    }

    #[test]
    fn callers_get_seats_in_the_order_they_came() {
        let mut seats = Seats::new(1);
        assert!(seats.take());
        assert!(!seats.take());
        let (first, second) = (Applicant::new(), Applicant::new());
        seats.queue(&first);
        seats.queue(&second);
        assert_eq!(granted(seats.close(None, true)), [NonNull::from(&first)]);
        assert_eq!(granted(seats.close(None, true)), [NonNull::from(&second)]);
        assert_eq!((seats.free, seats.hungry()), (0, 0));
    }

    #[test]
    fn a_batch_waits_for_its_helper_in_the_same_queue() {
        let (batch, early, late) = (batch(), Applicant::new(), Applicant::new());
        let mut seats = Seats::new(2);
        assert!(seats.take() && seats.take());
        seats.queue(&early);
        assert!(!calls(&seats.open(batch.header())));
        seats.queue(&late);
        // The caller that came before the batch, then the batch's helper, then the other caller.
        assert_eq!(granted(seats.close(None, true)), [NonNull::from(&early)]);
        let next = seats.close(None, true);
        assert!(calls(&next) && granted(next).is_empty());
        assert_eq!((seats.free, seats.promised), (0, 1));
        let (found, next) = seats.look();
        assert_eq!(found, Some(batch.header()));
        assert!(granted(next).is_empty());
        // It gives way: the batch is behind the caller now.
        assert_eq!(granted(seats.stand_up(found)), [NonNull::from(&late)]);
    }

    #[test]
    fn a_promised_seat_is_not_for_a_caller_who_comes_later() {
        let batch = batch();
        let mut seats = Seats::new(2);
        assert!(seats.take());
        assert!(calls(&seats.open(batch.header())));
        assert!(!seats.take());
        // The batch is over before the worker looks: the seat is anybody's again.
        assert!(!calls(&seats.close(Some(batch.header()), true)));
        assert_eq!((seats.free, seats.promised), (2, 0));
        assert!(seats.look().0.is_none());
    }

    #[test]
    fn a_seat_promised_to_a_worker_that_cannot_start_goes_to_the_next_caller() {
        let (batch, caller) = (batch(), Applicant::new());
        let mut seats = Seats::new(2);
        assert!(seats.take());
        assert!(matches!(seats.open(batch.header()).call, Call::Start));
        assert!(!seats.take());
        seats.queue(&caller);
        assert_eq!(granted(seats.not_started(true)), [NonNull::from(&caller)]);
        assert_eq!((seats.free, seats.promised, seats.workers), (0, 0, 0));
    }
}

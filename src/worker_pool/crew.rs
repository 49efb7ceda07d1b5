//! Who may run, who sleeps, who waits: the state that a pool's callers and workers share.
//!
//! A pool of `n` has `n` seats. Whoever runs the pool's tasks holds one: a caller while it leads
//! its batch, a worker while it helps. All of this is under one short lock; the tasks themselves
//! are claimed outside it (see [`batch`](super::batch)).
//!
//! Invariants:
//!
//! 1. `free` + seats held = `n`. So never more than `n` tasks run.
//! 2. Callers wait for a seat only while none is free, and a seat given back goes to the first of
//!    them: `waiting` not empty ⇒ `free` = 0.
//! 3. If a batch wants help and a seat is free, somebody is on the way to look: a worker that was
//!    *called* (taken off `sleepers`, or started) and has not yet taken the lock since, or one
//!    that is about to take it after a task. Or there is nobody left to call. Every step that can
//!    make both true, or that is the look itself, ends in [`State::call`].
//! 4. A worker is on `sleepers` only with its latch armed; whoever takes it off leaves the latch
//!    once. So a wake-up can't be lost, nor one meant for another.
//!
//! By 3 the calls chain: each worker that joins calls the next while there is more to do, so that
//! a caller pays for one wake-up, however many it needs.

use super::batch::{Ended, Header};
use super::held::holding;
use crate::latch::{FIRST_BIT, Latch};
use crate::sys::atomic::{AtomicUsize, Ordering};
use crate::sys::{Arc, Mutex, Spin, Tracked, thread};
use crossbeam_utils::CachePadded;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::resume_unwind;
use std::ptr::NonNull;

const ONE: u64 = 1 << FIRST_BIT;
const OWED: u64 = ONE;

/// What a pool's handle and its workers share.
#[derive(Debug)]
pub(super) struct Crew {
    seats: usize,
    start: StartUp,
    spin: Spin,
    /// How many callers wait for a seat: helpers look at it between tasks, without the lock.
    hungry: CachePadded<AtomicUsize>,
    /// Protects everything that is not a task.
    state: CachePadded<Mutex<State>>,
}

/// How workers are started.
#[derive(Clone, Debug, Default)]
pub(super) struct StartUp {
    pub(super) name: Option<String>,
    pub(super) stack_size: Option<usize>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// The batches that are led and may want help, oldest first.
    open: Vec<NonNull<Header>>,
    /// The callers that wait for a seat.
    waiting: VecDeque<NonNull<Applicant>>,
    sleepers: Vec<Arc<Sleeper>>,
    /// Workers started or being started.
    workers: usize,
    handles: Vec<thread::JoinHandle<()>>,
    closed: bool,
}

// SAFETY: the pointers lead to frames whose owners wait until they have been taken off these
// lists, under the lock (batch invariant 3, `Crew::take_seat`).
unsafe impl Send for State {}

/// What a worker sleeps on.
#[derive(Debug)]
struct Sleeper {
    latch: CachePadded<Latch>,
}

/// A caller that waits for a seat, in its own frame.
#[derive(Debug)]
struct Applicant {
    latch: Latch,
    /// Read by the giver, written when the frame ends.
    life: Tracked,
}

/// What is to be done once the lock is released.
#[must_use]
enum Call {
    Nobody,
    Wake(Arc<Sleeper>),
    Start,
}

/// A seat to be handed to the caller that waits for it, once the lock is released.
#[must_use]
struct Grant(Option<NonNull<Applicant>>);

impl Grant {
    fn hand_over(self) {
        if let Some(applicant) = self.0 {
            // SAFETY: the applicant's frame waits for this very leave, the last use of it.
            let applicant = unsafe { applicant.as_ref() };
            applicant.life.read();
            applicant.latch.leave(ONE, OWED);
        }
    }
}

impl State {
    /// The oldest batch that a helper could join now.
    fn joinable(&self) -> Option<NonNull<Header>> {
        if self.free == 0 {
            return None;
        }
        // SAFETY: a batch on the list lives: its leader takes it off before its frame ends.
        self.open.iter().copied().find(|header| unsafe { header.as_ref() }.wants_help())
    }

    /// Decides whom to call, for invariant 3.
    fn call(&mut self, most_workers: usize) -> Call {
        if self.closed || self.joinable().is_none() {
            return Call::Nobody;
        }
        if let Some(sleeper) = self.sleepers.pop() {
            return Call::Wake(sleeper);
        }
        if self.workers < most_workers {
            self.workers += 1;
            return Call::Start;
        }
        Call::Nobody
    }

    /// Gives a seat back: to the first caller that waits, or to whoever comes (invariant 2).
    fn release_seat(&mut self, hungry: &AtomicUsize) -> Grant {
        let next = self.waiting.pop_front();
        match next {
            // ORDERING: Relaxed: a hint, see `is_hungry`.
            Some(_) => hungry.store(self.waiting.len(), Ordering::Relaxed),
            None => self.free += 1,
        }
        Grant(next)
    }
}

impl Crew {
    pub(super) fn new(seats: usize, start: StartUp) -> Arc<Self> {
        Arc::new(Crew {
            seats,
            start,
            spin: Spin::for_threads(seats),
            hungry: CachePadded::new(AtomicUsize::new(0)),
            state: CachePadded::new(Mutex::new(State {
                free: seats,
                open: Vec::new(),
                waiting: VecDeque::new(),
                sleepers: Vec::new(),
                workers: 0,
                handles: Vec::new(),
                closed: false,
            })),
        })
    }

    pub(super) fn seats(&self) -> usize {
        self.seats
    }

    /// The pool's name for [`holding`] and [`holds`](super::held::holds).
    pub(super) fn address(&self) -> usize {
        (&raw const *self).addr()
    }

    /// Each batch has its caller in one of the seats, so more workers would find none.
    fn most_workers(&self) -> usize {
        self.seats - 1
    }

    /// Takes a seat for the calling thread, after those who came before. May block.
    pub(super) fn take_seat(&self) {
        let mut state = self.state.lock();
        if state.free > 0 {
            state.free -= 1;
        } else {
            drop(state);
            self.wait_for_seat();
        }
    }

    #[cold]
    fn wait_for_seat(&self) {
        let applicant = Applicant { latch: Latch::new(ONE), life: Tracked::new() };
        {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return;
            }
            state.waiting.push_back(NonNull::from(&applicant));
            // ORDERING: Relaxed: a hint, see `is_hungry`.
            self.hungry.store(state.waiting.len(), Ordering::Relaxed);
        }
        let granted = applicant.latch.wait(OWED, Spin::Brief, None);
        debug_assert!(granted.is_ok(), "a wait without deadline doesn't time out");
        applicant.life.write();
    }

    /// Whether a caller waits for a seat, and helpers should give theirs up.
    fn is_hungry(&self) -> bool {
        // ORDERING: Relaxed: a hint. A helper that misses it looks again after its next claim.
        self.hungry.load(Ordering::Relaxed) > 0
    }

    /// Puts a batch on the list and calls for help. Its leader holds a seat.
    pub(super) fn open(self: &Arc<Self>, header: NonNull<Header>) {
        let call = {
            let mut state = self.state.lock();
            state.open.push(header);
            state.call(self.most_workers())
        };
        self.perform(call);
    }

    /// Takes a batch off the list, if it was opened, and gives the seat back, unless it is that of
    /// an outer call. The helpers inside are still to be waited for.
    pub(super) fn close(self: &Arc<Self>, opened: Option<NonNull<Header>>, keeps_seat: bool) {
        let mut state = self.state.lock();
        if let Some(header) = opened {
            let place = state.open.iter().position(|&other| other == header);
            state.open.remove(place.expect("an open batch is on the list until it is closed"));
        }
        if !keeps_seat {
            let grant = state.release_seat(&self.hungry);
            let call = state.call(self.most_workers());
            drop(state);
            grant.hand_over();
            self.perform(call);
        }
    }

    /// Blocks until no helper is inside the batch.
    pub(super) fn wait_for_helpers(&self, header: &Header) {
        header.wait_for_helpers(self.spin);
    }

    fn perform(self: &Arc<Self>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Wake(sleeper) => {
                sleeper.latch.leave(ONE, OWED);
            }
            Call::Start => {
                // A system that gives no thread is borne: the work goes on with fewer.
                let _ = self.start_worker();
            }
        }
    }

    /// Starts one worker that `State::workers` counts already, or takes the count back.
    #[cold]
    fn start_worker(self: &Arc<Self>) -> io::Result<()> {
        let mut builder = thread::Builder::new();
        if let Some(name) = &self.start.name {
            builder = builder.name(name.clone());
        }
        if let Some(bytes) = self.start.stack_size {
            builder = builder.stack_size(bytes);
        }
        let crew = self.clone();
        let started = builder.spawn(move || crew.work());
        let mut state = self.state.lock();
        match started {
            Ok(handle) => {
                state.handles.push(handle);
                Ok(())
            }
            Err(error) => {
                state.workers -= 1;
                Err(error)
            }
        }
    }

    /// Starts every worker that the pool can use.
    pub(super) fn start_all(self: &Arc<Self>) -> io::Result<()> {
        for _ in 0..self.most_workers() {
            self.state.lock().workers += 1;
            self.start_worker()?;
        }
        Ok(())
    }

    /// A worker's life.
    fn work(self: Arc<Self>) {
        let me = Arc::new(Sleeper { latch: CachePadded::new(Latch::new(0)) });
        loop {
            let mut state = self.state.lock();
            if let Some(header) = state.joinable() {
                state.free -= 1;
                // SAFETY: on the list and under the lock, so alive (batch invariant 2).
                unsafe { header.as_ref() }.enter();
                let call = state.call(self.most_workers());
                drop(state);
                self.perform(call);
                self.help(header);
            } else if state.closed {
                return;
            } else {
                // Invariant 4. ORDERING: Relaxed: whoever leaves the latch takes the lock first.
                me.latch.word().fetch_add(ONE, Ordering::Relaxed);
                state.sleepers.push(me.clone());
                drop(state);
                let called = me.latch.wait(OWED, self.spin, None);
                debug_assert!(called.is_ok(), "a wait without deadline doesn't time out");
            }
        }
    }

    /// Helps with a batch that the calling worker has entered, and gives the seat back.
    fn help(self: &Arc<Self>, header: NonNull<Header>) {
        let enough = || self.is_hungry();
        // SAFETY: entered, and not left before the calls below.
        let ended = holding(self.address(), || unsafe { Header::help(header, &enough) });
        let grant = if ended == Ended::Early {
            // The batch may have work left: it gets its place back before we leave it.
            let mut state = self.state.lock();
            // SAFETY: entered and not left, so alive.
            unsafe { header.as_ref() }.give_up_place();
            let grant = state.release_seat(&self.hungry);
            drop(state);
            // SAFETY: entered, and left only here.
            unsafe { Header::leave(header) };
            grant
        } else {
            // First the leader, who may be waiting, then the lock.
            // SAFETY: entered, and left only here.
            unsafe { Header::leave(header) };
            self.state.lock().release_seat(&self.hungry)
        };
        grant.hand_over();
    }

    /// Ends the workers, and waits until they have. Nobody leads a batch any more.
    pub(super) fn shut_down(&self) {
        let sleepers = {
            let mut state = self.state.lock();
            state.closed = true;
            mem::take(&mut state.sleepers)
        };
        for sleeper in sleepers {
            sleeper.latch.leave(ONE, OWED);
        }
        // A worker that is starting another has put its handle here before it ends itself.
        let me = thread::current().id();
        loop {
            let Some(handle) = self.state.lock().handles.pop() else { return };
            // The last handle of the pool may be dropped by one of its own workers, which can't
            // wait for itself.
            if handle.thread().id() != me
                && let Err(payload) = handle.join()
                && !thread::panicking()
            {
                resume_unwind(payload);
            }
        }
    }
}

//! The workers of a pool, and what they share with its callers: one short lock around the
//! [seats](super::seats). The tasks themselves are claimed outside it, see
//! [`batch`](super::batch).
//!
//! What a step under the lock leaves to do (a seat to hand over, a worker to wake or to start) is
//! done after the lock is released.

use super::batch::{Ended, Header};
use super::builder::StartUp;
use super::held::holding;
use super::seats::{Applicant, Call, Next, Seats, Sleeper};
use crate::sys::atomic::{AtomicUsize, Ordering};
use crate::sys::{Arc, Mutex, Spin, thread};
use crossbeam_utils::CachePadded;
use std::io;
use std::panic::resume_unwind;
use std::ptr::NonNull;

/// What a pool's handle and its workers share.
#[derive(Debug)]
pub(super) struct Crew {
    seats: usize,
    start: StartUp,
    spin: Spin,
    /// How many callers wait for a seat: helpers look at it between claims, without the lock.
    hungry: CachePadded<AtomicUsize>,
    /// Protects who sits, waits and sleeps.
    state: CachePadded<Mutex<Seats>>,
    /// Protects the handles of the workers that were started.
    handles: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Crew {
    pub(super) fn new(seats: usize, start: StartUp) -> Arc<Self> {
        Arc::new(Crew {
            seats,
            start,
            spin: Spin::for_threads(seats),
            hungry: CachePadded::new(AtomicUsize::new(0)),
            state: CachePadded::new(Mutex::new(Seats::new(seats))),
            handles: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn seats(&self) -> usize {
        self.seats
    }

    /// The pool's name for [`holding`] and [`holds`](super::held::holds).
    pub(super) fn address(&self) -> usize {
        (&raw const *self).addr()
    }

    /// Takes a step under the lock, and does what it leaves to do.
    fn step<R>(self: &Arc<Self>, step: impl FnOnce(&mut Seats) -> (R, Next)) -> R {
        let mut state = self.state.lock();
        let (result, next) = step(&mut state);
        self.publish_hungry(&state);
        drop(state);
        self.perform(next);
        result
    }

    fn perform(self: &Arc<Self>, mut next: Next) {
        next.hand_over();
        match next.call {
            Call::Nobody => {}
            Call::Wake(sleeper) => sleeper.wake(),
            Call::Start => {
                // A system that gives no thread is borne: the work goes on with fewer.
                let _ = self.start_worker(true);
            }
        }
    }

    /// Under the lock, after each step that may have changed the queue.
    fn publish_hungry(&self, state: &Seats) {
        // ORDERING: Relaxed: a hint, see `is_hungry`.
        if self.hungry.load(Ordering::Relaxed) != state.hungry() {
            // ORDERING: the same.
            self.hungry.store(state.hungry(), Ordering::Relaxed);
        }
    }

    /// Whether a caller waits for a seat, and helpers should give theirs up.
    fn is_hungry(&self) -> bool {
        // ORDERING: Relaxed: a hint. A helper that misses it looks again after its next claim.
        self.hungry.load(Ordering::Relaxed) > 0
    }

    /// Takes a seat for the calling thread, after those who came before. May block.
    pub(super) fn take_seat(&self) {
        let mut state = self.state.lock();
        if !state.take() {
            let applicant = Applicant::new();
            state.queue(&applicant);
            self.publish_hungry(&state);
            drop(state);
            applicant.wait();
        }
    }

    /// Puts a batch on the list and calls for help. Its leader holds a seat.
    pub(super) fn open(self: &Arc<Self>, header: NonNull<Header>) {
        self.step(|seats| ((), seats.open(header)));
    }

    /// Takes a batch off the list, if it was opened, and gives the seat back, unless it is that of
    /// an outer call. The helpers inside are still to be waited for.
    pub(super) fn close(self: &Arc<Self>, opened: Option<NonNull<Header>>, keeps_seat: bool) {
        self.step(|seats| ((), seats.close(opened, !keeps_seat)));
    }

    /// Blocks until no helper is inside the batch.
    pub(super) fn wait_for_helpers(&self, header: &Header) {
        header.wait_for_helpers(self.spin);
    }

    /// Starts one worker that the seats count already, or takes the count back.
    #[cold]
    fn start_worker(self: &Arc<Self>, called: bool) -> io::Result<()> {
        let mut builder = thread::Builder::new();
        if let Some(name) = &self.start.name {
            builder = builder.name(name.clone());
        }
        if let Some(bytes) = self.start.stack_size {
            builder = builder.stack_size(bytes);
        }
        let crew = self.clone();
        match builder.spawn(move || crew.work()) {
            Ok(handle) => {
                self.handles.lock().push(handle);
                Ok(())
            }
            Err(error) => {
                self.step(|seats| ((), seats.not_started(called)));
                Err(error)
            }
        }
    }

    /// Starts every worker that the pool can use, one fewer than its seats.
    pub(super) fn start_all(self: &Arc<Self>) -> io::Result<()> {
        let all = self.seats - 1;
        for started in 0..all {
            self.state.lock().count_worker();
            self.start_worker(false).map_err(|error| {
                let message =
                    format!("WorkerPool: the system gave {started} of {all} threads: {error}");
                io::Error::new(error.kind(), message)
            })?;
        }
        Ok(())
    }

    /// A worker's life.
    fn work(self: Arc<Self>) {
        let me = Sleeper::new();
        loop {
            let mut state = self.state.lock();
            let (found, next) = state.look();
            self.publish_hungry(&state);
            let goes_on = found.is_some() || state.sleep(&me);
            drop(state);
            self.perform(next);
            match found {
                Some(header) => self.help(header),
                None if goes_on => me.wait(self.spin),
                None => return,
            }
        }
    }

    /// Helps with a batch that the calling worker has entered, and gives the seat back.
    fn help(self: &Arc<Self>, header: NonNull<Header>) {
        let enough = || self.is_hungry();
        // SAFETY: entered, and not left before the calls below.
        let ended = holding(self.address(), || unsafe { Header::help(header, &enough) });
        if ended == Ended::Early {
            // There may be work left: the batch gets its place back before we leave it.
            self.step(|seats| ((), seats.stand_up(Some(header))));
            // SAFETY: entered, and left only here.
            unsafe { Header::leave(header) };
        } else {
            // First the leader, who may be waiting, then the lock.
            // SAFETY: entered, and left only here.
            unsafe { Header::leave(header) };
            self.step(|seats| ((), seats.stand_up(None)));
        }
    }

    /// Ends the workers, and waits until they have. Nobody leads a batch any more.
    pub(super) fn shut_down(&self) {
        let sleepers = self.state.lock().shut();
        for sleeper in sleepers {
            sleeper.wake();
        }
        // A worker that has started another has put its handle here before it ended itself.
        let me = thread::current().id();
        loop {
            let Some(handle) = self.handles.lock().pop() else { return };
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

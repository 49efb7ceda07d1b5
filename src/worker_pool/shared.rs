//! What a pool's handle and its workers share: one short lock around the
//! [scheduler](super::scheduler). The tasks themselves are claimed outside it, see
//! [`batch`](super::batch).
//!
//! What a step under the lock leaves to do (callers to let go on, a worker to wake or to start) is
//! done after the lock is released.
//!
//! # After a fork
//! A forked child has a copy of all this and one thread, the one that forked. The lock may be held
//! by a thread that is lost, seats too, and the workers are gone. So the child makes another
//! `Shared` for the pool, and of the *inherited* one nothing but what never changes is used: it
//! isn't locked, and it isn't freed. See [`PerProcess`](crate::sys::PerProcess).

use super::batch::{Ended, Header};
use super::builder::StartUp;
use super::held::holding;
use super::parkers::{CallerWaiter, WorkerParker};
use super::scheduler::{Call, Next, Request, Returning, Scheduler, Seat};
use crate::support::backoff::Spin;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::{Arc, Mutex, Process, thread};
use crossbeam_utils::CachePadded;
use std::io;
use std::panic::resume_unwind;
use std::ptr::NonNull;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Shared {
    seats: usize,
    start: StartUp,
    spin: Spin,
    /// The process that it was made in.
    process: Process,
    /// Whether holders of lent seats should make room: they read it between claims, without the
    /// lock.
    wants_room: CachePadded<AtomicBool>,
    /// Protects who holds a seat, waits and sleeps.
    state: CachePadded<Mutex<Scheduler>>,
    /// Protects the handles of the workers that were started.
    handles: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn new(seats: usize, start: StartUp) -> Arc<Self> {
        Arc::new(Shared {
            seats,
            start,
            spin: Spin::for_threads(seats),
            process: Process::current(),
            wants_room: CachePadded::new(AtomicBool::new(false)),
            state: CachePadded::new(Mutex::new(Scheduler::new(seats))),
            handles: Mutex::new(Vec::new()),
        })
    }

    /// The same for a forked child, with nobody in it.
    pub(super) fn renewed(&self) -> Arc<Self> {
        Shared::new(self.seats, self.start.clone())
    }

    pub(super) fn seats(&self) -> usize {
        self.seats
    }

    /// Whether it was made in a process that this one was forked from.
    #[inline]
    pub(super) fn is_inherited(&self) -> bool {
        self.process != Process::current()
    }

    /// The pool's name for [`holding`] and [`holds`](super::held::holds).
    pub(super) fn address(&self) -> usize {
        (&raw const *self).addr()
    }

    /// Takes a step under the lock, and does what it leaves to do.
    fn step(self: &Arc<Self>, step: impl FnOnce(&mut Scheduler) -> Next) {
        let mut state = self.state.lock();
        let next = step(&mut state);
        self.publish(&state);
        drop(state);
        self.perform(next);
    }

    #[inline]
    fn perform(self: &Arc<Self>, next: Next) {
        if !next.is_nothing() {
            self.perform_what_is_left(next);
        }
    }

    #[inline(never)]
    fn perform_what_is_left(self: &Arc<Self>, mut next: Next) {
        next.hand_over();
        match next.call {
            Call::Nobody => {}
            Call::Wake(parker) => parker.wake(),
            Call::Start => {
                // A system that gives no thread is borne: the work goes on with fewer.
                let _ = self.start_worker(true);
            }
        }
    }

    /// Under the lock, after each step that may have changed who waits or holds a seat.
    fn publish(&self, state: &Scheduler) {
        // ORDERING: Relaxed: a hint, see `wants_room`.
        let wants_room = state.wants_room();
        if self.wants_room.load(Ordering::Relaxed) != wants_room {
            // ORDERING: the same.
            self.wants_room.store(wants_room, Ordering::Relaxed);
        }
    }

    /// Whether holders of lent seats should make room.
    #[inline]
    pub(super) fn wants_room(&self) -> bool {
        // ORDERING: Relaxed: a hint. Whoever misses it reads it again after its next claim.
        self.wants_room.load(Ordering::Relaxed)
    }

    /// Gets the seats that a call asks for, after those that came before. May block.
    pub(super) fn enter(self: &Arc<Self>, request: Request) {
        let mut state = self.state.lock();
        if let Some(next) = state.enter(request) {
            self.publish(&state);
            drop(state);
            self.perform(next);
        } else {
            let caller = CallerWaiter::new();
            let next = state.queue(request, &caller);
            self.publish(&state);
            drop(state);
            self.perform(next);
            caller.wait();
        }
    }

    /// Gives up the lent seat of the calling leader for a call that waits, if there is one that it
    /// is of use to, and gets another. May block.
    pub(super) fn make_room(self: &Arc<Self>) {
        let caller = CallerWaiter::new();
        let mut state = self.state.lock();
        let Some(next) = state.make_room(&caller) else { return };
        self.publish(&state);
        drop(state);
        self.perform(next);
        caller.wait();
    }

    /// Puts a batch on the list and calls for help. Its leader holds a seat.
    pub(super) fn open(self: &Arc<Self>, header: NonNull<Header>) {
        self.step(|state| state.open(header));
    }

    /// Takes a batch off the list, if it was opened, and gives its leader's seat back, unless it is
    /// that of an outer call. The helpers inside are still to be waited for.
    pub(super) fn close(self: &Arc<Self>, opened: Option<NonNull<Header>>, seat: Seat) {
        self.step(|state| state.close(opened, seat));
    }

    /// Blocks until no helper is inside the batch.
    pub(super) fn wait_for_helpers(&self, header: &Header) {
        header.wait_for_helpers(self.spin);
    }

    /// Starts one worker that the scheduler counts already, or takes the count back.
    #[cold]
    fn start_worker(self: &Arc<Self>, called: bool) -> io::Result<()> {
        let mut builder = thread::Builder::new();
        if let Some(name) = &self.start.name {
            builder = builder.name(name.clone());
        }
        if let Some(bytes) = self.start.stack_size {
            builder = builder.stack_size(bytes);
        }
        let shared = self.clone();
        match builder.spawn(move || shared.work(called)) {
            Ok(handle) => {
                self.handles.lock().push(handle);
                Ok(())
            }
            Err(error) => {
                self.step(|state| state.not_started(called));
                Err(error)
            }
        }
    }

    /// Starts as many workers as one batch can use: one fewer than the seats.
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
    fn work(self: Arc<Self>, mut called: bool) {
        let me = WorkerParker::new();
        let mut returning: Option<Returning> = None;
        loop {
            let mut state = self.state.lock();
            let (found, next) = state.look(returning, called);
            self.publish(&state);
            let goes_on = found.is_some() || state.park(&me);
            drop(state);
            if let Some(Returning { unfinished: Some(header), .. }) = returning {
                // SAFETY: entered, and left only here. Whoever enters it next has taken the place
                // that was given up under the lock.
                unsafe { Header::leave(header) };
            }
            self.perform(next);
            match found {
                Some(header) => (called, returning) = (false, Some(self.help(header))),
                None if goes_on => {
                    me.wait(self.spin);
                    (called, returning) = (true, None);
                }
                None => return,
            }
        }
    }

    /// Helps with a batch that the calling worker has entered.
    fn help(&self, header: NonNull<Header>) -> Returning {
        // SAFETY: entered, and not left before the calls below.
        let lent = unsafe { header.as_ref() }.lends();
        let enough = || self.is_inherited() || (lent && self.wants_room());
        // SAFETY: the same.
        let ended = holding(self.address(), || unsafe { Header::help(header, &enough) });
        if self.is_inherited() {
            forked_in_a_task();
        }
        if ended == Ended::Yielded {
            // There may be work left: the batch gets its place back before its helper leaves it.
            return Returning { lent, unfinished: Some(header) };
        }
        // First the leader, which may be waiting, then the lock.
        // SAFETY: entered, and left only here.
        unsafe { Header::leave(header) };
        Returning { lent, unfinished: None }
    }

    /// Ends the workers, and waits until they have. Nobody leads a batch any more.
    pub(super) fn shut_down(&self) {
        let parked = self.state.lock().shut_down();
        for parker in parked {
            parker.wake();
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

/// Ends a forked child whose only thread is a copy of a worker, when its task has returned: the
/// batch's caller is not in this process, and a thread has nothing else to return to.
#[cold]
fn forked_in_a_task() -> ! {
    eprintln!(
        "phalanx: WorkerPool: a task has forked and returned in the child, where its caller \
         doesn't exist; the child must end or exec within the task"
    );
    std::process::abort();
}

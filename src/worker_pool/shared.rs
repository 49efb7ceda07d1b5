//! What a pool's handle and its workers share: one short lock around the [scheduler](super::scheduler), and the life of
//! a worker. Tasks are claimed outside the lock, see [`batch`](super::batch).
//!
//! What a step under the lock leaves to do (callers to wake, a worker to unpark or to start) is done after the lock is
//! released.
//!
//! # After a fork
//! A forked child has a copy of all this and one thread, which called `fork`. The lock may be held by a thread that is
//! lost, seats too, and the workers are gone. So the child makes another `Shared` for the pool, and of the *inherited*
//! one it uses only what never changes: it isn't locked, and it isn't freed. See
//! [`PerProcess`](crate::sys::PerProcess).

use super::job::{Ended, Job};
use super::nesting::enter_pool;
use super::parkers::{CallerWaiter, WorkerParker};
use super::scheduler::{Assignment, FollowUp, Request, Returning, Scheduler, Seat, Signal};
use crate::support::backoff::Spin;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::{Arc, Mutex, Process, thread};
use crossbeam_utils::CachePadded;
use std::io;
use std::panic::resume_unwind;
use std::ptr::NonNull;

/// How workers are started.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkerOptions {
    pub(super) name: Option<String>,
    pub(super) stack_size: Option<usize>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Shared {
    seats: usize,
    options: WorkerOptions,
    spin: Spin,
    /// The process that it was made in.
    process: Process,
    /// Whether holders of lent seats should yield: they read it between claims, without the lock.
    should_yield: CachePadded<AtomicBool>,
    /// Protects the seats, the jobs, and the lists of waiting callers and parked workers.
    state: CachePadded<Mutex<Scheduler>>,
    /// Protects the handles of the workers that were started.
    handles: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn new(seats: usize, options: WorkerOptions) -> Arc<Self> {
        Arc::new(Shared {
            seats,
            options,
            spin: Spin::for_threads(seats),
            process: Process::current(),
            should_yield: CachePadded::new(AtomicBool::new(false)),
            state: CachePadded::new(Mutex::new(Scheduler::new(seats))),
            handles: Mutex::new(Vec::new()),
        })
    }

    /// The same for a forked child, with no thread in it.
    pub(super) fn renewed(&self) -> Arc<Self> {
        Shared::new(self.seats, self.options.clone())
    }

    pub(super) fn seats(&self) -> usize {
        self.seats
    }

    /// Whether it was made in a process that this one was forked from.
    #[inline]
    pub(super) fn is_inherited(&self) -> bool {
        self.process != Process::current()
    }

    /// What [`enter_pool`] and [`is_in_pool`](super::nesting::is_in_pool) know the pool by.
    pub(super) fn address(&self) -> usize {
        (&raw const *self).addr()
    }

    /// Takes a step under the lock. Every use of the scheduler goes through here, so that none forgets to publish.
    #[inline]
    fn locked<R>(&self, step: impl FnOnce(&mut Scheduler) -> R) -> R {
        let mut state = self.state.lock();
        let result = step(&mut state);
        let should_yield = state.should_yield();
        // ORDERING: Relaxed: written under the lock alone, which is held.
        if self.should_yield.load(Ordering::Relaxed) != should_yield {
            // ORDERING: Relaxed: a hint, see `should_yield`.
            self.should_yield.store(should_yield, Ordering::Relaxed);
        }
        result
    }

    /// Whether holders of lent seats should yield.
    #[inline]
    pub(super) fn should_yield(&self) -> bool {
        // ORDERING: Relaxed: a hint. A thread that misses it reads it again after its next claim.
        self.should_yield.load(Ordering::Relaxed)
    }

    /// Takes a step under the lock, and does what it leaves to do.
    fn step(self: &Arc<Self>, step: impl FnOnce(&mut Scheduler) -> FollowUp) {
        let follow_up = self.locked(step);
        self.perform(follow_up);
    }

    #[inline]
    fn perform(self: &Arc<Self>, follow_up: FollowUp) {
        if !follow_up.is_none() {
            self.perform_all(follow_up);
        }
    }

    #[inline(never)]
    fn perform_all(self: &Arc<Self>, mut follow_up: FollowUp) {
        follow_up.grant_all();
        match follow_up.signal {
            Signal::None => {}
            Signal::Unpark(parker) => parker.unpark(),
            Signal::Start => {
                // If the system gives no thread, the work goes on with fewer.
                let _ = self.start_worker(true);
            }
        }
    }

    /// Gets the seats that a call asks for, after the calls that came before. May block.
    pub(super) fn enter(self: &Arc<Self>, request: Request) {
        match self.locked(|state| state.try_enter(request)) {
            Some(follow_up) => self.perform(follow_up),
            None => self.enter_contended(request),
        }
    }

    #[cold]
    fn enter_contended(self: &Arc<Self>, request: Request) {
        let waiter = CallerWaiter::new();
        self.step(|state| state.enqueue(request, &waiter));
        waiter.wait();
    }

    /// Yields the calling thread's lent seat to a call that waits, if it is of use there, and gets another. May block.
    pub(super) fn yield_seat(self: &Arc<Self>) {
        let waiter = CallerWaiter::new();
        if let Some(follow_up) = self.locked(|state| state.yield_seat(&waiter)) {
            self.perform(follow_up);
            waiter.wait();
        }
    }

    /// Lists a job, which calls for help. Its caller holds a seat.
    pub(super) fn open(self: &Arc<Self>, job: NonNull<Job>) {
        self.step(|state| state.open(job));
    }

    /// Removes a job from the list, if there is one, and releases its caller's seat, unless that belongs to an outer
    /// call. The helpers inside must still be waited for.
    pub(super) fn close(self: &Arc<Self>, listed: Option<NonNull<Job>>, seat: Seat) {
        self.step(|state| state.close(listed, seat));
    }

    /// Blocks until no helper is inside the job.
    pub(super) fn wait_for_helpers(&self, job: &Job) {
        job.wait_for_helpers(self.spin);
    }

    /// Starts one worker that the scheduler counts already, or takes the count back.
    #[cold]
    fn start_worker(self: &Arc<Self>, signalled: bool) -> io::Result<()> {
        // Held while the thread starts: no two threads get the same number.
        let mut handles = self.handles.lock();
        let name = self.options.name.clone();
        let name = name.unwrap_or_else(|| format!("phalanx-pool-{}", handles.len() + 1));
        let mut builder = thread::Builder::new().name(name);
        if let Some(bytes) = self.options.stack_size {
            builder = builder.stack_size(bytes);
        }
        let shared = self.clone();
        match builder.spawn(move || shared.work(signalled)) {
            Ok(handle) => {
                handles.push(handle);
                Ok(())
            }
            Err(error) => {
                drop(handles);
                self.step(|state| state.not_started(signalled));
                Err(error)
            }
        }
    }

    /// Starts as many workers as one batch can use: one fewer than the seats.
    pub(super) fn start_all(self: &Arc<Self>) -> io::Result<()> {
        let all = self.seats - 1;
        for started in 0..all {
            self.locked(Scheduler::count_worker);
            self.start_worker(false).map_err(|error| {
                let message =
                    format!("WorkerPool: the system gave {started} of {all} threads: {error}");
                io::Error::new(error.kind(), message)
            })?;
        }
        Ok(())
    }

    /// A worker's life.
    fn work(self: Arc<Self>, mut signalled: bool) {
        let parker = WorkerParker::new();
        let mut returning: Option<Returning> = None;
        loop {
            let (assignment, follow_up) =
                self.locked(|state| state.assign(&parker, returning, signalled));
            if let Some(Returning { unfinished: Some(job), .. }) = returning {
                // SAFETY: entered, and left only here. A worker that enters it next is counted by itself.
                unsafe { Job::leave(job) };
            }
            self.perform(follow_up);
            match assignment {
                Assignment::Help(job) => (signalled, returning) = (false, Some(self.help(job))),
                Assignment::Park => {
                    parker.park(self.spin);
                    (signalled, returning) = (true, None);
                }
                Assignment::End => return,
            }
        }
    }

    /// Helps with a job that the calling worker has entered.
    fn help(&self, job: NonNull<Job>) -> Returning {
        // SAFETY: entered, and not left before the calls below.
        let lent = unsafe { job.as_ref() }.lends();
        let should_stop = || self.is_inherited() || (lent && self.should_yield());
        // SAFETY: as above, and a job is listed by a pointer to the whole value.
        let ended = enter_pool(self.address(), || unsafe { Job::help(job, &should_stop) });
        if self.is_inherited() {
            forked_in_a_task();
        }
        if ended == Ended::Yielded {
            // There may be tasks left: the job wants another helper before this one leaves it.
            return Returning { lent, unfinished: Some(job) };
        }
        // Leaves before it takes the lock, for the caller may be waiting.
        // SAFETY: entered, and left only here.
        unsafe { Job::leave(job) };
        Returning { lent, unfinished: None }
    }

    /// Ends the workers, and waits until they have ended. No call is under way any more.
    pub(super) fn shut_down(&self) {
        let parked = self.locked(Scheduler::shut_down);
        for parker in parked {
            parker.unpark();
        }
        // A worker that has started another has put its handle here before it ended itself.
        let me = thread::current().id();
        loop {
            let Some(handle) = self.handles.lock().pop() else { return };
            // The last handle of the pool may be dropped by one of its own workers, which can't join itself.
            if handle.thread().id() != me
                && let Err(payload) = handle.join()
                && !thread::panicking()
            {
                resume_unwind(payload);
            }
        }
    }
}

/// Ends a forked child whose only thread is a copy of a worker, when its task has returned: the job's caller is not in
/// this process, and the thread has nothing else to return to.
#[cold]
fn forked_in_a_task() -> ! {
    eprintln!(
        "phalanx: WorkerPool: a task has forked and returned in the child, where its caller \
         doesn't exist; the child must end or exec within the task"
    );
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_waits_is_published_to_the_holder_of_a_lent_seat() {
        let one = |lent| Request { seats: 1, job: None, lent };
        let shared = Shared::new(1, WorkerOptions::default());
        shared.enter(one(true));
        assert!(!shared.should_yield());
        let theirs = shared.clone();
        let other = thread::spawn(move || {
            theirs.enter(one(false));
            theirs.close(None, Seat::Kept);
        });
        while !shared.state.lock().should_yield() {
            thread::yield_now();
        }
        assert!(shared.should_yield());
        shared.yield_seat();
        assert!(!shared.should_yield());
        shared.close(None, Seat::Lent);
        other.join().unwrap();
    }
}

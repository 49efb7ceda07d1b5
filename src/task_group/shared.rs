//! What a group and its tasks share.
//!
//! A task runs on a *seat*; a group with a limit has that many. A thread that finds no seat free waits in a queue, and
//! a task that ends hands its seat to the first of them.
//!
//! ```text
//! free    => taken     take a seat      `go`, `try_go`
//! taken   => taken     hand on          a task that ends, if a thread waits
//! taken   => free      leave            a task that ends, if none does
//! working => failing   fail             the first error or panic, when it is kept
//! failing => failed    fail             by the same task, when the token is cancelled
//! ```
//!
//! - **G1.** `taken` counts the seats: those of tasks that have not ended, and those on their way to a thread that was
//!   taken out of the queue.
//! - **G2.** A thread waits only while the group works and no seat is free, or while it is failing. Each step that ends
//!   this (a task's end, a higher limit, a failure) takes it out of the queue in the same hold of the lock.
//! - **G3.** The first error, or the first panic, is kept before the token is cancelled, and the token is cancelled
//!   before the group has failed. So a task that fails because it was told to stop isn't the first, and a `go` that
//!   starts nothing finds the token cancelled.
//! - **G4.** No seat is taken from the time at which the group is failing, which is before the token is cancelled. So a
//!   task that ends because it was told to stop lets no other begin.
//!
//! The token's callbacks and the drops of values and errors are user code: they run without the lock.

use crate::cancel::CancelToken;
use crate::support::first_panic::{FirstPanic, Payload};
use crate::support::waiters::{Queue, Taken, WakeUp, wait};
use crate::sys::{Arc, Mutex, catch};
use std::mem;

/// See the [module](self).
pub(super) struct Shared<T, E> {
    pub(super) token: CancelToken,
    panic: FirstPanic,
    /// Protects the rest. No user code runs under it.
    state: Mutex<State<T, E>>,
}

struct State<T, E> {
    /// `usize::MAX` for no limit.
    limit: usize,
    taken: usize,
    is_failing: bool,
    has_failed: bool,
    /// A place for each task, in the order of `go`.
    values: Vec<Option<T>>,
    error: Option<E>,
    /// Threads that wait for a seat.
    waiting: Queue<Granted>,
}

/// Whether a thread that has waited has a seat.
type Granted = bool;

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// Or the group is failing.
    AtLimit,
    Failed,
}

impl<T, E> State<T, E> {
    fn try_take(&mut self) -> Result<(), NoSeat> {
        if self.has_failed {
            return Err(NoSeat::Failed);
        }
        if self.is_failing || self.taken >= self.limit {
            return Err(NoSeat::AtLimit);
        }
        self.taken += 1;
        Ok(())
    }

    /// Takes out the first thread that waits, if there is a seat for it, or if it waits for nothing (G2).
    fn next(&mut self) -> Option<WakeUp> {
        if !self.has_failed && (self.is_failing || self.taken >= self.limit) {
            return None;
        }
        let mut first: Taken<Granted> = self.waiting.take_first()?;
        let granted = !self.has_failed;
        self.taken += usize::from(granted);
        first.message(|message| *message = granted);
        Some(first.release())
    }

    /// Adds the place of a new task.
    fn add_place(&mut self) -> usize {
        self.values.push(None);
        self.values.len() - 1
    }
}

impl<T, E> Shared<T, E> {
    #[track_caller]
    pub(super) fn new(token: CancelToken) -> Arc<Self> {
        let state = State {
            limit: usize::MAX,
            taken: 0,
            is_failing: false,
            has_failed: false,
            values: Vec::new(),
            error: None,
            waiting: Queue::new(),
        };
        Arc::new(Shared { token, panic: FirstPanic::new(), state: Mutex::new(state) })
    }

    /// Sets the limit, and grants the seats that it adds.
    #[track_caller]
    pub(super) fn set_limit(&self, limit: usize) {
        self.state.lock().limit = limit;
        self.grant();
    }

    /// Wakes the threads that needn't wait any more (G2).
    fn grant(&self) {
        loop {
            let next = self.state.lock().next();
            match next {
                Some(wake_up) => wake_up.wake(),
                None => return,
            }
        }
    }

    /// Takes a seat if one is free.
    #[track_caller]
    pub(super) fn try_take_seat(self: &Arc<Self>) -> Result<Seat<T, E>, NoSeat> {
        let mut state = self.state.lock();
        state.try_take()?;
        let place = state.add_place();
        drop(state);
        Ok(Seat { shared: self.clone(), place })
    }

    /// Takes a seat; blocks until one is free. Returns `None` if the group has failed.
    #[track_caller]
    pub(super) fn take_seat(self: &Arc<Self>) -> Option<Seat<T, E>> {
        match self.try_take_seat() {
            Ok(seat) => Some(seat),
            Err(NoSeat::Failed) => None,
            Err(NoSeat::AtLimit) => self.wait_for_seat(),
        }
    }

    #[cold]
    #[track_caller]
    fn wait_for_seat(self: &Arc<Self>) -> Option<Seat<T, E>> {
        let mut at_once = Err(NoSeat::AtLimit);
        let (granted, _) = wait(
            false,
            None,
            None,
            |waiter| {
                let mut state = self.state.lock();
                at_once = state.try_take();
                if at_once == Err(NoSeat::AtLimit) {
                    // SAFETY: it is taken or removed before `wait` returns, and `self` is in an `Arc` that is borrowed.
                    unsafe { state.waiting.push(waiter) };
                }
            },
            |_| unreachable!("a wait without a deadline"),
        );
        if !granted && at_once.is_err() {
            return None;
        }
        let place = self.state.lock().add_place();
        Some(Seat { shared: self.clone(), place })
    }

    /// Keeps a panic, and fails the group.
    pub(super) fn panicked(&self, payload: Payload) {
        self.panic.keep(payload, || ());
        self.fail();
    }

    /// working => failing => failed (G3, G4). The outcome is kept.
    #[cold]
    fn fail(&self) {
        self.state.lock().is_failing = true;
        if let Err(payload) = catch(|| self.token.cancel()) {
            // A callback's.
            self.panic.keep(payload, || ());
        }
        self.state.lock().has_failed = true;
        self.grant();
    }

    fn keep_error(&self, error: E) {
        let mut state = self.state.lock();
        let surplus = if state.error.is_none() {
            state.error = Some(error);
            None
        } else {
            Some(error)
        };
        drop(state);
        drop(surplus);
    }

    /// Returns the panic to resume, when all tasks have ended.
    pub(super) fn take_panic(&self) -> Option<Payload> {
        self.panic.take(|| ())
    }

    /// Returns the outcome, when all tasks have ended.
    pub(super) fn take_outcome(&self) -> Result<Vec<T>, E> {
        let mut state = self.state.lock();
        let (values, error) = (mem::take(&mut state.values), state.error.take());
        drop(state);
        match error {
            Some(error) => Err(error),
            // A place stays empty if the system gave no thread, and the user has caught the panic.
            None => Ok(values.into_iter().flatten().collect()),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state.lock().has_failed
    }
}

/// The right to run a task, and the place of its value. Its drop frees the seat.
pub(super) struct Seat<T, E> {
    shared: Arc<Shared<T, E>>,
    place: usize,
}

impl<T, E> Seat<T, E> {
    /// Runs the task on the seat, and keeps its outcome.
    pub(super) fn run(self, f: impl FnOnce() -> Result<T, E>) {
        match catch(f) {
            Ok(Ok(value)) => self.shared.state.lock().values[self.place] = Some(value),
            Ok(Err(error)) => {
                // The drop of a surplus error is user code.
                if let Err(payload) = catch(|| self.shared.keep_error(error)) {
                    self.shared.panicked(payload);
                }
                self.shared.fail();
            }
            Err(payload) => self.shared.panicked(payload),
        }
    }
}

impl<T, E> Drop for Seat<T, E> {
    fn drop(&mut self) {
        let next = {
            let mut state = self.shared.state.lock();
            state.taken -= 1;
            state.next()
        };
        if let Some(wake_up) = next {
            wake_up.wake();
        }
    }
}

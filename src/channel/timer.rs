//! Channels that the clock sends into: [`at`](super::at), [`after`](super::after), [`tick`](super::tick) and
//! [`never`](super::never).
//!
//! No thread stands behind them. A receiver that waits sleeps until the message is due, and makes it then. A task that
//! waits is woken by an alarm that it sets.
//!
//! A model has no clock. There a message is due once a wait for it has ended by its deadline, which the model lets
//! happen or not; a `try_recv` alone never finds one.

use super::core::{Core, Message, Unsent, Wants, wake_each};
use super::error::TryRecvError;
use crate::support::waiters::{Queue, Removal, Signal, Waiter};
use crate::sys::{IS_MODEL, Mutex};
use std::time::{Duration, Instant};

/// See the [module](self).
pub(super) struct Timer<T> {
    /// Protects the time and the queue.
    state: Mutex<State<T>>,
    /// Between two messages. `None`: there is one message.
    period: Option<Duration>,
    /// Makes a message of the time at which it was due.
    message: fn(Instant) -> T,
}

struct State<T> {
    /// When the next message is due. `None` is never.
    next: Option<Instant>,
    /// In a model: whether that time has come.
    has_come: bool,
    is_closed: bool,
    /// Woken by a close alone.
    receivers: Queue<Message<T>>,
}

impl<T> Timer<T> {
    #[track_caller]
    pub(super) fn new(
        first: Option<Instant>,
        period: Option<Duration>,
        message: fn(Instant) -> T,
    ) -> Self {
        let state =
            State { next: first, has_come: false, is_closed: false, receivers: Queue::new() };
        Timer { state: Mutex::new(state), period, message }
    }
}

impl<T> State<T> {
    /// Returns the time of a message that is due.
    fn due(&self) -> Option<Instant> {
        let has_come =
            |next: &Instant| if IS_MODEL { self.has_come } else { *next <= Instant::now() };
        self.next.filter(has_come)
    }
}

/// Returns the first time after now that is a number of periods after `due`: ticks that nobody received are skipped.
fn following(due: Instant, period: Duration) -> Option<Instant> {
    let late = if IS_MODEL { Duration::ZERO } else { due.elapsed() };
    let missed = late.as_nanos() / period.as_nanos();
    // As many periods as have passed are representable, since their end is not after now.
    let missed = Duration::from_nanos(u64::try_from(missed * period.as_nanos()).ok()?);
    due.checked_add(missed)?.checked_add(period)
}

impl<T> Core<T> for Timer<T> {
    fn try_send(&self, _: &mut Message<T>) -> Result<(), Unsent> {
        Err(Unsent::Closed)
    }

    fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(TryRecvError::Disconnected);
        }
        let due = state.due().ok_or(TryRecvError::Empty)?;
        state.next = self.period.and_then(|period| following(due, period));
        state.has_come = false;
        drop(state);
        Ok((self.message)(due))
    }

    fn seems_ready(&self, _: Wants) -> bool {
        true
    }

    fn is_ready(&self, _: Wants) -> bool {
        let state = self.state.lock();
        state.is_closed || state.due().is_some()
    }

    /// The clock is no thread that a select could be too early for.
    fn stamp(&self, _: Wants) -> u64 {
        u64::from(self.is_closed())
    }

    unsafe fn enter(&self, _: Wants, waiter: &Waiter<Message<T>>) -> bool {
        let mut state = self.state.lock();
        if state.is_closed || state.due().is_some() {
            return false;
        }
        // SAFETY: the contract of this function.
        unsafe { state.receivers.push(waiter) };
        true
    }

    fn leave(&self, _: Wants, waiter: &Waiter<Message<T>>) -> Removal {
        self.state.lock().receivers.remove(waiter)
    }

    fn if_queued<R>(
        &self,
        _: Wants,
        waiter: &Waiter<Message<T>>,
        f: impl FnOnce(&Signal) -> R,
    ) -> Option<R> {
        self.state.lock().receivers.if_queued(waiter, f)
    }

    /// Each receiver that waits for the message comes by itself.
    fn pass_on(&self, _: Wants) {}

    fn due(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.next.filter(|_| !state.is_closed)
    }

    fn fall_due(&self) {
        self.state.lock().has_come = true;
    }

    fn close(&self) -> bool {
        let mut state = self.state.lock();
        if state.is_closed {
            return false;
        }
        state.is_closed = true;
        drop(state);
        wake_each(&self.state, |state| state.receivers.take_first());
        true
    }

    fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    fn len(&self) -> usize {
        let state = self.state.lock();
        usize::from(!state.is_closed && state.due().is_some())
    }

    fn capacity(&self) -> Option<usize> {
        Some(1)
    }
}

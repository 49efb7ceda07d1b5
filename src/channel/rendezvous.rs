//! Channels that keep nothing: a sender and a receiver meet, and the value passes from one to the other.
//!
//! One lock protects four queues. Who comes first waits in a queue with a message, the sender's value or the
//! receiver's empty place. Who comes second takes the first waiter of the other side, moves the value and settles the
//! waiter, all under the lock, and wakes it after.
//!
//! A task can't be handed a value, since it may be cancelled afterwards and the value lost. So it waits among those
//! that only want to know: a sender that has to wait enters with its value, and then tells the first of them, which
//! comes back and takes the value.

use super::core::{Core, Message, Unsent, Wants, wake_each};
use super::error::TryRecvError;
use crate::support::waiters::{Queue, Removal, Signal, Taken, Waiter, WakeUp};
use crate::sys::Mutex;
use std::mem;

/// See the [module](self).
pub(super) struct Rendezvous<T> {
    /// Protects the queues and the flag. No user code runs under it.
    state: Mutex<State<T>>,
}

struct State<T> {
    senders: Queue<Message<T>>,
    receivers: Queue<Message<T>>,
    /// Those that want to know that a receiver waits.
    send_ready: Queue<Message<T>>,
    /// Those that want to know that a sender waits.
    recv_ready: Queue<Message<T>>,
    is_closed: bool,
    /// How many senders and receivers have entered to meet the other side.
    entered: [u64; 2],
}

impl<T> State<T> {
    fn queue(&mut self, wants: Wants) -> &mut Queue<Message<T>> {
        match wants {
            Wants::Send => &mut self.senders,
            Wants::Recv => &mut self.receivers,
            Wants::SendReady => &mut self.send_ready,
            Wants::RecvReady => &mut self.recv_ready,
        }
    }

    /// Returns the queue of those that a waiter waits to meet.
    fn others(&mut self, wants: Wants) -> &mut Queue<Message<T>> {
        if wants.is_send() { &mut self.receivers } else { &mut self.senders }
    }
}

impl<T> Rendezvous<T> {
    #[track_caller]
    pub(super) fn new() -> Self {
        let state = State {
            senders: Queue::new(),
            receivers: Queue::new(),
            send_ready: Queue::new(),
            recv_ready: Queue::new(),
            is_closed: false,
            entered: [0; 2],
        };
        Rendezvous { state: Mutex::new(state) }
    }
}

fn release<T>(taken: Option<Taken<Message<T>>>) -> Option<WakeUp> {
    taken.map(Taken::release)
}

fn wake(wake_up: Option<WakeUp>) {
    if let Some(wake_up) = wake_up {
        wake_up.wake();
    }
}

impl<T> Core<T> for Rendezvous<T> {
    fn try_send(&self, message: &mut Message<T>) -> Result<(), Unsent> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Unsent::Closed);
        }
        let Some(mut receiver) = state.receivers.take_first() else {
            return Err(Unsent::Full);
        };
        // What it receives into is empty.
        receiver.message(|place| mem::swap(place, message));
        let wake_up = receiver.release();
        drop(state);
        wake_up.wake();
        Ok(())
    }

    fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.state.lock();
        if state.is_closed {
            // Senders that are still in the queue are about to get their values back from the close.
            return Err(TryRecvError::Disconnected);
        }
        let Some(mut sender) = state.senders.take_first() else {
            return Err(TryRecvError::Empty);
        };
        let value = sender.message(Option::take).expect("a sender waits with its value");
        let wake_up = sender.release();
        drop(state);
        wake_up.wake();
        Ok(value)
    }

    fn seems_ready(&self, _: Wants) -> bool {
        true
    }

    #[inline]
    fn waits_in_queue(&self) -> bool {
        true
    }

    fn is_ready(&self, wants: Wants) -> bool {
        let mut state = self.state.lock();
        state.others(wants).has_any() || state.is_closed
    }

    fn stamp(&self, wants: Wants) -> u64 {
        let state = self.state.lock();
        let [senders, receivers] = state.entered;
        let others = if wants.is_send() { receivers } else { senders };
        others + u64::from(state.is_closed)
    }

    unsafe fn enter(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> bool {
        let mut state = self.state.lock();
        // A select may be on both sides, and can't meet itself.
        if state.others(wants).has_other(waiter.signal()) || state.is_closed {
            return false;
        }
        // SAFETY: the contract of this function.
        unsafe { state.queue(wants).push(waiter) };
        let told = match wants {
            Wants::Send => {
                state.entered[0] += 1;
                release(state.recv_ready.take_first())
            }
            Wants::Recv => {
                state.entered[1] += 1;
                release(state.send_ready.take_first())
            }
            Wants::SendReady | Wants::RecvReady => None,
        };
        drop(state);
        wake(told);
        true
    }

    fn leave(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> Removal {
        self.state.lock().queue(wants).remove(waiter)
    }

    fn if_queued<R>(
        &self,
        wants: Wants,
        waiter: &Waiter<Message<T>>,
        f: impl FnOnce(&Signal) -> R,
    ) -> Option<R> {
        self.state.lock().queue(wants).if_queued(waiter, f)
    }

    fn pass_on(&self, wants: Wants) {
        let mut state = self.state.lock();
        let told = match wants {
            Wants::SendReady if state.receivers.has_any() => state.send_ready.take_first(),
            Wants::RecvReady if state.senders.has_any() => state.recv_ready.take_first(),
            // What was handed over is used.
            _ => None,
        };
        let told = release(told);
        drop(state);
        wake(told);
    }

    fn close(&self) -> bool {
        let mut state = self.state.lock();
        if state.is_closed {
            return false;
        }
        state.is_closed = true;
        drop(state);
        for wants in [Wants::Send, Wants::Recv, Wants::SendReady, Wants::RecvReady] {
            wake_each(&self.state, |state| state.queue(wants).take_first());
        }
        true
    }

    fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    fn len(&self) -> usize {
        0
    }

    fn capacity(&self) -> Option<usize> {
        Some(0)
    }
}

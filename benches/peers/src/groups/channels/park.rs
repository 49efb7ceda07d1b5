//! The limit of a receiver that sleeps: one slot, and a receiver that parks at once. The cost of a
//! wake-up, and hardly more.

use super::Channel;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::thread::Thread;

/// In an empty slot. No message of the rows that it takes part in is zero.
const EMPTY: usize = 0;

/// For one message at a time: it is sent after the one before was received.
pub struct Slot {
    message: AtomicUsize,
    receiver: OnceLock<Thread>,
}

pub struct Park;

impl Channel for Park {
    type Sender = Arc<Slot>;
    type Receiver = Arc<Slot>;

    fn open(_: Option<usize>, _: usize, _: usize) -> (Vec<Arc<Slot>>, Vec<Arc<Slot>>) {
        let slot = Slot { message: AtomicUsize::new(EMPTY), receiver: OnceLock::new() };
        let slot = Arc::new(slot);
        (vec![Arc::clone(&slot)], vec![slot])
    }

    fn send(slot: &mut Arc<Slot>, message: usize) {
        // ORDERING: Release: pairs with the swap in `recv`.
        slot.message.store(message, Ordering::Release);
        // ORDERING: SeqCst: pairs with the fence in `recv`: either the receiver sees the message, or
        // this thread sees the receiver.
        fence(Ordering::SeqCst);
        if let Some(receiver) = slot.receiver.get() {
            receiver.unpark();
        }
    }

    fn recv(slot: &mut Arc<Slot>) -> Option<usize> {
        slot.receiver.get_or_init(std::thread::current);
        // ORDERING: SeqCst: pairs with the fence in `send`.
        fence(Ordering::SeqCst);
        loop {
            // ORDERING: Acquire: pairs with the Release in `send`.
            let message = slot.message.swap(EMPTY, Ordering::Acquire);
            if message != EMPTY {
                return Some(message);
            }
            std::thread::park();
        }
    }
}

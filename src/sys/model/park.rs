//! Waiting on an address, as loom can see it.
//!
//! The queue is plain memory: loom runs one thread at a time and switches only at its own
//! operations, so a stretch without one is atomic, and adds no happens-before that the machine
//! might not have. The operations that must not commute touch a *turnstile*, a Relaxed
//! read-modify-write that makes loom try both orders and publishes nothing.
//!
//! - `park`: turnstile, then `validate`, whose loads read the newest value (the machine's
//!   queue lock sees to that), then, without a switch, into the queue and to sleep.
//! - `unpark_threads`: turnstile, so that other threads may run between the caller's last step
//!   and the wake-up, then, without a switch, everyone on the address out of the queue and awake.
//! - With a deadline a parked thread doesn't sleep. It yields once, passes the turnstile again
//!   and has timed out unless it was woken: both orders of time-out and wake-up are tried. So a
//!   timed waiter never shows a lost wake-up, unless the model runs without deadlines.
//!
//! An unpark happens before the return of the park that it ends, as on the machine.

use super::super::Parked;
use super::PerExecution;
use super::atomic::with_newest;
use loom::sync::atomic::AtomicUsize;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// One turnstile an address, handed out in the order of first use; addresses beyond share them.
const TURNSTILES: usize = 6;

struct Queue {
    /// Address to turnstile.
    known: HashMap<usize, usize>,
    /// Who waits where: (address, ticket, thread).
    waiting: Vec<(usize, u64, loom::thread::Thread)>,
    next_ticket: u64,
}

pub(super) struct Lot {
    turnstiles: [AtomicUsize; TURNSTILES],
    queue: RefCell<Queue>,
}

impl Lot {
    fn new() -> Self {
        Lot {
            turnstiles: std::array::from_fn(|_| AtomicUsize::new(0)),
            queue: RefCell::new(Queue {
                known: HashMap::new(),
                waiting: Vec::new(),
                next_ticket: 0,
            }),
        }
    }

    fn pass_turnstile(&self, address: usize) {
        let index = {
            let mut queue = self.queue.borrow_mut();
            let next = queue.known.len() % TURNSTILES;
            *queue.known.entry(address).or_insert(next)
        };
        // ORDERING: Relaxed: makes loom try both orders, and publishes nothing.
        self.turnstiles[index].fetch_add(0, Relaxed);
    }

    /// Whether the ticket has been taken out of the queue by an unpark.
    fn is_woken(&self, ticket: u64) -> bool {
        !self.queue.borrow().waiting.iter().any(|&(_, id, _)| id == ticket)
    }
}

pub(super) fn lot() -> &'static Lot {
    std::thread_local! {
        static LOT: PerExecution<Lot> = const { PerExecution::new() };
    }
    LOT.with(|lot| lot.get(Lot::new))
}

std::thread_local! {
    /// Whether this OS thread's model treats every deadline as one that never comes.
    pub(super) static NO_DEADLINES: Cell<bool> = const { Cell::new(false) };
}

/// Sleeps until an unpark of `address`, if `validate` allows it.
#[track_caller]
pub(crate) fn park(
    address: usize,
    validate: impl FnOnce() -> bool,
    deadline: Option<Instant>,
) -> Parked {
    let lot = lot();
    lot.pass_turnstile(address);
    let me = loom::thread::current();
    if !with_newest(validate) {
        return Parked::Invalid;
    }
    let ticket = {
        let mut queue = lot.queue.borrow_mut();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push((address, ticket, me));
        ticket
    };
    if deadline.is_some() && !NO_DEADLINES.get() {
        loom::thread::yield_now();
        lot.pass_turnstile(address);
        if lot.is_woken(ticket) {
            return Parked::Woken;
        }
        lot.queue.borrow_mut().waiting.retain(|&(_, id, _)| id != ticket);
        return Parked::TimedOut;
    }
    while !lot.is_woken(ticket) {
        loom::thread::park();
    }
    Parked::Woken
}

/// Wakes every thread parked on `address`.
#[track_caller]
pub(crate) fn unpark_threads(address: usize) {
    let lot = lot();
    lot.pass_turnstile(address);
    let woken: Vec<_> =
        lot.queue.borrow_mut().waiting.extract_if(.., |(at, ..)| *at == address).collect();
    for (.., thread) in woken {
        thread.unpark();
    }
}

//! Waiting on an address, as loom can see it.
//!
//! The queue is plain memory: loom runs one thread at a time and switches only at its own operations, so code between
//! two of them is atomic, and adds no happens-before that the machine might not have. Operations whose order matters
//! touch a *turnstile*, a Relaxed read-modify-write that makes loom try both orders and publishes nothing.
//!
//! - `park` passes the turnstile, holds the queue, and calls `validate`, whose loads return the newest value, as under
//!   the machine's queue lock. Then, without a switch, the thread enters the queue and sleeps.
//! - `unpark_threads` passes the turnstile, so that other threads may run between the caller's last step and the
//!   wake-up. Then, without a switch, it removes every thread of the address from the queue and wakes it.
//! - `unpark_one` passes the turnstile, holds the queue, removes a thread, calls the callback, and wakes the thread.
//! - `requeue_one` passes both turnstiles, holds both queues, and calls the callback. Then, without a switch, it moves a
//!   thread from the first to the second.
//! - Holding a queue stands for the machine's lock of it: a plain flag, kept over the switches of a `validate` or a
//!   callback. A thread that finds it set sleeps until it is clear, and is then ordered after the thread that held the
//!   queue, as by the machine's lock. A thread that finds it clear is ordered by nothing.
//! - With a deadline a parked thread doesn't sleep. It passes the turnstile again and has timed out unless it was woken,
//!   so both orders of time-out and wake-up are tried. So a timed waiter never shows a lost wake-up, unless the model
//!   runs without deadlines. From the second time-out in a row on, it yields first, so that a loop of timed waits lets
//!   other threads run.
//!
//! An unpark happens before the return of the park that it ends, as on the machine.

use super::super::parking::{Dequeued, HandOff, Parked};
use super::atomic::with_newest;
use super::execution::PerExecution;
use super::locals::local;
use super::objects::{self, Number, yield_now};
use super::waiting::Site;
use super::waits::{waits, waits_on};
use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Turnstiles. Each address has one, in the order of first use; addresses beyond that share them.
const TURNSTILES: usize = 6;

struct Queue {
    /// Address to turnstile.
    known: HashMap<usize, usize>,
    /// Addresses whose queue a thread holds over a switch.
    held: Vec<usize>,
    waiting: Vec<Waiting>,
    next_ticket: u64,
}

struct Waiting {
    address: usize,
    ticket: u64,
    thread: loom::thread::Thread,
}

pub(super) struct Lot {
    turnstiles: [Number; TURNSTILES],
    queue: RefCell<Queue>,
    /// The threads that wait for a queue that another one holds, with its address.
    at_gate: RefCell<Vec<(usize, loom::thread::Thread)>>,
    /// How threads were woken, by ticket, until they see it.
    woken: RefCell<HashMap<u64, Parked>>,
}

impl Lot {
    fn new() -> Self {
        Lot {
            turnstiles: std::array::from_fn(|_| Number::new(0)),
            queue: RefCell::new(Queue {
                known: HashMap::new(),
                held: Vec::new(),
                waiting: Vec::new(),
                next_ticket: 0,
            }),
            at_gate: RefCell::default(),
            woken: RefCell::default(),
        }
    }

    #[track_caller]
    pub(super) fn pass_turnstile(&self, address: usize) {
        let index = {
            let mut queue = self.queue.borrow_mut();
            let next = queue.known.len() % TURNSTILES;
            *queue.known.entry(address).or_insert(next)
        };
        // ORDERING: Relaxed: makes loom try both orders, and publishes nothing.
        self.turnstiles[index].fetch_add(0, Relaxed);
    }

    /// Holds the queues of all `addresses` while `f` runs.
    #[track_caller]
    fn holding<R>(&self, addresses: &[usize], f: impl FnOnce() -> R) -> R {
        for &address in addresses {
            self.pass_turnstile(address);
        }
        let taken = || {
            let queue = self.queue.borrow();
            addresses.iter().copied().find(|address| queue.held.contains(address))
        };
        while let Some(address) = taken() {
            self.at_gate.borrow_mut().push((address, objects::current()));
            let _waits = waits(Site::Internal);
            objects::park();
        }
        self.queue.borrow_mut().held.extend(addresses);
        let result = f();
        self.queue.borrow_mut().held.retain(|held| !addresses.contains(held));
        let next: Vec<_> =
            self.at_gate.borrow_mut().extract_if(.., |(at, _)| addresses.contains(at)).collect();
        for (_, thread) in next {
            thread.unpark();
        }
        result
    }

    /// Puts the calling thread in the queue.
    #[track_caller]
    pub(super) fn enqueue(&self, address: usize) -> u64 {
        let thread = objects::current();
        let mut queue = self.queue.borrow_mut();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push(Waiting { address, ticket, thread });
        ticket
    }

    /// Removes the threads of `address` from the queue, at most so many, and returns them.
    fn dequeue(&self, address: usize, most: usize) -> Vec<Waiting> {
        let mut queue = self.queue.borrow_mut();
        queue.waiting.extract_if(.., |waiting| waiting.address == address).take(most).collect()
    }

    fn unpark(&self, woken: Vec<Waiting>, how: Parked) {
        for waiting in woken {
            self.woken.borrow_mut().insert(waiting.ticket, how);
            waiting.thread.unpark();
        }
    }

    /// Wakes every thread of `address`, without a switch before.
    pub(super) fn wake(&self, address: usize) {
        let woken = self.dequeue(address, usize::MAX);
        self.unpark(woken, Parked::Woken);
    }

    /// Sleeps until the ticket is out of the queue, or its deadline.
    #[track_caller]
    pub(super) fn sleep(
        &self,
        address: usize,
        ticket: u64,
        deadline: Option<Instant>,
        site: Site,
    ) -> Parked {
        let timed = deadline.is_some() && !NO_DEADLINES.get();
        if timed {
            if TIME_OUTS.with(|row| row.replace(row.get() + 1)) > 0 {
                yield_now();
            }
            // Its time-out and a wake-up come in either order, also after it was moved.
            let mut at = address;
            loop {
                self.pass_turnstile(at);
                let queue = self.queue.borrow();
                let now = queue.waiting.iter().find(|waiting| waiting.ticket == ticket);
                match now.map(|waiting| waiting.address).filter(|&now| now != at) {
                    Some(now) => at = now,
                    None => break,
                }
            }
        }
        loop {
            if let Some(how) = self.woken.borrow_mut().remove(&ticket) {
                if timed {
                    TIME_OUTS.with(|row| row.set(0));
                }
                return how;
            }
            let mut queue = self.queue.borrow_mut();
            // A thread that is out of the queue but not awake: an `unpark_one` runs its callback.
            let queued = queue.waiting.iter().any(|waiting| waiting.ticket == ticket);
            if timed && queued {
                queue.waiting.retain(|waiting| waiting.ticket != ticket);
                return Parked::TimedOut;
            }
            drop(queue);
            let _waits = waits_on(address, site);
            objects::park();
        }
    }
}

local! {
    /// How many times in a row this thread of the model has timed out.
    static TIME_OUTS: Cell<u32> = Cell::new(0);
}

#[track_caller]
pub(super) fn lot() -> &'static Lot {
    std::thread_local! {
        static LOT: PerExecution<Lot> = const { PerExecution::new() };
    }
    LOT.with(|lot| lot.get(Lot::new))
}

std::thread_local! {
    /// Whether no deadline passes in this OS thread's model.
    pub(super) static NO_DEADLINES: Cell<bool> = const { Cell::new(false) };
}

/// Returns the code that a validation is in.
fn site_of<V>(_: &V) -> Site {
    Site::Code(type_name::<V>())
}

/// Sleeps until an unpark of `address`, if `validate` allows it.
#[track_caller]
pub(crate) fn park(
    address: usize,
    validate: impl FnOnce() -> bool,
    deadline: Option<Instant>,
) -> Parked {
    let (lot, site) = (lot(), site_of(&validate));
    let ticket = lot.holding(&[address], || with_newest(validate).then(|| lot.enqueue(address)));
    let Some(ticket) = ticket else { return Parked::Invalid };
    lot.sleep(address, ticket, deadline, site)
}

/// Wakes every thread parked on `address`.
#[track_caller]
pub(crate) fn unpark_threads(address: usize) {
    lot().holding(&[address], || lot().wake(address));
}

/// Removes the thread that has been parked on `address` the longest from the queue, calls `decide` with what
/// was found, and wakes the thread.
#[track_caller]
pub(crate) fn unpark_one(address: usize, decide: impl FnOnce(Dequeued) -> HandOff) {
    let lot = lot();
    lot.holding(&[address], || {
        let woken = lot.dequeue(address, 1);
        let more = lot.queue.borrow().waiting.iter().any(|waiting| waiting.address == address);
        let how = match decide(Dequeued { found: !woken.is_empty(), more }) {
            HandOff::No => Parked::Woken,
            HandOff::Yes => Parked::Handed,
        };
        lot.unpark(woken, how);
    });
}

/// Moves the thread that has been parked on `from` the longest, if there is one, to the end of the queue
/// of `to`; not if `decide` returns `false`.
#[track_caller]
pub(crate) fn requeue_one(from: usize, to: usize, decide: impl FnOnce() -> bool) {
    let lot = lot();
    lot.holding(&[from, to], || {
        if decide() {
            let mut moved = lot.dequeue(from, 1);
            moved.iter_mut().for_each(|waiting| waiting.address = to);
            lot.queue.borrow_mut().waiting.append(&mut moved);
        }
    });
}

/// Begins a step of a specification's, whose state is plain memory: another thread may run before it, and none
/// until it touches loom again.
#[track_caller]
pub(crate) fn begin_step(address: usize) {
    lot().pass_turnstile(address);
}

/// Puts the calling thread to sleep on `address`, as part of the step under way. `code` is the path of what waits.
#[track_caller]
pub(crate) fn sleep_on(address: usize, deadline: Option<Instant>, code: &'static str) -> Parked {
    let lot = lot();
    let ticket = lot.enqueue(address);
    lot.sleep(address, ticket, deadline, Site::Code(code))
}

/// Wakes every thread asleep on `address`, as part of the step under way.
#[track_caller]
pub(crate) fn wake_sleepers(address: usize) {
    lot().wake(address);
}

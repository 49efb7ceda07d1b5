//! Futures that wait on an address, beside the threads that park on it.
//!
//! A table of wakers keyed by address, shared by the whole program. It is the same bargain as
//! parking: whoever wakes needs only the address, so the last user of a word may wake its
//! futures after the word's memory is gone.
//!
//! Each bucket's lock protects its list. `validate` runs under it, so that a waker is either in
//! the list before the other side looks, or the validation sees why it need not be.

use crate::sys::{IS_MODEL, Mutex, catch, discard, global_array};
use std::collections::BTreeMap;
use std::task::Waker;

/// A registered waker, to be given back to [`cancel_task`].
#[derive(Debug)]
pub(crate) struct Ticket {
    address: usize,
    id: u64,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    next_id: u64,
    /// By address, then by registration.
    waiting: BTreeMap<(usize, u64), Waker>,
}

impl Bucket {
    const fn new() -> Self {
        Bucket { next_id: 0, waiting: BTreeMap::new() }
    }
}

/// One in a model: an address is another one in each execution, and must not pick the lock.
const BUCKETS: usize = if IS_MODEL { 1 } else { 8 };
global_array!(pub(crate) table: [Mutex<Bucket>; BUCKETS] = Mutex::new(Bucket::new()));

fn bucket(address: usize) -> &'static Mutex<Bucket> {
    // Words sit on lines of their own more often than not: mix the bits above the line's.
    &table()[(address >> 6 ^ address >> 12) & (BUCKETS - 1)]
}

/// Registers `waker` for the next wake-up of `address`, if `validate` says that it must wait.
pub(crate) fn park_task(
    address: usize,
    validate: impl FnOnce() -> bool,
    waker: &Waker,
) -> Option<Ticket> {
    let waker = waker.clone();
    let mut bucket = bucket(address).lock();
    if !validate() {
        return None;
    }
    let id = bucket.next_id;
    bucket.next_id += 1;
    bucket.waiting.insert((address, id), waker);
    Some(Ticket { address, id })
}

/// Takes a registration back. A ticket whose waker has been woken is simply spent.
pub(crate) fn cancel_task(ticket: Ticket) {
    let waker = bucket(ticket.address).lock().waiting.remove(&(ticket.address, ticket.id));
    // A waker's drop is its runtime's code: outside the lock.
    drop(waker);
}

/// Wakes every future registered for `address`, outside the lock.
///
/// A waker that panics keeps no other asleep, and its panic goes no further than the panic hook:
/// the thread that counts down is not the one to blame, and may be unwinding itself.
pub(crate) fn wake_tasks(address: usize) {
    let woken: Vec<Waker> = {
        let mut bucket = bucket(address).lock();
        let here = (address, 0)..=(address, u64::MAX);
        bucket.waiting.extract_if(here, |_, _| true).map(|(_, waker)| waker).collect()
    };
    for waker in woken {
        if let Err(payload) = catch(|| waker.wake()) {
            discard(payload);
        }
    }
}

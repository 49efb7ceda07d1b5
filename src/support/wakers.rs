//! Futures that wait on an address, beside the threads that park on it.
//!
//! A table of wakers by address, shared by the whole program. As with parking, a wake-up needs the address alone: the
//! last user of a word may wake its futures when the word's memory is gone.
//!
//! Each bucket's lock protects its list. `validate` runs under it. So either the waker is in the list before the
//! wake-up takes the lock, or `validate` runs after it and sees what the waking thread did before.

use crate::sys::{IS_MODEL, Mutex, catch, discard, global_array};
use std::collections::BTreeMap;
use std::task::Waker;

/// A registered waker. Pass it to [`cancel_task`] to remove the waker.
#[derive(Debug)]
pub(crate) struct Ticket {
    address: usize,
    id: u64,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    next_id: u64,
    /// By address, then in the order of registration.
    waiting: BTreeMap<(usize, u64), Waker>,
}

impl Bucket {
    const fn new() -> Self {
        Bucket { next_id: 0, waiting: BTreeMap::new() }
    }
}

/// One in a model: addresses differ between executions, and must not choose the lock.
const BUCKETS: usize = if IS_MODEL { 1 } else { 8 };
global_array!(pub(crate) table: [Mutex<Bucket>; BUCKETS] = Mutex::new(Bucket::new()));

fn bucket(address: usize) -> &'static Mutex<Bucket> {
    // Most words have a cache line of their own: use the bits above those within a line.
    &table()[(address >> 6 ^ address >> 12) & (BUCKETS - 1)]
}

/// Registers `waker` for the next wake-up of `address` if `validate` returns `true`.
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

/// Removes a registered waker, unless it has been woken already.
pub(crate) fn cancel_task(ticket: Ticket) {
    let waker = bucket(ticket.address).lock().waiting.remove(&(ticket.address, ticket.id));
    // The drop of a waker is user code, so it runs without the lock.
    drop(waker);
}

/// Wakes every future that is registered for `address`, without the lock.
///
/// If a waker panics, the others are woken all the same, and the panic ends with the panic hook: the calling thread
/// isn't to blame, and may be unwinding itself.
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

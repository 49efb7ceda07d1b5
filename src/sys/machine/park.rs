//! Waiting on an address, by `parking_lot_core`'s queues.

use super::super::parking::{Dequeued, HandOff, Parked};
use parking_lot_core::{
    DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, ParkResult, RequeueOp, UnparkResult, UnparkToken,
};
use std::thread;
use std::time::Instant;

/// Returns the key of an address in the queues, which all of the program's users of `parking_lot_core` share:
/// on 64 bits a number that is no object's own address, on 32 hardly ever one in use. Otherwise a late unpark of a
/// freed word would be a spurious wake-up of a thread that parks on an object that stands there now, and
/// parking_lot's `Condvar`, for one, promises that there is none.
fn key(address: usize) -> usize {
    !address
}

/// Sleeps until an unpark of `address`, if `validate` allows it.
///
/// `validate` runs under the address's queue lock and must not unwind, block or park.
pub(crate) fn park(
    address: usize,
    validate: impl FnOnce() -> bool,
    deadline: Option<Instant>,
) -> Parked {
    let (key, token) = (key(address), DEFAULT_PARK_TOKEN);
    // SAFETY: the key is phalanx's own (see `key`); `validate` neither unwinds nor parks, the other
    // callbacks do nothing.
    let result =
        unsafe { parking_lot_core::park(key, validate, || {}, |_, _| {}, token, deadline) };
    match result {
        ParkResult::Unparked(HANDED) => Parked::Handed,
        ParkResult::Unparked(_) => Parked::Woken,
        ParkResult::Invalid => Parked::Invalid,
        ParkResult::TimedOut => Parked::TimedOut,
    }
}

/// Tells a woken thread that it owns what it waited for. Not parking_lot's own token for that.
const HANDED: UnparkToken = UnparkToken(0x6861_6e64);

/// Wakes every thread parked on `address`. Only the address is used: the word that stood there may
/// be gone.
pub(crate) fn unpark_threads(address: usize) {
    // SAFETY: the key is phalanx's own, and every user of `park` bears a spurious wake-up.
    unsafe { parking_lot_core::unpark_all(key(address), DEFAULT_UNPARK_TOKEN) };
}

/// Removes the thread that has been parked on `address` the longest from the queue, calls `decide` with what
/// was found, and wakes the thread; `decide` returns whether it is handed what it waits for.
///
/// `decide` runs under the address's queue lock and must not unwind, block, park or unpark.
pub(crate) fn unpark_one(address: usize, decide: impl FnOnce(Dequeued) -> HandOff) {
    let decide = |result: UnparkResult| {
        let dequeued =
            Dequeued { found: result.unparked_threads > 0, more: result.have_more_threads };
        match decide(dequeued) {
            HandOff::No => DEFAULT_UNPARK_TOKEN,
            HandOff::Yes => HANDED,
        }
    };
    // SAFETY: the key is phalanx's own; `decide` neither unwinds nor parks or unparks.
    unsafe { parking_lot_core::unpark_one(key(address), decide) };
}

/// Moves the thread that has been parked on `from` the longest, if there is one, to the end of the queue
/// of `to`, where it sleeps on; not if `decide` returns `false`.
///
/// `decide` runs under both queues' locks and must not unwind, block, park or unpark.
pub(crate) fn requeue_one(from: usize, to: usize, decide: impl FnOnce() -> bool) {
    let decide = || if decide() { RequeueOp::RequeueOne } else { RequeueOp::Abort };
    let token = |_, _| DEFAULT_UNPARK_TOKEN;
    // SAFETY: both keys are phalanx's own; `decide` neither unwinds nor parks or unparks, the other
    // callback does nothing.
    unsafe { parking_lot_core::unpark_requeue(key(from), key(to), decide, token) };
}

/// Blocks until the thread is unparked by its [`Thread`](thread::Thread), or until the deadline; or for no reason. Returns
/// whether the deadline has come. It enters no queue, which a forked child would inherit with a lost thread in it.
pub(crate) fn park_thread_until(deadline: Instant) -> bool {
    thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
    deadline <= Instant::now()
}

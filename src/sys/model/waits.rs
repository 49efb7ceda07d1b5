//! Noting that the calling thread waits, or holds a lock.

use super::locals::local;
use super::objects;
use super::waiting::{self, Holder, Site, Waiting};
use std::cell::{Cell, RefCell};
use std::panic::Location;

std::thread_local! {
    /// The last wait's ticket.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

local! {
    /// The calls of this crate that the thread is in, and that have said so.
    static CALLED: RefCell<Vec<&'static Location<'static>>> = RefCell::new(Vec::new());
}

/// Keeps a thread in the list of waiting threads.
pub(super) struct Waits(u64);

/// Puts the calling thread of the model in the list, as waiting at the caller's line.
#[track_caller]
pub(super) fn waits(site: Site) -> Waits {
    waits_on(0, site)
}

/// [`waits`], asleep on an address.
#[track_caller]
pub(super) fn waits_on(address: usize, site: Site) -> Waits {
    let (thread, at) = (objects::current().id(), Location::caller());
    let called = CALLED.try_with(|called| called.borrow().last().copied()).ok().flatten();
    let ticket = LAST.get() + 1;
    LAST.set(ticket);
    waiting::with(|list| list.waiting.push(Waiting { ticket, thread, site, address, at, called }));
    Waits(ticket)
}

impl Drop for Waits {
    fn drop(&mut self) {
        waiting::with(|list| list.waiting.retain(|waiting| waiting.ticket != self.0));
    }
}

/// Notes that the calling thread holds a lock since the caller's line.
#[track_caller]
pub(crate) fn holds(lock: usize) {
    let (thread, at) = (objects::current().id(), Location::caller());
    waiting::with(|list| list.holders.push(Holder { lock, thread, is_pending: false, at }));
}

/// Notes whether the calling thread's last [`holds`] of a lock is that of a writer that waits for readers to leave.
#[track_caller]
pub(crate) fn pends(lock: usize, is_pending: bool) {
    let thread = objects::current().id();
    waiting::with(|list| {
        let changes = |holder: &&mut Holder| {
            holder.lock == lock && holder.thread == thread && holder.is_pending != is_pending
        };
        if let Some(holder) = list.holders.iter_mut().rev().find(changes) {
            holder.is_pending = is_pending;
        }
    });
}

/// Takes back the calling thread's last [`holds`] of a lock; another thread's, if this one was sent the guard.
#[track_caller]
pub(crate) fn holds_no_more(lock: usize) {
    let thread = objects::current().id();
    waiting::with(|list| {
        let of = |holder: &Holder| holder.lock == lock;
        let own = list.holders.iter().rposition(|holder| of(holder) && holder.thread == thread);
        let found = own.or_else(|| list.holders.iter().rposition(of));
        if let Some(index) = found {
            list.holders.remove(index);
        }
    });
}

/// Notes where the calling thread called this crate, for waits to which that line doesn't come: in a
/// destructor.
#[track_caller]
pub(crate) fn calling() -> Calling {
    Caller::here().calling()
}

/// A line of the user's, for a later call that it doesn't come to: of an iterator, which an adaptor may call.
#[derive(Clone, Copy)]
pub(crate) struct Caller(&'static Location<'static>);

impl Caller {
    #[track_caller]
    pub(crate) fn here() -> Self {
        Caller(Location::caller())
    }

    /// As [`calling`], with this line.
    pub(crate) fn calling(self) -> Calling {
        let _ = CALLED.try_with(|called| called.borrow_mut().push(self.0));
        Calling
    }
}

/// Lives as long as the call.
pub(crate) struct Calling;

impl Drop for Calling {
    fn drop(&mut self) {
        let _ = CALLED.try_with(|called| called.borrow_mut().pop());
    }
}

//! Values that are being computed: one call computes, the others that want the same key wait.
//!
//! A *flight* is in its shard's list from when its leader found the key absent until it has *landed*: the
//! value is in the table, or the leader's function has panicked or failed. Then the waiters look again, and
//! one of them may be the next leader. Nothing is locked while the function runs.
//!
//! A thread that waits for a flight whose leader waits for this thread, directly or through others, would wait
//! for ever. So each thread that leads or waits has a [`Node`]: it says which landing the thread waits
//! for, before the thread looks along the chain of leaders for itself.
//!
//! Invariants:
//!
//! 1. A flight is in the list of its key's shard, once, from before its function starts until it has
//!    landed; both ends under the shard's lock. The `Leader` in `compute.rs` sees to it, also while unwinding.
//! 2. The list and the leader have the only two references to a flight's key: once it is out of the
//!    list, the leader can take the key back.
//! 3. A node's landing is set before its thread looks along the chain, and taken off when the wait is
//!    over. Of the threads of a circle the last to set it finds the circle whole.
//! 4. A chain through a landing that is over is no circle: its waiter is on its way. Whoever looks reads the
//!    leader's next landing first and asks afterwards whether this one is over: a leader that waits for
//!    another by now has landed before.

use crate::sys::{Arc, Mutex, local};
use crate::wait_group::WaitGroup;
use std::cell::{Cell, RefCell};
use std::{iter, mem, ptr};

/// The flights of a shard, under its lock. One word: most shards never have any.
#[derive(Debug)]
pub(super) struct Flights<K>(Option<Box<Flight<K>>>);

#[derive(Debug)]
struct Flight<K> {
    hash: u64,
    key: Arc<K>,
    landing: Arc<Landing>,
    next: Flights<K>,
}

/// The end of a flight, as those see it who wait for it.
#[derive(Debug)]
pub(super) struct Landing {
    /// Counts one until then.
    flight: WaitGroup,
    leader: Arc<Node>,
}

/// A thread that leads or waits.
#[derive(Debug)]
struct Node {
    /// What tells it from the other threads that are there at the same time.
    thread: usize,
    waits_for: Mutex<Option<Arc<Landing>>>,
}

local! {
    /// Its address is the thread's. Has no destructor, and so lasts to the end.
    static THREAD: Cell<u8> = Cell::new(0);
}
local! {
    /// This thread's.
    static NODE: RefCell<Option<Arc<Node>>> = RefCell::new(None);
}

fn node() -> Arc<Node> {
    let new = || {
        let thread = THREAD.try_with(|it| ptr::from_ref(it).addr()).unwrap_or(0);
        Arc::new(Node { thread, waits_for: Mutex::new(None) })
    };
    // A thread that is ending has a node for each call: it finds itself, but not a circle of several.
    NODE.try_with(|node| node.borrow_mut().get_or_insert_with(new).clone())
        .unwrap_or_else(|_| new())
}

impl<K> Flights<K> {
    pub(super) fn new() -> Self {
        Flights(None)
    }

    /// The landing of the key's flight, if there is one.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&K) -> bool) -> Option<Arc<Landing>> {
        let mut flights = iter::successors(self.0.as_deref(), |flight| flight.next.0.as_deref());
        let flight = flights.find(|flight| flight.hash == hash && is_it(&flight.key))?;
        Some(flight.landing.clone())
    }

    /// Starts a flight, of which this thread is the leader. Ended by [`Flights::end`], exactly once.
    pub(super) fn start(&mut self, hash: u64, key: Arc<K>) -> Arc<Landing> {
        let landing = Arc::new(Landing { flight: WaitGroup::new(), leader: node() });
        landing.flight.add(1);
        let next = mem::replace(self, Flights::new());
        self.0 = Some(Box::new(Flight { hash, key, landing: landing.clone(), next }));
        landing
    }

    /// Takes a flight out, and gives the list's reference to its key. [`Landing::land`] comes next, out of
    /// the lock.
    pub(super) fn end(&mut self, landing: &Arc<Landing>) -> Arc<K> {
        let mut place = &mut self.0;
        while place.as_ref().is_some_and(|flight| !Arc::ptr_eq(&flight.landing, landing)) {
            place = place.as_mut().map(|flight| &mut flight.next.0).expect("asked just now");
        }
        let flight =
            place.take().expect("invariant 1: a flight that has not landed is in the list");
        *place = flight.next.0;
        flight.key
    }
}

impl Landing {
    /// Wakes all who wait. Only for the leader, after [`Flights::end`].
    pub(super) fn land(&self) {
        self.flight.done();
    }

    fn is_over(&self) -> bool {
        self.flight.count() == 0
    }

    /// Waits for the landing.
    ///
    /// # Panics
    /// If it would wait for ever.
    #[track_caller]
    pub(super) fn wait(self: &Arc<Self>) {
        let me = node();
        *me.waits_for.lock() = Some(self.clone());
        let circle = self.waits_for(&me);
        if !circle {
            self.flight.wait();
        }
        *me.waits_for.lock() = None;
        assert!(!circle, "Store: get_or_compute waits for a value that is computed from its own");
    }

    /// Whether this landing waits for a thread: invariants 3 and 4.
    fn waits_for(self: &Arc<Self>, thread: &Node) -> bool {
        let mut landing = self.clone();
        loop {
            if landing.leader.thread == thread.thread {
                return !landing.is_over();
            }
            let next = landing.leader.waits_for.lock().clone();
            let Some(next) = next.filter(|_| !landing.is_over()) else { return false };
            landing = next;
        }
    }
}

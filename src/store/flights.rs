//! Single-flight: of the calls that want one key computed, one computes and the others wait for it.
//!
//! A *flight* is one computation. Its *leader* is the call that found neither a value nor a flight for the key.
//! Calls that find the flight wait for it. Nothing is locked while the leader's function runs.
//!
//! | state | in the shard's list | outcome | latch | a call that asks for the key |
//! | --- | --- | --- | --- | --- |
//! | listed | yes | none | 1 | waits for this flight |
//! | ended | no | none | 1 | finds another flight, or starts one |
//! | landed | no | set | 0 | finds the value, or starts a flight |
//!
//! ```text
//! (none) => listed    the leader, under the shard's lock
//! listed => ended     a removal, under the shard's lock
//! listed => landed    the leader: off the list, with its value into the table, in one step under the
//!                     shard's lock; then it sets the outcome; then it drains the latch
//! ended  => landed    the leader: sets the outcome, drains the latch; puts nothing into the table
//! ```
//!
//! What became of the leader's function, and what those get who asked:
//!
//! | the function | in the table | the leader's caller | a waiter |
//! | --- | --- | --- | --- |
//! | returned a value | the value | the value | a clone of it |
//! | the same, and another call has inserted one | the inserted one | a clone of that | a clone of that |
//! | the same, and a removal has ended the flight | nothing of this flight | the value | a clone of it |
//! | failed | nothing of this flight | the error | a clone, if its own error is of that type; else it looks again |
//! | panicked, or the value's or the error's `Clone` did | nothing of this flight | the panic | looks again |
//!
//! Of the waiters that look again at least one finds nothing, and leads the next flight; the others wait for
//! that one.
//!
//! A thread that waits for a flight whose leader waits for this thread, directly or through others, would wait
//! for ever. So each thread that leads or waits has a [`Node`]. It says which landing the thread waits for, before
//! the thread follows the chain of leaders to see whether it comes back to itself.
//!
//! Invariants:
//!
//! 1. A flight gets on the list of its key's shard before its function starts, and gets off it once: all under the
//!    shard's lock. The `Leader` in `compute.rs` takes it off unless a removal has, also while it unwinds. A key
//!    has one listed flight at most.
//! 2. A leader puts its value into the table only in the critical section in which it takes its own flight off the
//!    list. A removal takes the flight off the list in the critical section in which it removes. So a value that
//!    was computed from before a removal is never put in after it, and a call that asks after the removal
//!    doesn't find the flight.
//! 3. The outcome is set before the latch drains, and never changes. So a waiter finds it.
//! 4. The list and the leader have the only two references to a flight's key: once a leader has taken its flight
//!    off the list, the key is the leader's.
//! 5. A node's landing is set before its thread follows the chain, and taken off when the wait is over. Of the
//!    threads of a circle the last to set it finds the circle whole.
//! 6. A chain through a landing that is over is no circle: its waiter is on its way. A thread that follows a chain
//!    reads the leader's next landing first and asks afterwards whether this one is over. A leader that waits for
//!    another one by now has landed before.
//!
//! Orderings: the list is under the shard's lock. The latch's Release and Acquire order what the leader did
//! before what its waiters do; the outcome and the nodes are under locks of their own besides.

use crate::support::backoff::Spin;
use crate::support::latch::{FIRST_BIT, Latch};
use crate::sys::{Arc, Mutex, local};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::{iter, mem, ptr};

/// Flights of one shard, as a list. One word: most shards never have any.
///
/// What is taken off a shard's list is a list too. It may have the last reference to a key or a value, which are a
/// user's: it is dropped outside of the lock.
#[derive(Debug)]
pub(super) struct Flights<K, V>(Option<Box<Listed<K, V>>>);

// SAFETY: a flight is on the list while its leader's call borrows the store, and no longer (invariant 1), so a store
// that moves to another thread has none. Calls of several threads share a flight's key and value only through a
// shared store, which asks for `Sync` of both.
unsafe impl<K: Send, V: Send> Send for Flights<K, V> {}

// No panic leaves a flight half landed: its leader lands it while it unwinds.
impl<K, V> UnwindSafe for Flights<K, V> {}
impl<K, V> RefUnwindSafe for Flights<K, V> {}

#[derive(Debug)]
struct Listed<K, V> {
    hash: u64,
    key: Arc<K>,
    flight: Arc<Flight<V>>,
    next: Flights<K, V>,
}

/// A flight, as its leader and its waiters share it.
#[derive(Debug)]
pub(super) struct Flight<V> {
    landing: Arc<Landing>,
    /// Protects the outcome, which is set once.
    outcome: Mutex<Option<Arc<Outcome<V>>>>,
}

/// What became of a flight.
#[derive(Debug)]
pub(super) enum Outcome<V> {
    /// What its callers get.
    Value(V),
    /// What its callers get, if they can use an error of that type.
    Error(Box<dyn Any + Send + Sync>),
    /// Its waiters look again.
    Panicked,
}

/// The end of a flight, of whatever type its value is.
#[derive(Debug)]
struct Landing {
    /// Counts one until then.
    latch: Latch,
    leader: Arc<Node>,
}

/// What a flight adds to its latch.
const ONE: u64 = 1 << FIRST_BIT;
/// The bits of a latch that keep its waiters waiting.
const BUSY: u64 = ONE;

/// A thread that leads or waits.
#[derive(Debug)]
struct Node {
    /// What tells it from the other threads that are there at the same time.
    thread: usize,
    /// Protects the landing that the thread waits for.
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

impl<K, V> Flights<K, V> {
    pub(super) fn new() -> Self {
        Flights(None)
    }

    /// The key's flight.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&K) -> bool) -> Option<&Arc<Flight<V>>> {
        let mut flights = iter::successors(self.0.as_deref(), |listed| listed.next.0.as_deref());
        Some(&flights.find(|listed| listed.hash == hash && is_it(&listed.key))?.flight)
    }

    /// Starts a flight, of which this thread is the leader.
    pub(super) fn start(&mut self, hash: u64, key: Arc<K>) -> Arc<Flight<V>> {
        let landing = Arc::new(Landing { latch: Latch::new(ONE), leader: node() });
        let flight = Arc::new(Flight { landing, outcome: Mutex::new(None) });
        let next = self.take();
        self.0 = Some(Box::new(Listed { hash, key, flight: flight.clone(), next }));
        flight
    }

    /// Whether a flight is on the list still.
    pub(super) fn lists(&self, flight: &Arc<Flight<V>>) -> bool {
        let mut flights = iter::successors(self.0.as_deref(), |listed| listed.next.0.as_deref());
        flights.any(|listed| Arc::ptr_eq(&listed.flight, flight))
    }

    /// Takes a flight off the list, if it is there still.
    pub(super) fn end(&mut self, flight: &Arc<Flight<V>>) -> Self {
        self.end_first(|listed| Arc::ptr_eq(&listed.flight, flight))
    }

    /// Takes the key's flight off the list, if there is one.
    #[inline]
    pub(super) fn end_of_key(&mut self, hash: u64, is_it: impl Fn(&K) -> bool) -> Self {
        if self.is_empty() {
            return Flights::new();
        }
        self.end_first(|listed| listed.hash == hash && is_it(&listed.key))
    }

    fn end_first(&mut self, is_it: impl Fn(&Listed<K, V>) -> bool) -> Self {
        let mut place = &mut self.0;
        while place.as_ref().is_some_and(|listed| !is_it(listed)) {
            place = place.as_mut().map(|listed| &mut listed.next.0).expect("asked just now");
        }
        let mut ended = place.take();
        if let Some(ended) = &mut ended {
            *place = ended.next.0.take();
        }
        Flights(ended)
    }

    /// Takes all of them off the list.
    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Flights::new())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<V> Flight<V> {
    /// Sets the outcome, and wakes all waiters. Only for the leader, once, when the flight is off the list.
    pub(super) fn land(&self, outcome: Outcome<V>) {
        *self.outcome.lock() = Some(Arc::new(outcome));
        self.landing.latch.leave(ONE, BUSY);
    }

    /// Blocks until the flight has landed.
    ///
    /// # Panics
    /// If it would wait for ever.
    #[track_caller]
    pub(super) fn wait(&self) {
        self.landing.wait();
    }

    /// What became of it. Only when it has landed.
    pub(super) fn outcome(self: Arc<Self>) -> Arc<Outcome<V>> {
        let outcome = self.outcome.lock().clone();
        outcome.expect("invariant 3: set before the latch drains")
    }
}

impl<V: Clone> Outcome<V> {
    /// The value or the error, or `None` for a panic and an error of another type. A call that finds itself the
    /// last takes the value, the others clone it.
    pub(super) fn result<E: Clone + 'static>(mut self: Arc<Self>) -> Option<Result<V, E>> {
        // Not `try_unwrap`, whose fence ThreadSanitizer doesn't see.
        if let Some(last) = Arc::get_mut(&mut self) {
            return match mem::replace(last, Outcome::Panicked) {
                Outcome::Value(value) => Some(Ok(value)),
                Outcome::Error(error) => error.downcast().ok().map(|error| Err(*error)),
                Outcome::Panicked => None,
            };
        }
        match &*self {
            Outcome::Value(value) => Some(Ok(value.clone())),
            Outcome::Error(error) => error.downcast_ref().cloned().map(Err),
            Outcome::Panicked => None,
        }
    }
}

impl Landing {
    fn is_over(&self) -> bool {
        self.latch.poll(BUSY).is_some()
    }

    #[track_caller]
    fn wait(self: &Arc<Self>) {
        let me = node();
        *me.waits_for.lock() = Some(self.clone());
        let circle = self.waits_for(&me);
        if !circle {
            self.latch.wait_drained(BUSY, Spin::Brief);
        }
        *me.waits_for.lock() = None;
        assert!(
            !circle,
            "Store: the function of get_or_compute asks, itself or through other threads, for the value that it \
             computes"
        );
    }

    /// Whether this landing waits for a thread: invariants 5 and 6.
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

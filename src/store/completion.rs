//! The end of a flight, and the search for cycles of waits: invariants F5 and F6 in `flight.rs`.
//!
//! A thread that waits for a flight whose leader waits for this thread, directly or through others, would wait for
//! ever. So each thread that leads or waits has a [`Node`], which says what the thread waits for, and a thread that is
//! about to wait follows the chain of leaders.

use crate::support::backoff::Spin;
use crate::support::latch::{FIRST_BIT, Latch};
use crate::sys::{Arc, Mutex, local};
use std::cell::{Cell, RefCell};
use std::ptr;

/// The end of a flight, whatever the type of its value.
#[derive(Debug)]
pub(super) struct Completion {
    /// Counts one until then.
    latch: Latch,
    leader: Arc<Node>,
}

/// What a pending completion adds to its latch.
const ONE: u64 = 1 << FIRST_BIT;
/// The bits of a latch that keep its waiters waiting.
const BUSY: u64 = ONE;

/// A thread that leads or waits: a node in the graph of waits.
#[derive(Debug)]
struct Node {
    /// Differs from that of every other thread that exists at the same time.
    thread: usize,
    /// Protects the completion that the thread waits for.
    waits_for: Mutex<Option<Arc<Completion>>>,
}

local! {
    /// Its address identifies the thread. It has no destructor, so it exists as long as the thread.
    static THREAD: Cell<u8> = Cell::new(0);
}
local! {
    /// This thread's node.
    static NODE: RefCell<Option<Arc<Node>>> = RefCell::new(None);
}

fn current() -> Arc<Node> {
    let new = || {
        let thread = THREAD.try_with(|it| ptr::from_ref(it).addr()).unwrap_or(0);
        Arc::new(Node { thread, waits_for: Mutex::new(None) })
    };
    // A thread that is ending gets a node for each call: it finds a cycle of its own, but none of several threads.
    NODE.try_with(|node| node.borrow_mut().get_or_insert_with(new).clone())
        .unwrap_or_else(|_| new())
}

impl Completion {
    /// The pending completion of a flight that this thread leads.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Completion { latch: Latch::new(ONE), leader: current() })
    }

    /// Ends all waits. Only once.
    pub(super) fn complete(&self) {
        self.latch.leave(ONE, BUSY);
    }

    fn is_over(&self) -> bool {
        self.latch.poll(BUSY).is_some()
    }

    /// Blocks until the flight is complete.
    ///
    /// # Panics
    /// If it would wait for ever.
    #[track_caller]
    pub(super) fn wait(self: &Arc<Self>) {
        let me = current();
        *me.waits_for.lock() = Some(self.clone());
        let is_cycle = self.waits_for(&me);
        if !is_cycle {
            self.latch.wait_drained(BUSY, Spin::Brief);
        }
        *me.waits_for.lock() = None;
        assert!(
            !is_cycle,
            "Store: the function of get_or_compute asks, itself or through other threads, for the value that it \
             computes"
        );
    }

    /// Whether this completion depends on a thread.
    fn waits_for(self: &Arc<Self>, thread: &Node) -> bool {
        let mut completion = self.clone();
        loop {
            if completion.leader.thread == thread.thread {
                return !completion.is_over();
            }
            // In this order: F6 in `flight.rs`.
            let next = completion.leader.waits_for.lock().clone();
            let Some(next) = next.filter(|_| !completion.is_over()) else { return false };
            completion = next;
        }
    }
}

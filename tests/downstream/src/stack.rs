//! A stack of nodes: threads push one at a time, and take all at once.

use phalanx::atomic::{AtomicPtr, Ordering};
use phalanx::cell::UnsafeCell;
use std::ptr;

struct Node {
    value: u32,
    next: *mut UnsafeCell<Node>,
}

/// The newest node.
#[derive(Default)]
pub struct Stack {
    head: AtomicPtr<UnsafeCell<Node>>,
}

// SAFETY: a node is its pusher's until it is published, and the taker's once it is taken.
unsafe impl Sync for Stack {}
// SAFETY: as above.
unsafe impl Send for Stack {}

impl Stack {
    /// Pushes a value.
    pub fn push(&self, value: u32) {
        self.push_with(value, Ordering::Release);
    }

    /// Race: the node isn't published.
    pub fn push_weakly(&self, value: u32) {
        self.push_with(value, Ordering::Relaxed);
    }

    fn push_with(&self, value: u32, publish: Ordering) {
        let node = Box::into_raw(Box::new(UnsafeCell::new(Node { value, next: ptr::null_mut() })));
        // ORDERING: Relaxed: the node behind the pointer isn't read.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: not published yet.
            unsafe { &*node }.with_mut(|node| unsafe { (*node).next = head });
            // ORDERING: Release in `push`: pairs with the Acquire in `take_all`; the nodes below
            // are published by the release sequences of their pushers.
            match self.head.compare_exchange_weak(head, node, publish, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Wrong result: a push in between is lost.
    pub fn push_in_two_steps(&self, value: u32) {
        let next = self.head.load(Ordering::Relaxed);
        let node = Box::into_raw(Box::new(UnsafeCell::new(Node { value, next })));
        self.head.store(node, Ordering::Release);
    }

    /// Takes all values, the newest first.
    pub fn take_all(&self) -> Vec<u32> {
        // ORDERING: Acquire: pairs with the Release in `push`.
        let mut node = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut values = Vec::new();
        while !node.is_null() {
            // SAFETY: taken, so it is this thread's.
            let (value, next) =
                unsafe { &*node }.with(|node| unsafe { ((*node).value, (*node).next) });
            // SAFETY: from `Box::into_raw`, and this was the last pointer to it.
            drop(unsafe { Box::from_raw(node) });
            values.push(value);
            node = next;
        }
        values
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.take_all();
    }
}

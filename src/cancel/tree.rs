//! Cancelling: a walk of the subtree that marks every node, and another that wakes and calls.

use super::node::{Bell, CANCELLED, DETACHED, Inner, Link, Links, Node, NodeAlarm, NodeRef};
use super::reason::CancelReason;
use crate::support::alarm;
use crate::support::first_panic::Payload;
use crate::support::waiters::Taken;
use crate::sys::{IS_MODEL, catch, discard, thread};
use std::mem;
use std::panic::resume_unwind;
use std::time::Instant;

/// Nodes that a thread has marked, in the order in which it did; counted, and linked by `after`.
struct Marked {
    first: Link,
    last: Link,
}

/// Children that are marked under one hold of their parent's lock.
const AT_ONCE: u32 = 64;

/// Cancels a node and its descendants, and then wakes their waiters and calls their callbacks. Returns `false` if the
/// node was cancelled before.
///
/// # Panics
/// With the first panic of a callback, after all of them were called.
pub(super) fn cancel(root: &NodeRef, reason: CancelReason) -> bool {
    {
        let mut inner = root.inner.lock();
        if inner.reason.is_some() {
            return false;
        }
        inner.reason = Some(reason.clone());
        root.set_state(CANCELLED);
    }
    let mut marked = Marked { first: None, last: None };
    marked.mark_children(root, &reason);
    let mut next = marked.first;
    while let Some(pointer) = next {
        // SAFETY: counted by the list.
        let node = unsafe { pointer.as_ref() }.get();
        marked.mark_children(node, &reason);
        // SAFETY: detached, and so this thread's, by C3.
        next = unsafe { node.links(|links| links.after) };
    }
    let mut panic = None;
    announce(root, &mut panic);
    for node in marked {
        announce(&node, &mut panic);
        // The drop of what was registered may panic.
        if let Err(payload) = catch(|| drop(node)) {
            keep(&mut panic, payload);
        }
    }
    match panic {
        Some(payload) if thread::panicking() => discard(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
    true
}

impl Marked {
    /// Detaches and marks the children of a node that is cancelled, and adds those for which there is more to do.
    fn mark_children(&mut self, parent: &Node, reason: &CancelReason) {
        loop {
            let mut inner = parent.inner.lock();
            for _ in 0..AT_ONCE {
                let Some(pointer) = inner.children else {
                    return;
                };
                // SAFETY: in the parent's list, so alive by C4.
                let child = unsafe { pointer.as_ref() }.get();
                inner.children = detach(child);
                if mark(child, reason) {
                    // SAFETY: the parent's lock is held.
                    let counted = unsafe { Node::count(pointer) };
                    counted.into_iter().for_each(|node| self.push(node));
                }
                // The last use of a child that isn't counted (C4).
                child.set_state(DETACHED);
            }
        }
    }

    fn push(&mut self, node: NodeRef) {
        let pointer = node.into_ptr();
        match self.last.replace(pointer) {
            None => self.first = Some(pointer),
            Some(last) => {
                // SAFETY: counted by the list.
                let last = unsafe { last.as_ref() }.get();
                // SAFETY: detached, and so this thread's, by C3.
                unsafe { last.links(|links| links.after = Some(pointer)) };
            }
        }
    }
}

impl Iterator for Marked {
    type Item = NodeRef;

    fn next(&mut self) -> Option<NodeRef> {
        let pointer = self.first?;
        // SAFETY: counted by `push`, and taken out of the list here.
        let node = unsafe { NodeRef::from_ptr(pointer) };
        // SAFETY: detached, and so this thread's, by C3.
        self.first = unsafe { node.links(|links| links.after) };
        Some(node)
    }
}

/// Takes the first child out of the list whose lock is held. Returns the next one.
fn detach(child: &Node) -> Link {
    // SAFETY: the parent's lock is held.
    let after = unsafe { child.links(|links| mem::replace(links, Links::NONE)) }.after;
    if let Some(after) = after {
        // SAFETY: in the list, so alive by C4.
        let after = unsafe { after.as_ref() }.get();
        // SAFETY: the parent's lock is held.
        unsafe { after.links(|links| links.before = None) };
    }
    after
}

/// LIVE => CANCELLED. Returns whether there is more to do for the node. It is left to another thread if that has
/// cancelled it.
fn mark(node: &Node, reason: &CancelReason) -> bool {
    let mut inner = node.inner.lock();
    if inner.reason.is_some() {
        return false;
    }
    inner.reason = Some(reason.clone());
    node.set_state(CANCELLED);
    let Inner { children, waiters, callbacks, alarm, .. } = &*inner;
    children.is_some() || !waiters.is_empty() || !callbacks.is_empty() || alarm.is_some()
}

/// Wakes the waiters of a cancelled node, and calls its callbacks. None are added any more.
fn announce(node: &Node, panic: &mut Option<Payload>) {
    let alarm = node.inner.lock().alarm.take();
    if let Some(alarm) = alarm {
        alarm.cancel();
    }
    // One at a time, so that each is settled under the lock and none is woken under it.
    let wake_up = || node.inner.lock().waiters.take_first().map(Taken::release);
    while let Some(wake_up) = wake_up() {
        wake_up.wake();
    }
    let start = || {
        let mut inner = node.inner.lock();
        let (_, callback) = inner.callbacks.pop_first()?;
        // Under the lock: a thread that doesn't find it registered any more asks for its state.
        callback.start();
        Some(callback)
    };
    while let Some(callback) = start() {
        if let Err(payload) = catch(|| callback.run()) {
            keep(panic, payload);
        }
    }
}

/// Keeps the first panic, and drops a later one.
fn keep(first: &mut Option<Payload>, payload: Payload) {
    if first.is_none() {
        *first = Some(payload);
    } else {
        discard(payload);
    }
}

/// Has the timer cancel a node at its deadline.
///
/// # Panics
/// If the timer's thread can't be started.
#[track_caller]
pub(super) fn cancel_at(node: &NodeRef, deadline: Instant) {
    // In a model a deadline comes after the call, if it comes.
    if !IS_MODEL && deadline <= Instant::now() {
        cancel(node, CancelReason::DeadlineExceeded);
        return;
    }
    let exceed = |node: NodeRef| _ = cancel(&node, CancelReason::DeadlineExceeded);
    let bell = Bell::new(node, exceed);
    let alarm = match alarm::set(deadline, bell.clone()) {
        Ok(alarm) => NodeAlarm { alarm, bell },
        Err(error) => panic!("CancelToken: a deadline needs the timer's thread, which can't be started: {error}"),
    };
    let mut inner = node.inner.lock();
    if inner.reason.is_none() {
        inner.alarm = Some(alarm);
    } else {
        drop(inner);
        alarm.cancel();
    }
}

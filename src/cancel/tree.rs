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

/// What there is to do for a node that was marked.
#[derive(Clone, Copy, PartialEq)]
struct Tasks {
    /// It has children, which are to be marked.
    has_children: bool,
    /// It has waiters, callbacks or an alarm.
    is_awaited: bool,
}

/// Children that are marked under one hold of their parent's lock.
const AT_ONCE: u32 = 64;

/// Cancels a node and its descendants, wakes all their waiters, and then calls their callbacks. Returns `false` if the node
/// was cancelled before.
///
/// # Panics
/// With the first panic of a callback, after all of them were called.
pub(super) fn cancel(root: &NodeRef, reason: CancelReason) -> bool {
    let Some(tasks) = mark(root, &reason) else {
        return false;
    };
    let mut marked = Marked::new();
    if tasks.has_children {
        marked.mark_descendants(root, &reason);
    }
    let mut called = Marked::new();
    let root_is_called = tasks.is_awaited && wake(root);
    let mut panic = None;
    for node in marked {
        // SAFETY: detached, and so this thread's, by C3.
        if unsafe { node.links(|links| links.is_awaited) } && wake(&node) {
            called.push(node, true);
        } else {
            end(node, &mut panic);
        }
    }
    if root_is_called {
        call(root, &mut panic);
    }
    for node in called {
        call(&node, &mut panic);
        end(node, &mut panic);
    }
    match panic {
        Some(payload) if thread::panicking() => discard(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
    true
}

/// LIVE => CANCELLED. Returns what there is to do for the node; `None` if it was cancelled before.
fn mark(node: &Node, reason: &CancelReason) -> Option<Tasks> {
    let mut inner = node.inner.lock();
    if inner.reason.is_some() {
        return None;
    }
    inner.reason = Some(reason.clone());
    node.set_state(CANCELLED);
    let Inner { children, waiters, callbacks, alarm, .. } = &*inner;
    Some(Tasks {
        has_children: children.is_some(),
        is_awaited: !waiters.is_empty() || !callbacks.is_empty() || alarm.is_some(),
    })
}

impl Marked {
    fn new() -> Self {
        Marked { first: None, last: None }
    }

    /// Marks the descendants of a node that is cancelled, level by level, and adds those for which there is more to do.
    fn mark_descendants(&mut self, root: &Node, reason: &CancelReason) {
        self.mark_children(root, reason);
        let mut next = self.first;
        while let Some(pointer) = next {
            // SAFETY: counted by the list.
            let node = unsafe { pointer.as_ref() }.get();
            self.mark_children(node, reason);
            // SAFETY: detached, and so this thread's, by C3.
            next = unsafe { node.links(|links| links.after) };
        }
    }

    /// Detaches and marks the children of a node that is cancelled.
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
                let tasks = mark(child, reason);
                if let Some(Tasks { is_awaited, .. }) =
                    tasks.filter(|tasks| tasks.has_children || tasks.is_awaited)
                {
                    // SAFETY: the parent's lock is held.
                    let counted = unsafe { Node::count(pointer) };
                    counted.into_iter().for_each(|node| self.push(node, is_awaited));
                }
                // The last use of a child that isn't counted (C4).
                child.set_state(DETACHED);
            }
        }
    }

    fn push(&mut self, node: NodeRef, is_awaited: bool) {
        // SAFETY: detached, and so this thread's, by C3.
        unsafe { node.links(|links| *links = Links { is_awaited, ..Links::NONE }) };
        let pointer = node.into_ptr();
        match self.last.replace(pointer) {
            None => self.first = Some(pointer),
            Some(last) => {
                // SAFETY: counted by the list.
                let last = unsafe { last.as_ref() }.get();
                // SAFETY: as above.
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

/// Removes the alarm of a cancelled node, and wakes its waiters. Returns whether it has callbacks. None of these are
/// added any more (C2).
fn wake(node: &Node) -> bool {
    let (alarm, has_callbacks) = {
        let mut inner = node.inner.lock();
        (inner.alarm.take(), !inner.callbacks.is_empty())
    };
    if let Some(alarm) = alarm {
        alarm.cancel();
    }
    // One at a time, so that each is settled under the lock (C6) and none is woken under it.
    let wake_up = || node.inner.lock().waiters.take_first().map(Taken::release);
    while let Some(wake_up) = wake_up() {
        wake_up.wake();
    }
    has_callbacks
}

/// Calls the callbacks of a cancelled node.
fn call(node: &Node, panic: &mut Option<Payload>) {
    let start = || {
        let mut inner = node.inner.lock();
        let (_, callback) = inner.callbacks.pop_first()?;
        // Under the lock: a thread that doesn't find it registered any more asks for its state.
        callback.start();
        Some(callback)
    };
    while let Some(callback) = start() {
        // Its drop is the user's code, too.
        if let Err(payload) = catch(move || callback.run()) {
            keep(panic, payload);
        }
    }
}

/// Drops a pointer. If it was the last one, so is what the node's callbacks hold, whose drop may panic.
fn end(node: NodeRef, panic: &mut Option<Payload>) {
    if let Err(payload) = catch(|| drop(node)) {
        keep(panic, payload);
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
        Err(error) => panic!(
            "CancelToken: a deadline needs the timer's thread, which can't be started: {error}"
        ),
    };
    let mut inner = node.inner.lock();
    if inner.reason.is_none() {
        inner.alarm = Some(alarm);
    } else {
        drop(inner);
        alarm.cancel();
    }
}

//! A node of the tree, and the counted pointer to it.

use super::callback::Callback;
use super::reason::CancelReason;
use crate::support::alarm::{Alarm, Ring};
use crate::support::first_panic::Payload;
use crate::support::waiters::Queue;
use crate::sys::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::sys::cell::UnsafeCell;
use crate::sys::{Arc, Heap, Mutex, can_drop, catch, discard, thread};
use std::collections::BTreeMap;
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;
use std::panic::resume_unwind;
use std::process;
use std::ptr::NonNull;
use std::time::Instant;

/// A node of the tree. See the [module](super).
pub(super) struct Node {
    /// `LIVE`, `CANCELLED` or `DETACHED`.
    state: AtomicU32,
    refs: AtomicUsize,
    /// Counted until the node is freed, so that it lives as long. `None` for a root, and for one that was cancelled when it was made.
    parent: Option<ManuallyDrop<NodeRef>>,
    /// When it is cancelled at the latest: the earliest of its own deadline and its ancestors'.
    pub(super) deadline: Option<Instant>,
    /// By C3.
    links: UnsafeCell<Links>,
    pub(super) inner: Mutex<Inner>,
}

/// A pointer to a node that may be null.
pub(super) type Link = Option<NonNull<Heap<Node>>>;

/// A node's place among its siblings, or in the list of the thread that cancels it.
pub(super) struct Links {
    pub(super) before: Link,
    pub(super) after: Link,
    /// Whether it is in its parent's list.
    pub(super) is_linked: bool,
    /// In the list of the thread that cancels it: whether it has waiters, callbacks or an alarm.
    pub(super) is_awaited: bool,
}

/// What a node's lock protects: beside these, the `links` of the children in its list.
pub(super) struct Inner {
    /// Set once. Whether the node is cancelled, for the lock's holder.
    pub(super) reason: Option<CancelReason>,
    /// The first of the children; the last one made.
    pub(super) children: Link,
    pub(super) waiters: Queue<()>,
    /// In the order of their registration.
    pub(super) callbacks: BTreeMap<u64, Arc<dyn Callback>>,
    pub(super) next_id: u64,
    /// Set for a deadline that is earlier than the parent's.
    pub(super) alarm: Option<NodeAlarm>,
}

/// The alarm that was set for a node.
pub(super) struct NodeAlarm {
    pub(super) alarm: Alarm,
    pub(super) bell: Arc<Bell>,
}

/// What a node's alarm rings.
pub(super) struct Bell {
    /// The node, until it is about to be freed. Not counted.
    node: Mutex<Link>,
    ring: fn(NodeRef),
}

/// Not cancelled.
const LIVE: u32 = 0;
/// Cancelled.
pub(super) const CANCELLED: u32 = 1;
/// Cancelled, and not in its parent's list any more: the parent's lock has no more to do with it.
pub(super) const DETACHED: u32 = 2;

/// A counted pointer to a node.
pub(super) struct NodeRef(NonNull<Heap<Node>>);

// SAFETY: a node is shared between threads: its parts are atomic, behind its lock, or its parent's lock's (C3).
unsafe impl Send for NodeRef {}
// SAFETY: as above.
unsafe impl Sync for NodeRef {}

// SAFETY: the pointer is used under the lock, while the node is alive.
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

impl Bell {
    /// Makes a bell that passes the node to `ring`, unless its last pointer was dropped.
    #[track_caller]
    pub(super) fn new(node: &NodeRef, ring: fn(NodeRef)) -> Arc<Self> {
        Arc::new(Bell { node: Mutex::new(Some(node.0)), ring })
    }
}

impl Ring for Bell {
    fn ring(&self) {
        // SAFETY: the bell's lock is held, so the node is alive by C4.
        let node = self.node.lock().and_then(|node| unsafe { Node::count(node) });
        if let Some(node) = node {
            (self.ring)(node);
        }
    }
}

impl NodeAlarm {
    /// It may be ringing: after the call the bell doesn't use the node any more.
    pub(super) fn cancel(self) {
        *self.bell.node.lock() = None;
        self.alarm.cancel();
    }
}

impl Inner {
    fn new(reason: Option<CancelReason>) -> Self {
        Inner {
            reason,
            children: None,
            waiters: Queue::new(),
            callbacks: BTreeMap::new(),
            next_id: 0,
            alarm: None,
        }
    }
}

impl Node {
    /// Whether the node is cancelled.
    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release in `set_state`: what the thread that cancelled did before comes
        // first.
        self.state.load(Ordering::Acquire) != LIVE
    }

    /// LIVE => CANCELLED under the node's lock, with the reason; CANCELLED => DETACHED under its parent's.
    pub(super) fn set_state(&self, state: u32) {
        // ORDERING: Release: pairs with the Acquire in `is_cancelled`, and for `DETACHED`, which is the last use of a
        // node that isn't counted, with that in `unlink`.
        self.state.store(state, Ordering::Release);
    }

    /// Accesses the links.
    ///
    /// # Safety
    /// They are the caller's, by C3.
    pub(super) unsafe fn links<R>(&self, access: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: by the contract no other thread accesses the links meanwhile, and neither does `access`.
        self.links.with_mut(|links| access(unsafe { &mut *links }))
    }

    /// Returns a pointer that is counted, unless the last one is being dropped.
    ///
    /// # Safety
    /// The caller holds the lock of the node's parent since it found the node in its list, or that of the node's bell.
    pub(super) unsafe fn count(this: NonNull<Heap<Node>>) -> Option<NodeRef> {
        // SAFETY: by the contract, and C4.
        let node = unsafe { this.as_ref() }.get();
        let more = |refs: usize| (refs > 0).then_some(refs + 1);
        // ORDERING: Relaxed twice: counting up publishes nothing.
        let counted = node.refs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.is_ok().then_some(NodeRef(this))
    }

    /// Leaves the parent's list (C4). Called for a node that nothing counts any more.
    fn unlink(&self, this: NonNull<Heap<Node>>) {
        let Some(parent) = &self.parent else {
            return;
        };
        // ORDERING: Acquire: pairs with the Release in `set_state`: the last use by a thread that cancels comes first.
        if self.state.load(Ordering::Acquire) == DETACHED {
            return;
        }
        let mut inner = parent.inner.lock();
        // SAFETY: the parent's lock is held.
        let (before, after) = match unsafe { self.links(|links| mem::replace(links, Links::NONE)) }
        {
            Links { is_linked: false, .. } => return,
            Links { before, after, .. } => (before, after),
        };
        if let Some(after) = after {
            // SAFETY: in the list, so alive by C4.
            let after = unsafe { after.as_ref() }.get();
            // SAFETY: the parent's lock is held.
            unsafe { after.links(|links| links.before = before) };
        }
        match before {
            None => {
                debug_assert_eq!(inner.children, Some(this));
                inner.children = after;
            }
            Some(before) => {
                // SAFETY: in the list, so alive by C4.
                let before = unsafe { before.as_ref() }.get();
                // SAFETY: the parent's lock is held.
                unsafe { before.links(|links| links.after = after) };
            }
        }
    }
}

impl Links {
    pub(super) const NONE: Links =
        Links { before: None, after: None, is_linked: false, is_awaited: false };
}

impl NodeRef {
    /// Makes a root.
    #[track_caller]
    pub(super) fn root() -> Self {
        NodeRef::new(None, None, None)
    }

    /// Makes a child, whose own deadline is `deadline` if that is earlier than this node's. It is cancelled if this
    /// node is.
    #[track_caller]
    pub(super) fn child(&self, deadline: Option<Instant>) -> Self {
        if self.is_cancelled() {
            return self.cancelled_child(deadline);
        }
        let earliest = [self.deadline, deadline].into_iter().flatten().min();
        let child = NodeRef::new(Some(ManuallyDrop::new(self.clone())), earliest, None);
        let mut inner = self.inner.lock();
        if inner.reason.is_some() {
            drop(inner);
            return self.cancelled_child(deadline);
        }
        let first = inner.children.replace(child.0);
        // SAFETY: it is no other thread's yet.
        unsafe {
            child.links(|links| *links = Links { after: first, is_linked: true, ..Links::NONE });
        }
        if let Some(first) = first {
            // SAFETY: in the list, so alive by C4.
            let first = unsafe { first.as_ref() }.get();
            // SAFETY: this node's lock is held.
            unsafe { first.links(|links| links.before = Some(child.0)) };
        }
        drop(inner);
        child
    }

    #[cold]
    #[track_caller]
    fn cancelled_child(&self, deadline: Option<Instant>) -> Self {
        let earliest = [self.deadline, deadline].into_iter().flatten().min();
        let reason = self.inner.lock().reason.clone();
        NodeRef::new(None, earliest, reason)
    }

    #[track_caller]
    fn new(
        parent: Option<ManuallyDrop<NodeRef>>,
        deadline: Option<Instant>,
        reason: Option<CancelReason>,
    ) -> Self {
        NodeRef(Heap::new(Node {
            state: AtomicU32::new(if reason.is_some() { CANCELLED } else { LIVE }),
            refs: AtomicUsize::new(1),
            parent,
            deadline,
            links: UnsafeCell::new(Links::NONE),
            inner: Mutex::new(Inner::new(reason)),
        }))
    }

    /// Turns the pointer into one that stays counted.
    pub(super) fn into_ptr(self) -> NonNull<Heap<Node>> {
        let pointer = self.0;
        mem::forget(self);
        pointer
    }

    /// # Safety
    /// The pointer came from [`into_ptr`](NodeRef::into_ptr), for this one call.
    pub(super) unsafe fn from_ptr(pointer: NonNull<Heap<Node>>) -> Self {
        NodeRef(pointer)
    }
}

impl Deref for NodeRef {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        // SAFETY: alive by C4: it is counted.
        unsafe { self.0.as_ref() }.get()
    }
}

impl Clone for NodeRef {
    fn clone(&self) -> Self {
        // ORDERING: Relaxed: counting up publishes nothing; the node is alive by this pointer.
        if self.refs.fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            // As with `Arc`: so many exist only if most were leaked, and one more could wrap the count.
            process::abort();
        }
        NodeRef(self.0)
    }
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        if !can_drop() {
            return;
        }
        // ORDERING: AcqRel. Release: this pointer's uses come before the end of the node. Acquire: if this is the last
        // one, the others' uses come before it.
        if self.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            end(self.0);
        }
    }
}

/// Frees a node that nothing counts any more, and then its ancestors that it was the last to count. One after the other:
/// a chain of them may be longer than the stack.
#[cold]
fn end(first: NonNull<Heap<Node>>) {
    let mut panic: Option<Payload> = None;
    let mut next = Some(first);
    while let Some(pointer) = next.take() {
        // SAFETY: alive until it is freed below, and this thread is the only one to come here.
        let node = unsafe { pointer.as_ref() }.get();
        node.unlink(pointer);
        let (callbacks, alarm) = {
            let mut inner = node.inner.lock();
            (mem::take(&mut inner.callbacks), inner.alarm.take())
        };
        if let Some(alarm) = alarm {
            alarm.cancel();
        }
        for callback in callbacks.into_values() {
            // The drop of what was registered is user code.
            if let Err(payload) = catch(|| drop(callback)) {
                if panic.is_none() {
                    panic = Some(payload);
                } else {
                    discard(payload);
                }
            }
        }
        if let Some(parent) = &node.parent {
            // ORDERING: AcqRel: as in the drop.
            if parent.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
                next = Some(parent.0);
            }
        }
        // SAFETY: nothing counts it and it is in no list, so nothing uses it any more (C4).
        unsafe { Heap::free(pointer) };
    }
    match panic {
        Some(payload) if thread::panicking() => discard(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}

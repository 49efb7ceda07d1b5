//! One end of a buffered channel: its position, and the threads that wait for it to move on.
//!
//! Senders move the channel's *tail*, receivers its *head*. Each end has a word on a cache line of its own:
//!
//! | bits | name | meaning | set by | cleared by |
//! | --- | --- | --- | --- | --- |
//! | 0 | `AWAITED` | threads may wait for this end to move | a waiter, under the queue's lock | the thread that takes the last waiter, under it |
//! | 1 | `CLOSED` | nothing is sent any more; in the tail alone | `close` | – |
//! | 2 | `LOCKED` | a receiver works at this end; in the head of [blocks](super::blocks) alone | that receiver | that receiver |
//! | 4 to 63 | position | the slot that is claimed next | a claim | – |
//!
//! A *claim* moves the end past a slot. The slot is the claiming thread's until it *publishes* it by its stamp (see
//! [storage](super::storage)). A claim is one read-modify-write, and what it has replaced says whether anyone waits. A
//! thread that has to wait enters the queue, sets `AWAITED` by a read-modify-write, and decides by *that* result whether
//! it still has to. Of the two steps one comes first: either the waiter sees the claim, or the claim sees the waiter,
//! which is then woken after the publication. So neither side needs a fence, and no wake-up is lost. A waiter that sees
//! the claim doesn't sleep in the queue: it tries again, and waits for the publication there.
//!
//! Positions only grow, and don't wrap: at a message a nanosecond 60 bits last for 18 years.

use crate::support::waiters::{Queue, Removal, Taken, Waiter};
use crate::sys::Mutex;
use crate::sys::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

const AWAITED: u64 = 1;
const CLOSED: u64 = 2;
const LOCKED: u64 = 4;
const POSITION_SHIFT: u32 = 4;

/// What the word of an end said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u64);

impl Seen {
    #[inline]
    pub(super) fn position(self) -> u64 {
        self.0 >> POSITION_SHIFT
    }

    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    #[inline]
    pub(super) fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    /// The position and `CLOSED`, as a number that grows whenever one of them changes.
    #[inline]
    pub(super) fn stamp(self) -> u64 {
        self.0 & !(LOCKED | AWAITED)
    }

    #[inline]
    fn at(self, position: u64) -> u64 {
        self.0 & ((1 << POSITION_SHIFT) - 1) | position << POSITION_SHIFT
    }
}

/// See the [module](self). `N` is what the storage keeps beside the position, and `M` is a waiter's message.
pub(super) struct End<N, M> {
    line: CachePadded<Line<N>>,
    /// The threads that wait for this end to move. Also protects `AWAITED`.
    waiting: Mutex<Queue<M>>,
}

struct Line<N> {
    word: AtomicU64,
    near: N,
}

impl<N, M> End<N, M> {
    #[track_caller]
    pub(super) fn new(near: N) -> Self {
        let line = Line { word: AtomicU64::new(0), near };
        End { line: CachePadded::new(line), waiting: Mutex::new(Queue::new()) }
    }

    #[inline]
    pub(super) fn near(&self) -> &N {
        &self.line.near
    }

    /// Returns the word, ordered after its claims and its close.
    #[inline]
    pub(super) fn load(&self) -> Seen {
        // ORDERING: Acquire: pairs with the Release in `claim`: a claim is for a slot that the other end had left, so
        // the other end is not seen behind that. And with the Release in `close`.
        Seen(self.line.word.load(Ordering::Acquire))
    }

    /// Returns the word. A hint.
    #[inline]
    pub(super) fn peek(&self) -> Seen {
        // ORDERING: Relaxed: a hint.
        Seen(self.line.word.load(Ordering::Relaxed))
    }

    /// Moves the end to `position`, if its word is still as it was seen. Otherwise returns the word.
    #[inline]
    pub(super) fn claim(&self, seen: Seen, position: u64) -> Result<(), Seen> {
        // ORDERING: Release: pairs with the Acquire in `load`. The slot is ordered by its stamp. Acquire if it fails:
        // as in `load`.
        self.line
            .word
            .compare_exchange(seen.0, seen.at(position), Ordering::Release, Ordering::Acquire)
            .map(|_| ())
            .map_err(Seen)
    }

    /// Moves the end by one position, whatever its word says meanwhile.
    pub(super) fn skip(&self) {
        // ORDERING: Release: as in `claim`: what the storage keeps beside the position comes before.
        self.line.word.fetch_add(1 << POSITION_SHIFT, Ordering::Release);
    }

    /// Locks the end, if its word is still as it was seen, unlocked. Returns whether it is.
    #[inline]
    pub(super) fn lock(&self, seen: Seen) -> bool {
        // ORDERING: Acquire: pairs with the Release in `unlock` and `unlock_unawaited`. Relaxed if it fails: nothing is
        // concluded from that.
        self.line
            .word
            .compare_exchange(seen.0, seen.0 | LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Unlocks the end, which was locked as `seen`, at `position`. Returns the word that this has replaced.
    #[inline]
    pub(super) fn unlock(&self, seen: Seen, position: u64) -> Seen {
        let moved = (position - seen.position()) << POSITION_SHIFT;
        // ORDERING: Release: pairs with the Acquire in `lock`, for what is near, and with that in `load`.
        Seen(self.line.word.fetch_add(moved.wrapping_sub(LOCKED), Ordering::Release))
    }

    /// As [`unlock`](Self::unlock), of an end that nobody waits for: it forgets `AWAITED`.
    #[inline]
    pub(super) fn unlock_unawaited(&self, position: u64) {
        // ORDERING: Release: as in `unlock`.
        self.line.word.store(position << POSITION_SHIFT, Ordering::Release);
    }

    /// Called when the `n` slots of a claim, which has replaced `seen`, are published. Wakes up to `n` waiters.
    #[inline]
    pub(super) fn published(&self, seen: Seen, n: u64) {
        if seen.0 & AWAITED != 0 {
            self.wake(n);
        }
    }

    /// Sets `CLOSED`, after which no claim succeeds. Returns whether it wasn't set before.
    pub(super) fn close(&self) -> bool {
        // ORDERING: Release: pairs with the Acquire in `load`: what this thread did comes before the end that a
        // receiver sees.
        self.line.word.fetch_or(CLOSED, Ordering::Release) & CLOSED == 0
    }

    /// Enters the queue of those that wait for this end to move, unless `is_ready` says by the word, once `AWAITED`
    /// is set, that there is nothing to wait for. Returns whether the waiter is in.
    ///
    /// # Safety
    /// The waiter leaves, or is taken and settled, before it or the end is moved or dropped.
    pub(super) unsafe fn enter(
        &self,
        waiter: &Waiter<M>,
        is_ready: impl FnOnce(Seen) -> bool,
    ) -> bool {
        let mut queue = self.waiting.lock();
        // SAFETY: the contract of this function.
        unsafe { queue.push(waiter) };
        // ORDERING: Relaxed: the two steps on this word, this one and a claim, come one after the other. A claim that sees
        // `AWAITED` is followed by a lock of the queue, after this thread has released it. If `is_ready` reads an old
        // position of the other end, the waiter tries again in vain.
        let before = self.line.word.fetch_or(AWAITED, Ordering::Relaxed);
        let waits = !is_ready(Seen(before));
        if !waits {
            queue.remove(waiter);
        }
        waits
    }

    /// Removes a waiter, if it is still in the queue.
    pub(super) fn leave(&self, waiter: &Waiter<M>) -> Removal {
        self.waiting.lock().remove(waiter)
    }

    /// Calls `f` under the queue's lock.
    pub(super) fn with_queue<R>(&self, f: impl FnOnce(&mut Queue<M>) -> R) -> R {
        f(&mut self.waiting.lock())
    }

    /// Wakes up to `n` of the threads that wait for this end to move.
    #[cold]
    pub(super) fn wake(&self, n: u64) {
        for _ in 0..n {
            let mut queue = self.waiting.lock();
            // Settled under the lock: a waiter that has left, also under it, is settled or idle.
            let wake_up = queue.take_first().map(Taken::release);
            let is_last = queue.is_empty();
            if is_last {
                // ORDERING: Relaxed: under the queue's lock, as is each setting of the bit.
                self.line.word.fetch_and(!AWAITED, Ordering::Relaxed);
            }
            drop(queue);
            if let Some(wake_up) = wake_up {
                wake_up.wake();
            }
            if is_last {
                return;
            }
        }
    }

    /// Wakes all threads that wait for this end to move. None enters any more.
    pub(super) fn wake_all(&self) {
        self.wake(u64::MAX);
    }
}

//! Storage without a bound, or with one that is too large for a ring: a list of blocks.
//!
//! A block's positions are one more than its slots. The sender that claims a block's last slot leaves the tail at the
//! position behind it, where other senders wait; it appends the next block and moves the tail there. Receivers hold the
//! head's lock, under which they read a block's slots in turn, and drop the block behind them. One emptied block is kept for the next
//! sender that needs one, so a channel that stays short allocates nothing.
//!
//! ```text
//! tail: last slot      => behind it        claim
//!       behind it      => the next block's first slot     `append`, by the same sender
//! ```
//!
//! - **B5.** A sender uses a block only after its claim of a slot there, and until it has filled the slot. Receivers wait
//!   for that, so a block that they drop is used no more.

use super::block::{Block, BlockPointer, SLOTS, new_block, prefetch_block};
use super::core::{Message, Unsent};
use super::end::Seen;
use super::error::TryRecvError;
use super::storage::{Ends, MOST_AT_ONCE, Slot, Storage, nothing};
use crate::support::backoff::Backoff;
use crate::support::crowd::yield_uncounted;
use crate::sys::atomic::{AtomicPtr, AtomicU64, Ordering, fence};
use crate::sys::{Heap, IS_MODEL};
use std::ptr::{self, NonNull};
use std::vec;

/// How many messages receivers may be behind before senders let them run.
const FAR_BEHIND: u64 = 512;
/// Positions in a block.
const POSITIONS: u64 = SLOTS + 1;

/// See the [module](self).
pub(super) struct Blocks<T> {
    /// The first block: both ends begin there.
    first: BlockPointer<T>,
    /// An empty block, or null.
    spare: AtomicPtr<Heap<Block<T>>>,
    /// The largest number stands for none, or for one that can't be reached.
    capacity: u64,
}

// SAFETY: blocks are made by one thread and freed by another, and their messages are passed between threads.
unsafe impl<T: Send> Send for Blocks<T> {}
// SAFETY: as above; a block is reached through a claim or the head's lock, and the spare one by taking it out.
unsafe impl<T: Send> Sync for Blocks<T> {}

/// What an end keeps beside its position.
pub(super) struct Near<T> {
    /// The block that the end is in. The tail's is written by the sender that appends, the head's under the lock.
    block: AtomicPtr<Heap<Block<T>>>,
    /// At the tail: how many messages have been received, or fewer.
    received: AtomicU64,
}

/// A block for a sender that may have to append one.
struct Prepared<'a, T> {
    blocks: &'a Blocks<T>,
    block: Option<BlockPointer<T>>,
}

impl<T> Prepared<'_, T> {
    #[cold]
    fn fetch(&mut self) {
        self.block.get_or_insert_with(|| {
            // ORDERING: Acquire: pairs with the Release in `keep`: the block's last use comes before.
            let spare = self.blocks.spare.swap(ptr::null_mut(), Ordering::Acquire);
            NonNull::new(spare).unwrap_or_else(new_block)
        });
    }
}

impl<T> Drop for Prepared<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(block) = self.block {
            self.blocks.keep(block);
        }
    }
}

impl<T> Blocks<T> {
    #[track_caller]
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Blocks {
            first: new_block(),
            spare: AtomicPtr::new(ptr::null_mut()),
            capacity: capacity.map_or(u64::MAX, |capacity| capacity as u64),
        }
    }

    fn is_bounded(&self) -> bool {
        self.capacity != u64::MAX
    }

    /// Keeps an empty block that is nobody's, and frees the one that was kept.
    #[cold]
    fn keep(&self, block: BlockPointer<T>) {
        // ORDERING: AcqRel. Release: pairs with the Acquire in `fetch`: the use of the block comes before its next
        // user's. Acquire: the surplus block's last use comes before the free.
        let surplus = self.spare.swap(block.as_ptr(), Ordering::AcqRel);
        if let Some(surplus) = NonNull::new(surplus) {
            // SAFETY: a block from `Heap::new`, which this thread alone has taken out of `spare`.
            unsafe { Heap::free(surplus) };
        }
    }

    /// Claims up to `wanted` slots of one block, and returns the word that this has replaced, the number and the block.
    #[inline]
    fn claim(
        &self,
        ends: &Ends<T, Near<T>>,
        wanted: u64,
    ) -> Result<(Seen, u64, BlockPointer<T>), Unsent> {
        let mut prepared = Prepared { blocks: self, block: None };
        let mut tail = ends.tail.load();
        let mut contention = Backoff::new();
        loop {
            if tail.is_closed() {
                return Err(Unsent::Closed);
            }
            let position = tail.position();
            let index = index(position);
            if index == SLOTS {
                ends.stalled.wait_while(|| ends.tail.peek().position() == position);
                tail = ends.tail.load();
                continue;
            }
            let room = self.room(ends, position)?;
            let claimed = wanted.min(room).min(SLOTS - index);
            let is_last = index + claimed == SLOTS;
            // ORDERING: Acquire: pairs with the Release in `append`. If this is a later block than the position's, then
            // the word has changed before, and the claim, which comes after this load, fails.
            // WEAKEN: survives, because a model's threads take their steps in order, and the word orders the rest.
            let block = ends.tail.near().block.load(Ordering::Acquire);
            if is_last {
                prepared.fetch();
            }
            match ends.tail.claim(tail, position + claimed) {
                Ok(()) => {
                    let block = NonNull::new(block).expect("an end is always in a block");
                    if is_last && let Some(next) = prepared.block.take() {
                        append(ends, block, next);
                    }
                    return Ok((tail, claimed, block));
                }
                Err(now) => {
                    contention.pause_if_useful();
                    tail = now;
                }
            }
        }
    }

    /// Returns how many messages there is room for with the tail at `tail`, at least one.
    #[inline]
    fn room(&self, ends: &Ends<T, Near<T>>, tail: u64) -> Result<u64, Unsent> {
        if !self.is_bounded() {
            return Ok(u64::MAX);
        }
        let near = &ends.tail.near().received;
        // ORDERING: Acquire: pairs with the Release below: what was received, by that count, comes before.
        let sent = self.count(tail);
        let kept = sent.saturating_sub(near.load(Ordering::Acquire));
        if kept < self.capacity {
            return Ok(self.capacity - kept);
        }
        // ORDERING: SeqCst: two threads that each receive from one channel and then find the other full would both be
        // too early. What a thread did before this fence is seen by the thread whose fence comes later.
        fence(Ordering::SeqCst);
        let received = self.count(ends.head.load().position());
        // ORDERING: Release: pairs with the Acquire above. An earlier count may overwrite a later one.
        near.store(received, Ordering::Release);
        let kept = sent.saturating_sub(received);
        if kept < self.capacity { Ok(self.capacity - kept) } else { Err(Unsent::Full) }
    }

    /// Called by a sender at the end of each block: lets receivers run if they are far behind. Otherwise senders that never
    /// wait keep the cores from them, and the channel grows.
    #[cold]
    fn let_receivers_run(&self, ends: &Ends<T, Near<T>>, tail: u64) {
        let kept = self.count(tail).saturating_sub(self.count(ends.head.peek().position()));
        if kept > FAR_BEHIND && !IS_MODEL {
            yield_uncounted();
        }
    }

    /// Locks the head.
    #[inline]
    fn lock(&self, ends: &Ends<T, Near<T>>) -> Seen {
        loop {
            let head = ends.head.peek();
            if !head.is_locked() && ends.head.lock(head) {
                return head;
            }
            if ends.head.peek().is_locked() {
                ends.stalled.wait_while(|| ends.head.peek().is_locked());
            }
        }
    }

    /// Unlocks the head, which was locked as `head`, when `n` messages have been moved out and it is at `position`.
    #[inline]
    fn unlock(&self, ends: &Ends<T, Near<T>>, head: Seen, position: u64, n: u64) {
        if self.is_bounded() {
            let before = ends.head.unlock(head, position);
            ends.stalled.stepped();
            if n > 0 {
                ends.head.published(before, n);
            }
        } else {
            ends.head.unlock_unawaited(position);
            ends.stalled.stepped();
        }
    }

    /// Moves up to `limit` messages out. Returns how many, or the tail if there is none.
    #[inline]
    fn take(
        &self,
        ends: &Ends<T, Near<T>>,
        limit: u64,
        mut take: impl FnMut(T),
    ) -> Result<u64, Seen> {
        let head = self.lock(ends);
        let mut position = head.position();
        // ORDERING: Relaxed: written under the lock.
        let mut block = ends.head.near().block.load(Ordering::Relaxed);
        let mut taken = 0;
        while taken < limit {
            // SAFETY: the head's block is freed under the head's lock alone, which this thread holds.
            let at = unsafe { (*block).get() };
            let slot = &at.slots[index(position) as usize];
            if slot.stamp() != position + 1 {
                if taken > 0 {
                    break;
                }
                if let Some(tail) = self.empty_at(ends, position, slot) {
                    self.unlock(ends, head, position, 0);
                    return Err(tail);
                }
                continue;
            }
            // SAFETY: read in turn under the lock, and its stamp said that the message is there.
            take(unsafe { slot.take() });
            taken += 1;
            position += 1;
            if index(position) == SLOTS {
                position += 1;
                block = self.advance(ends, block);
            }
        }
        self.unlock(ends, head, position, taken);
        Ok(taken)
    }

    /// If there is no message with the head at `head`, returns the tail. Otherwise returns once the slot is filled.
    #[cold]
    fn empty_at(&self, ends: &Ends<T, Near<T>>, head: u64, slot: &Slot<T>) -> Option<Seen> {
        // ORDERING: SeqCst: two threads that each send into one channel and then find the other empty would both be too
        // early. As in `room`.
        fence(Ordering::SeqCst);
        let tail = ends.tail.load();
        if self.count(tail.position()) == self.count(head) {
            return Some(tail);
        }
        // A sender has claimed the slot, and writes the message.
        ends.stalled.wait_while(|| slot.peek() != head + 1);
        None
    }

    /// Moves the head, whose lock is held, to the next block.
    #[cold]
    fn advance(&self, ends: &Ends<T, Near<T>>, block: *mut Heap<Block<T>>) -> *mut Heap<Block<T>> {
        // SAFETY: as in `take`.
        let left = unsafe { (*block).get() };
        // ORDERING: Relaxed: written before the last message, which this thread has taken.
        let next = left.next.load(Ordering::Relaxed);
        // ORDERING: Relaxed: under the lock.
        ends.head.near().block.store(next, Ordering::Relaxed);
        // All of its slots have been filled, and their senders use it no more.
        self.keep(NonNull::new(block).expect("an end is always in a block"));
        next
    }
}

/// Moves the tail to the next block. The caller has claimed the last slot of `block`, and not yet filled it.
#[cold]
fn append<T>(ends: &Ends<T, Near<T>>, block: BlockPointer<T>, next: BlockPointer<T>) {
    // SAFETY: the block is freed after its last slot was filled.
    let block = unsafe { block.as_ref() }.get();
    prefetch_block(next);
    // ORDERING: Relaxed: the last slot's stamp publishes it.
    block.next.store(next.as_ptr(), Ordering::Relaxed);
    // ORDERING: Release: pairs with the Acquire in `claim`.
    // WEAKEN: survives, for the same reason.
    ends.tail.near().block.store(next.as_ptr(), Ordering::Release);
    ends.tail.skip();
    ends.stalled.stepped();
}

/// The index of a position in its block. Behind the last slot it is the number of slots.
#[inline]
fn index(position: u64) -> u64 {
    position % POSITIONS
}

impl<T> Storage<T> for Blocks<T> {
    type Near = Near<T>;

    #[track_caller]
    fn near(&self) -> [Near<T>; 2] {
        let near =
            || Near { block: AtomicPtr::new(self.first.as_ptr()), received: AtomicU64::new(0) };
        [near(), near()]
    }

    #[inline]
    fn count(&self, position: u64) -> u64 {
        position / POSITIONS * SLOTS + index(position)
    }

    #[inline]
    fn try_send(&self, ends: &Ends<T, Near<T>>, message: &mut Message<T>) -> Result<(), Unsent> {
        let (tail, _, block) = self.claim(ends, 1)?;
        // SAFETY: the block is freed after this slot was filled.
        let block = unsafe { block.as_ref() }.get();
        let position = tail.position();
        // SAFETY: claimed, and each slot of a block is filled once before the block is used again.
        unsafe { block.slots[index(position) as usize].fill(message, position + 1) };
        ends.stalled.stepped();
        ends.tail.published(tail, 1);
        if index(position) == SLOTS - 1 {
            self.let_receivers_run(ends, position);
        }
        Ok(())
    }

    #[inline]
    fn try_recv(&self, ends: &Ends<T, Near<T>>) -> Result<T, TryRecvError> {
        let mut message = None;
        match self.take(ends, 1, |taken| message = Some(taken)) {
            Ok(_) => Ok(message.expect("one was taken")),
            Err(tail) => Err(nothing(tail)),
        }
    }

    fn try_send_many(
        &self,
        ends: &Ends<T, Near<T>>,
        messages: &mut vec::IntoIter<T>,
    ) -> Result<(), Unsent> {
        let (tail, claimed, block) = self.claim(ends, messages.len() as u64)?;
        let position = tail.position();
        for (position, message) in (position..position + claimed).zip(messages) {
            let mut message = Some(message);
            // SAFETY: the block is freed after its last slot was filled, and this loop uses it no more then.
            let block = unsafe { block.as_ref() }.get();
            // SAFETY: as in `try_send`.
            unsafe { block.slots[index(position) as usize].fill(&mut message, position + 1) };
        }
        ends.stalled.stepped();
        ends.tail.published(tail, claimed);
        if index(position) + claimed == SLOTS {
            self.let_receivers_run(ends, position);
        }
        Ok(())
    }

    fn try_recv_many(
        &self,
        ends: &Ends<T, Near<T>>,
        limit: usize,
        take: impl FnMut(T),
    ) -> Result<usize, TryRecvError> {
        match self.take(ends, (limit as u64).min(MOST_AT_ONCE), take) {
            Ok(taken) => Ok(taken as usize),
            Err(tail) => Err(nothing(tail)),
        }
    }

    fn hints_at_room(&self, ends: &Ends<T, Near<T>>) -> bool {
        let kept = |head| self.count(ends.tail.peek().position()).saturating_sub(self.count(head));
        // A quarter of the capacity, as in a ring.
        kept(ends.head.peek().position()) < self.capacity - self.capacity / 4
    }

    fn hints_at_message(&self, ends: &Ends<T, Near<T>>) -> bool {
        self.count(ends.tail.peek().position()) > self.count(ends.head.peek().position())
    }

    fn free(&mut self, ends: &mut Ends<T, Near<T>>) {
        // With all messages received both ends are in one block.
        // ORDERING: Relaxed: exclusive by `&mut`.
        let last = ends.head.near().block.load(Ordering::Relaxed);
        // ORDERING: Relaxed: as above.
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Relaxed);
        for block in [last, spare].into_iter().filter_map(NonNull::new) {
            // SAFETY: no other user is left.
            unsafe { Heap::free(block) };
        }
    }
}

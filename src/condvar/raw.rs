//! A condition variable without types: waiting and notifying.
//!
//! The user's mutex is unlocked by plain code, between entering the queue and falling asleep: it may be
//! any mutex, and may itself sleep, which nothing inside the parking queues may.
//!
//! With phalanx's own mutex a notification doesn't wake: it *moves* the sleeping waiter into the mutex's
//! queue, where the unlock that makes room for it wakes it. So `notify_all` doesn't wake a crowd that
//! can only get in each other's way. `Word::admit` decides whether a waiter may be moved.
//!
//! ```text
//! queued, asleep at its node ──► settled, asleep in the mutex's queue ──► unlock: woken, locks
//!      │          │                        │                                fair unlock: has the lock
//!      │          └──► settled, then woken (a foreign mutex, or one that is free) ──► locks
//!      └──► deadline ──► removed           └──► deadline: notified all the same ──► locks
//! ```
//!
//! Beside those of [`waiters`](crate::support::waiters):
//!
//! - **C1.** A waiter is in the queue before it unlocks the mutex. So a thread that changes the condition
//!   under the mutex afterwards, and then notifies, finds it there.
//! - **C2.** `has_waiters` is `false` only while the queue is empty; both change under the queue's lock. So
//!   by C1 a notification that reads `false`, after its thread has locked the mutex, has no thread to wake.
//! - **C3.** Each notification takes one waiter, and each waiter that is taken was notified, also if its
//!   deadline passes before it has the mutex. So no notification is lost to a time-out.
//! - **C4.** The mutex is borrowed by the waiter, so its word lives until the waiter is settled.
//! - **C5.** A waiter of phalanx's mutex that an unlock has woken holds `WOKEN` of the mutex's word, and so
//!   does a waiter that the notification could not move, whose message says so. It locks by `lock_woken`, which
//!   clears the bit. (A waiter that was woken spuriously may take the bit for its own, which the word
//!   bears.)
//!
//! Orderings: a notification promises no order to its users; the mutex does.

use crate::mutex::Word;
use crate::support::waiters::{Ended, Queue, Taken, Waiter, wait};
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::{Mutex, Parked, const_fn};
use std::ptr;
use std::time::Instant;

/// See the [module](self).
pub(super) struct RawCondvar {
    /// Spares a notification that no thread waits for the lock.
    has_waiters: AtomicBool,
    /// Protects the waiters in it.
    queue: Mutex<Queue<Message>>,
}

/// What a waiter and its notifier tell each other.
struct Message {
    /// The word of the mutex that the waiter has unlocked, if that is phalanx's.
    word: Option<*const Word>,
    /// Whether the notification has left `WOKEN` to the waiter.
    holds_woken: bool,
}

// SAFETY: the word is made of atomics, and used as C4 has it.
unsafe impl Send for Message {}

/// How a wait has ended.
pub(super) struct Waited {
    pub(super) timed_out: bool,
    pub(super) relock: Relock,
}

/// How a waiter gets its mutex back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relock {
    /// As any other thread.
    Lock,
    /// By `lock_woken`.
    LockWoken,
    /// It has it: a fair unlock has handed it over.
    Held,
}

impl RawCondvar {
    const_fn! {
        pub(super) fn new() -> Self {
            RawCondvar { has_waiters: AtomicBool::new(false), queue: Mutex::new(Queue::new()) }
        }
    }

    /// Whether there may be waiters; sure to be `true` if one waits that the caller must notify.
    #[inline]
    pub(super) fn may_have_waiters(&self) -> bool {
        // ORDERING: Relaxed: C2; what makes the flag of a waiter visible here is the mutex.
        self.has_waiters.load(Ordering::Relaxed)
    }

    /// Enters the queue, calls `unlock`, and blocks until a notification or the deadline. `word` is that of
    /// the mutex, if that is phalanx's.
    #[track_caller]
    pub(super) fn wait(
        &self,
        word: Option<&Word>,
        deadline: Option<Instant>,
        unlock: impl FnOnce(),
    ) -> Waited {
        let message = Message { word: word.map(ptr::from_ref), holds_woken: false };
        let enter = |waiter: &Waiter<Message>| {
            self.enter(waiter);
            unlock();
        };
        let (message, ended) = wait(message, None, deadline, enter, |waiter| self.leave(waiter));
        let relock = match ended {
            Ended::Settled(Parked::Handed) => Relock::Held,
            // C5.
            Ended::Settled(Parked::Woken) if word.is_some() => Relock::LockWoken,
            Ended::Settled(_) if message.holds_woken => Relock::LockWoken,
            Ended::Settled(_) | Ended::Removed | Ended::NotEntered => Relock::Lock,
        };
        Waited { timed_out: ended == Ended::Removed, relock }
    }

    fn enter(&self, waiter: &Waiter<Message>) {
        let mut queue = self.queue.lock();
        // SAFETY: the queue is the condition variable's, which the wait has borrowed.
        unsafe { queue.push(waiter) };
        // ORDERING: Relaxed: changed under the lock (C2).
        self.has_waiters.store(true, Ordering::Relaxed);
    }

    /// Removes a waiter whose deadline has come, unless it has been notified.
    fn leave(&self, waiter: &Waiter<Message>) {
        let mut queue = self.queue.lock();
        queue.remove(waiter);
        self.note_if_empty(&queue);
    }

    #[cold]
    pub(super) fn notify_one(&self) -> bool {
        let mut queue = self.queue.lock();
        let taken = queue.take_first();
        self.note_if_empty(&queue);
        drop(queue);
        taken.map(notify).is_some()
    }

    #[cold]
    pub(super) fn notify_all(&self) -> usize {
        let mut queue = self.queue.lock();
        let all = queue.take_all();
        self.note_if_empty(&queue);
        drop(queue);
        let count = all.len();
        all.for_each(notify);
        count
    }

    /// After each step that may have emptied the queue, whose lock is held.
    fn note_if_empty(&self, queue: &Queue<Message>) {
        if queue.is_empty() {
            // ORDERING: Relaxed: changed under the lock (C2).
            self.has_waiters.store(false, Ordering::Relaxed);
        }
    }
}

/// Moves a waiter to its mutex, or wakes it.
fn notify(mut taken: Taken<Message>) {
    let Some(word) = taken.message(|message| message.word) else {
        return taken.settle();
    };
    // SAFETY: C4.
    let word = unsafe { &*word };
    taken.settle_moving(word.queue(), |message| {
        let moves = word.admit();
        message.holds_woken = !moves;
        moves
    });
}

//! A queue of waiters whose nodes live on the waiting threads' stacks.
//!
//! A [`Queue`] is plain state. It stands behind a lock of its user's, beside what the threads wait for. A
//! thread that has to wait calls [`wait`], which puts a [`Waiter`] on its stack; the thread pushes it under
//! the lock. Another thread takes the waiter out under the lock, and *settles* it afterwards: the waiter's
//! thread goes on then. So the queue never allocates, a removal from the middle takes constant time, and
//! no thread is woken under the user's lock.
//!
//! A thread may wait in several queues at once, with a waiter in each. Then all of them share its [`Signal`], and
//! only one of them is taken: the others can't be, and are removed. A task waits as a thread does, with a waker in
//! its signal; its waiter is in memory that is pinned.
//!
//! Each waiter carries a *message*, by which the two threads tell each other what they have to: what the
//! waiter wants, and what it gets.
//!
//! ```text
//! idle   => queued     push        its own thread, under the queue's lock
//! queued => idle       remove      its own thread, under the lock: a time-out
//! queued => taken      take        any thread, under the lock
//! taken  => settled    settle      the thread that took it, with or without the lock
//! ```
//!
//! | field | idle | queued | taken | settled |
//! | --- | --- | --- | --- | --- |
//! | `place` | null | the queue | `TAKEN` | `TAKEN` |
//! | the signal's `TAKEN`, `SETTLED` | – | –; `TAKEN` if another queue's waiter was taken | `TAKEN` | both |
//! | `place` belongs to | its thread | the lock's holder | the lock's holder | its thread |
//! | `links` and `message` belong to | its thread | the lock's holder | the `Taken` | its thread |
//!
//! The signal is an atomic word: its own thread and a queue's lock holder may use it in each state but settled, in
//! which it is its own thread's.
//!
//! Invariants:
//!
//! - **Q1.** A waiter is in a queue if and only if `place` says so, and both change in one step under the
//!   lock. So the only waiter of a thread is either taken or removed: a time-out that comes too late to remove
//!   it knows that it is about to be settled. A thread with several waiters asks its signal.
//! - **Q2.** A taken waiter is settled exactly once: a [`Taken`] can't be copied, and one that is dropped,
//!   by a panic too, settles its waiter. So a thread whose waiter is taken may wait without a deadline.
//! - **Q3.** [`wait`] returns, or unwinds, only while its waiter is idle or settled; otherwise it aborts. A thread
//!   with several waiters removes each under its queue's lock before it drops them. So every pointer in a queue or a `Taken` leads to a living waiter.
//! - **Q4.** The store that settles a waiter is the last use of it by another thread. The wake-up that
//!   follows needs the address alone.
//! - **Q5.** Waiters are taken in the order in which they were pushed. A removal leaves the others in
//!   theirs.
//! - **Q6.** A thread sleeps at its signal's address only while that isn't settled (its `validate`, which no wake-up
//!   can slip past), and only after it has set `ASLEEP`. Each settling that finds `ASLEEP` is followed by a wake-up
//!   of that address, or has moved the sleeping thread elsewhere in the same step. So no thread sleeps here that was settled, and
//!   no thread is moved that wasn't.
//!
//! Orderings: a waiter is settled with Release and its thread reads that with Acquire. So the taker's use of
//! the message happens before the return of the wait. Everything else is ordered by the user's lock.

mod node;
mod queue;
mod signal;
mod taken;
mod task;

pub(crate) use self::node::{AbortOnUnwind, Ended, Waiter, wait};
pub(crate) use self::queue::{Queue, Removal};
pub(crate) use self::signal::{Signal, WakeUp};
pub(crate) use self::taken::Taken;
pub(crate) use self::task::TaskWait;

#[cfg(test)]
mod models;

#[cfg(test)]
mod tests;

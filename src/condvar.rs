//! A condition variable for any mutex of `lock_api`'s.
//!
//! Each waiter has a *node* on its own stack, and the nodes stand in a queue behind a short lock. A
//! notification takes a node out and sets its flag, both under that lock, and then wakes the thread
//! that sleeps at the node's address. The user's mutex is unlocked in between, by plain code: it may
//! be anyone's, and may itself sleep, which nothing inside the parking queues may.
//!
//! With phalanx's own mutex a notification doesn't wake: it *moves* the sleeping waiter into the mutex's
//! queue, where the unlock that makes room for it wakes it. So `notify_all` doesn't wake a crowd that
//! can only get in each other's way. `Word::admit` says when a waiter may be moved.
//!
//! ```text
//! in the queue, asleep at its node ──► flag set, asleep in the mutex's queue ──► unlock: woken, locks
//!      │          │                        │                                     fair unlock: has the lock
//!      │          └──► flag set, then woken (a foreign mutex, or one that is free) ──► locks
//!      └──► time-out ──► out of the queue       └──► time-out: notified all the same ──► locks
//! ```
//!
//! Invariants:
//!
//! 1. A waiter's node is in the queue before it unlocks the mutex. So whoever changes the condition
//!    under the mutex afterwards, and then notifies, finds it there.
//! 2. `waiting` is `false` only while the queue is empty; both change under the lock. So by 1 a
//!    notification that reads `false`, after its thread has locked the mutex, has nobody to wake.
//! 3. A node leaves the queue with its flag set, or by its own thread without, which is the time-out.
//!    So each notification has exactly one waiter, and none is lost. A time-out after the flag is set
//!    is no time-out: the waiter was notified, and locks the mutex.
//! 4. A node is in the queue, or not touched by others: its thread leaves only after it has seen the
//!    flag, or has been in the lock since. What wakes it afterwards needs the address alone. The mutex
//!    is borrowed by the waiter, so the same holds for its word.
//! 5. A waiter is moved, and its flag set, in one step as its `park` sees it: under the lock of its
//!    address's queue, and of the mutex's. So a waiter that is not asleep finds the flag and is not
//!    moved, and no thread is moved that came to sleep at the same address later.
//! 6. A waiter of phalanx's mutex that an unlock has woken holds `WOKEN` of the mutex's word, and so does
//!    one that the notification could not move, whose flag says so. It locks by `lock_woken`, which
//!    gives the bit up. (One that was woken spuriously may take the bit for its own, which the word
//!    bears.)
//! 7. No thread is woken under the queue's lock: it could run in place of the one that has the lock,
//!    and want it.
//!
//! Orderings: a node's flag is set with Release and read with Acquire, so that the last use of the node
//! comes before its end. A notification promises no order to its users; the mutex does.

use crate::mutex::{Word, word_of};
use crate::support::deadline;
use crate::sys::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::{Mutex, Parked, Tracked, const_fn, park, requeue_one, unpark_threads};
use lock_api::{GuardSend, MutexGuard, RawMutex};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};
use std::{mem, process, ptr};

/// A condition variable: waiting, with a mutex unlocked, until another thread says that what the
/// mutex protects has changed.
///
/// Works with the guard of any [`lock_api::Mutex`]: phalanx's [`Mutex`](crate::Mutex), parking_lot's,
/// one's own; also with different mutexes at different times, or at once. [`lock_api::Condvar`] has
/// one kind of mutex for all its waits, which it names as a type; this one has none, and takes guards of all kinds.
///
/// # When to use it
/// Where threads wait for a condition of their own making. To wait until tasks are done, take a
/// [`WaitGroup`](crate::WaitGroup).
///
/// # Fairness
/// [`notify_one`](Condvar::notify_one) notifies the thread that has been waiting the longest. It then
/// locks the mutex like any other. With phalanx's [`Mutex`](crate::Mutex), a notified thread sleeps on
/// until an unlock makes room for it. So [`notify_all`](Condvar::notify_all) lets the threads in one after
/// another, and doesn't wake them all at once.
///
/// # Spurious wake-ups
/// There are none, in this version. Another thread may still have been faster to change the condition
/// back: ask it again, or let [`wait_while`](Condvar::wait_while) do it.
///
/// # Aborts
/// A wait aborts the process if unlocking or locking the mutex panics, which phalanx's and parking_lot's don't:
/// the guard would be of a mutex that isn't locked.
///
/// # Memory ordering
/// A notification orders nothing by itself: the mutex does.
///
/// # Examples
/// ```
/// use phalanx::{Condvar, Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// let gate = Arc::new((Mutex::new(false), Condvar::new()));
/// let group = WaitGroup::new();
/// let theirs = gate.clone();
/// group.go(move || {
///     *theirs.0.lock() = true;
///     theirs.1.notify_one();
/// });
/// let mut open = gate.0.lock();
/// gate.1.wait_while(&mut open, |open| !*open);
/// assert!(*open);
/// drop(open);
/// group.wait();
/// ```
pub struct Condvar {
    /// What a notification that nobody waits for looks at.
    waiting: AtomicBool,
    /// Protects the nodes in it, oldest first.
    queue: Mutex<VecDeque<Entry>>,
}

/// A waiter, on its own stack.
struct Node {
    /// `WAITING`, `NOTIFIED` or `WOKEN`.
    flag: AtomicUsize,
    /// In a model: read by each use of another thread, written at the end.
    life: Tracked,
}

const WAITING: usize = 0;
/// Notified, and moved to the mutex if it was asleep.
const NOTIFIED: usize = 1;
/// Notified, and the holder of `WOKEN` of the mutex's word.
const WOKEN: usize = 2;

/// A node in the queue.
struct Entry {
    node: *const Node,
    /// The word of the mutex that it waits with, if that is phalanx's.
    word: Option<*const Word>,
}

// SAFETY: the node is used under the queue's lock, and by its thread only as invariant 4 has it. The
// word is made of atomics.
unsafe impl Send for Entry {}

// A panic of user code, of a condition or of a mutex, leaves the queue whole.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

impl Node {
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    fn flag(&self) -> usize {
        // ORDERING: Acquire: pairs with the Release in `Entry::notify`: the notifier is done with the
        // node. A read-modify-write, which reads the newest value: an unlock may wake a waiter that a
        // notification has just moved, and the seam doesn't order those two.
        self.flag.fetch_or(0, Ordering::Acquire)
    }

    fn is_waiting(&self) -> bool {
        self.flag() == WAITING
    }
}

impl Entry {
    /// Sets the flag of a node that was just taken out of the queue, whose lock is held. Moves its
    /// waiter to the mutex, or returns the address at which it is yet to be woken.
    fn notify(self) -> Option<usize> {
        // SAFETY: invariant 4: the lock is held, and the flag not set.
        let node = unsafe { &*self.node };
        let address = node.address();
        node.life.read();
        // ORDERING: Release: see `flag`. The last use of the node, and of the word.
        let set_flag = |flag| node.flag.swap(flag, Ordering::Release);
        let Some(word) = self.word else {
            set_flag(NOTIFIED);
            return Some(address);
        };
        // SAFETY: as above.
        let word = unsafe { &*word };
        let mut moved = false;
        requeue_one(address, word.queue(), || {
            moved = word.admit();
            set_flag(if moved { NOTIFIED } else { WOKEN });
            moved
        });
        (!moved).then_some(address)
    }
}

/// Whether a wait with a limit ended by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a wait with a limit may end without the condition"]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before a notification came; for the `wait_while` methods, before
    /// the condition did.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    const_fn! {
        /// Returns a condition variable that nobody waits on. `const`, but for a model build.
        #[must_use]
        pub fn new() -> Self {
            Condvar { waiting: AtomicBool::new(false), queue: Mutex::new(VecDeque::new()) }
        }
    }

    /// Notifies the thread that has been waiting the longest. Returns whether there was one.
    ///
    /// Change the condition under the mutex before; the mutex need not be locked now.
    #[inline]
    #[track_caller]
    pub fn notify_one(&self) -> bool {
        // ORDERING: Relaxed: invariant 2; what makes a waiter's flag visible here is the mutex.
        self.waiting.load(Ordering::Relaxed) && self.wake_one()
    }

    /// Notifies all threads that wait. Returns how many there were.
    ///
    /// Change the condition under the mutex before; the mutex need not be locked now.
    #[inline]
    #[track_caller]
    pub fn notify_all(&self) -> usize {
        // ORDERING: Relaxed: as in `notify_one`.
        if self.waiting.load(Ordering::Relaxed) { self.wake_all() } else { 0 }
    }

    /// Unlocks the guard's mutex, waits for a notification, and locks it again.
    ///
    /// # Blocking
    /// Until a notification, then until the mutex is locked.
    #[track_caller]
    pub fn wait<R: RawMutex, T: ?Sized>(&self, guard: &mut MutexGuard<'_, R, T>) {
        let _ = self.sleep(guard, None);
    }

    /// [`wait`](Condvar::wait), until the deadline at most.
    ///
    /// # Blocking
    /// Until a notification or the deadline, then until the mutex is locked.
    #[track_caller]
    pub fn wait_until<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.sleep(guard, Some(deadline))
    }

    /// [`wait`](Condvar::wait), for so long at most. A time too long to represent is for ever.
    ///
    /// # Blocking
    /// Until a notification or the end of that time, then until the mutex is locked.
    #[track_caller]
    pub fn wait_for<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.sleep(guard, deadline::after(timeout))
    }

    /// Waits as long as `condition` is `true` of what the mutex protects.
    ///
    /// # Blocking
    /// Until a notification finds the condition `false`.
    ///
    /// # Panics
    /// Whatever `condition` panics with. The guard has the mutex then.
    #[track_caller]
    pub fn wait_while<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) {
        let _ = self.sleep_while(guard, condition, None);
    }

    /// [`wait_while`](Condvar::wait_while), until the deadline at most. Timed out means that the
    /// condition is still `true`.
    ///
    /// # Blocking
    /// Until a notification finds the condition `false`, or the deadline.
    ///
    /// # Panics
    /// Whatever `condition` panics with. The guard has the mutex then.
    #[track_caller]
    pub fn wait_while_until<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.sleep_while(guard, condition, Some(deadline))
    }

    /// [`wait_while`](Condvar::wait_while), for so long at most. A time too long to represent is for
    /// ever; timed out means that the condition is still `true`.
    ///
    /// # Blocking
    /// Until a notification finds the condition `false`, or the end of that time.
    ///
    /// # Panics
    /// Whatever `condition` panics with. The guard has the mutex then.
    #[track_caller]
    pub fn wait_while_for<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.sleep_while(guard, condition, deadline::after(timeout))
    }

    #[track_caller]
    fn sleep_while<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        deadline: Option<Instant>,
    ) -> WaitTimeoutResult {
        let mut result = WaitTimeoutResult(false);
        while condition(&mut **guard) {
            if result.timed_out() {
                return result;
            }
            result = self.sleep(guard, deadline);
        }
        WaitTimeoutResult(false)
    }

    #[track_caller]
    fn sleep<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        deadline: Option<Instant>,
    ) -> WaitTimeoutResult {
        let mutex = MutexGuard::mutex(guard);
        // SAFETY: what unlocks the mutex here locks it again before the guard is used.
        let word = word_of(unsafe { mutex.raw() });
        let node = Node { flag: AtomicUsize::new(WAITING), life: Tracked::new() };
        self.enter(Entry { node: &node, word: word.map(ptr::from_ref) });
        let whole = AbortOnUnwind;
        match word {
            Some(word) => word.unlock_to_sleep(),
            // SAFETY: `guard` is valid for reads, and not used until it is written again below; nobody
            // else sees it meanwhile, as this call has it borrowed mutably and a panic aborts.
            None => drop(unsafe { ptr::read(guard) }),
        }
        let (mut timed_out, mut parked) = (false, Parked::Invalid);
        while !timed_out && node.is_waiting() {
            parked = park(node.address(), || node.is_waiting(), deadline);
            timed_out = parked == Parked::TimedOut && self.leave(&node);
        }
        let is_woken = !timed_out && (parked == Parked::Woken || node.flag() == WOKEN);
        node.life.write();
        let locked = match word {
            Some(word) if parked == Parked::Handed || is_woken => {
                if is_woken {
                    word.lock_woken();
                }
                // SAFETY: just locked, or a fair unlock has handed it to this thread.
                unsafe { mutex.make_guard_unchecked(own_guard::<R>()) }
            }
            _ => mutex.lock(),
        };
        // SAFETY: `guard` is valid for writes, and holds what was moved out above.
        unsafe { ptr::write(guard, locked) };
        mem::forget(whole);
        WaitTimeoutResult(timed_out)
    }

    #[track_caller]
    fn enter(&self, entry: Entry) {
        let mut queue = self.queue.lock();
        queue.push_back(entry);
        // ORDERING: Relaxed, here and below: changed under the lock; what makes it visible to a
        // notification that must see it is the user's mutex (invariant 2).
        self.waiting.swap(true, Ordering::Relaxed);
    }

    /// Takes the node out of the queue; `false` if a notification was faster.
    #[track_caller]
    fn leave(&self, node: &Node) -> bool {
        let mut queue = self.queue.lock();
        let Some(at) = queue.iter().position(|entry| ptr::eq(entry.node, node)) else {
            return false;
        };
        queue.remove(at);
        if queue.is_empty() {
            self.waiting.swap(false, Ordering::Relaxed);
        }
        true
    }

    #[cold]
    fn wake_one(&self) -> bool {
        let mut queue = self.queue.lock();
        let Some(entry) = queue.pop_front() else { return false };
        if queue.is_empty() {
            self.waiting.swap(false, Ordering::Relaxed);
        }
        let address = entry.notify();
        drop(queue);
        address.into_iter().for_each(unpark_threads);
        true
    }

    #[cold]
    fn wake_all(&self) -> usize {
        let mut queue = self.queue.lock();
        self.waiting.swap(false, Ordering::Relaxed);
        let count = queue.len();
        let foreign: Vec<usize> = queue.drain(..).filter_map(Entry::notify).collect();
        drop(queue);
        foreign.into_iter().for_each(unpark_threads);
        count
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar { .. }")
    }
}

/// What the guard of phalanx's mutex carries.
fn own_guard<R: RawMutex>() -> R::Guard {
    assert_eq!(typeid::of::<R::Guard>(), typeid::of::<GuardSend>());
    // SAFETY: the types are the same.
    unsafe { mem::transmute_copy(&GuardSend::new()) }
}

/// A guard whose mutex isn't locked must not be seen: not by whoever catches a panic either.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        process::abort();
    }
}

#[cfg(test)]
mod models;

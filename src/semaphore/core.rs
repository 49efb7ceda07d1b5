//! The word, the queue, and who is granted what.
//!
//! | bits | name | meaning | written by |
//! | --- | --- | --- | --- |
//! | 0 | `QUEUED` | waiters may be in the queue: free permits are theirs | under the queue's lock |
//! | 1 | `CLOSED` | nothing is granted any more; never cleared | `close` |
//! | 2–63 | permits | the permits that are free | see below |
//!
//! ```text
//! permits     => permits - n             try_acquire   any thread, in a word without marks
//! permits     => permits + n             release       any thread
//! permits     => QUEUED, permits         enter         a waiter, under the lock
//! QUEUED, permits => QUEUED, permits - n grant         any thread, under the lock: n for the first waiter
//! QUEUED      => 0                       with the step that empties the queue, under the lock
//! any         => CLOSED, any             close
//! ```
//!
//! A waiter is *waiting* in the queue with the number of permits that it wants. The thread that takes it out answers
//! *granted* or *closed*, under the same hold of the lock.
//!
//! - **P1.** When the lock is free, `QUEUED` is set if and only if the queue isn't empty; after
//!   a close, also otherwise.
//! - **P2.** While `QUEUED` is set, only the lock's holder takes permits, and only for the first waiter. So no request
//!   that comes later overtakes a waiter.
//! - **P3.** Each step that may give the first waiter enough permits is followed by a check under the lock: a release
//!   that has seen `QUEUED`, and the removal of a waiter. A waiter that enters checks for itself, by the step that
//!   sets `QUEUED`. A release either comes before that step, which sees the permits, or sees `QUEUED`. So no wake-up
//!   is lost.
//! - **P4.** A waiter that was granted permits has them. If its deadline has come meanwhile, the wait succeeds all the
//!   same; if its future is dropped, the drop releases them. A waiter that was removed has none.
//! - **P5.** `total` is the number of free and held permits, and at most `MAX`. So the word's field doesn't overflow.
//!
//! Orderings: permits are released with Release, and acquired or granted with Acquire. A waiter is settled with
//! Release.

use crate::support::backoff::Spin;
use crate::support::waiters::{Ended, Queue, Removal, Taken, Waiter, WakeUp, wait};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{IS_MODEL, Mutex, const_fn};
use crossbeam_utils::CachePadded;
use std::time::Instant;

const QUEUED: u64 = 1;
const CLOSED: u64 = 2;
const MARKS: u64 = QUEUED | CLOSED;
const SHIFT: u32 = 2;

/// The most permits that a semaphore can have, in its word.
const MAX: u64 = (usize::MAX >> 3) as u64;

/// `n` permits in the word.
#[inline]
const fn word_of(n: u64) -> u64 {
    n << SHIFT
}

#[inline]
fn permits(word: u64) -> u64 {
    word >> SHIFT
}

/// A number of permits that threads and tasks acquire and release: at most so many can do something at once.
///
/// Go's `semaphore.Weighted`, tokio's `Semaphore` for threads. An acquisition takes any number of permits, and its
/// guard releases them.
///
/// # When to use it
/// | | |
/// | --- | --- |
/// | one at a time, with a value | [`Mutex`](crate::Mutex) |
/// | at most `n` at once; a pool of connections; a budget of bytes | `Semaphore` |
/// | a batch of tasks, at most `n` at once | [`WorkerPool`](crate::WorkerPool) |
///
/// # Examples
/// ```
/// use phalanx::{Semaphore, thread};
///
/// static CONNECTIONS: Semaphore = Semaphore::new(3);
///
/// thread::scope(|s| {
///     for _ in 0..10 {
///         s.spawn(|| {
///             let connection = CONNECTIONS.acquire(1).unwrap();
///             // At most three threads are here at once.
///             drop(connection);
///         });
///     }
/// });
/// assert_eq!(CONNECTIONS.available(), 3);
/// ```
///
/// **A request for more permits than there are waits until [`add_permits`](Semaphore::add_permits) makes up for them,
/// and holds up those behind it.** Give it a deadline if nothing adds permits.
///
/// # Fairness
/// Waiters get their permits in the order in which they came, threads and tasks alike. While one waits, nothing
/// overtakes it: no newcomer, nor a smaller request for which there would be enough. So a large request isn't starved.
///
/// A thread spins for some microseconds before it becomes a waiter. Until then others may be quicker.
///
/// # Panics
/// If there would be more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), or if more are asked for. The semaphore stays
/// as it was.
///
/// A panic while a guard is held releases its permits. A guard that is leaked keeps them.
///
/// # Memory ordering
/// Everything before a release, or before [`add_permits`](Semaphore::add_permits), happens before the return of an
/// acquisition that got one of those permits. Everything before [`close`](Semaphore::close) happens before the
/// return of an error that says so.
pub struct Semaphore {
    word: CachePadded<AtomicU64>,
    /// Also protects `QUEUED`.
    queue: Mutex<Queue<Request>>,
    /// P5.
    total: AtomicU64,
}

/// A waiter's message.
#[derive(Debug)]
pub(super) struct Request {
    permits: u64,
    pub(super) answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Waiting,
    Granted,
    Closed,
}

/// Why nothing was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too few permits are free, or others wait; in a timed wait, until the end.
    NoPermits,
    Closed,
}

impl Request {
    pub(super) fn new(permits: u64) -> Self {
        Request { permits, answer: Answer::Waiting }
    }
}

impl Semaphore {
    /// The most permits that a semaphore can have: `usize::MAX >> 3`.
    pub const MAX_PERMITS: usize = MAX as usize;

    const_fn! {
        /// Creates a semaphore with so many permits. In a normal build it is `const`.
        ///
        /// With 0 permits it is a signal: what [`add_permits`](Semaphore::add_permits) counts up,
        /// [`acquire`](Semaphore::acquire) and [`forget`](crate::SemaphoreGuard::forget) count down.
        ///
        /// # Panics
        /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
        #[must_use]
        pub fn new(permits: usize) -> Self {
            assert!(
                permits <= Semaphore::MAX_PERMITS,
                "Semaphore::new: more permits than `Semaphore::MAX_PERMITS`"
            );
            let permits = permits as u64;
            Semaphore {
                word: CachePadded::new(AtomicU64::new(word_of(permits))),
                queue: Mutex::new(Queue::new()),
                total: AtomicU64::new(permits),
            }
        }
    }

    /// Acquires `n` free permits, if nobody waits.
    #[inline]
    pub(super) fn take(&self, n: u64) -> Result<(), Refused> {
        // ORDERING: Relaxed: a guess, which the exchange checks.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & MARKS != 0 || word < word_of(n) {
                return self.refuse(n);
            }
            // ORDERING: Acquire: pairs with the Release in `release`. Relaxed if it fails: nothing is concluded from
            // that.
            match self.word.compare_exchange_weak(
                word,
                word - word_of(n),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Why `n` permits can't be acquired at once. None of them are always there.
    #[cold]
    fn refuse(&self, n: u64) -> Result<(), Refused> {
        if self.closed() {
            Err(Refused::Closed)
        } else if n == 0 {
            Ok(())
        } else {
            Err(Refused::NoPermits)
        }
    }

    /// Acquires `n` permits, and blocks until it can, until the semaphore is closed, or until the deadline.
    #[inline]
    #[track_caller]
    pub(super) fn take_blocking(&self, n: u64, deadline: Option<Instant>) -> Result<(), Refused> {
        match self.take(n) {
            Err(Refused::NoPermits) => self.take_later(n, deadline),
            taken => taken,
        }
    }

    #[cold]
    #[track_caller]
    fn take_later(&self, n: u64, deadline: Option<Instant>) -> Result<(), Refused> {
        let awake = || match self.take(n) {
            Err(Refused::NoPermits) => None,
            taken => Some(taken),
        };
        if let Some(taken) = Spin::Yielding.poll(awake) {
            return taken;
        }
        // In a model time passes by choice, and a wait may time out at once.
        if !IS_MODEL && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Refused::NoPermits);
        }
        let mut entered = Answer::Waiting;
        let (request, ended) = wait(
            Request::new(n),
            None,
            deadline,
            // SAFETY: `wait` returns once the waiter has left or is settled; the semaphore is borrowed.
            |waiter| entered = unsafe { self.enter(waiter, n) },
            |waiter| _ = self.leave(waiter),
        );
        let answer = if ended == Ended::NotEntered { entered } else { request.answer };
        match answer {
            Answer::Granted => Ok(()),
            Answer::Closed => Err(Refused::Closed),
            Answer::Waiting => Err(Refused::NoPermits),
        }
    }

    /// Enters the queue, unless there is nothing to wait for: then returns the answer.
    ///
    /// # Safety
    /// The waiter leaves, or is taken and settled, before it or the semaphore is moved or dropped.
    pub(super) unsafe fn enter(&self, waiter: &Waiter<Request>, n: u64) -> Answer {
        let mut queue = self.queue.lock();
        // ORDERING: Acquire: pairs with the Release in `release`, for permits that are free, and in `shut`. By P3 a
        // later release sees `QUEUED`, and locks the queue after this thread has released it.
        let word = self.word.fetch_or(QUEUED, Ordering::Acquire);
        if word & CLOSED != 0 {
            return Answer::Closed;
        }
        if queue.is_empty() && permits(word) >= n {
            // ORDERING: Relaxed: the step above has acquired. By P2 the permits are still there.
            self.word.fetch_sub(word_of(n) + QUEUED, Ordering::Relaxed);
            return Answer::Granted;
        }
        // SAFETY: the contract of this function.
        unsafe { queue.push(waiter) };
        Answer::Waiting
    }

    /// Removes a waiter that gives up, if it is still in the queue. Those behind it may get their permits then.
    pub(super) fn leave(&self, waiter: &Waiter<Request>) -> Removal {
        let mut queue = self.queue.lock();
        let removal = queue.remove(waiter);
        self.note_if_empty(&queue);
        drop(queue);
        if removal == Removal::Removed {
            self.grant_all();
        }
        removal
    }

    /// Releases `n` permits.
    #[inline]
    pub(super) fn release(&self, n: u64) {
        // ORDERING: Release: pairs with the Acquire of the acquisition that gets them.
        let before = self.word.fetch_add(word_of(n), Ordering::Release);
        if before & QUEUED != 0 {
            self.grant_all();
        }
    }

    /// Grants the free permits to the waiters, first come, first served, and wakes those that got theirs.
    #[cold]
    fn grant_all(&self) {
        loop {
            let wake_up = self.grant(&mut self.queue.lock());
            match wake_up {
                Some(wake_up) => wake_up.wake(),
                None => return,
            }
        }
    }

    /// Grants the first waiter what it wants, if so many permits are free.
    fn grant(&self, queue: &mut Queue<Request>) -> Option<WakeUp> {
        // ORDERING: Acquire: pairs with the Release in `release`: the waiter reads this thread's settling. The load
        // reads at least what this thread, and each earlier holder of the lock, has released.
        let word = self.word.load(Ordering::Acquire);
        if word & CLOSED != 0 {
            return None;
        }
        let n = queue.first(|request| request.permits).filter(|&n| n <= permits(word))?;
        let taken = answer_first(queue, Answer::Granted)?;
        let last = if queue.is_empty() { QUEUED } else { 0 };
        // ORDERING: Relaxed: the load above has acquired. By P2 the permits are still there.
        self.word.fetch_sub(word_of(n) + last, Ordering::Relaxed);
        Some(taken.release())
    }

    /// Refuses all requests from now on. Returns whether it was open.
    pub(super) fn shut(&self) -> bool {
        // ORDERING: Release: pairs with the Acquire of the step that reads `CLOSED`. Acquire: so that a second close
        // returns after what came before the first.
        if self.word.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED != 0 {
            return false;
        }
        loop {
            let mut queue = self.queue.lock();
            let wake_up = answer_first(&mut queue, Answer::Closed).map(Taken::release);
            self.note_if_empty(&queue);
            drop(queue);
            match wake_up {
                Some(wake_up) => wake_up.wake(),
                None => return true,
            }
        }
    }

    pub(super) fn closed(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release in `shut`.
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(super) fn free(&self) -> u64 {
        // ORDERING: Relaxed: a number that may be out of date at once.
        permits(self.word.load(Ordering::Relaxed))
    }

    /// Adds to the total. Returns `false` if it would exceed [`MAX`].
    pub(super) fn grow(&self, n: u64) -> bool {
        // ORDERING: Relaxed: a count that is kept for its own sake (P5).
        let mut total = self.total.load(Ordering::Relaxed);
        loop {
            if n > MAX - total {
                return false;
            }
            // ORDERING: Relaxed: as above.
            match self.total.compare_exchange_weak(
                total,
                total + n,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => total = now,
            }
        }
    }

    /// Takes `n` permits, which the caller holds, off the total for good.
    pub(super) fn shrink(&self, n: u64) {
        // ORDERING: Relaxed: as in `grow`.
        self.total.fetch_sub(n, Ordering::Relaxed);
    }

    /// The lock and the queue, for a task's wait.
    pub(super) fn queue(&self) -> &Mutex<Queue<Request>> {
        &self.queue
    }

    /// After each step that may have emptied the queue, whose lock is held (P1).
    fn note_if_empty(&self, queue: &Queue<Request>) {
        if queue.is_empty() {
            // ORDERING: Relaxed: under the lock, as is each setting of the bit.
            self.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
    }
}

/// Takes out the first waiter, and answers it.
fn answer_first(queue: &mut Queue<Request>, answer: Answer) -> Option<Taken<Request>> {
    let mut taken = queue.take_first()?;
    taken.message(|request| request.answer = answer);
    Some(taken)
}

//! Waiting until a group of tasks is done: Go's `sync.WaitGroup`, with guards, deadlines and
//! panics that arrive.
//!
//! std has `Barrier`, for a number of threads known beforehand, and `thread::scope`, for threads
//! that end with the block. A [`WaitGroup`] counts whatever the user calls a task, may grow while
//! it is waited for, and can be used again.
//!
//! All state is one word, laid out in [`word`]; the waiting is the [latch](crate::support::latch)'s
//! protocol, whose invariants 1 to 4 hold here. What this module adds:
//!
//! 5. The allocation lives while `OWNED` or a guard's count is in the word. Whoever takes the last
//!    of these away frees it: the owner in its drop, or a guard whose `leave` shows that it was the
//!    last and `OWNED` is gone. Exactly one thread sees that, for the word is one.
//! 6. After its `leave` a guard touches nothing of the group, unless by 5 it is the one to free it.
//! 7. A panic is put into the slot, and `PANICKED` set, while its thread's guard still counts. So
//!    whoever sees the word drained sees the bit.

mod future;
mod guard;
mod word;

pub use future::WaitFuture;
pub use guard::WaitGuard;

use crate::error::WaitTimeout;
use crate::support::backoff::Spin;
use crate::support::deadline;
use crate::support::latch::Latch;
use crate::sys::atomic::Ordering;
use crate::sys::{Heap, Mutex, catch, discard, thread};
use crossbeam_utils::CachePadded;
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::ptr::NonNull;
use std::time::{Duration, Instant};
use word::{BUSY, MAX, ONE_MANUAL, OWNED, PANICKED, guards, manual, total};

/// Counts tasks, and lets threads and futures wait until none is left.
///
/// Every task is counted before it starts, by [`add`](WaitGroup::add), a
/// [`guard`](WaitGroup::guard) or [`go`](WaitGroup::go), and counted off when it ends;
/// [`wait`](WaitGroup::wait) blocks until the count is zero. The group can be used again for the
/// next wave.
///
/// # When to use it
/// - Threads that end with the block, and may borrow: [`thread::scope`](crate::thread::scope).
/// - Tasks that hand back results: [`WorkerPool`](crate::WorkerPool).
/// - "Everything that was started, wherever it was started, is done": a `WaitGroup`. Move a
///   [`WaitGuard`] into each task: it counts down even if the task panics. `add` and `done` are
///   for counts that no scope holds.
///
/// Unlike crossbeam's type of this name it isn't `Clone`: waiting takes `&self`, counts are
/// explicit, and the group is reusable. Share it by reference or in an `Arc`.
///
/// # Fairness
/// All waiters are woken together. A waiter that gets to look only after the group counts again
/// waits for that wave too: start the next wave when `wait` has returned, as in Go.
///
/// # Panics
/// A panic of a thread started by [`go`](WaitGroup::go) is kept, and resumed by a wait. Counting
/// below zero, or above 536,870,911 of either kind, panics and leaves the group as it was.
///
/// # Memory ordering
/// Everything before a `done`, or before a guard's drop, happens before the return of the wait
/// that saw it.
///
/// # Examples
/// ```
/// use phalanx::WaitGroup;
///
/// let group = WaitGroup::new();
/// for name in ["first", "second"] {
///     group.go(move || println!("{name} task completed"));
/// }
/// group.wait();
/// assert_eq!(group.count(), 0);
/// ```
pub struct WaitGroup {
    inner: NonNull<Heap<Inner>>,
}

/// What the group and its guards share. Freed by invariant 5.
#[derive(Debug)]
struct Inner {
    /// On a line of its own: every count writes it, and the allocator's neighbours are not ours.
    latch: CachePadded<Latch>,
    /// Protects the first panic of a thread started by `go`, and the setting of `PANICKED`.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: the group reaches its `Inner` only by shared reference; its parts are an atomic word and
// a lock around a `Send` value.
unsafe impl Send for WaitGroup {}
// SAFETY: as above.
unsafe impl Sync for WaitGroup {}

// No call leaves the group in a state that a later one could trip over.
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}

/// Up to this an `add` counts first and looks afterwards. Threads that all overstep at once
/// can't leave the word's room for that: it takes 4,096 of them.
const SMALL: usize = 1 << 16;

impl WaitGroup {
    /// A group that counts nothing.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let inner = Inner { latch: CachePadded::new(Latch::new(OWNED)), panic: Mutex::new(None) };
        WaitGroup { inner: Heap::new(inner) }
    }

    /// Counts `n` tasks more.
    ///
    /// Call it before the tasks start, not in them: a wait may otherwise come first.
    ///
    /// # Panics
    /// If the count of `add`s without a `done` would pass 536,870,911, that of other threads whose
    /// own `add` is about to panic included. The group stays as it was.
    #[inline]
    #[track_caller]
    pub fn add(&self, n: usize) {
        let latch = &self.inner().latch;
        if n > SMALL {
            return self.add_many(n);
        }
        let n = n as u64;
        // ORDERING: Relaxed: counting up publishes nothing; what the task may see comes with
        // whatever starts it.
        let before = latch.word().fetch_add(n * ONE_MANUAL, Ordering::Relaxed);
        if manual(before) + n > MAX {
            latch.leave(n * ONE_MANUAL, BUSY);
            add_overflow();
        }
    }

    /// [`add`](WaitGroup::add) of so many that the word has no room to try first.
    #[cold]
    #[track_caller]
    fn add_many(&self, n: usize) {
        let word = self.inner().latch.word();
        let n = n as u64;
        // ORDERING: Relaxed: as in `add`.
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            if n > MAX || manual(seen) + n > MAX {
                add_overflow();
            }
            let more = seen.wrapping_add(n * ONE_MANUAL);
            // ORDERING: Relaxed twice: as in `add`.
            match word.compare_exchange_weak(seen, more, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Counts one task off that [`add`](WaitGroup::add) has counted.
    ///
    /// Everything before it happens before the return of the wait that it lets go. A task that
    /// may panic should hold a [`guard`](WaitGroup::guard) instead.
    ///
    /// # Panics
    /// If no `add` is left to match (a guard's count is its own): the group stays as it was.
    ///
    /// The check is the count-down itself, so for the moment until such a call has put the count
    /// back, the group seems to have an `add` fewer to others. A wait may miss an `add` of that
    /// moment, and a `done` of that moment may find nothing to match and panic in its turn, with
    /// its count not taken off.
    #[inline]
    #[track_caller]
    pub fn done(&self) {
        let latch = &self.inner().latch;
        let before = latch.leave(ONE_MANUAL, BUSY);
        if manual(before) == 0 {
            latch.unleave(ONE_MANUAL);
            negative_counter();
        }
    }

    /// Counts one task, until the guard is dropped.
    ///
    /// # Panics
    /// If 536,870,911 guards are alive. The group stays as it was.
    #[inline]
    #[track_caller]
    pub fn guard(&self) -> WaitGuard {
        WaitGuard::enter(self.inner, self.inner())
    }

    /// Starts a thread that counts as one task.
    ///
    /// If `f` panics, the panic is kept and resumed by the next [`wait`](WaitGroup::wait) that
    /// finds the group done; of several only the first is kept. If the group is used again while
    /// waiters of the wave before are still leaving, one of them may be the one to find it. A
    /// panic that no wait asks for goes with the group. The thread counts off before its
    /// thread-locals are destroyed.
    ///
    /// # Panics
    /// If the system gives no thread, or as [`guard`](WaitGroup::guard). The group stays as it was.
    #[track_caller]
    pub fn go(&self, f: impl FnOnce() + Send + 'static) {
        let guard = self.guard();
        let started = thread::Builder::new().spawn(move || {
            if let Err(payload) = catch(f) {
                guard.keep_panic(payload);
            }
        });
        if let Err(error) = started {
            panic!("WaitGroup::go: the system gave no thread: {error}");
        }
    }

    /// Blocks until the count is zero.
    ///
    /// Returns at once if it is. Spins for a few microseconds before it sleeps.
    ///
    /// # Panics
    /// Resumes the first panic of a thread started by [`go`](WaitGroup::go), once: the waiter that
    /// finds it takes it, and later waits return. A wait in a thread that is itself unwinding
    /// leaves it for another.
    #[inline]
    #[track_caller]
    pub fn wait(&self) {
        self.finish(self.inner().latch.wait_drained(BUSY, Spin::Brief));
    }

    /// Blocks until the count is zero or `timeout` has passed. A timeout too long to represent
    /// never comes.
    ///
    /// # Errors
    /// [`WaitTimeout`] with what was still counted.
    ///
    /// # Panics
    /// As [`wait`](WaitGroup::wait).
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitTimeout> {
        self.wait_until(deadline::after(timeout))
    }

    /// Blocks until the count is zero or `deadline` has come.
    ///
    /// # Errors
    /// [`WaitTimeout`] with what was still counted.
    ///
    /// # Panics
    /// As [`wait`](WaitGroup::wait).
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), WaitTimeout> {
        self.wait_until(Some(deadline))
    }

    #[inline]
    #[track_caller]
    fn wait_until(&self, deadline: Option<Instant>) -> Result<(), WaitTimeout> {
        match self.inner().latch.wait(BUSY, Spin::Brief, deadline) {
            Ok(word) => {
                self.finish(word);
                Ok(())
            }
            Err(word) => Err(WaitTimeout { remaining: total(word).max(1) }),
        }
    }

    /// How many tasks are counted at this moment: `add`s without a `done`, and guards.
    ///
    /// After a 0 everything before each `done` and each guard's drop has happened, as after a
    /// wait; but no panic is resumed.
    #[must_use]
    #[track_caller]
    pub fn count(&self) -> usize {
        // ORDERING: Acquire: whoever reads zero here may go on as after a wait.
        total(self.inner().latch.word().load(Ordering::Acquire))
    }

    /// The end of a wait that saw `word` drained.
    #[inline]
    fn finish(&self, word: u64) {
        if word & PANICKED != 0 {
            self.inner().resume_panic();
        }
    }

    #[inline]
    #[track_caller]
    fn inner(&self) -> &Inner {
        // SAFETY: by invariant 5 the allocation lives as long as the group, which `&self` borrows.
        unsafe { self.inner.as_ref() }.get_borrowed()
    }
}

impl Inner {
    /// Keeps the first panic for a waiter. The caller's guard still counts (invariant 7).
    fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        let spare = {
            let mut slot = self.panic.lock();
            match &*slot {
                Some(_) => Some(payload),
                None => {
                    *slot = Some(payload);
                    // ORDERING: Relaxed: whoever reads the bit takes the payload under the lock,
                    // and the guard's leave comes later in this word's order.
                    self.latch.word().fetch_or(PANICKED, Ordering::Relaxed);
                    None
                }
            }
        };
        if let Some(payload) = spare {
            discard(payload);
        }
    }

    #[cold]
    fn resume_panic(&self) {
        if thread::panicking() {
            return;
        }
        let payload = {
            let mut slot = self.panic.lock();
            // ORDERING: Relaxed: under the lock that every setter of the bit holds. A bit left set
            // would cost the next wait a look; one cleared after the unlock would lose a panic.
            self.latch.word().fetch_and(!PANICKED, Ordering::Relaxed);
            slot.take()
        };
        if let Some(payload) = payload {
            resume_unwind(payload);
        }
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        // ORDERING: Acquire: if this frees, every guard's last use, before its leave, comes first.
        // Release: if a guard frees, our uses come first; it reads this with Acquire.
        // Only the guards' count stays: `add`s without a `done` have nobody left to call it.
        // SAFETY: as in `inner`.
        let inner = unsafe { self.inner.as_ref() }.get();
        let before = inner.latch.word().fetch_and(word::GUARDS, Ordering::AcqRel);
        if guards(before) == 0 {
            // SAFETY: by invariant 5 nobody else is left, and the Acquire above orders their uses.
            unsafe { free(self.inner) };
        }
    }
}

/// Frees the allocation (invariant 5).
///
/// # Safety
/// - The caller has seen the word without `OWNED` and guards, by the one step that made it so.
/// - It has read it with Acquire since.
unsafe fn free(inner: NonNull<Heap<Inner>>) {
    // SAFETY: by the contract the caller is the last user.
    let kept = unsafe { inner.as_ref() }.get().panic.lock().take();
    // SAFETY: as above; it came from `Heap::new` in `WaitGroup::new`.
    unsafe { Heap::free(inner) };
    if let Some(payload) = kept {
        discard(payload);
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cold]
#[track_caller]
fn negative_counter() -> ! {
    panic!("WaitGroup: negative counter: more `done` calls than `add` has counted")
}

#[cold]
#[track_caller]
fn add_overflow() -> ! {
    panic!("WaitGroup: counter overflow: at most {MAX} tasks can be counted by `add`")
}

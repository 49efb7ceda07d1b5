//! The calls of a barrier.

use super::core::{Barrier, Failed};
use super::error::{BarrierTimeoutError, BrokenBarrier};
use super::future::BarrierFuture;
use super::result::BarrierWaitResult;
use crate::support::deadline;
use crate::support::in_callback::refuse;
use crate::sys::thread;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

// A panic in any call leaves the barrier usable.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl From<Failed> for BarrierTimeoutError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::TimedOut => BarrierTimeoutError::Timeout,
            Failed::Broken => BarrierTimeoutError::Broken,
        }
    }
}

impl Barrier {
    /// Blocks until all parties have come. The last to come is the leader.
    ///
    /// # Blocking
    /// Spins for some microseconds before it sleeps.
    ///
    /// # Errors
    /// If the barrier is broken, or breaks before all have come. The other parties get an error too.
    ///
    /// # Examples
    /// ```
    /// let barrier = phalanx::Barrier::new(1);
    /// assert!(barrier.wait().unwrap().is_leader());
    /// ```
    ///
    /// # Panics
    /// In a callback of [`CancelToken::on_cancel`](crate::CancelToken::on_cancel), as the timed forms do: it would hold
    /// up the thread that cancels.
    #[track_caller]
    pub fn wait(&self) -> Result<BarrierWaitResult, BrokenBarrier> {
        refuse("Barrier::wait");
        Ok(BarrierWaitResult::new(self.meet(None)?))
    }

    /// Blocks until all parties have come or `timeout` has passed. A timeout too long to represent never ends.
    ///
    /// # Errors
    /// If the time is over, which breaks the barrier for the others; or as [`wait`](Barrier::wait). The last party
    /// passes however late it comes.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{Barrier, BarrierTimeoutError, BrokenBarrier};
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2);
    /// let error = barrier.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error, BarrierTimeoutError::Timeout);
    /// assert_eq!(barrier.wait(), Err(BrokenBarrier));
    /// ```
    #[track_caller]
    pub fn wait_timeout(
        &self,
        timeout: Duration,
    ) -> Result<BarrierWaitResult, BarrierTimeoutError> {
        refuse("Barrier::wait_timeout");
        Ok(BarrierWaitResult::new(self.meet(deadline::after(timeout))?))
    }

    /// Blocks until all parties have come or `deadline` has passed.
    ///
    /// # Errors
    /// As [`wait_timeout`](Barrier::wait_timeout).
    #[track_caller]
    pub fn wait_deadline(
        &self,
        deadline: Instant,
    ) -> Result<BarrierWaitResult, BarrierTimeoutError> {
        refuse("Barrier::wait_deadline");
        Ok(BarrierWaitResult::new(self.meet(Some(deadline))?))
    }

    /// Returns a future that waits for the other parties: [`wait`](Barrier::wait) for async code, on any executor.
    ///
    /// It comes to the barrier in its first poll. The parties may be threads and tasks.
    ///
    /// # Cancel safety
    /// None: dropping the future after its first poll, before the others have come, breaks the barrier.
    ///
    /// # Errors
    /// As [`wait`](Barrier::wait).
    ///
    /// # Examples
    /// ```
    /// # use std::task::{Context, Poll, Waker};
    /// # use std::future::Future;
    /// use phalanx::Barrier;
    ///
    /// async fn in_rounds(barrier: &Barrier) {
    ///     for round in 1..=3 {
    ///         println!("round {round}");
    ///         barrier.wait_async().await.unwrap();
    ///     }
    /// }
    /// # let barrier = Barrier::new(1);
    /// # let mut future = std::pin::pin!(in_rounds(&barrier));
    /// # assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    /// ```
    pub fn wait_async(&self) -> BarrierFuture<'_> {
        BarrierFuture::new(self)
    }

    /// Returns a value that breaks the barrier if it is dropped by a panic.
    ///
    /// Hold it in each thread while the others count on that thread. It waits as the barrier does.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{Barrier, BrokenBarrier, thread};
    ///
    /// let barrier = Barrier::new(2);
    /// let (first, second) = thread::scope(|s| {
    ///     let first = s.spawn(|| {
    ///         let party = barrier.party();
    ///         party.wait()
    ///     });
    ///     let second = s.spawn(|| {
    ///         let _party = barrier.party();
    ///         panic!("before its wait");
    ///     });
    ///     (first.join(), second.join())
    /// });
    /// assert_eq!(first.unwrap(), Err(BrokenBarrier));
    /// assert!(second.is_err());
    /// ```
    pub fn party(&self) -> BarrierParty<'_> {
        BarrierParty { barrier: self, was_panicking: thread::panicking() }
    }

    /// Breaks the barrier: every wait at this moment, and every later one until a [`reset`](Barrier::reset), returns an
    /// error. Returns whether it was whole.
    ///
    /// For a party that has to leave without a panic. Python's `Barrier.abort`.
    pub fn break_barrier(&self) -> bool {
        self.break_up()
    }

    /// Makes the barrier as new, whether it was broken or not. Every wait at this moment returns an error.
    ///
    /// # Examples
    /// ```
    /// let barrier = phalanx::Barrier::new(1);
    /// barrier.break_barrier();
    /// assert!(barrier.wait().is_err());
    /// barrier.reset();
    /// assert!(barrier.wait().is_ok());
    /// ```
    pub fn reset(&self) {
        self.renew();
    }

    /// Returns whether the barrier is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.seen().1
    }

    /// Returns how many parties wait at this moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.seen().0
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, is_broken) = self.seen();
        f.debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("waiting", &waiting)
            .field("is_broken", &is_broken)
            .finish()
    }
}

/// A party of a [`Barrier`]: if it is dropped by a panic, it breaks the barrier. Made by [`Barrier::party`].
#[must_use = "it breaks the barrier if it is dropped by a panic"]
pub struct BarrierParty<'a> {
    barrier: &'a Barrier,
    was_panicking: bool,
}

impl Deref for BarrierParty<'_> {
    type Target = Barrier;

    fn deref(&self) -> &Barrier {
        self.barrier
    }
}

impl Drop for BarrierParty<'_> {
    fn drop(&mut self) {
        if !self.was_panicking && thread::panicking() {
            self.barrier.break_up();
        }
    }
}

impl fmt::Debug for BarrierParty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierParty").field("barrier", self.barrier).finish()
    }
}

//! The calls of a semaphore.

use super::core::{Refused, Semaphore};
use super::error::{AcquireError, AcquireTimeoutError, TryAcquireError};
use super::future::{AcquireFuture, OwnedAcquireFuture};
use super::guard::{OwnedSemaphoreGuard, SemaphoreGuard};
use crate::support::deadline;
use crate::sys::Arc;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

// A panic in any call leaves the semaphore usable.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl From<Refused> for AcquireError {
    /// A wait without a deadline ends unsuccessfully only if the semaphore is closed.
    fn from(_: Refused) -> Self {
        AcquireError
    }
}

impl From<Refused> for TryAcquireError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoPermits => TryAcquireError::NoPermits,
            Refused::Closed => TryAcquireError::Closed,
        }
    }
}

impl From<Refused> for AcquireTimeoutError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoPermits => AcquireTimeoutError::Timeout,
            Refused::Closed => AcquireTimeoutError::Closed,
        }
    }
}

/// Returns the number of permits that are asked for.
#[inline]
#[track_caller]
fn checked(permits: usize) -> u64 {
    if permits > Semaphore::MAX_PERMITS {
        too_many(permits);
    }
    permits as u64
}

#[cold]
#[track_caller]
fn too_many(permits: usize) -> ! {
    let most = Semaphore::MAX_PERMITS;
    panic!("Semaphore: {permits} permits asked for: there are never more than {most}")
}

impl Semaphore {
    /// Acquires `permits`, and blocks until it has them.
    ///
    /// 0 permits are always there, also while others wait.
    ///
    /// # Blocking
    /// Until so many are free, and nothing that came earlier waits. Spins for some microseconds before it sleeps.
    ///
    /// # Errors
    /// If the semaphore is closed, or is closed meanwhile.
    ///
    /// # Panics
    /// If `permits` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// # Examples
    /// ```
    /// let semaphore = phalanx::Semaphore::new(3);
    /// let two = semaphore.acquire(2).unwrap();
    /// assert_eq!(semaphore.available(), 1);
    /// drop(two);
    /// assert_eq!(semaphore.available(), 3);
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire(&self, permits: usize) -> Result<SemaphoreGuard<'_>, AcquireError> {
        self.take_blocking(checked(permits), None)?;
        Ok(SemaphoreGuard::new(self, permits))
    }

    /// Acquires `permits` if that needs no wait.
    ///
    /// # Errors
    /// If fewer are free, if others wait, or if the semaphore is closed.
    ///
    /// # Panics
    /// If `permits` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// # Examples
    /// ```
    /// use phalanx::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire(1).unwrap();
    /// assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
    /// drop(permit);
    /// assert!(semaphore.try_acquire(1).is_ok());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self, permits: usize) -> Result<SemaphoreGuard<'_>, TryAcquireError> {
        self.take(checked(permits))?;
        Ok(SemaphoreGuard::new(self, permits))
    }

    /// Acquires `permits`, and blocks until it has them or `timeout` has passed. A timeout too long to represent never
    /// ends.
    ///
    /// # Errors
    /// If the time is over, or the semaphore is closed. It holds no permits then, and no longer holds up those behind
    /// it.
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Examples
    /// ```
    /// use phalanx::{AcquireTimeoutError, Semaphore};
    /// use std::time::Duration;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let error = semaphore.acquire_timeout(2, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error, AcquireTimeoutError::Timeout);
    /// ```
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        permits: usize,
        timeout: Duration,
    ) -> Result<SemaphoreGuard<'_>, AcquireTimeoutError> {
        self.take_until(permits, || deadline::after(timeout))
    }

    /// Acquires `permits`, and blocks until it has them or `deadline` has passed.
    ///
    /// # Errors
    /// As [`acquire_timeout`](Semaphore::acquire_timeout).
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire).
    #[track_caller]
    pub fn acquire_deadline(
        &self,
        permits: usize,
        deadline: Instant,
    ) -> Result<SemaphoreGuard<'_>, AcquireTimeoutError> {
        self.take_until(permits, || Some(deadline))
    }

    /// Reads the clock only if it has to wait.
    #[inline]
    #[track_caller]
    fn take_until(
        &self,
        permits: usize,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<SemaphoreGuard<'_>, AcquireTimeoutError> {
        let n = checked(permits);
        match self.take(n) {
            Err(Refused::NoPermits) => self.take_blocking(n, deadline())?,
            taken => taken?,
        }
        Ok(SemaphoreGuard::new(self, permits))
    }

    /// Returns a future that acquires `permits`: [`acquire`](Semaphore::acquire) for async code, on any executor.
    ///
    /// Its turn begins with its first poll. Threads and tasks wait in one queue.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time. It loses its turn then, and what it was granted is passed on.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Panics
    /// If `permits` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// # Examples
    /// ```
    /// # use std::future::Future;
    /// # use std::task::{Context, Poll, Waker};
    /// use phalanx::Semaphore;
    ///
    /// async fn fetch(connections: &Semaphore) -> u32 {
    ///     let _connection = connections.acquire_async(1).await.unwrap();
    ///     42
    /// }
    /// # let connections = Semaphore::new(1);
    /// # let mut future = std::pin::pin!(fetch(&connections));
    /// # assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(42));
    /// ```
    #[track_caller]
    pub fn acquire_async(&self, permits: usize) -> AcquireFuture<'_> {
        checked(permits);
        AcquireFuture::new(self, permits)
    }

    /// As [`acquire`](Semaphore::acquire), for a guard that keeps the semaphore alive and borrows nothing.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire).
    #[track_caller]
    pub fn acquire_owned(
        self: &Arc<Self>,
        permits: usize,
    ) -> Result<OwnedSemaphoreGuard, AcquireError> {
        self.take_blocking(checked(permits), None)?;
        Ok(OwnedSemaphoreGuard::new(self.clone(), permits))
    }

    /// As [`try_acquire`](Semaphore::try_acquire), for a guard that keeps the semaphore alive and borrows nothing.
    ///
    /// # Errors
    /// As [`try_acquire`](Semaphore::try_acquire).
    ///
    /// # Panics
    /// As [`try_acquire`](Semaphore::try_acquire).
    #[track_caller]
    pub fn try_acquire_owned(
        self: &Arc<Self>,
        permits: usize,
    ) -> Result<OwnedSemaphoreGuard, TryAcquireError> {
        self.take(checked(permits))?;
        Ok(OwnedSemaphoreGuard::new(self.clone(), permits))
    }

    /// As [`acquire_async`](Semaphore::acquire_async), for a future and a guard that borrow nothing.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Panics
    /// As [`acquire_async`](Semaphore::acquire_async).
    #[track_caller]
    pub fn acquire_owned_async(self: &Arc<Self>, permits: usize) -> OwnedAcquireFuture {
        checked(permits);
        OwnedAcquireFuture::new(self.clone(), permits)
    }

    /// Adds new permits, and wakes the waiters that get them. It may be closed.
    ///
    /// # Panics
    /// If there would be more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), free and held together. The semaphore
    /// stays as it was.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{Semaphore, thread};
    ///
    /// // A signal that counts.
    /// let arrived = Semaphore::new(0);
    /// thread::scope(|s| {
    ///     s.spawn(|| arrived.add_permits(2));
    ///     arrived.acquire(2).unwrap().forget();
    /// });
    /// assert_eq!(arrived.available(), 0);
    /// ```
    #[track_caller]
    pub fn add_permits(&self, permits: usize) {
        let most = Semaphore::MAX_PERMITS;
        let has_room = permits <= most && self.grow(permits as u64);
        assert!(
            has_room,
            "Semaphore::add_permits: {permits} more permits would make more than {most}"
        );
        self.release(permits as u64);
    }

    /// Closes the semaphore for good: nothing is acquired any more. Returns whether it was open.
    ///
    /// Waiters return with an error that says so. Guards keep their permits, and release them as ever.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{AcquireError, Semaphore};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let held = semaphore.acquire(1).unwrap();
    /// assert!(semaphore.close());
    /// assert_eq!(semaphore.acquire(1).unwrap_err(), AcquireError);
    /// drop(held);
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn close(&self) -> bool {
        self.shut()
    }

    /// Returns whether the semaphore is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed()
    }

    /// Returns how many permits are free at this moment. While others wait, these are theirs.
    #[must_use]
    pub fn available(&self) -> usize {
        self.free() as usize
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

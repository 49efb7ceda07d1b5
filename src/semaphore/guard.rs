//! Permits that end with a value's life.

use super::core::Semaphore;
use crate::sys::Arc;
use std::ops::Deref;
use std::{fmt, mem, ptr};

/// Permits of a [`Semaphore`]; dropping it releases them.
///
/// Returned by [`acquire`](Semaphore::acquire) and its like. It may be sent to another thread. Keep it for as long as
/// you use what it stands for.
///
/// # Examples
/// ```
/// use phalanx::Semaphore;
///
/// let bytes = Semaphore::new(100);
/// let mut all = bytes.acquire(60).unwrap();
/// let part = all.split(20).unwrap();
/// assert_eq!((all.permits(), part.permits()), (40, 20));
/// drop(part);
/// assert_eq!(bytes.available(), 60);
/// ```
///
/// **A guard that is leaked keeps its permits for ever.** [`forget`](SemaphoreGuard::forget) says that this is meant.
#[must_use = "the permits are released when the guard is dropped"]
pub struct SemaphoreGuard<'a>(Permits<&'a Semaphore>);

/// Permits of a [`Semaphore`] that it keeps alive by an [`Arc`]; dropping it releases them.
///
/// Returned by [`acquire_owned`](Semaphore::acquire_owned) and its like. As it borrows nothing, it may be moved into a
/// thread or a task.
///
/// # Examples
/// ```
/// use phalanx::{Semaphore, thread};
/// use std::sync::Arc;
///
/// let connections = Arc::new(Semaphore::new(2));
/// let connection = connections.acquire_owned(1).unwrap();
/// let worker = thread::spawn(move || drop(connection));
/// worker.join().unwrap();
/// assert_eq!(connections.available(), 2);
/// ```
#[must_use = "the permits are released when the guard is dropped"]
pub struct OwnedSemaphoreGuard(Permits<Arc<Semaphore>>);

/// What both kinds of guards are; `S` is how they reach the semaphore.
struct Permits<S: Deref<Target = Semaphore>> {
    semaphore: S,
    n: usize,
}

impl<S: Deref<Target = Semaphore>> Permits<S> {
    fn split(&mut self, n: usize) -> Option<Self>
    where
        S: Clone,
    {
        let rest = self.n.checked_sub(n)?;
        // A clone may panic or abort, so it comes first.
        let semaphore = self.semaphore.clone();
        self.n = rest;
        Some(Permits { semaphore, n })
    }

    #[track_caller]
    fn merge(&mut self, mut other: Self) {
        assert!(
            ptr::eq(&raw const *self.semaphore, &raw const *other.semaphore),
            "a semaphore guard's `merge`: the other guard is of another semaphore"
        );
        self.n += mem::take(&mut other.n);
    }

    fn forget(mut self) {
        self.semaphore.shrink(mem::take(&mut self.n) as u64);
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Permits<S> {
    #[inline]
    fn drop(&mut self) {
        if self.n > 0 {
            self.semaphore.release(self.n as u64);
        }
    }
}

impl<'a> SemaphoreGuard<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a Semaphore, n: usize) -> Self {
        SemaphoreGuard(Permits { semaphore, n })
    }

    /// Returns how many permits it holds.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.0.n
    }

    /// Moves `n` of its permits into a guard of their own. Returns `None` if it holds fewer.
    #[must_use = "the permits are released when the guard is dropped"]
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.0.split(n).map(SemaphoreGuard)
    }

    /// Adds the permits of another guard to its own.
    ///
    /// # Panics
    /// If `other` is of another semaphore. It is dropped then, and releases its permits.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Takes the permits away from the semaphore for good, as if it had been made with fewer.
    ///
    /// [`add_permits`](Semaphore::add_permits) gives it new ones.
    pub fn forget(self) {
        self.0.forget();
    }
}

impl OwnedSemaphoreGuard {
    #[inline]
    pub(super) fn new(semaphore: Arc<Semaphore>, n: usize) -> Self {
        OwnedSemaphoreGuard(Permits { semaphore, n })
    }

    /// Returns how many permits it holds.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.0.n
    }

    /// Moves `n` of its permits into a guard of their own. Returns `None` if it holds fewer.
    #[must_use = "the permits are released when the guard is dropped"]
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.0.split(n).map(OwnedSemaphoreGuard)
    }

    /// Adds the permits of another guard to its own.
    ///
    /// # Panics
    /// If `other` is of another semaphore. It is dropped then, and releases its permits.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Takes the permits away from the semaphore for good, as if it had been made with fewer.
    ///
    /// [`add_permits`](Semaphore::add_permits) gives it new ones.
    pub fn forget(self) {
        self.0.forget();
    }

    /// Returns the semaphore.
    #[must_use]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.0.semaphore
    }
}

impl fmt::Debug for SemaphoreGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphoreGuard").field("permits", &self.permits()).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedSemaphoreGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphoreGuard")
            .field("permits", &self.permits())
            .finish_non_exhaustive()
    }
}

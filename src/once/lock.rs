//! A value that is made once.

use super::word::{Begun, Goal, Once, Running};
use crate::support::deadline;
use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// The type's name, in messages.
const NAME: &str = "OnceLock";

/// A value that is made once, by the first thread that needs it, and read by all.
///
/// Go's `sync.Once` and `sync.OnceValue`; std's type of this name, with failing and async initialisers, waiting with a
/// deadline, and models. Reading the value costs one atomic load.
///
/// # When to use it
/// | | |
/// | --- | --- |
/// | the initialiser is known where the value is declared | [`LazyLock`](crate::LazyLock) |
/// | the initialiser is known where the value is used, may fail, or is async | `OnceLock` |
/// | a value for each key | [`Store`](crate::Store) |
///
/// # Examples
/// ```
/// use phalanx::OnceLock;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
///
/// let config = CONFIG.get_or_init(|| "verbose".to_owned());
/// assert_eq!(config, "verbose");
/// assert_eq!(CONFIG.get().map(String::as_str), Some("verbose"));
/// ```
///
/// **An initialiser must not ask for the value that it is making.** It panics if it does so in its own thread, also
/// through a `LazyLock` or a function that it calls. Two initialisers on two threads that wait for each other's value
/// wait for ever.
///
/// # Failure
/// An initialiser that panics, returns an error, or is a future that is dropped, leaves the lock empty. Then one of
/// those that wait initialises it instead. There is no poisoning.
///
/// # In a model
/// A `static` of this type starts empty in each execution of a model, and its value is leaked afterwards, as a
/// `static` never drops its value. A type whose leak a model reports, such as `WaitGroup`, can't be the value of one.
/// An execution can use 12 of `OnceLock` and `LazyLock`.
///
/// # Memory ordering
/// Everything in an initialiser, also in one that failed, happens before the return of each later call that finds the
/// value, and before each later initialiser.
pub struct OnceLock<T> {
    pub(super) once: Once,
    /// Written by the once's initialiser, and then read by all (O1, O2). In a model it may be what another execution
    /// has left; the word alone says whether it is there.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: it hands out shared references to a `T`, and accepts a `T` from any thread that shares it.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Creates an empty lock.
    #[must_use]
    pub const fn new() -> Self {
        OnceLock { once: Once::new(), value: UnsafeCell::new(None) }
    }

    /// Returns the value, if it has been made. Never blocks.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Option<&T> {
        if self.once.is_made() {
            // SAFETY: made.
            Some(unsafe { self.get_made() })
        } else {
            None
        }
    }

    /// Returns the value for changing, if it has been made.
    #[inline]
    #[track_caller]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if !self.once.is_made() {
            return None;
        }
        self.once.guarded().write();
        self.value.get_mut().as_mut()
    }

    /// Returns the value, and calls `f` to make it if there is none.
    ///
    /// # Blocking
    /// While another thread makes the value.
    ///
    /// # Panics
    /// If `f` panics: the next call tries again. If it is called from inside an initialiser of this lock.
    ///
    /// # Examples
    /// ```
    /// let lock = phalanx::OnceLock::new();
    /// assert_eq!(lock.get_or_init(|| 1), &1);
    /// assert_eq!(lock.get_or_init(|| unreachable!()), &1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => {
                let Ok(value) = self.initialize(|| Ok::<T, Infallible>(f()));
                value
            }
        }
    }

    /// Returns the value, and calls `f` to make it if there is none. An error of `f` leaves the lock empty.
    ///
    /// # Blocking
    /// While another thread makes the value.
    ///
    /// # Errors
    /// That of `f`. The next call tries again, or one that waits meanwhile.
    ///
    /// # Panics
    /// As [`get_or_init`](OnceLock::get_or_init).
    ///
    /// # Examples
    /// ```
    /// let lock = phalanx::OnceLock::new();
    /// assert!(lock.get_or_try_init(|| "one".parse::<u32>()).is_err());
    /// assert_eq!(lock.get_or_try_init(|| "1".parse()), Ok(&1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.initialize(f),
        }
    }

    /// Returns the value for changing, and calls `f` to make it if there is none.
    ///
    /// # Panics
    /// If `f` panics: the lock stays empty.
    #[track_caller]
    pub fn get_mut_or_init(&mut self, f: impl FnOnce() -> T) -> &mut T {
        self.get_or_init(f);
        self.get_mut().expect("initialized above")
    }

    /// Makes `value` the lock's value, if it has none.
    ///
    /// # Blocking
    /// While another thread makes a value.
    ///
    /// # Errors
    /// If there is a value already. The error is `value`.
    ///
    /// # Panics
    /// If it is called from inside an initialiser of this lock.
    ///
    /// # Examples
    /// ```
    /// let lock = phalanx::OnceLock::new();
    /// assert_eq!(lock.set(1), Ok(()));
    /// assert_eq!(lock.set(2), Err(2));
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.try_insert(value) {
            Ok(_) => Ok(()),
            Err((_, value)) => Err(value),
        }
    }

    /// Makes `value` the lock's value, if it has none, and returns a reference to it.
    ///
    /// # Blocking
    /// While another thread makes a value.
    ///
    /// # Errors
    /// If there is a value already. The error has both, the lock's and `value`.
    ///
    /// # Panics
    /// As [`set`](OnceLock::set).
    #[track_caller]
    pub fn try_insert(&self, value: T) -> Result<&T, (&T, T)> {
        match self.get() {
            Some(made) => Err((made, value)),
            None => match self.begin_or_wait() {
                Some(running) => Ok(self.fill(running, value)),
                // SAFETY: made.
                None => Err((unsafe { self.get_made() }, value)),
            },
        }
    }

    /// Removes the value and returns it. The lock is empty then, and can be initialized again.
    #[track_caller]
    pub fn take(&mut self) -> Option<T> {
        if !self.once.take() {
            return None;
        }
        self.once.guarded().write();
        self.value.get_mut().take()
    }

    /// Returns the value, if it has been made.
    #[track_caller]
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// Blocks until the lock has a value, and returns it. It starts no initialiser.
    ///
    /// # Panics
    /// If it is called from inside an initialiser of this lock.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{OnceLock, thread};
    ///
    /// let lock = OnceLock::new();
    /// thread::scope(|s| {
    ///     s.spawn(|| lock.set(7));
    ///     assert_eq!(lock.wait(), &7);
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> &T {
        self.wait_until(None).expect("a wait without a deadline ends with a value")
    }

    /// Blocks until the lock has a value or `timeout` has passed. Returns the value, or `None` after the timeout. A
    /// timeout too long to represent never ends.
    ///
    /// # Panics
    /// As [`wait`](OnceLock::wait).
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<&T> {
        self.wait_until(deadline::after(timeout))
    }

    /// Blocks until the lock has a value or `deadline` has passed. Returns the value, or `None` after the deadline.
    ///
    /// # Panics
    /// As [`wait`](OnceLock::wait).
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Option<&T> {
        self.wait_until(Some(deadline))
    }

    #[inline]
    #[track_caller]
    fn wait_until(&self, deadline: Option<Instant>) -> Option<&T> {
        let made = self.once.is_made() || self.once.wait(Goal::Made, deadline, NAME);
        // SAFETY: made, as `is_made` or `wait` has read.
        made.then(|| unsafe { self.get_made() })
    }

    #[cold]
    #[track_caller]
    fn initialize<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.begin_or_wait() {
            // An error or a panic drops the `Running`.
            Some(running) => {
                let value = running.inside(f)?;
                Ok(self.fill(running, value))
            }
            // SAFETY: made.
            None => Ok(unsafe { self.get_made() }),
        }
    }

    /// Returns the right to make the value, or `None` if it is made.
    #[track_caller]
    fn begin_or_wait(&self) -> Option<Running<'_>> {
        match self.once.begin_or_wait(NAME) {
            Begun::Running(running) => Some(running),
            Begun::Made => None,
            Begun::Poisoned | Begun::Busy => {
                unreachable!("an `OnceLock` is waited for, and never poisoned")
            }
        }
    }

    /// Makes `value` the lock's value. The initialiser of this lock is the caller's.
    #[track_caller]
    pub(super) fn fill(&self, running: Running<'_>, value: T) -> &T {
        self.once.guarded().write();
        // A plain write: there is nothing to drop, or in a model what another execution has leaked.
        // SAFETY: by O1 nobody else uses the value while the caller has the `Running`.
        unsafe { self.value.get().write(Some(value)) };
        running.finish();
        // SAFETY: made.
        unsafe { self.get_made() }
    }

    /// Returns the value.
    ///
    /// # Safety
    /// - The stage is `MADE`, and the caller has read that with Acquire, or has written the value.
    #[inline]
    #[track_caller]
    pub(super) unsafe fn get_made(&self) -> &T {
        self.once.guarded().read();
        // SAFETY: by O2 it is written, and not changed while `self` is borrowed.
        let value = unsafe { &*self.value.get() };
        // SAFETY: by O2 it is there.
        unsafe { value.as_ref().unwrap_unchecked() }
    }
}

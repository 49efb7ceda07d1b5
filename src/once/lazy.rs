//! A once with its initialiser.

use super::lock::OnceLock;
use super::word::Begun;
use crate::sys::IS_MODEL;
use std::cell::UnsafeCell;
use std::mem::needs_drop;
use std::ops::{Deref, DerefMut};

/// A value that its initialiser makes when it is first used.
///
/// Go's `sync.OnceValue`; std's type of this name, that runs in models. Reading the value costs one atomic load.
///
/// # When to use it
/// For a `static` or a field whose initialiser is known where it is declared. Otherwise
/// [`OnceLock`](crate::OnceLock).
///
/// # Examples
/// ```
/// use phalanx::LazyLock;
///
/// static PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| {
///     (2..20).filter(|n| (2..*n).all(|m| n % m != 0)).collect()
/// });
///
/// assert_eq!(PRIMES.last(), Some(&19));
/// ```
///
/// **An initialiser must not use the value that it is making.** It panics if it does so in its own thread, also through
/// a function that it calls.
///
/// # Poisoning
/// If the initialiser panics, there will never be a value, since it can run only once. Each later use panics and says
/// so.
///
/// # In a model
/// As [`OnceLock`](crate::OnceLock#in-a-model). In a `static`, the initialiser runs in each execution.
///
/// # Memory ordering
/// Everything in the initialiser happens before the return of each use.
pub struct LazyLock<T, F = fn() -> T> {
    pub(super) lock: OnceLock<T>,
    /// Taken by the once's initialiser (O1).
    initializer: UnsafeCell<Option<F>>,
}

// SAFETY: it shares an `OnceLock<T>`, and moves the `F` to the thread that is first, once.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T, F> LazyLock<T, F> {
    /// Returns the value, if it has been made. Never blocks, and makes none.
    #[inline]
    #[track_caller]
    pub fn get(this: &Self) -> Option<&T> {
        this.lock.get()
    }

    /// Returns the value for changing, if it has been made. Makes none.
    #[inline]
    #[track_caller]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.lock.get_mut()
    }
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// Creates a value that `f` makes at its first use.
    #[must_use]
    pub const fn new(f: F) -> Self {
        LazyLock { lock: OnceLock::new(), initializer: UnsafeCell::new(Some(f)) }
    }

    /// Returns the value, or the initialiser if it hasn't been called.
    ///
    /// # Errors
    /// If there is no value yet. The error is the initialiser.
    ///
    /// # Panics
    /// If the initialiser has panicked.
    #[track_caller]
    pub fn into_inner(mut this: Self) -> Result<T, F> {
        match this.lock.take() {
            Some(value) => Ok(value),
            None if this.lock.once.is_poisoned() => poisoned(),
            None => Err(this.initializer.into_inner().expect("not called yet")),
        }
    }

    /// Returns the value, made now if it wasn't. Dereferencing does the same.
    ///
    /// # Blocking
    /// While another thread makes the value.
    ///
    /// # Panics
    /// If the initialiser panics or has panicked. If it is called from inside the initialiser.
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        match this.lock.get() {
            Some(value) => value,
            None => this.make(),
        }
    }

    /// Returns the value for changing, made now if it wasn't.
    ///
    /// # Panics
    /// If the initialiser panics or has panicked.
    #[track_caller]
    pub fn force_mut(this: &mut Self) -> &mut T {
        LazyLock::force(this);
        this.lock.get_mut().expect("made above")
    }

    #[cold]
    #[track_caller]
    fn make(&self) -> &T {
        let once = &self.lock.once;
        match once.begin_or_wait("LazyLock") {
            Begun::Running(mut running) => {
                running.poison_on_drop();
                once.guarded().write();
                // SAFETY: by O1 nobody else uses the initialiser while this thread has the `Running`.
                let initializer = unsafe { &mut *self.initializer.get() };
                let value = running.inside(next_of(initializer));
                self.lock.fill(running, value)
            }
            // SAFETY: made, as `begin` has read with Acquire.
            Begun::Made => unsafe { self.lock.get_made() },
            Begun::Poisoned => poisoned(),
            Begun::Busy => unreachable!("waited for"),
        }
    }
}

/// Takes the initialiser. A model leaves one behind that has nothing to drop, as that of a `static`: each execution
/// uses it once.
fn next_of<F>(initializer: &mut Option<F>) -> F {
    let taken = if IS_MODEL && !needs_drop::<F>() {
        // SAFETY: a copy of plain data, used once in this execution as in each other one; there is no drop.
        unsafe { std::ptr::read(initializer) }
    } else {
        initializer.take()
    };
    taken.expect("an initialiser that has run leaves a value or poisons")
}

#[cold]
#[track_caller]
fn poisoned() -> ! {
    panic!("LazyLock: its initialiser has panicked: there is no value, and none will be made")
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    /// Returns the value, as [`force`](LazyLock::force).
    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    /// Returns the value for changing, as [`force_mut`](LazyLock::force_mut).
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

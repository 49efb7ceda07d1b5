//! loom's objects, each call of theirs a [`Call`], and each in the execution that it was made in.
//!
//! The functions do what loom's do. They take no closure, so that loom sees the caller's line: a closure can't be
//! `#[track_caller]`.

use super::guard::{Call, Made, enter_loom, leave_loom};
use std::fmt;
use std::sync::atomic::Ordering;

/// An object of loom's.
#[derive(Debug)]
pub(super) struct Object<T> {
    made: Made,
    inner: T,
}

impl<T> Object<T> {
    /// Ends the call that made `inner`.
    fn finish(call: Call, inner: T) -> Self {
        call.end();
        Object { made: Made::now(), inner }
    }
}

/// The one kind of atomic of loom's that is used: for numbers of writes, and for turnstiles.
pub(super) type Number = Object<loom::sync::atomic::AtomicUsize>;

impl Number {
    #[track_caller]
    pub(super) fn new(value: usize) -> Self {
        let call = Call::begin();
        Object::finish(call, loom::sync::atomic::AtomicUsize::new(value))
    }

    #[track_caller]
    pub(super) fn load(&self, order: Ordering) -> usize {
        let call = self.made.call();
        let value = self.inner.load(order);
        call.end();
        value
    }

    #[track_caller]
    pub(super) fn store(&self, value: usize, order: Ordering) {
        let call = self.made.call();
        self.inner.store(value, order);
        call.end();
    }

    #[track_caller]
    pub(super) fn swap(&self, value: usize, order: Ordering) -> usize {
        let call = self.made.call();
        let before = self.inner.swap(value, order);
        call.end();
        before
    }

    #[track_caller]
    pub(super) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        let call = self.made.call();
        let before = self.inner.fetch_add(value, order);
        call.end();
        before
    }

    #[track_caller]
    pub(super) fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        let call = self.made.call();
        let result = self.inner.compare_exchange(current, new, success, failure);
        call.end();
        result
    }
}

/// As std's.
#[track_caller]
pub fn fence(order: Ordering) {
    let call = Call::begin();
    loom::sync::atomic::fence(order);
    call.end();
}

/// A cell whose accesses the model checks: two of them that no happens-before orders, one of them
/// through [`with_mut`](UnsafeCell::with_mut), fail it as a data race.
pub struct UnsafeCell<T: ?Sized> {
    made: Made,
    inner: loom::cell::UnsafeCell<T>,
}

impl<T> UnsafeCell<T> {
    /// Wraps `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        let call = Call::begin();
        let inner = loom::cell::UnsafeCell::new(value);
        call.end();
        UnsafeCell { made: Made::now(), inner }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Calls `f` with a pointer to read through, which must not outlive the call.
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        let call = self.made.call();
        let reading = self.inner.get();
        call.end();
        let result = reading.with(f);
        let call = self.made.call();
        drop(reading);
        call.end();
        result
    }

    /// Calls `f` with a pointer to read and write through, which must not outlive the call.
    #[track_caller]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        let call = self.made.call();
        let writing = self.inner.get_mut();
        call.end();
        let result = writing.with(f);
        let call = self.made.call();
        drop(writing);
        call.end();
        result
    }
}

impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A read would be an access.
        f.write_str("UnsafeCell { .. }")
    }
}

impl<T: Default> Default for UnsafeCell<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// loom's mutex. Dropping its guard is no step, and so no [`Call`].
#[derive(Debug)]
pub(super) struct Mutex<T>(Object<loom::sync::Mutex<T>>);

pub(super) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    #[track_caller]
    pub(super) fn new(value: T) -> Self {
        let call = Call::begin();
        Mutex(Object::finish(call, loom::sync::Mutex::new(value)))
    }

    #[track_caller]
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        let call = self.0.made.call();
        let guard = self.0.inner.lock().unwrap_or_else(|e| e.into_inner());
        call.end();
        guard
    }
}

/// loom's condition variable.
#[derive(Debug)]
pub(super) struct Condvar(Object<loom::sync::Condvar>);

impl Condvar {
    #[track_caller]
    pub(super) fn new() -> Self {
        let call = Call::begin();
        Condvar(Object::finish(call, loom::sync::Condvar::new()))
    }

    #[track_caller]
    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let call = self.0.made.call();
        let guard = self.0.inner.wait(guard).unwrap_or_else(|e| e.into_inner());
        call.end();
        guard
    }

    #[track_caller]
    pub(super) fn notify_all(&self) {
        let call = self.0.made.call();
        self.0.inner.notify_all();
        call.end();
    }
}

/// Parks the model's thread, in loom's sense.
#[track_caller]
pub(super) fn park() {
    let call = Call::begin();
    loom::thread::park();
    call.end();
}

/// Lets other threads run. A loop that waits for another thread's step calls it in each round.
#[track_caller]
pub fn yield_now() {
    let call = Call::begin();
    loom::thread::yield_now();
    call.end();
}

/// Returns loom's handle of the calling thread.
#[track_caller]
pub(super) fn current() -> loom::thread::Thread {
    let call = Call::begin();
    let thread = loom::thread::current();
    call.end();
    thread
}

/// The closure that a thread of the model runs. It is leaked if the thread never starts: its drop would be user code
/// outside of every thread.
struct Body(std::mem::ManuallyDrop<Box<dyn FnOnce()>>);

impl Body {
    fn run(self) {
        leave_loom();
        std::mem::ManuallyDrop::into_inner(self.0)();
        enter_loom();
    }
}

/// Starts a thread of the model. `body` must not unwind.
#[track_caller]
pub(super) fn spawn(body: Box<dyn FnOnce()>) -> loom::thread::ThreadId {
    let call = Call::begin();
    let body = Body(std::mem::ManuallyDrop::new(body));
    let id = loom::thread::spawn(move || body.run()).thread().id();
    call.end();
    id
}

/// Wraps a value whose leak the model finds.
#[track_caller]
pub(super) fn track<T>(value: T) -> loom::alloc::Track<T> {
    let call = Call::begin();
    let tracked = loom::alloc::Track::new(value);
    call.end();
    tracked
}

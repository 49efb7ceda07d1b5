//! loom's threads, with std's bounds, a panic as a value, `scope` and `park`.

use super::super::panics::catch;
use super::super::parking::Parked;
use super::atomic::{AtomicUsize, Ordering};
use super::locals::local;
use super::objects::{self, Condvar, Mutex};
use super::park::{park as park_on, unpark_threads};
use super::waiting::{self, Site};
use super::waits::waits;
use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use super::objects::yield_now;
pub use loom::thread::ThreadId;
pub use std::thread::{Result, available_parallelism, panicking};

/// A thread's outcome, and its joiners.
struct Packet<T> {
    state: Mutex<Outcome<T>>,
    finished: Condvar,
}

enum Outcome<T> {
    Running,
    /// Its result, until it is joined.
    Done(Option<Result<T>>),
}

impl<T> Packet<T> {
    #[track_caller]
    fn new() -> Arc<Self> {
        Arc::new(Packet { state: Mutex::new(Outcome::Running), finished: Condvar::new() })
    }

    fn finish(&self, result: Result<T>) {
        *self.state.lock() = Outcome::Done(Some(result));
        self.finished.notify_all();
    }

    /// Blocks until the thread is done. Returns its result, unless that was taken before.
    #[track_caller]
    fn wait(&self) -> Option<Result<T>> {
        let mut state = self.state.lock();
        loop {
            match &mut *state {
                Outcome::Done(result) => return result.take(),
                Outcome::Running => {
                    state = self.finished.wait(state);
                }
            }
        }
    }

    #[track_caller]
    fn is_finished(&self) -> bool {
        matches!(*self.state.lock(), Outcome::Done(_))
    }
}

/// A handle to a thread, as std's.
#[derive(Clone, Debug)]
pub struct Thread(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    id: ThreadId,
    name: Option<String>,
    /// 1 while an [`unpark`](Thread::unpark) waits to be consumed.
    token: AtomicUsize,
}

impl Thread {
    /// Returns the thread's id.
    pub fn id(&self) -> ThreadId {
        self.0.id
    }

    /// Returns the thread's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Lets the thread's current or next [`park`] return. It happens before that return.
    #[track_caller]
    pub fn unpark(&self) {
        // ORDERING: Release: pairs with the Acquire in `park`. A swap, which continues the release sequence: std promises
        // that all unparks before a park happen before its return, not only the last.
        self.0.token.swap(1, Ordering::Release);
        unpark_threads(self.token_address());
    }

    fn token_address(&self) -> usize {
        (&raw const self.0.token).addr()
    }
}

local! {
    static CURRENT: RefCell<Option<Thread>> = RefCell::new(None);
}

#[track_caller]
fn handle(name: Option<String>) -> Thread {
    let id = objects::current().id();
    Thread(Arc::new(Handle { id, name, token: AtomicUsize::new(0) }))
}

/// Returns the calling thread's handle.
pub fn current() -> Thread {
    CURRENT.with(|current| current.borrow_mut().get_or_insert_with(|| handle(None)).clone())
}

/// Blocks until this thread's token is there, and consumes it.
#[track_caller]
pub fn park() {
    let me = current();
    // ORDERING: Acquire: pairs with the Release in `unpark`.
    while me.0.token.swap(0, Ordering::Acquire) == 0 {
        // ORDERING: Relaxed: the queue orders the validation.
        let parked = park_on(me.token_address(), || me.0.token.load(Ordering::Relaxed) == 0, None);
        debug_assert_ne!(parked, Parked::TimedOut);
    }
}

/// Blocks until this thread's token is there, or until the deadline. Returns whether the deadline has come; if not, the
/// token is consumed.
#[track_caller]
pub(crate) fn park_thread_until(deadline: Instant) -> bool {
    let me = current();
    // ORDERING: Acquire: pairs with the Release in `unpark`.
    while me.0.token.swap(0, Ordering::Acquire) == 0 {
        // ORDERING: Relaxed: the queue orders the validation.
        let is_asleep = || me.0.token.load(Ordering::Relaxed) == 0;
        if park_on(me.token_address(), is_asleep, Some(deadline)) == Parked::TimedOut {
            return true;
        }
    }
    false
}

/// Lets other threads run: in a model time doesn't pass.
#[track_caller]
pub fn sleep(_duration: Duration) {
    yield_now();
}

/// Waits for a thread, as std's.
pub struct JoinHandle<T> {
    packet: Arc<Packet<T>>,
    thread: Thread,
}

impl<T> JoinHandle<T> {
    /// Waits for the thread to end; its panic is the `Err`.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        let _waits = waits(Site::Thread);
        self.packet.wait().expect("a JoinHandle is joined once")
    }

    /// Returns the thread's handle.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Whether the thread has returned.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.packet.is_finished()
    }
}

impl<T> std::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// Starts a thread with a name, as std's. The stack size is loom's own.
#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
    stack_size: usize,
}

/// A stack from this size on is refused, as on the machine.
const IMPOSSIBLE_STACK: usize = usize::MAX >> 4;

impl Builder {
    /// Creates a builder of a thread without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread.
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Has no effect in a model, unless no address space is large enough.
    pub fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = size;
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// If the stack is impossibly large. A model with too many threads fails.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.stack_size >= IMPOSSIBLE_STACK {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: everything is 'static.
        Ok(unsafe { start(self.name, f) })
    }
}

impl Builder {
    /// Starts a thread that the scope waits for.
    ///
    /// # Errors
    /// As [`spawn`](Builder::spawn).
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        if self.stack_size >= IMPOSSIBLE_STACK {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(scope.start(self.name, f))
    }
}

/// Starts a thread that may borrow.
///
/// # Safety
/// The thread must have ended before anything `f` or its result borrows does.
#[track_caller]
unsafe fn start<'a, F, T>(name: Option<String>, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'a,
    T: 'a,
{
    let packet = Packet::new();
    let theirs = packet.clone();
    let slot: Arc<std::sync::Mutex<Option<Thread>>> = Arc::default();
    let id_slot = slot.clone();
    let body = move || {
        let me = id_slot.lock().ok().and_then(|mut slot| slot.take());
        CURRENT.with(|current| *current.borrow_mut() = me);
        theirs.finish(catch(f));
    };
    let body: Box<dyn FnOnce() + 'a> = Box::new(body);
    // SAFETY: by the contract the thread ends before what it borrows.
    let body: Box<dyn FnOnce() + 'static> = unsafe { std::mem::transmute(body) };
    // Made before the thread, whose first use of it has to come after.
    let token = AtomicUsize::new(0);
    let id = objects::spawn(body);
    if let Some(name) = &name {
        waiting::with(|list| list.names.push((id, name.clone())));
    }
    let thread = Thread(Arc::new(Handle { id, name, token }));
    if let Ok(mut slot) = slot.lock() {
        *slot = Some(thread.clone());
    }
    JoinHandle { packet, thread }
}

/// Starts a thread, as std's.
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: everything is 'static.
    unsafe { start(None, f) }
}

/// A thread that a scope waits for.
trait Finish {
    /// Waits. Returns whether the thread panicked and wasn't joined.
    fn wait(&self) -> bool;
}

impl<T> Finish for Packet<T> {
    fn wait(&self) -> bool {
        Packet::wait(self).is_some_and(|result| result.is_err())
    }
}

/// A scope for borrowing threads, as std's.
pub struct Scope<'scope, 'env: 'scope> {
    /// The threads' lifetime is erased; `scope` empties the list before 'scope ends.
    started: std::sync::Mutex<Vec<Arc<dyn Finish>>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

// SAFETY: a model runs on one OS thread; the list is plain memory behind a lock.
unsafe impl Sync for Scope<'_, '_> {}

impl std::fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Waits for a scope's thread, as std's.
pub struct ScopedJoinHandle<'scope, T> {
    inner: JoinHandle<T>,
    scope: PhantomData<&'scope ()>,
}

impl<T> std::fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the thread to end; its panic is the `Err`.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        self.inner.join()
    }

    /// Returns the thread's handle.
    pub fn thread(&self) -> &Thread {
        self.inner.thread()
    }

    /// Whether the thread has returned.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread that the scope waits for.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.start(None, f)
    }

    #[track_caller]
    fn start<F, T>(&'scope self, name: Option<String>, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: `scope` waits for every thread before 'scope ends.
        let inner = unsafe { start(name, f) };
        let packet: Arc<dyn Finish + 'scope> = inner.packet.clone();
        // SAFETY: only the lifetime changes, and `scope` drops it before 'scope ends.
        let packet: Arc<dyn Finish> = unsafe { std::mem::transmute(packet) };
        if let Ok(mut started) = self.started.lock() {
            started.push(packet);
        }
        ScopedJoinHandle { inner, scope: PhantomData }
    }
}

/// Runs `f` with a scope whose threads have all ended when it returns, as std's.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope { started: Default::default(), scope: PhantomData, env: PhantomData };
    let result = catch(|| f(&scope));
    let mut panicked = false;
    let waiting = waits(Site::Scope);
    while let Some(thread) = scope.started.lock().ok().and_then(|mut list| list.pop()) {
        panicked |= thread.wait();
    }
    drop(waiting);
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(_) if panicked => panic!("a scoped thread panicked"),
        Ok(value) => value,
    }
}

//! The threads of a model that wait, what for, and the holders of locks: plain data for a verdict to tell.
//!
//! The list belongs to the model's thread and holds copies: once loom has found a deadlock, the stacks that
//! they came from may be gone.

use loom::thread::ThreadId;
use std::cell::RefCell;
use std::panic::Location;

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// Another thread's end.
    Thread,
    /// The end of a scope's threads.
    Scope,
    /// A short lock of the model's own.
    Internal,
    /// A wake-up, in the code that has this path.
    Code(&'static str),
}

/// A thread that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Rises from one wait to the next.
    pub(super) ticket: u64,
    pub(super) thread: ThreadId,
    pub(super) site: Site,
    /// The address that it sleeps on; 0 if it has none.
    pub(super) address: usize,
    pub(super) at: &'static Location<'static>,
    /// Where the thread called this crate, if it said so: see [`calling`](super::waits::calling).
    pub(super) called: Option<&'static Location<'static>>,
}

/// A thread that holds a lock.
#[derive(Debug)]
pub(super) struct Holder {
    /// The lock's address.
    pub(super) lock: usize,
    pub(super) thread: ThreadId,
    /// Whether it is a writer that waits for readers to leave, and keeps others out meanwhile.
    pub(super) is_pending: bool,
    pub(super) at: &'static Location<'static>,
}

/// The threads of one execution.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) waiting: Vec<Waiting>,
    pub(super) holders: Vec<Holder>,
    pub(super) names: Vec<(ThreadId, String)>,
}

std::thread_local! {
    static LIST: RefCell<List> = RefCell::default();
}

/// Runs `f` on the list of the execution under way.
pub(super) fn with<R>(f: impl FnOnce(&mut List) -> R) -> R {
    LIST.with_borrow_mut(f)
}

/// Takes the list, and leaves an empty one.
pub(super) fn take() -> List {
    LIST.take()
}

//! The wait groups that are compared, and their adapters.

use super::{Guarded, Kind, Task, WaitGroup, entry, guarded, in_go, peer};
use crate::entry::{Entry, Role};
use crate::plan::cores;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

pub fn all() -> Vec<Entry<Task>> {
    vec![
        peer::<Crossbeam>("crossbeam"),
        peer::<wg::WaitGroup>("wg"),
        in_go(),
        entry::<phalanx::WaitGroup>("phalanx", Role::Ours),
        entry::<Unpark>("limit: park", Role::Limit).only(sleeps),
        entry::<Spinning>("limit", Role::Limit).only(stays_awake),
    ]
}

/// Rows in which the waiter may sleep: it waits for long, or the threads that it waits for need its core.
fn sleeps(task: &Task) -> bool {
    matches!(task.kind, Kind::Parked | Kind::Burst)
}

/// Rows in which the waiter may stay awake: the threads that it waits for have a core of their own.
fn stays_awake(task: &Task) -> bool {
    task.kind == Kind::AddDone || (task.kind != Kind::Burst && task.threads <= cores())
}

/// The contenders whose guards count.
pub fn guards() -> Vec<Entry<Task>> {
    vec![
        guarded::<Crossbeam>("crossbeam", Role::Peer),
        guarded::<phalanx::WaitGroup>("phalanx", Role::Ours),
        guarded::<Arc<()>>("limit", Role::Limit),
    ]
}

/// In crossbeam-utils a clone adds one, a drop subtracts one, and a wait consumes the handle.
struct Crossbeam {
    /// The handle to wait with.
    waiting: Mutex<Option<crossbeam_utils::sync::WaitGroup>>,
    /// Another group, to add to without waiting.
    adding: crossbeam_utils::sync::WaitGroup,
}

impl WaitGroup for Crossbeam {
    type Token = crossbeam_utils::sync::WaitGroup;

    fn start(n: usize) -> (Self, Vec<Self::Token>) {
        let group = Self::Token::new();
        let tokens = vec![group.clone(); n];
        let adding = Self::Token::new();
        let waiting = Mutex::new(Some(group));
        (Self { waiting, adding }, tokens)
    }

    #[inline]
    fn done(&self, token: Self::Token) {
        drop(token);
    }

    #[inline]
    fn wait(&self) {
        let handle = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        handle.expect("waited for once").wait();
    }

    #[inline]
    fn add_done(&self) {
        drop(self.adding.clone());
    }
}

impl Guarded for Crossbeam {
    type Guard = crossbeam_utils::sync::WaitGroup;

    fn guard() -> Self::Guard {
        Self::Guard::new()
    }
}

impl WaitGroup for wg::WaitGroup {
    type Token = ();

    fn start(n: usize) -> (Self, Vec<()>) {
        (wg::WaitGroup::from(n), vec![(); n])
    }

    #[inline]
    fn done(&self, (): ()) {
        wg::WaitGroup::done(self);
    }

    #[inline]
    fn wait(&self) {
        wg::WaitGroup::wait(self);
    }

    #[inline]
    fn add_done(&self) {
        self.add(1);
        wg::WaitGroup::done(self);
    }
}

/// An atomic count, and a waiter that spins.
struct Spinning(AtomicUsize);

impl WaitGroup for Spinning {
    type Token = ();

    fn start(n: usize) -> (Self, Vec<()>) {
        (Self(AtomicUsize::new(n)), vec![(); n])
    }

    #[inline]
    fn done(&self, (): ()) {
        // ORDERING: Release: pairs with the Acquire in `wait`.
        self.0.fetch_sub(1, Ordering::Release);
    }

    fn wait(&self) {
        // ORDERING: Acquire: pairs with every `done`.
        while self.0.load(Ordering::Acquire) != 0 {
            std::hint::spin_loop();
        }
    }

    #[inline]
    fn add_done(&self) {
        // ORDERING: Relaxed: nothing is published by counting up.
        self.0.fetch_add(1, Ordering::Relaxed);
        self.done(());
    }
}

/// An atomic count, and a waiter that sleeps at once: the cost of a wake-up.
struct Unpark {
    count: AtomicUsize,
    waiter: OnceLock<Thread>,
}

impl WaitGroup for Unpark {
    type Token = ();

    fn start(n: usize) -> (Self, Vec<()>) {
        let count = AtomicUsize::new(n);
        let waiter = OnceLock::new();
        (Self { count, waiter }, vec![(); n])
    }

    fn done(&self, (): ()) {
        // ORDERING: Release: pairs with the Acquire in `wait`.
        if self.count.fetch_sub(1, Ordering::Release) == 1 {
            // ORDERING: SeqCst: pairs with the fence in `wait`: either the waiter sees the zero, or
            // this thread sees the waiter.
            fence(Ordering::SeqCst);
            if let Some(waiter) = self.waiter.get() {
                waiter.unpark();
            }
        }
    }

    fn wait(&self) {
        self.waiter.get_or_init(std::thread::current);
        // ORDERING: SeqCst: pairs with the fence in `done`.
        fence(Ordering::SeqCst);
        // ORDERING: Acquire: pairs with `done`.
        while self.count.load(Ordering::Acquire) != 0 {
            std::thread::park();
        }
    }

    fn add_done(&self) {
        // ORDERING: Relaxed: nothing is published by counting up.
        self.count.fetch_add(1, Ordering::Relaxed);
        self.done(());
    }
}

/// One read-modify-write to clone, one to drop.
impl Guarded for Arc<()> {
    type Guard = Arc<()>;

    fn guard() -> Self::Guard {
        Arc::new(())
    }
}

//! The specification of the locks, on which a user's model runs: what phalanx's locks promise, with the smallest
//! state.
//!
//! The state is a few plain fields, changed in steps during which no other thread runs. It holds all that the real
//! locks promise, and no more:
//!
//! - Which holders exclude one another, and that a pending writer keeps readers out: a read behind a waiting writer
//!   waits, so a recursive one shows as the deadlock it is.
//! - What happens before what: a writer's section before everything after it, a reader's before the
//!   next writer's. Readers are not ordered with one another.
//! - A try that fails changes nothing: no other call can tell that there was one.
//! - A waiter may be overtaken by any other, any number of times; a deadline may pass at any moment.
//!
//! | field | says | set by | cleared by |
//! | --- | --- | --- | --- |
//! | `writer` | a writer holds the lock, or waits for the readers inside to leave | the writer | the writer |
//! | `upgradable` | an upgradable reader holds the lock | that reader | it, or its upgrade |
//! | `readers` | so many readers hold the lock | each reader | each reader |
//!
//! Each step is a [`begin_step`], so that both orders of two threads' steps are tried. Two atomics of the
//! execution's carry what writers and readers order. They are made before the model's closure starts: made later,
//! by a second thread, they would be a false race. There are [`ORDERS`] pairs; models with more locks than that
//! share them, which can hide a race.

use super::deadline::after;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering::{Acquire, Release};
use crate::sys::{
    Parked, PerExecution, begin_step, holds, holds_no_more, pends, sleep_on, wake_sleepers,
};
use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// Pairs of atomics for the locks of one execution.
const ORDERS: usize = 12;

/// The atomics by which a lock's sections happen before one another.
#[derive(Debug)]
struct Order {
    writers: AtomicUsize,
    readers: AtomicUsize,
}

/// The atomics of all locks of an execution.
#[derive(Debug)]
pub(crate) struct Orders {
    pairs: [Order; ORDERS],
    given: Cell<usize>,
}

/// Returns the execution's. `prepare` in `src/model.rs` makes them.
pub(crate) fn orders() -> &'static Orders {
    std::thread_local! {
        static ALL: PerExecution<Orders> = const { PerExecution::new() };
    }
    let order = |_| Order { writers: AtomicUsize::new(0), readers: AtomicUsize::new(0) };
    ALL.with(|all| all.get(|| Orders { pairs: std::array::from_fn(order), given: Cell::new(0) }))
}

/// A lock's state in one execution.
struct State {
    order: &'static Order,
    writer: Cell<bool>,
    upgradable: Cell<bool>,
    readers: Cell<usize>,
}

impl State {
    fn enter_shared(&self) {
        self.readers.set(self.readers.get() + 1);
    }

    fn enter_upgradable(&self) {
        self.upgradable.set(true);
    }
}

/// For how long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Not at all: a try.
    No,
    Until(Instant),
    Forever,
}

impl Wait {
    /// Waits for `timeout` at most; a timeout too long to represent is none.
    pub(crate) fn at_most(timeout: Duration) -> Self {
        if timeout.is_zero() {
            return Wait::No;
        }
        after(timeout).map_or(Wait::Forever, Wait::Until)
    }

    /// Whether a writer may become pending: a try only if it then holds the lock.
    fn may_pend(self, state: &State) -> bool {
        !matches!(self, Wait::No) || state.readers.get() == 0
    }
}

/// The specification of phalanx's locks. A mutex is a lock that is only written.
pub(crate) struct Spec {
    state: PerExecution<State>,
    /// The path of the lock's module, for a verdict.
    code: &'static str,
}

// SAFETY: a model runs one thread at a time, all on one OS thread.
unsafe impl Sync for Spec {}
// SAFETY: as for `Sync`.
unsafe impl Send for Spec {}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spec { .. }")
    }
}

impl Spec {
    pub(crate) const fn new(code: &'static str) -> Self {
        Spec { state: PerExecution::new(), code }
    }

    #[track_caller]
    fn state(&self) -> &State {
        self.state.get(|| {
            let orders = orders();
            let given = orders.given.replace(orders.given.get() + 1);
            State {
                order: &orders.pairs[given % ORDERS],
                writer: Cell::new(false),
                upgradable: Cell::new(false),
                readers: Cell::new(0),
            }
        })
    }

    fn address(&self) -> usize {
        (&raw const self.state).addr()
    }

    /// Takes steps until `enter` returns `true`, asleep in between, as far as `wait` allows.
    #[track_caller]
    fn wait_until(&self, wait: Wait, enter: impl Fn(&State) -> bool) -> bool {
        let state = self.state();
        loop {
            begin_step(self.address());
            if enter(state) {
                return true;
            }
            let deadline = match wait {
                Wait::No => return false,
                Wait::Until(deadline) => Some(deadline),
                Wait::Forever => None,
            };
            if sleep_on(self.address(), deadline, self.code) == Parked::TimedOut {
                // As the real lock, it doesn't check again: another may have been woken for it.
                return false;
            }
        }
    }

    /// Changes the state in one step, and wakes everyone.
    #[track_caller]
    fn step(&self, change: impl Fn(&State)) {
        let state = self.state();
        begin_step(self.address());
        change(state);
        wake_sleepers(self.address());
    }

    /// Makes what writers did happen before now.
    #[track_caller]
    fn after_writers(&self) {
        // ORDERING: Acquire: pairs with the Release in `leave_exclusive`.
        self.state().order.writers.fetch_add(0, Acquire);
    }

    /// Makes what readers did happen before now.
    #[track_caller]
    fn after_readers(&self) {
        // ORDERING: Acquire: pairs with the Releases in `unlock_shared` and `leave_upgradable`.
        self.state().order.readers.fetch_add(0, Acquire);
    }

    #[track_caller]
    pub(crate) fn lock_shared(&self, wait: Wait) -> bool {
        let entered = self.wait_until(wait, |state| {
            let open = !state.writer.get();
            if open {
                state.enter_shared();
            }
            open
        });
        if entered {
            self.after_writers();
            holds(self.address());
        }
        entered
    }

    #[track_caller]
    pub(crate) fn unlock_shared(&self) {
        holds_no_more(self.address());
        // ORDERING: Release: pairs with the Acquire in `after_readers`.
        self.state().order.readers.fetch_add(0, Release);
        self.step(|state| state.readers.set(state.readers.get() - 1));
    }

    #[track_caller]
    pub(crate) fn lock_exclusive(&self, wait: Wait) -> bool {
        let pend = |state: &State| {
            let free = !state.writer.get() && !state.upgradable.get() && wait.may_pend(state);
            state.writer.set(state.writer.get() || free);
            free
        };
        if !self.wait_until(wait, pend) {
            return false;
        }
        holds(self.address());
        let entered = self.drain(wait, |_| {});
        if !entered {
            holds_no_more(self.address());
        }
        entered
    }

    /// Waits, as the pending writer, for the readers to leave. At the deadline it pends no more, and `undo` runs in
    /// the same step.
    #[track_caller]
    fn drain(&self, wait: Wait, undo: impl Fn(&State)) -> bool {
        pends(self.address(), true);
        let is_alone = |state: &State| state.readers.get() == 0;
        // A try became the writer in a step in which it was alone.
        let drained = matches!(wait, Wait::No) || self.wait_until(wait, is_alone);
        pends(self.address(), false);
        if !drained {
            self.step(|state| {
                state.writer.set(false);
                undo(state);
            });
            return false;
        }
        self.after_writers();
        self.after_readers();
        true
    }

    #[track_caller]
    pub(crate) fn unlock_exclusive(&self) {
        holds_no_more(self.address());
        self.leave_exclusive(|_| {});
    }

    /// Makes the writer a reader.
    #[track_caller]
    pub(crate) fn downgrade(&self) {
        self.leave_exclusive(State::enter_shared);
    }

    /// Makes the writer the upgradable reader.
    #[track_caller]
    pub(crate) fn downgrade_to_upgradable(&self) {
        self.leave_exclusive(State::enter_upgradable);
    }

    /// Stops to be the writer; `then` runs in the same step.
    #[track_caller]
    fn leave_exclusive(&self, then: impl Fn(&State)) {
        // ORDERING: Release: pairs with the Acquire in `after_writers`.
        self.state().order.writers.fetch_add(0, Release);
        self.step(|state| {
            state.writer.set(false);
            then(state);
        });
    }

    #[track_caller]
    pub(crate) fn lock_upgradable(&self, wait: Wait) -> bool {
        let entered = self.wait_until(wait, |state| {
            let free = !state.writer.get() && !state.upgradable.get();
            state.upgradable.set(state.upgradable.get() || free);
            free
        });
        if entered {
            self.after_writers();
            holds(self.address());
        }
        entered
    }

    #[track_caller]
    pub(crate) fn unlock_upgradable(&self) {
        holds_no_more(self.address());
        self.leave_upgradable(|_| {});
    }

    /// Makes the upgradable reader a plain one.
    #[track_caller]
    pub(crate) fn downgrade_upgradable(&self) {
        self.leave_upgradable(State::enter_shared);
    }

    /// Stops to be the upgradable reader; `then` runs in the same step.
    #[track_caller]
    fn leave_upgradable(&self, then: impl Fn(&State)) {
        // ORDERING: Release: pairs with the Acquire in `after_readers`.
        self.state().order.readers.fetch_add(0, Release);
        self.step(|state| {
            state.upgradable.set(false);
            then(state);
        });
    }

    /// Makes the upgradable reader the writer.
    #[track_caller]
    pub(crate) fn upgrade(&self, wait: Wait) -> bool {
        let pend = |state: &State| {
            let may = wait.may_pend(state);
            if may {
                state.upgradable.set(false);
                state.writer.set(true);
            }
            may
        };
        self.wait_until(wait, pend) && self.drain(wait, State::enter_upgradable)
    }

    #[track_caller]
    pub(crate) fn is_locked(&self) -> bool {
        begin_step(self.address());
        let state = self.state();
        state.writer.get() || state.upgradable.get() || state.readers.get() > 0
    }

    #[track_caller]
    pub(crate) fn is_locked_exclusive(&self) -> bool {
        begin_step(self.address());
        self.state().writer.get()
    }
}

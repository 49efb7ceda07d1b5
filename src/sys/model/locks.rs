//! The locks that a user's model runs on: specifications of phalanx's, with the smallest state.
//!
//! A lock here is a few plain fields, changed in stretches without a switch of loom's. What the real
//! locks promise is all there, and no more of it than they promise:
//!
//! - Who may be inside beside whom, and that a writer takes the *door* past readers: a read behind a
//!   waiting writer waits, so a recursive one shows as the deadlock it is.
//! - What happens before what: a writer's section before everything after it, a reader's before the
//!   next writer's. Readers are not ordered with one another.
//! - A try that fails changes nothing: no other call can tell that there was one.
//! - A waiter may be overtaken by any other, any number of times; a deadline may pass at any moment.
//!
//! Before each stretch a lock passes its address's turnstile (see `park.rs`), so that loom tries both
//! orders. The order of writers and of readers is carried by two atomics of the execution's, made
//! before the model's closure starts: one made later, by a second thread, would be a false race.
//! There are [`ORDERS`] pairs; models with more locks than that share them, which can hide a race.

use super::super::Parked;
use super::PerExecution;
use super::objects::Number;
use super::park::lot;
use super::waits::Room;
use lock_api::GuardSend;
use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// Pairs of atomics for the locks of one execution.
const ORDERS: usize = 12;

struct Order {
    writers: Number,
    readers: Number,
}

pub(super) struct Orders {
    pairs: [Order; ORDERS],
    given: Cell<usize>,
}

pub(super) fn orders() -> &'static Orders {
    std::thread_local! {
        static ALL: PerExecution<Orders> = const { PerExecution::new() };
    }
    let order = |_| Order { writers: Number::new(0), readers: Number::new(0) };
    ALL.with(|all| all.get(|| Orders { pairs: std::array::from_fn(order), given: Cell::new(0) }))
}

/// A lock's state in one execution.
struct State {
    order: &'static Order,
    /// A writer is inside, or waits for those inside to leave.
    door: Cell<bool>,
    upgradable: Cell<bool>,
    readers: Cell<usize>,
}

#[derive(Clone, Copy)]
enum Wait {
    No,
    Until(Option<Instant>),
}

impl Wait {
    /// Whether to take the door: a try takes it only to keep it.
    fn allows(self, state: &State) -> bool {
        matches!(self, Wait::Until(_)) || state.readers.get() == 0
    }
}

fn after(timeout: Duration) -> Wait {
    if timeout.is_zero() {
        return Wait::No;
    }
    // Too long to represent: for ever.
    Wait::Until(Instant::now().checked_add(timeout))
}

/// The specification of phalanx's locks. A mutex is one that is only written.
struct Spec {
    state: PerExecution<State>,
    room: Room,
}

// SAFETY: a model runs one thread at a time, all on one thread of the system.
unsafe impl Sync for Spec {}
// SAFETY: as for `Sync`.
unsafe impl Send for Spec {}

impl Spec {
    const fn new(room: Room) -> Self {
        Spec { state: PerExecution::new(), room }
    }

    #[track_caller]
    fn state(&self) -> &State {
        self.state.get(|| {
            let orders = orders();
            let given = orders.given.replace(orders.given.get() + 1);
            State {
                order: &orders.pairs[given % ORDERS],
                door: Cell::new(false),
                upgradable: Cell::new(false),
                readers: Cell::new(0),
            }
        })
    }

    fn address(&self) -> usize {
        (&raw const self.state).addr()
    }

    /// Runs `enter` until it is `true`, asleep in between, as far as `wait` allows.
    #[track_caller]
    fn wait_until(&self, wait: Wait, enter: impl Fn(&State) -> bool) -> bool {
        let state = self.state();
        loop {
            lot().pass_turnstile(self.address());
            if enter(state) {
                return true;
            }
            let Wait::Until(deadline) = wait else { return false };
            let ticket = lot().enqueue(self.address());
            if lot().sleep(self.address(), ticket, deadline, self.room) == Parked::TimedOut {
                // As the real lock, it doesn't look again: another may have been woken for it.
                return false;
            }
        }
    }

    /// Changes the state in one stretch, and has everyone look again.
    #[track_caller]
    fn step(&self, change: impl Fn(&State)) {
        let state = self.state();
        lot().pass_turnstile(self.address());
        change(state);
        lot().wake(self.address());
    }

    #[track_caller]
    fn read(&self, wait: Wait) -> bool {
        let inside = self.wait_until(wait, |state| {
            let open = !state.door.get();
            state.readers.set(state.readers.get() + usize::from(open));
            open
        });
        if inside {
            self.after_writers();
        }
        inside
    }

    /// What writers did happens before now.
    #[track_caller]
    fn after_writers(&self) {
        self.state().order.writers.fetch_add(0, Acquire);
    }

    /// What readers did happens before now.
    #[track_caller]
    fn after_readers(&self) {
        self.state().order.readers.fetch_add(0, Acquire);
    }

    #[track_caller]
    fn unread(&self) {
        self.state().order.readers.fetch_add(0, Release);
        self.step(|state| state.readers.set(state.readers.get() - 1));
    }

    #[track_caller]
    fn write(&self, wait: Wait) -> bool {
        let at_door = |state: &State| {
            let free = !state.door.get() && !state.upgradable.get() && wait.allows(state);
            state.door.set(state.door.get() || free);
            free
        };
        self.wait_until(wait, at_door) && self.drain(wait, |_| {})
    }

    /// Waits at the door for readers to leave; at the deadline opens it again and takes `back`.
    #[track_caller]
    fn drain(&self, wait: Wait, back: impl Fn(&State)) -> bool {
        let alone = |state: &State| state.readers.get() == 0;
        // A try took the door in a stretch in which it was alone.
        if matches!(wait, Wait::Until(_)) && !self.wait_until(wait, alone) {
            self.step(|state| {
                state.door.set(false);
                back(state);
            });
            return false;
        }
        self.after_writers();
        self.after_readers();
        true
    }

    /// Leaves as a writer, to be what `next` makes of it.
    #[track_caller]
    fn unwrite(&self, next: impl Fn(&State)) {
        self.state().order.writers.fetch_add(0, Release);
        self.step(|state| {
            state.door.set(false);
            next(state);
        });
    }

    #[track_caller]
    fn upgradable(&self, wait: Wait) -> bool {
        let inside = self.wait_until(wait, |state| {
            let free = !state.door.get() && !state.upgradable.get();
            state.upgradable.set(state.upgradable.get() || free);
            free
        });
        if inside {
            self.after_writers();
        }
        inside
    }

    #[track_caller]
    fn unupgradable(&self, next: impl Fn(&State)) {
        self.state().order.readers.fetch_add(0, Release);
        self.step(|state| {
            state.upgradable.set(false);
            next(state);
        });
    }

    #[track_caller]
    fn upgrade(&self, wait: Wait) -> bool {
        let at_door = |state: &State| {
            let free = wait.allows(state);
            if free {
                state.upgradable.set(false);
                state.door.set(true);
            }
            free
        };
        self.wait_until(wait, at_door) && self.drain(wait, |state| state.upgradable.set(true))
    }

    #[track_caller]
    fn is_locked(&self) -> bool {
        lot().pass_turnstile(self.address());
        let state = self.state();
        state.door.get() || state.upgradable.get() || state.readers.get() > 0
    }
}

fn one_more_reader(state: &State) {
    state.readers.set(state.readers.get() + 1);
}

/// The raw lock of [`Mutex`](crate::Mutex); in this model build, its specification.
pub struct RawMutex(Spec);

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawMutex { .. }")
    }
}

// SAFETY: `Spec` lets one writer in at a time.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = RawMutex(Spec::new(Room::Mutex));
    type Guard = GuardSend;

    #[track_caller]
    fn lock(&self) -> GuardSend {
        self.0.write(Wait::Until(None));
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock(&self) -> Option<GuardSend> {
        self.0.write(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock(&self, _: GuardSend) {
        self.0.unwrite(|_| {});
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

// SAFETY: as above; fairness is a promise of the real lock that no model needs.
unsafe impl lock_api::RawMutexFair for RawMutex {
    #[track_caller]
    unsafe fn unlock_fair(&self, _: GuardSend) {
        self.0.unwrite(|_| {});
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[track_caller]
    fn try_lock_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.write(after(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.write(Wait::Until(Some(deadline))).then(GuardSend::new)
    }
}

/// The raw lock of [`RwMutex`](crate::RwMutex); in this model build, its specification.
pub struct RawRwMutex(Spec);

/// What steers the real lock: there is nothing to steer here.
impl RawRwMutex {
    pub(crate) fn steered(count: usize) -> (impl Iterator<Item = Self>, Range<u64>) {
        // Of the whole process: within each execution the same locks come first.
        static IDS: AtomicU64 = AtomicU64::new(0);
        let first = IDS.fetch_add(count as u64, Relaxed);
        ((0..count).map(|_| RawRwMutex(Spec::new(Room::RwMutex))), first..first + count as u64)
    }

    pub(crate) fn reads_one_of(_: &Range<u64>) -> bool {
        false
    }

    pub(crate) fn reads_any_at_once() -> bool {
        false
    }

    pub(crate) fn read_at_once<L>(&self, _: &L) -> Option<GuardSend> {
        None
    }

    pub(crate) fn read_lightly<L, A>(&self, _: &L, _: A) -> Option<GuardSend> {
        None
    }

    pub(crate) fn is_biased(&self) -> bool {
        false
    }

    pub(crate) fn engage_bias(&self) {}

    #[track_caller]
    pub(crate) fn write_steered<L>(&self, _: &L, _keeps_bias: bool) -> GuardSend {
        lock_api::RawRwLock::lock_exclusive(self)
    }
}

impl fmt::Debug for RawRwMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawRwMutex { .. }")
    }
}

// SAFETY: `Spec` lets in one writer alone, or readers beside at most one upgradable reader.
unsafe impl lock_api::RawRwLock for RawRwMutex {
    const INIT: Self = RawRwMutex(Spec::new(Room::RwMutex));
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    #[track_caller]
    fn lock_shared(&self) -> GuardSend {
        self.0.read(Wait::Until(None));
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock_shared(&self) -> Option<GuardSend> {
        self.0.read(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock_shared(&self, _: GuardSend) {
        self.0.unread();
    }

    #[track_caller]
    fn lock_exclusive(&self) -> GuardSend {
        self.0.write(Wait::Until(None));
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        self.0.write(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock_exclusive(&self, _: GuardSend) {
        self.0.unwrite(|_| {});
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        lot().pass_turnstile(self.0.address());
        self.0.state().door.get()
    }
}

// SAFETY: as above; fairness is a promise of the real lock that no model needs.
unsafe impl lock_api::RawRwLockFair for RawRwMutex {
    #[track_caller]
    unsafe fn unlock_shared_fair(&self, _: GuardSend) {
        self.0.unread();
    }

    #[track_caller]
    unsafe fn unlock_exclusive_fair(&self, _: GuardSend) {
        self.0.unwrite(|_| {});
    }
}

// SAFETY: the writer becomes a reader in one stretch.
unsafe impl lock_api::RawRwLockDowngrade for RawRwMutex {
    #[track_caller]
    unsafe fn downgrade(&self, _: GuardSend) -> GuardSend {
        self.0.unwrite(one_more_reader);
        GuardSend::new()
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl lock_api::RawRwLockTimed for RawRwMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.read(after(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_shared_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.read(Wait::Until(Some(deadline))).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.write(after(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_exclusive_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.write(Wait::Until(Some(deadline))).then(GuardSend::new)
    }
}

// SAFETY: an upgradable reader excludes writers and others of its kind until it leaves; an upgrade
// takes the door in the stretch that gives up its place.
unsafe impl lock_api::RawRwLockUpgrade for RawRwMutex {
    type UpgradableGuard = GuardSend;

    #[track_caller]
    fn lock_upgradable(&self) -> GuardSend {
        self.0.upgradable(Wait::Until(None));
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock_upgradable(&self) -> Option<GuardSend> {
        self.0.upgradable(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock_upgradable(&self, _: GuardSend) {
        self.0.unupgradable(|_| {});
    }

    #[track_caller]
    unsafe fn upgrade(&self, guard: GuardSend) -> GuardSend {
        self.0.upgrade(Wait::Until(None));
        guard
    }

    #[track_caller]
    unsafe fn try_upgrade(&self, guard: GuardSend) -> Result<GuardSend, GuardSend> {
        if self.0.upgrade(Wait::No) { Ok(guard) } else { Err(guard) }
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawRwLockUpgradeFair for RawRwMutex {
    #[track_caller]
    unsafe fn unlock_upgradable_fair(&self, _: GuardSend) {
        self.0.unupgradable(|_| {});
    }
}

// SAFETY: each in one stretch.
unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwMutex {
    #[track_caller]
    unsafe fn downgrade_upgradable(&self, guard: GuardSend) -> GuardSend {
        self.0.unupgradable(one_more_reader);
        guard
    }

    #[track_caller]
    unsafe fn downgrade_to_upgradable(&self, guard: GuardSend) -> GuardSend {
        self.0.unwrite(|state| state.upgradable.set(true));
        guard
    }
}

// SAFETY: as above; an upgrade that times out is upgradable as before.
unsafe impl lock_api::RawRwLockUpgradeTimed for RawRwMutex {
    #[track_caller]
    fn try_lock_upgradable_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.upgradable(after(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_upgradable_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.upgradable(Wait::Until(Some(deadline))).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn try_upgrade_for(
        &self,
        guard: GuardSend,
        timeout: Duration,
    ) -> Result<GuardSend, GuardSend> {
        if self.0.upgrade(after(timeout)) { Ok(guard) } else { Err(guard) }
    }

    #[track_caller]
    unsafe fn try_upgrade_until(
        &self,
        guard: GuardSend,
        deadline: Instant,
    ) -> Result<GuardSend, GuardSend> {
        if self.0.upgrade(Wait::Until(Some(deadline))) { Ok(guard) } else { Err(guard) }
    }
}

//! What the models are about: the real lock, and the one that users see, behind one face.

use crate::rw_mutex::RawRwMutex as UsersRawRwMutex;
use crate::rw_mutex::WritePass;
use crate::rw_mutex::raw::{Entered, Pass, RawRwMutex};
use crate::rw_mutex::slots;
use lock_api::{
    RawRwLock as _, RawRwLockDowngrade as _, RawRwLockFair as _, RawRwLockTimed as _,
    RawRwLockUpgrade as _, RawRwLockUpgradeDowngrade as _, RawRwLockUpgradeFair as _,
    RawRwLockUpgradeTimed as _,
};
use std::time::{Duration, Instant};

/// What both locks can do. A limited wait has a deadline that may pass at any moment.
pub(super) trait Subject: Send + Sync + 'static {
    type Pass;
    type Entered;
    fn new() -> Self;
    fn read(&self) -> Self::Pass;
    fn try_read(&self) -> Option<Self::Pass>;
    fn read_in_time(&self) -> Option<Self::Pass>;
    fn leave(&self, pass: Self::Pass);
    fn write(&self) -> Self::Entered;
    fn try_write(&self) -> bool;
    fn write_in_time(&self) -> bool;
    /// With a limit of no time.
    fn write_at_once(&self) -> bool;
    fn unwrite(&self);
    /// With what its entry gave.
    fn unwrite_as(&self, entered: Self::Entered);
    fn unwrite_fair(&self);
    fn downgrade(&self) -> Self::Pass;
    fn downgrade_to_upgradable(&self);
    fn downgrade_upgradable(&self) -> Self::Pass;
    fn is_locked(&self) -> bool;
    fn is_locked_exclusive(&self) -> bool;
    fn upgradable(&self);
    fn upgradable_in_time(&self) -> bool;
    fn leave_upgradable(&self);
    fn leave_upgradable_fair(&self);
    fn upgrade(&self);
    fn try_upgrade(&self) -> bool;
    fn upgrade_in_time(&self) -> bool;
    /// Has readers enter by slots from now on, as far as there is such a thing. Only for a reader.
    fn favour_readers(&self) {}
    /// Gives this thread a row for its slots, another for each thread of a model.
    fn settle(&self, _row: usize) {}
}

fn some_time() -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(60))
}

impl Subject for RawRwMutex {
    type Pass = Pass;
    type Entered = Entered;

    fn new() -> Self {
        slots::prepare();
        RawRwMutex::new()
    }

    fn read(&self) -> Pass {
        RawRwMutex::read(self)
    }

    fn try_read(&self) -> Option<Pass> {
        RawRwMutex::try_read(self)
    }

    fn read_in_time(&self) -> Option<Pass> {
        self.read_until(some_time())
    }

    fn leave(&self, pass: Pass) {
        RawRwMutex::leave(self, pass);
    }

    fn write(&self) -> Entered {
        RawRwMutex::write(self)
    }

    fn try_write(&self) -> bool {
        RawRwMutex::try_write(self)
    }

    fn write_in_time(&self) -> bool {
        self.write_until(some_time())
    }

    fn write_at_once(&self) -> bool {
        self.write_until(Some(Instant::now()))
    }

    fn unwrite(&self) {
        RawRwMutex::unwrite(self, Entered::UNKNOWN);
    }

    fn unwrite_as(&self, entered: Entered) {
        RawRwMutex::unwrite(self, entered);
    }

    fn unwrite_fair(&self) {
        RawRwMutex::unwrite_fair(self);
    }

    fn downgrade(&self) -> Pass {
        RawRwMutex::downgrade(self)
    }

    fn downgrade_to_upgradable(&self) {
        RawRwMutex::downgrade_to_upgradable(self);
    }

    fn downgrade_upgradable(&self) -> Pass {
        RawRwMutex::downgrade_upgradable(self)
    }

    fn is_locked(&self) -> bool {
        RawRwMutex::is_locked(self)
    }

    fn is_locked_exclusive(&self) -> bool {
        RawRwMutex::is_locked_exclusive(self)
    }

    fn upgradable(&self) {
        assert!(RawRwMutex::upgradable(self, None));
    }

    fn upgradable_in_time(&self) -> bool {
        RawRwMutex::upgradable(self, some_time())
    }

    fn leave_upgradable(&self) {
        RawRwMutex::leave_upgradable(self);
    }

    fn leave_upgradable_fair(&self) {
        RawRwMutex::leave_upgradable_fair(self);
    }

    fn upgrade(&self) {
        assert!(RawRwMutex::upgrade(self, None));
    }

    fn try_upgrade(&self) -> bool {
        RawRwMutex::try_upgrade(self)
    }

    fn upgrade_in_time(&self) -> bool {
        RawRwMutex::upgrade(self, some_time())
    }

    fn favour_readers(&self) {
        self.engage_bias();
    }

    fn settle(&self, row: usize) {
        slots::settle(row);
    }
}

/// The lock that users see: the specification in a model build.
pub(super) struct Users(UsersRawRwMutex);

fn token() -> lock_api::GuardSend {
    lock_api::GuardSend::new()
}

impl Subject for Users {
    type Pass = <UsersRawRwMutex as lock_api::RawRwLock>::SharedGuard;
    type Entered = WritePass;

    fn new() -> Self {
        Users(UsersRawRwMutex::INIT)
    }

    fn read(&self) -> Self::Pass {
        self.0.lock_shared()
    }

    fn try_read(&self) -> Option<Self::Pass> {
        self.0.try_lock_shared()
    }

    fn read_in_time(&self) -> Option<Self::Pass> {
        self.0.try_lock_shared_for(Duration::from_secs(60))
    }

    fn leave(&self, pass: Self::Pass) {
        // SAFETY: here and below: the models leave as what they have entered.
        unsafe { self.0.unlock_shared(pass) };
    }

    fn write(&self) -> WritePass {
        self.0.lock_exclusive()
    }

    fn try_write(&self) -> bool {
        self.0.try_lock_exclusive().is_some()
    }

    fn write_in_time(&self) -> bool {
        self.0.try_lock_exclusive_for(Duration::from_secs(60)).is_some()
    }

    fn write_at_once(&self) -> bool {
        self.0.try_lock_exclusive_for(Duration::ZERO).is_some()
    }

    fn unwrite(&self) {
        self.unwrite_as(WritePass::new());
    }

    fn unwrite_as(&self, pass: WritePass) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_exclusive(pass) };
    }

    fn unwrite_fair(&self) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_exclusive_fair(WritePass::new()) };
    }

    fn downgrade(&self) -> Self::Pass {
        // SAFETY: see `leave`.
        unsafe { self.0.downgrade(WritePass::new()) }
    }

    fn downgrade_to_upgradable(&self) {
        // SAFETY: see `leave`.
        let _ = unsafe { self.0.downgrade_to_upgradable(WritePass::new()) };
    }

    fn downgrade_upgradable(&self) -> Self::Pass {
        // SAFETY: see `leave`.
        unsafe { self.0.downgrade_upgradable(token()) }
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.0.is_locked_exclusive()
    }

    fn upgradable(&self) {
        let _ = self.0.lock_upgradable();
    }

    fn upgradable_in_time(&self) -> bool {
        self.0.try_lock_upgradable_for(Duration::from_secs(60)).is_some()
    }

    fn leave_upgradable(&self) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_upgradable(token()) };
    }

    fn leave_upgradable_fair(&self) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_upgradable_fair(token()) };
    }

    fn upgrade(&self) {
        // SAFETY: see `leave`.
        let _ = unsafe { self.0.upgrade(token()) };
    }

    fn try_upgrade(&self) -> bool {
        // SAFETY: see `leave`.
        unsafe { self.0.try_upgrade(token()) }.is_ok()
    }

    fn upgrade_in_time(&self) -> bool {
        // SAFETY: see `leave`.
        unsafe { self.0.try_upgrade_for(token(), Duration::from_secs(60)) }.is_ok()
    }
}

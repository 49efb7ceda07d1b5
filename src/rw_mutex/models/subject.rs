//! What the models are about: the real lock and the lock that users see, behind one interface.

use crate::rw_mutex::RawRwMutex as UsersRawRwMutex;
use crate::rw_mutex::raw::{Pass, RawRwMutex};
use crate::rw_mutex::readers;
use lock_api::{
    RawRwLock as _, RawRwLockDowngrade as _, RawRwLockFair as _, RawRwLockTimed as _,
    RawRwLockUpgrade as _, RawRwLockUpgradeDowngrade as _, RawRwLockUpgradeFair as _,
    RawRwLockUpgradeTimed as _,
};
use std::time::{Duration, Instant};

/// What both locks can do. A limited wait has a deadline that may pass at any moment.
pub(super) trait Subject: Send + Sync + 'static {
    type Pass;
    fn new() -> Self;
    fn read(&self) -> Self::Pass;
    fn try_read(&self) -> Option<Self::Pass>;
    fn read_in_time(&self) -> Option<Self::Pass>;
    fn unlock_shared(&self, pass: Self::Pass);
    fn write(&self);
    fn try_write(&self) -> bool;
    fn write_in_time(&self) -> bool;
    /// With a limit of no time.
    fn write_without_time(&self) -> bool;
    fn unlock_exclusive(&self);
    fn unlock_exclusive_fair(&self);
    fn downgrade(&self) -> Self::Pass;
    fn downgrade_to_upgradable(&self);
    fn downgrade_upgradable(&self) -> Self::Pass;
    fn is_locked(&self) -> bool;
    fn is_locked_exclusive(&self) -> bool;
    fn upgradable(&self);
    fn upgradable_in_time(&self) -> bool;
    fn unlock_upgradable(&self);
    fn unlock_upgradable_fair(&self);
    fn upgrade(&self);
    fn try_upgrade(&self) -> bool;
    fn upgrade_in_time(&self) -> bool;
    /// Has readers enter by slots from now on, as far as there is such a thing. Only for a reader.
    fn favour_readers(&self) {}
    /// Assigns this thread a row for its slots, another for each thread of a model.
    fn settle(&self, _row: usize) {}
}

fn some_time() -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(60))
}

impl Subject for RawRwMutex {
    type Pass = Pass;

    fn new() -> Self {
        readers::prepare();
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

    fn unlock_shared(&self, pass: Pass) {
        RawRwMutex::unlock_shared(self, pass);
    }

    fn write(&self) {
        RawRwMutex::write(self);
    }

    fn try_write(&self) -> bool {
        RawRwMutex::try_write(self)
    }

    fn write_in_time(&self) -> bool {
        self.write_until(some_time())
    }

    fn write_without_time(&self) -> bool {
        self.write_until(Some(Instant::now()))
    }

    fn unlock_exclusive(&self) {
        RawRwMutex::unlock_exclusive(self);
    }

    fn unlock_exclusive_fair(&self) {
        RawRwMutex::unlock_exclusive_fair(self);
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

    fn unlock_upgradable(&self) {
        RawRwMutex::unlock_upgradable(self);
    }

    fn unlock_upgradable_fair(&self) {
        RawRwMutex::unlock_upgradable_fair(self);
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
        self.parts().engage();
    }

    fn settle(&self, row: usize) {
        readers::settle(row);
    }
}

/// The lock that users see: the specification in a model build.
pub(super) struct Users(UsersRawRwMutex);

fn token() -> lock_api::GuardSend {
    lock_api::GuardSend::new()
}

impl Subject for Users {
    type Pass = <UsersRawRwMutex as lock_api::RawRwLock>::SharedGuard;

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

    fn unlock_shared(&self, pass: Self::Pass) {
        // SAFETY: the models leave as what they have entered.
        unsafe { self.0.unlock_shared(pass) };
    }

    fn write(&self) {
        let _ = self.0.lock_exclusive();
    }

    fn try_write(&self) -> bool {
        self.0.try_lock_exclusive().is_some()
    }

    fn write_in_time(&self) -> bool {
        self.0.try_lock_exclusive_for(Duration::from_secs(60)).is_some()
    }

    fn write_without_time(&self) -> bool {
        self.0.try_lock_exclusive_for(Duration::ZERO).is_some()
    }

    fn unlock_exclusive(&self) {
        // SAFETY: see `unlock_shared`.
        unsafe { self.0.unlock_exclusive(token()) };
    }

    fn unlock_exclusive_fair(&self) {
        // SAFETY: see `unlock_shared`.
        unsafe { self.0.unlock_exclusive_fair(token()) };
    }

    fn downgrade(&self) -> Self::Pass {
        // SAFETY: see `unlock_shared`.
        unsafe { self.0.downgrade(token()) }
    }

    fn downgrade_to_upgradable(&self) {
        // SAFETY: see `unlock_shared`.
        let _ = unsafe { self.0.downgrade_to_upgradable(token()) };
    }

    fn downgrade_upgradable(&self) -> Self::Pass {
        // SAFETY: see `unlock_shared`.
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

    fn unlock_upgradable(&self) {
        // SAFETY: see `unlock_shared`.
        unsafe { self.0.unlock_upgradable(token()) };
    }

    fn unlock_upgradable_fair(&self) {
        // SAFETY: see `unlock_shared`.
        unsafe { self.0.unlock_upgradable_fair(token()) };
    }

    fn upgrade(&self) {
        // SAFETY: see `unlock_shared`.
        let _ = unsafe { self.0.upgrade(token()) };
    }

    fn try_upgrade(&self) -> bool {
        // SAFETY: see `unlock_shared`.
        unsafe { self.0.try_upgrade(token()) }.is_ok()
    }

    fn upgrade_in_time(&self) -> bool {
        // SAFETY: see `unlock_shared`.
        unsafe { self.0.try_upgrade_for(token(), Duration::from_secs(60)) }.is_ok()
    }
}

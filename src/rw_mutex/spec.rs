//! The reader-writer lock's specification, on which a user's model runs.

use super::control::{Automatic, External};
use super::external::ExternalBias;
use crate::support::spec::{Spec, Wait};
use lock_api::GuardSend;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// The raw lock of [`RwMutex`](crate::RwMutex); in this model build, its specification.
///
/// Its parameter is phalanx's own: name the type without it.
pub struct RawRwMutex<C = Automatic>(Spec, PhantomData<fn() -> C>);

/// The lock of a store's shards: the same specification, which has no bias.
pub(crate) type RawShardLock = RawRwMutex<External>;

/// The path by which a verdict tells a store's calls from an `RwMutex`'s.
trait Code {
    const CODE: &'static str;
}

impl Code for Automatic {
    const CODE: &'static str = module_path!();
}

impl Code for External {
    const CODE: &'static str = "phalanx::store::shards";
}

impl ExternalBias for RawShardLock {}

impl<C> fmt::Debug for RawRwMutex<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawRwMutex { .. }")
    }
}

// SAFETY: `Spec` lets in one writer alone, or readers beside at most one upgradable reader.
unsafe impl<C: Code> lock_api::RawRwLock for RawRwMutex<C> {
    const INIT: Self = RawRwMutex(Spec::new(C::CODE), PhantomData);
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    #[track_caller]
    fn lock_shared(&self) -> GuardSend {
        self.0.lock_shared(Wait::Forever);
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock_shared(&self) -> Option<GuardSend> {
        self.0.lock_shared(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock_shared(&self, _: GuardSend) {
        self.0.unlock_shared();
    }

    #[track_caller]
    fn lock_exclusive(&self) -> GuardSend {
        self.0.lock_exclusive(Wait::Forever);
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        self.0.lock_exclusive(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock_exclusive(&self, _: GuardSend) {
        self.0.unlock_exclusive();
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.0.is_locked_exclusive()
    }
}

// SAFETY: as above. Fairness is a promise of the real lock that no model needs.
unsafe impl lock_api::RawRwLockFair for RawRwMutex {
    #[track_caller]
    unsafe fn unlock_shared_fair(&self, _: GuardSend) {
        self.0.unlock_shared();
    }

    #[track_caller]
    unsafe fn unlock_exclusive_fair(&self, _: GuardSend) {
        self.0.unlock_exclusive();
    }
}

// SAFETY: the writer becomes a reader in one step.
unsafe impl lock_api::RawRwLockDowngrade for RawRwMutex {
    #[track_caller]
    unsafe fn downgrade(&self, _: GuardSend) -> GuardSend {
        self.0.downgrade();
        GuardSend::new()
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl lock_api::RawRwLockTimed for RawRwMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.lock_shared(Wait::at_most(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_shared_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.lock_shared(Wait::Until(deadline)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.lock_exclusive(Wait::at_most(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_exclusive_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.lock_exclusive(Wait::Until(deadline)).then(GuardSend::new)
    }
}

// SAFETY: an upgradable reader excludes writers and others of its kind until it leaves; an upgrade
// becomes the writer in the step in which it stops to be the upgradable reader.
unsafe impl lock_api::RawRwLockUpgrade for RawRwMutex {
    type UpgradableGuard = GuardSend;

    #[track_caller]
    fn lock_upgradable(&self) -> GuardSend {
        self.0.lock_upgradable(Wait::Forever);
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock_upgradable(&self) -> Option<GuardSend> {
        self.0.lock_upgradable(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock_upgradable(&self, _: GuardSend) {
        self.0.unlock_upgradable();
    }

    #[track_caller]
    unsafe fn upgrade(&self, guard: GuardSend) -> GuardSend {
        self.0.upgrade(Wait::Forever);
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
        self.0.unlock_upgradable();
    }
}

// SAFETY: each is one step.
unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwMutex {
    #[track_caller]
    unsafe fn downgrade_upgradable(&self, guard: GuardSend) -> GuardSend {
        self.0.downgrade_upgradable();
        guard
    }

    #[track_caller]
    unsafe fn downgrade_to_upgradable(&self, guard: GuardSend) -> GuardSend {
        self.0.downgrade_to_upgradable();
        guard
    }
}

// SAFETY: as above; an upgrade that times out is upgradable as before.
unsafe impl lock_api::RawRwLockUpgradeTimed for RawRwMutex {
    #[track_caller]
    fn try_lock_upgradable_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.lock_upgradable(Wait::at_most(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_upgradable_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.lock_upgradable(Wait::Until(deadline)).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn try_upgrade_for(
        &self,
        guard: GuardSend,
        timeout: Duration,
    ) -> Result<GuardSend, GuardSend> {
        if self.0.upgrade(Wait::at_most(timeout)) { Ok(guard) } else { Err(guard) }
    }

    #[track_caller]
    unsafe fn try_upgrade_until(
        &self,
        guard: GuardSend,
        deadline: Instant,
    ) -> Result<GuardSend, GuardSend> {
        if self.0.upgrade(Wait::Until(deadline)) { Ok(guard) } else { Err(guard) }
    }
}

//! [`lock_api`]'s traits for the lock: what users see of it, and the lock of a store's shards.

use super::control::{Automatic, Control, External};
use super::external::ExternalBias;
use super::{raw, readers};
use crate::support::deadline::after;
use lock_api::GuardSend;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The raw lock of [`RwMutex`](super::RwMutex), for code that is generic over [`lock_api`]'s traits.
///
/// Its parameter is phalanx's own: name the type without it.
#[derive(Debug)]
pub struct RawRwMutex<C = Automatic>(raw::RawRwMutex<C>);

/// The lock of one of a store's shards: the same, but the store decides on its bias. Its id is its address, so
/// its guards must not be forgotten.
pub(crate) type RawShardLock = RawRwMutex<External>;

/// A lock that nobody holds: a constant, as `lock_api` wants it.
trait Init: Control + Sized {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each use is to be a lock of its own"
    )]
    const INIT: raw::RawRwMutex<Self>;
}

impl Init for Automatic {
    const INIT: raw::RawRwMutex = raw::RawRwMutex::new();
}

impl Init for External {
    const INIT: raw::RawRwMutex<External> = raw::RawRwMutex::new_external();
}

/// How a reader leaves: what its guard carries.
#[derive(Debug)]
pub struct ReadPass(raw::Pass);

fn upgraded(got: bool, guard: GuardSend) -> Result<GuardSend, GuardSend> {
    if got { Ok(guard) } else { Err(guard) }
}

// SAFETY: R1 and R2 in `raw.rs`: a writer alone, or readers. Guards may be sent to
// other threads: a pass names its slot, and nothing in the word belongs to a thread.
unsafe impl<C: Init> lock_api::RawRwLock for RawRwMutex<C> {
    const INIT: Self = RawRwMutex(C::INIT);
    type SharedGuard = ReadPass;
    type ExclusiveGuard = GuardSend;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) -> ReadPass {
        ReadPass(self.0.read())
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> Option<ReadPass> {
        self.0.try_read().map(ReadPass)
    }

    #[inline]
    unsafe fn unlock_shared(&self, pass: ReadPass) {
        self.0.unlock_shared(pass.0);
    }

    #[inline]
    fn lock_exclusive(&self) -> GuardSend {
        self.0.write();
        GuardSend::new()
    }

    #[inline]
    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        self.0.try_write().then(GuardSend::new)
    }

    #[inline]
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

// SAFETY: as above.
unsafe impl lock_api::RawRwLockFair for RawRwMutex {
    unsafe fn unlock_shared_fair(&self, pass: ReadPass) {
        // A writer that waits for readers is pending already: it is next in any case.
        self.0.unlock_shared(pass.0);
    }

    unsafe fn unlock_exclusive_fair(&self, _: GuardSend) {
        self.0.unlock_exclusive_fair();
    }
}

// SAFETY: one step from writer to reader.
unsafe impl lock_api::RawRwLockDowngrade for RawRwMutex {
    unsafe fn downgrade(&self, _: GuardSend) -> ReadPass {
        ReadPass(self.0.downgrade())
    }
}

// SAFETY: as for `RawRwLock`.
unsafe impl lock_api::RawRwLockTimed for RawRwMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Duration) -> Option<ReadPass> {
        self.0.read_until(after(timeout)).map(ReadPass)
    }

    #[track_caller]
    fn try_lock_shared_until(&self, deadline: Instant) -> Option<ReadPass> {
        self.0.read_until(Some(deadline)).map(ReadPass)
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.write_until(after(timeout)).then(GuardSend::new)
    }

    fn try_lock_exclusive_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.write_until(Some(deadline)).then(GuardSend::new)
    }
}

// SAFETY: an upgradable reader excludes writers and others of its kind, and becomes a pending
// writer in one step.
unsafe impl lock_api::RawRwLockUpgrade for RawRwMutex {
    type UpgradableGuard = GuardSend;

    fn lock_upgradable(&self) -> GuardSend {
        self.0.upgradable(None);
        GuardSend::new()
    }

    fn try_lock_upgradable(&self) -> Option<GuardSend> {
        self.0.try_upgradable().then(GuardSend::new)
    }

    unsafe fn unlock_upgradable(&self, _: GuardSend) {
        self.0.unlock_upgradable();
    }

    unsafe fn upgrade(&self, _: GuardSend) -> GuardSend {
        self.0.upgrade(None);
        GuardSend::new()
    }

    unsafe fn try_upgrade(&self, guard: GuardSend) -> Result<GuardSend, GuardSend> {
        upgraded(self.0.try_upgrade(), guard)
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawRwLockUpgradeFair for RawRwMutex {
    unsafe fn unlock_upgradable_fair(&self, _: GuardSend) {
        self.0.unlock_upgradable_fair();
    }
}

// SAFETY: each one step.
unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwMutex {
    unsafe fn downgrade_upgradable(&self, _: GuardSend) -> ReadPass {
        ReadPass(self.0.downgrade_upgradable())
    }

    unsafe fn downgrade_to_upgradable(&self, _: GuardSend) -> GuardSend {
        self.0.downgrade_to_upgradable();
        GuardSend::new()
    }
}

// SAFETY: as above; an upgrade that times out is upgradable as before.
unsafe impl lock_api::RawRwLockUpgradeTimed for RawRwMutex {
    fn try_lock_upgradable_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.upgradable(after(timeout)).then(GuardSend::new)
    }

    fn try_lock_upgradable_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.upgradable(Some(deadline)).then(GuardSend::new)
    }

    unsafe fn try_upgrade_for(
        &self,
        guard: GuardSend,
        timeout: Duration,
    ) -> Result<GuardSend, GuardSend> {
        upgraded(self.0.upgrade(after(timeout)), guard)
    }

    unsafe fn try_upgrade_until(
        &self,
        guard: GuardSend,
        deadline: Instant,
    ) -> Result<GuardSend, GuardSend> {
        upgraded(self.0.upgrade(Some(deadline)), guard)
    }
}

impl ExternalBias for RawShardLock {
    #[inline]
    fn try_read_fast(&self) -> Option<ReadPass> {
        self.0.try_read_fast().map(ReadPass)
    }

    #[inline]
    fn engage_bias(&self) {
        self.0.engage_bias();
    }

    #[inline]
    fn write(&self, keeps_bias: bool) -> GuardSend {
        self.0.write_external(keeps_bias);
        GuardSend::new()
    }

    #[inline]
    fn reads_fast_within(addresses: &Range<usize>) -> bool {
        readers::is_first_within(addresses)
    }
}

//! The mutex's specification, on which a user's model runs: [`Spec`], only written.

use super::core::Word;
use crate::support::spec::{Spec, Wait};
use lock_api::GuardSend;
use std::fmt;
use std::time::{Duration, Instant};

/// The raw lock of [`Mutex`](crate::Mutex); in this model build, its specification.
pub struct RawMutex(Spec);

impl RawMutex {
    /// None: a specification has no word.
    pub(super) fn word(&self) -> Option<&Word> {
        None
    }
}

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawMutex { .. }")
    }
}

// SAFETY: `Spec` lets one writer in at a time.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = RawMutex(Spec::new(module_path!()));
    type Guard = GuardSend;

    #[track_caller]
    fn lock(&self) -> GuardSend {
        self.0.lock_exclusive(Wait::Forever);
        GuardSend::new()
    }

    #[track_caller]
    fn try_lock(&self) -> Option<GuardSend> {
        self.0.lock_exclusive(Wait::No).then(GuardSend::new)
    }

    #[track_caller]
    unsafe fn unlock(&self, _: GuardSend) {
        self.0.unlock_exclusive();
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

// SAFETY: as above. Fairness is a promise of the real lock that no model needs.
unsafe impl lock_api::RawMutexFair for RawMutex {
    #[track_caller]
    unsafe fn unlock_fair(&self, _: GuardSend) {
        self.0.unlock_exclusive();
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[track_caller]
    fn try_lock_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.0.lock_exclusive(Wait::at_most(timeout)).then(GuardSend::new)
    }

    #[track_caller]
    fn try_lock_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.lock_exclusive(Wait::Until(deadline)).then(GuardSend::new)
    }
}

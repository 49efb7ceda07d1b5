//! [`lock_api`]'s traits for the mutex's word.

use super::core::Word;
use crate::support::deadline::after;
use lock_api::GuardSend;
use std::time::{Duration, Instant};

/// The raw lock of [`Mutex`](super::Mutex), for code that is generic over [`lock_api`]'s traits.
#[derive(Debug)]
pub struct RawMutex(Word);

impl RawMutex {
    #[inline]
    pub(super) fn word(&self) -> Option<&Word> {
        Some(&self.0)
    }
}

// SAFETY: at most one thread holds the word (invariants M1 and M3). A guard may be sent to another thread, since
// nothing in the word belongs to one.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = RawMutex(Word::new());
    type Guard = GuardSend;

    #[inline]
    fn lock(&self) -> GuardSend {
        self.0.lock();
        GuardSend::new()
    }

    #[inline]
    fn try_lock(&self) -> Option<GuardSend> {
        self.0.try_lock().then(GuardSend::new)
    }

    #[inline]
    unsafe fn unlock(&self, _: GuardSend) {
        self.0.unlock();
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

// SAFETY: a fair unlock releases the lock, or hands it to exactly one waiter.
unsafe impl lock_api::RawMutexFair for RawMutex {
    unsafe fn unlock_fair(&self, _: GuardSend) {
        self.0.unlock_fair();
    }
}

// SAFETY: a timed lock returns a guard only if this thread holds the word.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> Option<GuardSend> {
        let deadline = after(timeout);
        self.0.lock_until(deadline).then(GuardSend::new)
    }

    fn try_lock_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.0.lock_until(Some(deadline)).then(GuardSend::new)
    }
}

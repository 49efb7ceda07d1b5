//! The party that decides on a lock's bias: the lock itself, or its user.
//!
//! [`Automatic`] is a lock that learns from what it sees, as [`policy`](super::policy) has it. [`External`] is
//! one whose user knows more: one of many shards is read too rarely to tell by itself. A reader inside engages
//! its bias, a writer inside ends it, and nothing is counted.

use super::core::Core;
use super::policy::{BiasPolicy, reads_between};
use super::readers;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Hint, const_fn};
use std::fmt::Debug;

pub(super) trait Control: Debug {
    /// What marks slots for this lock. Only where the bias was seen, or by its user.
    fn id(&self, core: &Core) -> u64;

    /// What a waiter goes by; `None` if the lock doesn't decide on its bias.
    fn policy(&self) -> Option<BiasPolicy>;

    /// Notes whether sections take long.
    fn note_long_sections(&self, long: bool);

    /// Before the bias is engaged: there is an id from now on.
    fn prepare(&self);

    /// After a writer has revoked the bias and found the slots free. `reads` is what the rows remember; unfenced
    /// reads are not `counted`. Returns whether the bias stays.
    fn charge(&self, reads: u32, counted: bool) -> bool;
}

/// A lock that decides on its bias by itself.
#[derive(Debug)]
pub struct Automatic {
    /// 0 before the first bias.
    id: AtomicU64,
    /// A [`BiasPolicy`]. Written by the writer inside, and by waiters.
    policy: Hint,
    /// The reads that rows remembered at the last charge. Written by the writer inside.
    counted: Hint,
}

impl Automatic {
    const_fn! {
        pub(super) fn new() -> Self {
            Automatic { id: AtomicU64::new(0), policy: Hint::new(), counted: Hint::new() }
        }
    }

    fn learn<R>(&self, change: impl FnOnce(&mut BiasPolicy) -> R) -> R {
        let mut policy = BiasPolicy::from(self.policy.get());
        let result = change(&mut policy);
        self.policy.set(policy.number());
        result
    }
}

impl Control for Automatic {
    #[inline]
    fn id(&self, _: &Core) -> u64 {
        // ORDERING: Relaxed: the caller has loaded the word that has the bias with Acquire, and the id is
        // older.
        self.id.load(Ordering::Relaxed)
    }

    fn policy(&self) -> Option<BiasPolicy> {
        Some(BiasPolicy::from(self.policy.get()))
    }

    #[cold]
    fn note_long_sections(&self, long: bool) {
        self.learn(|policy| policy.has_long_sections = long);
    }

    fn prepare(&self) {
        // ORDERING: Relaxed: published by the step that sets the bias.
        if self.id.load(Ordering::Relaxed) == 0 {
            let (id, relaxed) = (readers::new_id(), Ordering::Relaxed);
            // ORDERING: Relaxed, in both cases: as above.
            let _ = self.id.compare_exchange(0, id, relaxed, relaxed);
        }
        self.learn(BiasPolicy::engage);
    }

    fn charge(&self, now: u32, counted: bool) -> bool {
        let then = self.counted.get();
        self.counted.set(now);
        // There are many unfenced reads for each write.
        let reads = if counted { reads_between(then, now) } else { u32::MAX };
        self.learn(|policy| policy.charge(reads))
    }
}

/// See the [module](self). Its id is the lock's address, so its guards must not be forgotten.
#[derive(Debug)]
pub(crate) struct External;

impl Control for External {
    #[inline]
    fn id(&self, core: &Core) -> u64 {
        readers::id_of_address(core.address())
    }

    #[inline]
    fn policy(&self) -> Option<BiasPolicy> {
        None
    }

    fn note_long_sections(&self, _: bool) {}

    fn prepare(&self) {}

    fn charge(&self, _: u32, _: bool) -> bool {
        true
    }
}

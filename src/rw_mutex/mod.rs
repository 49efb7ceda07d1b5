//! A reader-writer lock whose reads scale, and that lets nobody starve.
//!
//! The lock itself is `raw.rs`, its word `word.rs`, its waiting `waiting.rs`, the way past the word
//! `bias.rs`, `slots.rs` and `light.rs`. The types here are [`lock_api`]'s around it.

use crate::sys::by_build;

by_build! {
    machine {
        mod bias;
        mod light;
        mod raw;
        mod slots;
        mod waiting;
        mod word;

        pub(crate) use light::{Allowed, Light};

        use lock_api::GuardSend;
        use std::ops::Range;
        use std::time::{Duration, Instant};

        /// The raw lock of [`RwMutex`], for code that is generic over [`lock_api`]'s traits.
        #[derive(Debug)]
        pub struct RawRwMutex(raw::RawRwMutex);

        impl RawRwMutex {
            /// Locks whose user says when their readers pass the word by, for one that knows more about
            /// the mix than a lock can see; and their ids.
            pub(crate) fn steered(count: usize) -> (impl Iterator<Item = Self>, Range<u64>) {
                let ids = slots::new_uncounted_ids(count);
                (ids.clone().map(|id| RawRwMutex(raw::RawRwMutex::steered(id))), ids)
            }

            /// Whether this thread reads one of these locks by [`read_at_once`](Self::read_at_once).
            #[inline]
            pub(crate) fn reads_one_of(ids: &Range<u64>) -> bool {
                slots::is_first_one_of(ids)
            }

            /// Whether this thread reads any lock by [`read_at_once`](Self::read_at_once), or by a bias.
            #[inline]
            pub(crate) fn reads_any_at_once() -> bool {
                slots::is_first_marked()
            }

            /// Reads past the word, if that takes no more than a look.
            #[inline]
            pub(crate) fn read_at_once(&self, light: &Light) -> Option<ReadPass> {
                self.0.read_at_once(light).map(ReadPass)
            }

            /// The same by a light mark, which the readers' [`Light`] has just allowed.
            #[inline]
            pub(crate) fn read_lightly(&self, light: &Light, allowed: Allowed) -> Option<ReadPass> {
                self.0.read_lightly(light, allowed).map(ReadPass)
            }

            /// Whether readers pass the word by. A look.
            #[inline]
            pub(crate) fn is_biased(&self) -> bool {
                self.0.is_biased()
            }

            /// Has readers pass the word by from now on. Only for a reader inside.
            pub(crate) fn engage_bias(&self) {
                self.0.engage_bias();
            }

            /// Locks for writing; if readers are not to pass the word by any more, has them enter by it from
            /// when the writer has left.
            #[inline]
            #[track_caller]
            pub(crate) fn write_steered(&self, light: &Light, keeps_bias: bool) -> WritePass {
                WritePass(self.0.write_steered(light, keeps_bias))
            }
        }

        /// How a reader leaves: what its guard carries.
        #[derive(Debug)]
        pub struct ReadPass(raw::Pass);

        /// How a writer leaves: with what its guard remembers of its entry.
        #[derive(Debug)]
        pub struct WritePass(raw::Entered);

        impl WritePass {
            /// Of one that remembers nothing.
            pub(super) fn new() -> Self {
                WritePass(raw::Entered::UNKNOWN)
            }
        }

        /// Too long to represent is for ever.
        fn after(timeout: Duration) -> Option<Instant> {
            Instant::now().checked_add(timeout)
        }

        fn upgraded(got: bool, guard: GuardSend) -> Result<WritePass, GuardSend> {
            if got { Ok(WritePass::new()) } else { Err(guard) }
        }

        // SAFETY: the raw lock's invariants 1 and 2: a writer alone, or readers. Guards may be sent to
        // other threads: a pass names its slot, and nothing in the word belongs to a thread.
        unsafe impl lock_api::RawRwLock for RawRwMutex {
            const INIT: Self = RawRwMutex(raw::RawRwMutex::new());
            type SharedGuard = ReadPass;
            type ExclusiveGuard = WritePass;

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
                self.0.leave(pass.0);
            }

            #[inline]
            fn lock_exclusive(&self) -> WritePass {
                WritePass(self.0.write())
            }

            #[inline]
            fn try_lock_exclusive(&self) -> Option<WritePass> {
                self.0.try_write().then(WritePass::new)
            }

            #[inline]
            unsafe fn unlock_exclusive(&self, pass: WritePass) {
                self.0.unwrite(pass.0);
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
                // A writer that waits for readers has the door already: it is next in any case.
                self.0.leave(pass.0);
            }

            unsafe fn unlock_exclusive_fair(&self, _: WritePass) {
                self.0.unwrite_fair();
            }
        }

        // SAFETY: one step from writer to reader.
        unsafe impl lock_api::RawRwLockDowngrade for RawRwMutex {
            unsafe fn downgrade(&self, _: WritePass) -> ReadPass {
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

            fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<WritePass> {
                self.0.write_until(after(timeout)).then(WritePass::new)
            }

            fn try_lock_exclusive_until(&self, deadline: Instant) -> Option<WritePass> {
                self.0.write_until(Some(deadline)).then(WritePass::new)
            }
        }

        // SAFETY: an upgradable reader excludes writers and others of its kind, and takes the door in
        // the step that gives up its place.
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
                self.0.leave_upgradable();
            }

            unsafe fn upgrade(&self, _: GuardSend) -> WritePass {
                self.0.upgrade(None);
                WritePass::new()
            }

            unsafe fn try_upgrade(&self, guard: GuardSend) -> Result<WritePass, GuardSend> {
                upgraded(self.0.try_upgrade(), guard)
            }
        }

        // SAFETY: as above.
        unsafe impl lock_api::RawRwLockUpgradeFair for RawRwMutex {
            unsafe fn unlock_upgradable_fair(&self, _: GuardSend) {
                self.0.leave_upgradable_fair();
            }
        }

        // SAFETY: each one step.
        unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwMutex {
            unsafe fn downgrade_upgradable(&self, _: GuardSend) -> ReadPass {
                ReadPass(self.0.downgrade_upgradable())
            }

            unsafe fn downgrade_to_upgradable(&self, _: WritePass) -> GuardSend {
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
            ) -> Result<WritePass, GuardSend> {
                upgraded(self.0.upgrade(after(timeout)), guard)
            }

            unsafe fn try_upgrade_until(
                &self,
                guard: GuardSend,
                deadline: Instant,
            ) -> Result<WritePass, GuardSend> {
                upgraded(self.0.upgrade(Some(deadline)), guard)
            }
        }
    }
    model {
        #[cfg_attr(not(test), expect(dead_code, reason = "only the models of this room use it"))]
        mod bias;
        mod light;
        #[cfg_attr(not(test), expect(dead_code, reason = "as above"))]
        mod raw;
        #[cfg_attr(not(test), expect(dead_code, reason = "as above"))]
        mod slots;
        mod spec;
        mod waiting;
        mod word;

        pub use spec::RawRwMutex;
        pub(crate) use light::Light;

        #[cfg(test)]
        use lock_api::GuardSend as WritePass;
    }
}

/// A reader-writer lock around a value: Go's `RWMutex`, whose reads scale.
///
/// ```
/// use phalanx::{RwMutex, RwMutexUpgradableReadGuard};
/// use std::collections::HashMap;
///
/// let squares = RwMutex::new(HashMap::from([(2, 4)]));
/// assert_eq!(squares.read().get(&2), Some(&4));
///
/// // Reads first, and writes only if need be, with no other writer in between.
/// let seen = squares.upgradable_read();
/// if !seen.contains_key(&3) {
///     RwMutexUpgradableReadGuard::upgrade(seen).insert(3, 9);
/// }
/// assert_eq!(squares.read().len(), 2);
/// ```
///
/// **A recursive `read` may deadlock**: if a writer comes between the two, the second read waits for
/// the writer, and the writer for the first.
///
/// The type is [`lock_api::RwLock`] around phalanx's raw lock.
///
/// | to do this | call | example |
/// | --- | --- | --- |
/// | read beside other readers | [`read`](lock_api::RwLock::read) | `lock.read().len()` |
/// | write alone | [`write`](lock_api::RwLock::write) | `lock.write().push(1)` |
/// | lock if it is free | [`try_read`](lock_api::RwLock::try_read), [`try_write`](lock_api::RwLock::try_write) | `if let Some(list) = lock.try_read() { show(&list) }` |
/// | lock within a time | [`try_read_for`](lock_api::RwLock::try_read_for), [`try_write_for`](lock_api::RwLock::try_write_for) | `lock.try_write_for(Duration::from_millis(5))` |
/// | read, and perhaps write next | [`upgradable_read`](lock_api::RwLock::upgradable_read), then [`upgrade`](lock_api::RwLockUpgradableReadGuard::upgrade) | see above |
/// | write, then go on reading | [`downgrade`](lock_api::RwLockWriteGuard::downgrade) | `RwMutexWriteGuard::downgrade(guard)` |
/// | unlock for the longest waiter | [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) | `RwMutexWriteGuard::unlock_fair(guard)` |
/// | keep a part of the value locked | [`map`](lock_api::RwLockReadGuard::map) | `RwMutexReadGuard::map(guard, first)` |
///
/// ```
/// use phalanx::{RwMutex, RwMutexWriteGuard};
/// use std::time::Duration;
///
/// let list = RwMutex::new(vec![1]);
/// let mut writing = list.write();
/// assert!(list.try_read().is_none());
/// assert!(list.try_read_for(Duration::from_millis(1)).is_none());
/// writing.push(2);
/// let reading = RwMutexWriteGuard::downgrade(writing);
/// assert_eq!(list.read().len(), reading.len());
/// ```
///
/// # When to use it
/// Wherever several threads read at once and writes are rarer, or sections are long.
/// [`Mutex`](crate::Mutex) is as good or better where sections are a few nanoseconds and writes
/// frequent, and it is smaller. `cargo bench --bench mutex_vs_rw_mutex` tells which to take.
///
/// # Tries
/// A `try_` call doesn't block. One that fails is noticed by no other call: it makes nobody wait or fail.
/// [`try_read`](lock_api::RwLock::try_read) fails only if a writer holds the lock or waits for it, or has just
/// handed it over with [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) to a thread that isn't awake yet.
/// With too many readers inside it panics, as `read` does: see [panics](RwMutex#panics-and-misuse).
/// [`try_write`](lock_api::RwLock::try_write) fails only if another thread is inside, is on its way in or
/// out, or has waited so long that it claims the lock. A timed wait with no time (`Duration::ZERO`, or a
/// deadline that has passed) is a try. A writer that waits with a limit is a waiting writer as long as it
/// waits.
///
/// # Async code
/// `read` and `write` block the thread, and guards are `Send`. Drop a guard before an `.await`:
/// [`Mutex`](crate::Mutex#async-code) tells why, and how clippy finds guards that are held across one.
///
/// # How reads scale
/// A lock that only one reader uses at a time is one word, as everywhere. Once a reader has had to
/// wait for another, and no writer came for half a microsecond, the lock is *biased*: a reader
/// marks a slot of its own thread and touches no line that another reader writes. A write takes the
/// bias off, looks at the slots of all threads that read so, and puts it back if enough is read
/// between two writes. So a write to a biased lock costs about half a microsecond more than
/// one to an unbiased lock, plus a few nanoseconds for each thread of the program that reads by
/// slots, and it is paid only where the reads are worth it. (BRAVO, arXiv:1810.01553; folly's
/// `SharedMutex`.)
///
/// Most of what such a read costs is a memory fence. On Linux, a lock that a thread has read 16,000 times in a
/// row without a write in between goes without: its next writer (also one that only tries) makes everybody's
/// fence by `membarrier(2)`, which takes it 10 to 30 µs and interrupts the process's running threads for a
/// moment; after that, reads have their own fences again, for as long. The kernel is asked for such fences
/// once in the life of the process, by the first thread that reads by slots, before it enters; where other
/// threads run that call takes some 10 ms. A sandbox that is to refuse the call must do so from then on: if it
/// is granted first and refused later, readers can't be seen any more, and the process is aborted with a
/// message.
///
/// Memory: 24 bytes beside the value; 128 bytes for each thread that has read a biased lock, in a
/// static table for 256 of them. Threads beyond that, reads of more than 6 biased locks nested in one
/// thread, and reads while the thread's thread-locals are being destroyed use the word, at an
/// unbiased lock's speed.
///
/// # Fairness
/// A writer that comes while readers are inside lets no more of them in and waits for those to
/// leave, so readers don't starve writers. A thread that has been waiting for a millisecond, counted
/// from when it fell asleep, claims the lock, and no writer enters before it does: so writers don't
/// starve readers, or each other. (An upgradable reader that upgrades, downgrades and upgrades again
/// without ever letting go may keep readers out for longer.)
///
/// [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) of a write guard hands the lock to a
/// sleeping reader, or if there is none to a sleeping writer.
///
/// # Timeouts
/// A wait with a timeout or a deadline fails not before its time is over, and a lock that is free is taken
/// also when it is. A duration too long to be a point in time, such as [`Duration::MAX`], is no limit. A
/// writer that gives up lets in whom it has kept out; an upgrade that gives up is an upgradable read again.
///
/// # Panics and misuse
/// A panic under the lock unlocks it; there is no poisoning. A guard may be dropped on another thread.
/// A guard that is forgotten leaves the lock locked, and if it was a read guard of a biased
/// lock costs its thread one of its 6 slots; no other lock is harmed, also not one that comes to stand
/// in the place of the first. With 2^22 readers inside by the word at once, reading panics, and so
/// does downgrading an upgradable guard, whose lock is left then.
///
/// **Use one copy of the crate per process.** The slots of readers and the queues of waiters belong to the
/// copy of phalanx that a thread's code was compiled with. If two copies share a lock (a plugin with a
/// phalanx of its own, or two versions), a writer of one doesn't see the readers of the other, and both are
/// inside at once. Across such a boundary, share a lock only by calls into the copy that made it.
///
/// A global allocator must not use this lock. A thread that waits may have to allocate its place in the
/// queues; that calls the allocator, which waits, until the stack overflows.
///
/// # Memory ordering
/// Everything before a write unlock happens before everything after the next lock of either kind;
/// everything before a read unlock happens before everything after the next write lock. Readers
/// are not ordered with one another.
///
/// # Under a model
/// In a [`model`](crate::model) build the raw lock is a specification with a small state: a waiting
/// writer keeps new readers out, anyone may be overtaken any number of times, and a deadline may pass
/// at any moment. The real lock has models of its own in this crate.
#[doc(alias = "RwLock")]
#[doc(alias = "RWMutex")]
pub type RwMutex<T> = lock_api::RwLock<RawRwMutex, T>;

/// The guard of a [`RwMutex`] that is being read.
#[doc(alias = "RwLockReadGuard")]
pub type RwMutexReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwMutex, T>;

/// The guard of a [`RwMutex`] that is being written.
#[doc(alias = "RwLockWriteGuard")]
pub type RwMutexWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwMutex, T>;

/// The guard of a [`RwMutex`] that is being read, and may be written next: one at a time.
#[doc(alias = "RwLockUpgradableReadGuard")]
pub type RwMutexUpgradableReadGuard<'a, T> = lock_api::RwLockUpgradableReadGuard<'a, RawRwMutex, T>;

/// The guard of a part of what a [`RwMutex`] protects, being read.
#[doc(alias = "MappedRwLockReadGuard")]
pub type MappedRwMutexReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwMutex, T>;

/// The guard of a part of what a [`RwMutex`] protects, being written.
#[doc(alias = "MappedRwLockWriteGuard")]
pub type MappedRwMutexWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwMutex, T>;

/// The read guard of a [`RwMutex`] in an `Arc`, which it keeps alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexReadGuard<T> = lock_api::ArcRwLockReadGuard<RawRwMutex, T>;

/// The write guard of a [`RwMutex`] in an `Arc`, which it keeps alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawRwMutex, T>;

/// The upgradable guard of a [`RwMutex`] in an `Arc`, which it keeps alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexUpgradableReadGuard<T> = lock_api::ArcRwLockUpgradableReadGuard<RawRwMutex, T>;

#[cfg(test)]
mod models;

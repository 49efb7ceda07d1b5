//! A reader-writer lock whose reads scale, and that lets nobody starve.
//!
//! | file | holds |
//! | --- | --- |
//! | `state.rs` | the bits of the lock's word and the transitions between them |
//! | `core.rs` | the word, its queues, the steps that let others in |
//! | `readers.rs` | the slots in which readers say that they are inside |
//! | `policy.rs` | when a bias pays, when a waiter enters: values without atomics |
//! | `control.rs` | whether the lock decides on the bias, or its user |
//! | `slow.rs` | waiting |
//! | `unfenced.rs` | marks without a fence |
//! | `bias.rs` | engaging and revoking the bias, draining, tries |
//! | `raw.rs` | the lock, put together; the invariants |
//! | `external.rs` | a lock whose user decides on its bias |
//! | `api.rs` | [`lock_api`]'s traits for the lock |
//! | `spec.rs` | the specification that users' models run on, instead of `api.rs` |
//! | `models/` | models of the lock and of the specification |

#![cfg_attr(all(phalanx_loom, not(test)), expect(dead_code, reason = "only its models use it"))]

#[cfg_attr(phalanx_loom, path = "spec.rs")]
mod api;
mod bias;
mod control;
mod core;
mod external;
#[cfg(test)]
mod models;
mod policy;
mod raw;
mod readers;
mod slow;
mod state;
mod unfenced;

pub use api::RawRwMutex;
pub(crate) use api::RawShardLock;
pub(crate) use external::ExternalBias;

/// A reader-writer lock around a value: any number of readers, or one writer. Go's `RWMutex`, with reads that scale.
///
/// Use it for a value that several threads read at once and that is written more rarely, or where sections are long.
/// Where sections take a few nanoseconds and writes are frequent, [`Mutex`](crate::Mutex) is as good or better, and
/// smaller. `cargo bench --bench mutex_vs_rw_mutex` shows which to take.
///
/// ```
/// use phalanx::{RwMutex, RwMutexUpgradableReadGuard};
/// use std::collections::HashMap;
///
/// let squares = RwMutex::new(HashMap::from([(2, 4)]));
/// assert_eq!(squares.read().get(&2), Some(&4));
///
/// // Reads first, and writes only if it has to, with no other writer in between.
/// let seen = squares.upgradable_read();
/// if !seen.contains_key(&3) {
///     RwMutexUpgradableReadGuard::upgrade(seen).insert(3, 9);
/// }
/// assert_eq!(squares.read().len(), 2);
/// ```
///
/// **A recursive `read` may deadlock**: if a writer comes between the two reads, the second one waits for the writer, and
/// the writer for the first.
///
/// The type is [`lock_api::RwLock`] around phalanx's raw lock.
///
/// | to do this | call | example |
/// | --- | --- | --- |
/// | read beside other readers | [`read`](lock_api::RwLock::read) | `lock.read().len()` |
/// | write alone | [`write`](lock_api::RwLock::write) | `lock.write().push(1)` |
/// | lock if it is free | [`try_read`](lock_api::RwLock::try_read), [`try_write`](lock_api::RwLock::try_write) | `if let Some(list) = lock.try_read() { show(&list) }` |
/// | lock within a time limit | [`try_read_for`](lock_api::RwLock::try_read_for), [`try_write_for`](lock_api::RwLock::try_write_for) | `lock.try_write_for(Duration::from_millis(5))` |
/// | read, and perhaps write next | [`upgradable_read`](lock_api::RwLock::upgradable_read), then [`upgrade`](lock_api::RwLockUpgradableReadGuard::upgrade) | see above |
/// | write, then go on reading | [`downgrade`](lock_api::RwLockWriteGuard::downgrade) | `RwMutexWriteGuard::downgrade(guard)` |
/// | unlock and hand the lock to a waiter | [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) | `RwMutexWriteGuard::unlock_fair(guard)` |
/// | narrow the guard to a part of the value | [`map`](lock_api::RwLockReadGuard::map) | `RwMutexReadGuard::map(guard, first)` |
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
/// # Non-blocking acquisition
/// A `try_` call doesn't block. If it fails, no other call can tell that it was made: it makes nobody wait or fail.
///
/// - [`try_read`](lock_api::RwLock::try_read) fails only if a writer holds the lock or waits for it, or has just handed
///   it over with [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) to a thread that isn't awake yet.
/// - [`try_write`](lock_api::RwLock::try_write) fails only if another thread holds the lock, is acquiring or releasing
///   it, or has waited so long that it claims the lock.
/// - [`try_upgradable_read`](lock_api::RwLock::try_upgradable_read) fails for the reasons of `try_read`, and if there is
///   an upgradable guard, or a waiter that claims the lock.
/// - [`try_upgrade`](lock_api::RwLockUpgradableReadGuard::try_upgrade) fails only if there are readers, or a reader is
///   acquiring or releasing the lock.
///
/// A timed wait with no time left (`Duration::ZERO`, or a deadline that has passed) is a `try_` call. A writer that
/// waits with a time limit keeps readers out while it waits.
///
/// # Async code
/// `read` and `write` block the thread, and guards are `Send`. Drop a guard before an `.await`:
/// [`Mutex`](crate::Mutex#async-code) says why, and how clippy finds guards that are held across one.
///
/// # Fairness
/// A writer that finds readers inside lets no more of them in and waits for those to leave, so readers don't starve
/// writers. A thread that has waited for a millisecond, counted from when it first fell asleep, claims the lock, and
/// no writer enters before it does. So writers starve neither readers nor each other. Where threads outnumber cores,
/// add the time that threads which hold the lock spend off their cores. (An upgradable reader that upgrades,
/// downgrades and upgrades again without ever unlocking may keep readers out for longer.)
///
/// [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) of a write guard hands the lock to a sleeping reader, or if
/// there is none to a sleeping writer. Of an upgradable guard, it hands the guard's role to the next sleeping
/// upgradable reader or writer. Of a read guard it is a plain unlock: a writer that waits for readers is next anyway.
///
/// # Timeouts
/// A timed wait never fails early, and always takes a free lock. A timeout too long to represent, such as
/// [`Duration::MAX`](std::time::Duration::MAX), is none. When a writer times out, the readers that it kept out enter;
/// an upgrade that times out is an upgradable read again.
///
/// # Panics and misuse
/// A panic while the lock is held unlocks it; there is no poisoning. A guard may be dropped on another thread.
///
/// A guard that is forgotten leaves the lock locked. A forgotten read guard of a biased lock (see
/// [below](RwMutex#how-reads-scale)) also costs its thread one of its 6 slots; no other lock is harmed.
///
/// At most 2^22 - 2 readers at once are counted in the lock itself. Beyond that every call that would add one panics:
/// `read`, `try_read`, the timed ones, and the downgrade of an upgradable guard, which unlocks first. Readers of a
/// biased lock are not counted there.
///
/// **Use one copy of the crate per process.** The slots of readers and the queues of waiters belong to the copy of
/// phalanx that a thread's code was compiled with. If two copies share a lock (a plugin with its own phalanx, or two
/// versions), a writer of one doesn't see the readers of the other, and both are inside at once. Across such a boundary,
/// share a lock only by calls into the copy that made it.
///
/// A global allocator must not use this lock: a thread that waits may allocate, which would call the allocator again
/// until the stack overflows.
///
/// # Memory ordering
/// Everything before a write unlock happens before everything after the next lock of either kind;
/// everything before a read unlock happens before everything after the next write lock. Readers
/// are not ordered with one another.
///
/// # How reads scale
/// A lock that only one reader uses at a time is one word, as in any reader-writer lock. Once a reader has had to wait
/// for another reader, and no writer came for half a microsecond, the lock is *biased*: each reader marks a *slot* of
/// its own thread and writes no cache line that another reader writes. A write revokes the bias, scans the slots of all
/// threads that read this way, and restores the bias if there are enough reads between two writes. So a write to a
/// biased lock costs about half a microsecond more, plus a few nanoseconds for each thread of the program that reads
/// by slots, and only where the reads are worth it. (BRAVO, arXiv:1810.01553; folly's `SharedMutex`.)
///
/// Most of the cost of such a read is a memory fence. On Linux, with the feature `membarrier` (on by default), reads of
/// a lock that nobody has written for some ten milliseconds skip it. The next writer, or `try_write`, then makes the
/// fence for all readers by `membarrier(2)`, which takes 10 to 30 µs and interrupts the process's running threads for a
/// moment. After that, reads have their fences until the lock has been quiet for as long again, so a lock that is
/// written regularly never pays for this.
///
/// The kernel is asked once in the life of the process, when a lock is first found quiet, by a reader that doesn't hold
/// it; where other threads run, that call takes some 10 ms. It isn't asked where a fence costs next to nothing. If the
/// kernel refuses later, as in a sandbox that was set up since, the next writer of such a lock takes up to 100 ms,
/// and all reads have their fences from then on.
///
/// Memory: 24 bytes beside the value; 128 bytes for each thread that has read a biased lock, in a static table for 256
/// of them. Further threads, reads of more than 6 biased locks nested in one thread, and reads while the thread's
/// thread-locals are being destroyed use the word, at the speed of an unbiased lock.
///
/// # Under a model
/// In a [`model`](crate::model) build the raw lock is a specification with little state: a waiting writer keeps new
/// readers out, a waiter may be overtaken any number of times, and a deadline may pass at any moment. The real lock has
/// models of its own in this crate.
#[doc(alias = "RwLock")]
#[doc(alias = "RWMutex")]
pub type RwMutex<T> = lock_api::RwLock<RawRwMutex, T>;

/// The guard of a read lock of a [`RwMutex`]. Dropping it unlocks.
#[doc(alias = "RwLockReadGuard")]
pub type RwMutexReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwMutex, T>;

/// The guard of a write lock of a [`RwMutex`]. Dropping it unlocks.
#[doc(alias = "RwLockWriteGuard")]
pub type RwMutexWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwMutex, T>;

/// The guard of an upgradable read lock of a [`RwMutex`], of which there is one at a time. Dropping it unlocks.
#[doc(alias = "RwLockUpgradableReadGuard")]
pub type RwMutexUpgradableReadGuard<'a, T> = lock_api::RwLockUpgradableReadGuard<'a, RawRwMutex, T>;

/// A read guard narrowed to a part of the value of a [`RwMutex`], by [`map`](lock_api::RwLockReadGuard::map).
#[doc(alias = "MappedRwLockReadGuard")]
pub type MappedRwMutexReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwMutex, T>;

/// A write guard narrowed to a part of the value of a [`RwMutex`], by [`map`](lock_api::RwLockWriteGuard::map).
#[doc(alias = "MappedRwLockWriteGuard")]
pub type MappedRwMutexWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwMutex, T>;

/// The read guard of a [`RwMutex`] in an `Arc`. It keeps the `Arc` alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexReadGuard<T> = lock_api::ArcRwLockReadGuard<RawRwMutex, T>;

/// The write guard of a [`RwMutex`] in an `Arc`. It keeps the `Arc` alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawRwMutex, T>;

/// The upgradable guard of a [`RwMutex`] in an `Arc`. It keeps the `Arc` alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexUpgradableReadGuard<T> = lock_api::ArcRwLockUpgradableReadGuard<RawRwMutex, T>;

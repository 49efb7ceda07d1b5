//! [`Store`], a concurrent map, with its entries and errors.

// hashbrown's tables behind reader-writer locks, and no guard is ever handed out.
//
// std's way is a `RwLock<HashMap>`: its readers contend for one cache line, and its writers wait for all others. Here
// keys are spread over *shards*, each a table with a `RwMutex` of its own, and in a store that is mostly read the
// readers don't touch the locks.
//
// A file uses only the files above it:
//
// | file | what |
// | --- | --- |
// | `error` | what calls return on failure |
// | `table` | a shard's table, whose growth a panicking hasher can't upset |
// | `prefetch_hint` | where a table is in memory, known before its lock is held |
// | `access_ratio` | whether reads dominate, so that the locks are to be biased |
// | `reentrancy` | refuses calls from inside the same store |
// | `completion`, `flight` | values that are being computed, and the waits for them |
// | `shards` | the locks, and the only way into them |
// | `map` | the type |
// | `keyed` | calls on one key |
// | `entry`, `entry_ref` | calls that insert or change, by an owned key and by a borrowed one |
// | `nonblocking` | calls that neither block nor panic |
// | `many` | calls on several keys |
// | `single_flight` | calls that compute |
// | `bulk`, `capacity`, `equality` | calls on the whole store, on its capacity, on two stores |
// | `construct`, `serde` | constructors and conversions |
//
// Invariants:
//
// - S1. User code runs either under a lock (closures, `Eq`, `Clone`, the `Hash` of the keys in a table that grows or
//   shrinks), or without any (the `Hash` of a key that a call is given, the `Drop` of what is replaced or removed, what
//   `get_or_compute` computes, and the clones of that). Under a lock, its thread is marked as inside: no call waits for
//   a lock of the same store then.
// - S2. No change of a table is half done while user code runs. So a panic leaves every entry as it was, or as the code
//   has made it.
// - S3. A thread that locks several shards locks them in the order of their indices, and a thread that locks two stores
//   locks the older one first.

mod access_ratio;
mod completion;
mod error;
mod flight;
mod prefetch_hint;
mod reentrancy;
mod shards;
mod table;

mod map;

mod keyed;

mod entry;
mod entry_ref;
mod nonblocking;

mod many;
mod single_flight;

mod bulk;
mod capacity;
mod construct;
mod equality;
#[cfg(feature = "serde")]
mod serde;

pub use bulk::IntoIter;
pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use entry_ref::{EntryRef, VacantEntryRef};
pub use error::{Busy, DuplicateKey, NotRemoved, TryReserveError};
pub use map::Store;

//! Values that are made once, by the first thread or task that needs them: Go's `sync.Once`, `OnceValue`.
//!
//! | file, each using only those above it | holds |
//! | --- | --- |
//! | [`inside`] | which initialisers the calling thread is in |
//! | [`word`] | the word that is the whole state, and waiting on it |
//! | [`lock`] | [`OnceLock`] |
//! | [`future`] | awaiting it, and initialising it with a future |
//! | [`lazy`] | [`LazyLock`], a once with its initialiser |
//! | [`traits`] | what both share with std's types |
//!
//! The word has its table, transitions and the invariants O1 to O4 in [`word`]. Threads sleep on its address and
//! tasks wait for it, as with the [latch](crate::support::latch): a once takes no memory for waiters, and can stand in
//! a `static`, in a model too.

mod future;
mod inside;
mod lazy;
mod lock;
mod traits;
mod word;

pub use future::OnceWait;
pub use lazy::LazyLock;
pub use lock::OnceLock;

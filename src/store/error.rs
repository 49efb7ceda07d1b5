//! What the store's calls return instead of a result.

use std::error::Error;
use std::fmt;

/// A key that was given twice to a call that locks several keys.
///
/// Returned by [`Store::try_with_many`](crate::Store::try_with_many) and
/// [`Store::try_with_many_slice`](crate::Store::try_with_many_slice), which have called nothing and changed
/// nothing then.
///
/// # Examples
/// ```
/// let stock = phalanx::Store::from([("apples", 3)]);
/// let error = stock.try_with_many(["pears", "apples", "pears"], |_| ()).unwrap_err();
/// assert_eq!((error.first, error.second), (0, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DuplicateKey {
    /// The position of the key where it was given first.
    pub first: usize,
    /// The position where it was given again. If several keys were, this is the smallest.
    pub second: usize,
}

impl fmt::Display for DuplicateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} is the same as key {}", self.second, self.first)
    }
}

impl Error for DuplicateKey {}

/// Why [`Store::try_remove_if`](crate::Store::try_remove_if) has removed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRemoved {
    /// The key was not in the store.
    Absent,
    /// The closure returned `false`.
    Kept,
}

impl fmt::Display for NotRemoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotRemoved::Absent => "the key is not in the Store",
            NotRemoved::Kept => "the closure returned false",
        })
    }
}

impl Error for NotRemoved {}

/// Why [`Store::try_reserve`](crate::Store::try_reserve) has not made all the room.
///
/// The store is usable, and holds what it held. Shards that had grown before the failure keep their room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryReserveError {
    /// The tables would take more than `isize::MAX` bytes together.
    CapacityOverflow,
    /// The allocator returned an error.
    OutOfMemory,
}

impl fmt::Display for TryReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryReserveError::CapacityOverflow => "capacity overflow",
            TryReserveError::OutOfMemory => "out of memory",
        })
    }
}

impl Error for TryReserveError {}

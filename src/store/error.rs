//! The errors of the store's calls.

use std::error::Error;
use std::fmt;

/// Two of the keys given to a call that locks several keys were equal.
///
/// Returned by [`Store::try_with_many`](crate::Store::try_with_many) and
/// [`Store::try_with_many_slice`](crate::Store::try_with_many_slice), which then haven't called the closure or changed
/// anything.
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
    /// The position at which the key was given first.
    pub first: usize,
    /// The position at which it was given again. Of several, the smallest.
    pub second: usize,
}

impl fmt::Display for DuplicateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} is the same as key {}", self.second, self.first)
    }
}

impl Error for DuplicateKey {}

/// Why [`Store::try_remove_if`](crate::Store::try_remove_if) removed nothing.
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

/// Why [`Store::try_reserve`](crate::Store::try_reserve) failed.
///
/// The store is usable and has all its entries. Shards that grew before the failure keep their new capacity.
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

/// A call on a [`Store`](crate::Store) would have had to wait, or came from a closure that runs on the same store.
///
/// Returned by [`Store::try_get`](crate::Store::try_get) and the calls like it, which then haven't called a closure or
/// changed anything. In such a closure they return it every time, so a loop that tries again may never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the Store is in use, by another thread or by a call that this thread is inside of",
        )
    }
}

impl Error for Busy {}

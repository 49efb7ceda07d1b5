//! The layout of a wait group's word.
//!
//! | bits | name | meaning | written by |
//! | --- | --- | --- | --- |
//! | 0, 1 | | the [latch](crate::support::latch)'s marks | the latch |
//! | 2 | `OWNED` | the [`WaitGroup`](super::WaitGroup) still exists | its drop clears it |
//! | 3 | `PANICKED` | a panic is kept for a waiter | under the lock of the kept panic |
//! | 4–33 | guards | the guards that are alive | `guard`, a guard's clone and drop |
//! | 34–63 | manual | `add`s that no `done` has matched yet | `add`, `done` |
//!
//! There are two counts because a guard also keeps the allocation alive: a surplus `done` must not take a guard's
//! count. `manual` is the uppermost field: a `done` below zero borrows from the bits above, of which there are
//! none, until it has put the count back.

use crate::support::latch::FIRST_BIT;

pub(super) const OWNED: u64 = 1 << FIRST_BIT;
pub(super) const PANICKED: u64 = 1 << (FIRST_BIT + 1);

const GUARD_SHIFT: u32 = 4;
const MANUAL_SHIFT: u32 = 34;

pub(super) const ONE_GUARD: u64 = 1 << GUARD_SHIFT;
pub(super) const ONE_MANUAL: u64 = 1 << MANUAL_SHIFT;

const FIELD: u64 = (1 << 30) - 1;

/// The guards' count, and no other bit.
pub(super) const GUARDS: u64 = FIELD << GUARD_SHIFT;

/// The bits that keep a waiter waiting.
pub(super) const BUSY: u64 = GUARDS | FIELD << MANUAL_SHIFT;

/// The largest value of either count. The next quarter of the field is room for threads that exceed it at the same
/// moment, before each has seen that it did. The uppermost quarter is what `manual` shows until a `done` below zero
/// has put the count back.
pub(super) const MAX: u64 = FIELD / 2;
const BELOW_ZERO: u64 = FIELD / 4 * 3;

pub(super) fn guards(word: u64) -> u64 {
    word >> GUARD_SHIFT & FIELD
}

/// `add`s without a `done`; 0 while a `done` below zero has yet to put the count back.
pub(super) fn manual(word: u64) -> u64 {
    let field = word >> MANUAL_SHIFT & FIELD;
    if field > BELOW_ZERO { 0 } else { field }
}

/// Both counts together.
pub(super) fn total(word: u64) -> usize {
    // Each is below 2^30, so the sum fits any usize that has 32 bits or more.
    (guards(word) + manual(word)) as usize
}

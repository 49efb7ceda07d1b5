//! The layout of a wait group's word.
//!
//! | bits | name | meaning | written by |
//! | --- | --- | --- | --- |
//! | 0, 1 | | the [latch](crate::support::latch)'s marks | the latch |
//! | 2 | `OWNED` | the [`WaitGroup`](super::WaitGroup) itself still exists | its drop clears it |
//! | 3 | `PANICKED` | a panic is kept for a waiter | under the panic slot's lock |
//! | 4–33 | guards | how many guards are alive | `guard`, a guard's clone and drop |
//! | 34–63 | manual | `add`s not yet matched by a `done` | `add`, `done` |
//!
//! The two counts are apart because a guard also keeps the allocation alive: a stray `done` must
//! not be able to pay with a guard's count. `manual` stands on top, so that its borrow, for the
//! moment that a `done` below zero takes to put itself right, falls off the word's end.

use crate::support::latch::FIRST_BIT;

pub(super) const OWNED: u64 = 1 << FIRST_BIT;
pub(super) const PANICKED: u64 = 1 << (FIRST_BIT + 1);

const GUARD_SHIFT: u32 = 4;
const MANUAL_SHIFT: u32 = 34;

pub(super) const ONE_GUARD: u64 = 1 << GUARD_SHIFT;
pub(super) const ONE_MANUAL: u64 = 1 << MANUAL_SHIFT;

const FIELD: u64 = (1 << 30) - 1;

/// Every guard's count, and no other bit.
pub(super) const GUARDS: u64 = FIELD << GUARD_SHIFT;

/// The bits that keep a waiter waiting.
pub(super) const BUSY: u64 = GUARDS | FIELD << MANUAL_SHIFT;

/// The most that either count may say. A quarter of the field above it is room for threads that
/// overstep at the same moment, before each has seen that it did; the uppermost quarter is what
/// `manual` shows while a `done` below zero puts itself right.
pub(super) const MAX: u64 = FIELD / 2;
const BELOW_ZERO: u64 = FIELD / 4 * 3;

pub(super) fn guards(word: u64) -> u64 {
    word >> GUARD_SHIFT & FIELD
}

/// `add`s without a `done`. A `done` below zero that is under way doesn't count.
pub(super) fn manual(word: u64) -> u64 {
    let field = word >> MANUAL_SHIFT & FIELD;
    if field > BELOW_ZERO { 0 } else { field }
}

/// Both counts together.
pub(super) fn total(word: u64) -> usize {
    // Each is below 2^30, so the sum fits any usize that has 32 bits or more.
    (guards(word) + manual(word)) as usize
}

//! Small numbers, each out to one holder at a time: the lowest first, so that those in use stand
//! together.
//!
//! What a thread owns a share of (a row of slots, a cell of a counter) it owns by such a number: the
//! next holder of the number finds the share as the last one left it.
//!
//! ```text
//! 0 => 1   claim        1 => 0   give_back       one bit for each number
//! ```
//!
//! Orderings: a claim acquires what the last holder released by giving the number back, and so sees all
//! that it did before.
//!
//! [`mine`] is the number of this thread, from the first time it asks until it ends. While threads come
//! and go by the thousand, the numbers stay below the most that were ever there at once.

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{IS_MODEL, global_array, local};
use std::cell::Cell;

/// Numbers of one word.
pub(crate) const GROUP: usize = 64;

/// How many words it takes for so many numbers.
pub(crate) const fn words(numbers: usize) -> usize {
    numbers.div_ceil(GROUP)
}

/// Where a number's bit is in a set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bit {
    pub(crate) word: usize,
    pub(crate) mask: u64,
}

impl Bit {
    pub(crate) fn of(number: usize) -> Self {
        Bit { word: number / GROUP, mask: 1 << (number % GROUP) }
    }

    pub(crate) fn is_in(self, set: &[AtomicU64]) -> bool {
        // ORDERING: Relaxed: a look; whoever relies on it takes a step afterwards.
        set[self.word].load(Ordering::Relaxed) & self.mask != 0
    }
}

/// Takes the lowest number below `end` that is free and wanted; `None` if there is none.
pub(crate) fn claim(
    owned: &[AtomicU64],
    end: usize,
    is_wanted: impl Fn(usize) -> bool,
) -> Option<usize> {
    (0..end).find(|&number| {
        let bit = Bit::of(number);
        // ORDERING: Acquire: pairs with the Release in `give_back`.
        !bit.is_in(owned)
            && is_wanted(number)
            && owned[bit.word].fetch_or(bit.mask, Ordering::Acquire) & bit.mask == 0
    })
}

/// Only for whoever has claimed the number.
pub(crate) fn give_back(owned: &[AtomicU64], number: usize) {
    let bit = Bit::of(number);
    // ORDERING: Release: pairs with the Acquire in `claim`.
    owned[bit.word].fetch_and(!bit.mask, Ordering::Release);
}

/// How many threads can have a number at once.
///
/// So few in a model that its third thread has none.
pub(crate) const NUMBERS: usize = if IS_MODEL { 2 } else { 1024 };

/// Stands for a number that was not asked for yet. Far above [`NUMBERS`], and so is [`NONE`]: users of
/// [`mine`] may have values of their own there.
const UNASKED: usize = usize::MAX - 1;
/// Stands for the number of a thread that has none for good.
const NONE: usize = usize::MAX;

global_array!(pub(crate) owned: [AtomicU64; words(NUMBERS)] = AtomicU64::new(0));

local! {
    /// This thread's number, as long as it may use it.
    static MINE: Cell<usize> = Cell::new(UNASKED);
}
local! {
    /// Gives the number back when the thread ends.
    static LEASE: Lease = Lease(Cell::new(None));
}

struct Lease(Cell<Option<usize>>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(number) = self.0.take() {
            let _ = MINE.try_with(|mine| mine.set(NONE));
            give_back(owned(), number);
        }
    }
}

/// This thread's number if it is below [`NUMBERS`]. Else ask [`claim_mine`].
#[inline]
pub(crate) fn mine() -> usize {
    MINE.try_with(Cell::get).unwrap_or(NONE)
}

/// This thread's number, given to it now if it never asked. `None`, from then on, if there are no more,
/// or if the thread is ending and has given its own back.
#[cold]
pub(crate) fn claim_mine() -> Option<usize> {
    if mine() == UNASKED {
        // An error means that the thread is ending: nobody would give the number back.
        let claimed = LEASE
            .try_with(|lease| {
                claim(owned(), NUMBERS, |_| true).inspect(|&number| lease.0.set(Some(number)))
            })
            .ok()
            .flatten();
        let _ = MINE.try_with(|mine| mine.set(claimed.unwrap_or(NONE)));
    }
    Some(mine()).filter(|&number| number < NUMBERS)
}

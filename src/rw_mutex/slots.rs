//! Slots: where readers of biased locks say that they are inside, without touching the lock.
//!
//! Each thread that reads under a bias has a *row* of its own, a cache line of [`SLOTS`] slots in
//! one table of the program. A slot holds the *id* of the lock that is read through it, or 0. The
//! reader marks a slot and looks at the lock's word; the writer takes the bias off the word and
//! looks at the slots. One of them sees the other (BRAVO, arXiv:1810.01553, does it with a hashed
//! table; a row for each thread never collides, and the writer looks only at rows in use).
//!
//! ```text
//! 0    => id   mark      the row's thread
//! id   => 0    unmark    whoever drops the guard: guards may be sent to other threads
//! ```
//!
//! Invariants:
//!
//! 1. Only a row's owner marks, and only a free slot. Only the mark's guard unmarks.
//! 2. An id belongs to one lock for ever: a guard that was forgotten, on a lock that was dropped or
//!    moved, blocks no other lock. It costs its thread the slot.
//! 3. `SCANNED` has a row's bit from before the row's first mark until its owner ends with all slots
//!    free. A row that is left with a mark stays in it until a later owner ends.
//!
//! A thread gets its row at its first biased read, and gives it back when it ends. Without a row
//! (more than [`ROWS`] threads read at once; a thread whose thread-locals are gone already), or with
//! all slots taken (reads of more than [`SLOTS`] locks nested), it reads by the word.
//!
//! Memory: 128 bytes for each of 256 rows, in one static table, touched only where used.
//!
//! Orderings: a slot passes from guard to owner to writer with Release and Acquire, so a writer that
//! sees a slot free, or marked for another lock, sees all that was read through it as done. Mark and
//! look are kept in order by a fence in [`Slot::mark`] and one in the writer, or where the lock says so by a
//! heavy one in the writer alone: see `light.rs`. Only first slots are marked lightly.

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::support::thread_index::{GROUP, IndexSet, Lease, words};
use crate::sys::{Hint, IS_MODEL, array, global_array, local, prepare_heavy_fence};
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::ops::Range;

pub(super) use crate::sys::Slot;

/// Slots of a row.
const SLOTS: usize = if IS_MODEL { 2 } else { 6 };
/// Rows of the table.
const ROWS: usize = if IS_MODEL { 6 } else { 256 };
/// A thread that has read so often with a fence, and so often again, asks whether it has to: see `light.rs`.
const ROUND: u32 = 1 << 13;

#[derive(Debug)]
struct Row {
    slots: [Slot; SLOTS],
    /// The lock read last, by the low half of its id, and how often in a row: what tells a writer
    /// whether the bias pays. Written by the owner.
    last: Hint,
    reads: Hint,
    /// The turns of that lock's writers at the last round number of reads, and 1; or 0.
    turns: Hint,
    /// Reads of locks that are not counted.
    uncounted: Hint,
}

global_array!(rows: [CachePadded<Row>; ROWS] = CachePadded::new(Row {
    slots: array!(Slot::new(); SLOTS),
    last: Hint::new(),
    reads: Hint::new(),
    turns: Hint::new(),
    uncounted: Hint::new(),
}));
// Which rows have an owner.
global_array!(owned: [AtomicU64; words(ROWS)] = AtomicU64::new(0));
// Which rows a writer looks at (invariant 3).
global_array!(scanned: [AtomicU64; words(ROWS)] = AtomicU64::new(0));
// The last id given out.
global_array!(ids: [AtomicU64; 1] = AtomicU64::new(0));

local! {
    /// This thread's row, once it has one and as long as it may use it.
    static ROW: Cell<Option<&'static Row>> = Cell::new(None);
}
local! {
    /// Gives the row back when the thread ends.
    static LEASE: Lease = Lease::new(leave_row);
}

/// Set in the ids of locks whose reads are not counted here.
const UNCOUNTED: u64 = 1 << 63;

/// An id that no other lock has had or will have: there are 2^63.
pub(super) fn new_id() -> u64 {
    // ORDERING: Relaxed: only has to differ.
    ids()[0].fetch_add(1, Ordering::Relaxed) + 1
}

/// As many in a row, for locks whose reads are not counted.
pub(super) fn new_uncounted_ids(count: usize) -> Range<u64> {
    // ORDERING: Relaxed: as above.
    let first = (ids()[0].fetch_add(count as u64, Ordering::Relaxed) + 1) | UNCOUNTED;
    first..first + count as u64
}

/// Whether this thread's first slot is marked for one of them.
#[inline]
pub(super) fn is_first_one_of(ids: &Range<u64>) -> bool {
    let row = ROW.try_with(Cell::get).ok().flatten();
    // ORDERING: Relaxed: this thread's own mark.
    row.is_some_and(|row| ids.contains(&row.slots[0].load_own(Ordering::Relaxed)))
}

/// Whether this thread's first slot is marked, for whatever lock.
#[inline]
pub(super) fn is_first_marked() -> bool {
    let row = ROW.try_with(Cell::get).ok().flatten();
    // ORDERING: Relaxed: this thread's own mark.
    row.is_some_and(|row| row.slots[0].load_own(Ordering::Relaxed) != 0)
}

/// This thread's first slot, marked for the lock.
#[derive(Debug)]
pub(super) struct First {
    pub(super) slot: &'static Slot,
    /// Whether that was a round number of reads, see [`ROUND`].
    pub(super) is_round: bool,
}

/// Marks this thread's first slot for the lock, before every later load; `lightly` as [`Slot`] has it.
/// `None` if that takes more than a look: see [`mark`].
#[inline]
pub(super) fn mark_first(id: u64, lightly: bool) -> Option<First> {
    let row = ROW.try_with(Cell::get).ok().flatten()?;
    let slot = &row.slots[0];
    // ORDERING: Acquire: pairs with the Release of an `unmark` on another thread, so that the mark's
    // Release passes on what was read before it.
    if slot.load_own(Ordering::Acquire) != 0 {
        return None;
    }
    if lightly {
        slot.mark_lightly(id);
        return Some(First { slot, is_round: false });
    }
    slot.mark(id);
    let reads = if id & UNCOUNTED == 0 {
        if row.last.get() != id as u32 {
            row.last.set(id as u32);
            row.reads.set(0);
            row.turns.set(0);
        }
        &row.reads
    } else {
        &row.uncounted
    };
    reads.add(1);
    Some(First { slot, is_round: reads.get().is_multiple_of(ROUND) })
}

/// Remembers the turns of the writers of the lock that this thread reads; whether they are what they
/// were the last time, with nothing but reads of this lock by this thread between.
pub(super) fn remember_turns(turns: u32) -> bool {
    let Some(row) = ROW.try_with(Cell::get).ok().flatten() else { return false };
    let same = row.turns.get() == turns + 1;
    row.turns.set(turns + 1);
    same
}

/// Marks a free slot of this thread for the lock, before every later load; `None` if there is none.
pub(super) fn mark(id: u64) -> Option<&'static Slot> {
    let row = match ROW.try_with(Cell::get) {
        Ok(Some(row)) => row,
        Ok(None) => claim_row()?,
        Err(_) => return None,
    };
    // ORDERING: Acquire: as in `mark_first`.
    let slot = row.slots.iter().find(|slot| slot.load_own(Ordering::Acquire) == 0)?;
    slot.mark(id);
    Some(slot)
}

/// Leaves a slot.
#[inline]
pub(super) fn unmark(slot: &Slot) {
    // ORDERING: Release: what was read happens before the writer, which reads this with Acquire.
    slot.clear(Ordering::Release);
}

/// What may be marked lightly: the rows' first slots.
pub(super) fn all_first() -> impl Iterator<Item = &'static Slot> {
    rows().iter().map(|row| &row.slots[0])
}

fn claim_row() -> Option<&'static Row> {
    // An error means that the thread is ending: nobody would give the row back.
    let index = LEASE.try_with(|lease| lease.hold(own_a_row)).ok().flatten()?;
    // Before this thread is inside of this lock.
    prepare_heavy_fence();
    let row: &Row = &rows()[index];
    let _ = ROW.try_with(|mine| mine.set(Some(row)));
    Some(row)
}

/// The lowest row that nobody owns; one with forgotten marks only if there is no other.
fn own_a_row() -> Option<usize> {
    let (owned, scanned) = (IndexSet(owned()), IndexSet(scanned()));
    let is_clean = |index| !scanned.contains(index);
    let index = owned.claim(ROWS, is_clean).or_else(|| owned.claim(ROWS, |_| true))?;
    // ORDERING: Relaxed: comes before the first mark on this thread, which is never light, and whose fence
    // publishes both. As a
    // read-modify-write it keeps the release sequence of `leave_row` going.
    scanned.insert(index, Ordering::Relaxed);
    Some(index)
}

fn leave_row(index: usize) {
    let _ = ROW.try_with(|row| row.set(None));
    // ORDERING: Acquire: a slot may have been left by another thread; Release: a writer that doesn't
    // look here any more must still see what was read here as done (its scan reads with Acquire).
    if rows()[index].slots.iter().all(|slot| slot.load_own(Ordering::Acquire) == 0) {
        IndexSet(scanned()).remove(index, Ordering::Release);
    }
    IndexSet(owned()).release(index);
}

/// Whether the slot is marked for the lock.
pub(super) fn is_marked(slot: &Slot, id: u64) -> bool {
    // ORDERING: Acquire: pairs with the Release in `unmark`. A mark for another lock is one too:
    // its thread acquired the slot before.
    slot.load(Ordering::Acquire) == id
}

/// Gives `each` the slots that are marked for the lock, as long as it says `true`; how many reads
/// the rows remember, or `None` if it said `false`.
///
/// After the caller's SeqCst fence and `make_marks_seen`: all marks are seen whose thread didn't see the
/// bias gone.
pub(super) fn scan(id: u64, mut each: impl FnMut(&'static Slot) -> bool) -> Option<u32> {
    let mut reads = 0u32;
    for (group, rows_of) in scanned().iter().zip(rows().chunks(GROUP)) {
        // ORDERING: Acquire: pairs with the Release in `leave_row`.
        let mut bits = group.load(Ordering::Acquire);
        while bits != 0 {
            let row = &rows_of[bits.trailing_zeros() as usize];
            bits &= bits - 1;
            if row.last.get() == id as u32 {
                reads = reads.wrapping_add(row.reads.get());
            }
            for slot in &row.slots {
                if is_marked(slot, id) && !each(slot) {
                    return None;
                }
            }
        }
    }
    Some(reads)
}

/// Whether any slot is marked for the lock.
pub(super) fn any_marked(id: u64) -> bool {
    scan(id, |_| false).is_none()
}

/// Makes the tables of a model's execution, before its threads do: see `global_array`.
#[cfg(test)]
pub(super) fn prepare() {
    rows();
    ids();
    if IS_MODEL {
        let upper = (ROWS / 2..ROWS).map(|row| 1 << row).sum();
        // ORDERING: Relaxed, twice: before all other threads start.
        owned()[0].fetch_or(upper, Ordering::Relaxed);
        scanned()[0].fetch_or(upper, Ordering::Relaxed);
    }
}

/// In a model, gives this thread one of the upper half of rows, without the steps of claiming it and
/// giving it back, which would multiply the executions of models that are not about them.
#[cfg(test)]
pub(super) fn settle(row: usize) {
    if IS_MODEL {
        ROW.with(|mine| mine.set(Some(&rows()[ROWS / 2 + row])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread;

    #[test]
    fn threads_that_end_give_their_rows_back() {
        if IS_MODEL {
            return;
        }
        let id = new_id();
        for _ in 0..2 * ROWS {
            let read = move || unmark(mark(id).expect("no more rows: none is given back"));
            thread::spawn(read).join().unwrap();
        }
        assert!(!any_marked(id));
    }

    #[test]
    fn a_row_that_is_given_back_with_a_forgotten_mark_is_still_looked_at() {
        if IS_MODEL {
            return;
        }
        let id = new_id();
        thread::spawn(move || mark(id).is_some()).join().unwrap();
        assert!(any_marked(id));
        assert!(
            scan(id, |slot| {
                unmark(slot);
                true
            })
            .is_some()
        );
        assert!(!any_marked(id));
    }
}

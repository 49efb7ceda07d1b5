//! Where readers of biased locks say that they are inside without touching the lock.
//!
//! Each thread that reads under a bias has a *row* of its own, a cache line of [`SLOTS`] slots in
//! one table of the program. A slot holds the *id* of the lock that is read through it, or 0. The
//! reader marks a slot, then loads the lock's word; the writer clears the bias in the word, then
//! scans the slots. One of them sees the other (BRAVO, arXiv:1810.01553, does it with a hashed
//! table; a row for each thread never collides, and the writer scans only rows in use).
//!
//! ```text
//! 0    => id   mark      the row's thread
//! id   => 0    unmark    the thread that drops the guard: guards may be sent to other threads
//! ```
//!
//! Invariants:
//!
//! - S1. Only a row's owner marks, and only a free slot. Only the mark's guard unmarks.
//! - S2. No two locks have one id while a mark of the first is left. A guard that was forgotten, on a lock
//!   that was dropped or moved, blocks no other lock. It costs its thread the slot.
//! - S3. `SCANNED` has a row's bit from before the row's first mark until its owner ends with all slots
//!   free. A row that is left with a mark keeps the bit until a later owner ends.
//!
//! A thread gets its row at its first biased read, and returns it when it ends. Without a row
//! (more than [`ROWS`] threads read at once; a thread whose thread-locals are gone already), or with
//! all slots taken (reads of more than [`SLOTS`] locks nested), it reads by the word.
//!
//! Memory: 128 bytes for each of 256 rows, in one static table, touched only where used.
//!
//! Orderings: a slot passes from guard to owner to writer with Release and Acquire, so a writer that
//! finds a slot free, or marked for another lock, sees all that was read through it as done. The mark and the
//! load after it are kept in order by a fence in [`Slot::mark`] and one in the writer, or by a heavy fence in
//! the writer alone: see `unfenced.rs`. Only first slots are marked unfenced.

use crate::support::thread_index::{GROUP, IndexSet, Lease, words};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Hint, IS_MODEL, array, global_array, local, new_serial};
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::ops::Range;

pub(super) use crate::sys::Slot;

/// Slots of a row.
const SLOTS: usize = if IS_MODEL { 2 } else { 6 };
/// Rows of the table.
const ROWS: usize = if IS_MODEL { 3 + SETTLED } else { 256 };
/// In a model, the last rows, which [`settle`] assigns.
const SETTLED: usize = 2;
/// After so many reads of one lock in a row, and so many again, a thread asks whether it needs its fences.
const ROUND: u32 = 1 << 13;

#[derive(Debug)]
struct Row {
    slots: [Slot; SLOTS],
    /// The lock read last, by the low half of its id, and how often in a row: what tells a writer
    /// whether the bias pays. Written by the owner.
    last: Hint,
    reads: Hint,
}

global_array!(rows: [CachePadded<Row>; ROWS] = CachePadded::new(Row {
    slots: array!(Slot::new(); SLOTS),
    last: Hint::new(),
    reads: Hint::new(),
}));
// Which rows have an owner.
global_array!(owned: [AtomicU64; words(ROWS)] = AtomicU64::new(0));
// Which rows a writer scans (S3).
global_array!(scanned: [AtomicU64; words(ROWS)] = AtomicU64::new(0));

local! {
    /// This thread's row, from when it has one until it returns it.
    static ROW: Cell<Option<&'static Row>> = Cell::new(None);
}
local! {
    /// Returns the row when the thread ends.
    static LEASE: Lease = Lease::new(return_row);
}

/// Set in ids that are addresses: reads of such locks are not counted.
const ADDRESS: u64 = 1 << 63;

/// An id that no other lock has had or will have.
pub(super) fn new_id() -> u64 {
    new_serial()
}

/// The id of a lock whose guards are never forgotten, and so are gone before another lock is at its address
/// (S2). Its reads are not counted.
#[inline]
pub(super) fn id_of_address(address: usize) -> u64 {
    address as u64 | ADDRESS
}

/// Whether this thread's first slot is marked for a lock with its address in that range.
#[inline]
pub(super) fn is_first_within(addresses: &Range<usize>) -> bool {
    let row = ROW.try_with(Cell::get).ok().flatten();
    let ids = id_of_address(addresses.start)..id_of_address(addresses.end);
    // ORDERING: Relaxed: this thread's own mark.
    row.is_some_and(|row| ids.contains(&row.slots[0].load_own(Ordering::Relaxed)))
}

/// This thread's first slot, marked for a lock.
#[derive(Debug)]
pub(super) struct First {
    pub(super) slot: &'static Slot,
    /// Whether that was a round number of reads, see [`ROUND`].
    pub(super) is_round: bool,
}

/// Marks this thread's first slot for the lock, before every later load; `fenced` or not as [`Slot`] has it.
/// Returns `None` if that slot is taken or the thread has no row yet: see [`mark`].
#[inline]
pub(super) fn mark_first(id: u64, fenced: bool) -> Option<First> {
    let row = ROW.try_with(Cell::get).ok().flatten()?;
    let slot = &row.slots[0];
    // ORDERING: Acquire: pairs with the Release of an `unmark` on another thread, so that the mark's
    // Release passes on what was read before it.
    if slot.load_own(Ordering::Acquire) != 0 {
        return None;
    }
    if !fenced {
        slot.mark_unfenced(id);
        return Some(First { slot, is_round: false });
    }
    slot.mark(id);
    if id & ADDRESS != 0 {
        return Some(First { slot, is_round: false });
    }
    if row.last.get() != id as u32 {
        row.last.set(id as u32);
        row.reads.set(0);
    }
    row.reads.add(1);
    Some(First { slot, is_round: row.reads.get().is_multiple_of(ROUND) })
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

/// Frees a slot.
#[inline]
pub(super) fn unmark(slot: &Slot) {
    // ORDERING: Release: pairs with the Acquire in `is_marked`: what was read happens before the write.
    slot.clear(Ordering::Release);
}

/// What may be marked unfenced: the first slots of rows in use. A row is in use before its first mark, which is
/// fenced.
pub(super) fn first_slots() -> impl Iterator<Item = &'static Slot> {
    let rows = rows().iter().enumerate();
    rows.filter(|&(index, _)| IndexSet(scanned()).contains(index)).map(|(_, row)| &row.slots[0])
}

#[cold]
fn claim_row() -> Option<&'static Row> {
    // An error means that the thread is ending: nothing would return the row.
    let index = LEASE.try_with(|lease| lease.hold(own_a_row)).ok().flatten()?;
    let row: &Row = &rows()[index];
    let _ = ROW.try_with(|mine| mine.set(Some(row)));
    Some(row)
}

/// The lowest row without an owner; one with forgotten marks only if there is no other.
fn own_a_row() -> Option<usize> {
    let (owned, scanned) = (IndexSet(owned()), IndexSet(scanned()));
    let is_clean = |index| !scanned.contains(index);
    let index = owned.claim(ROWS, is_clean).or_else(|| owned.claim(ROWS, |_| true))?;
    // ORDERING: Relaxed: comes before the first mark on this thread, which is always fenced, and whose fence
    // publishes both. As a read-modify-write it continues the release sequence of `return_row`.
    scanned.insert(index, Ordering::Relaxed);
    Some(index)
}

fn return_row(index: usize) {
    let _ = ROW.try_with(|row| row.set(None));
    // ORDERING: Acquire: a slot may have been freed by another thread. Release: pairs with the Acquire in
    // `scan`: a writer that skips this row from now on must still see what was read here as done.
    if rows()[index].slots.iter().all(|slot| slot.load_own(Ordering::Acquire) == 0) {
        IndexSet(scanned()).remove(index, Ordering::Release);
    }
    IndexSet(owned()).release(index);
}

/// Whether the slot is marked for the lock.
pub(super) fn is_marked(slot: &Slot, id: u64) -> bool {
    // ORDERING: Acquire: pairs with the Release in `unmark`. A mark for another lock will do too:
    // its thread acquired the slot before.
    slot.load(Ordering::Acquire) == id
}

/// Calls `visit` for each slot that is marked for the lock; stops when it returns `false`. Returns how many
/// reads of the lock the rows remember, or `None` if it was stopped.
///
/// After the caller has made the marks visible by its fences, no mark is missed but those whose threads
/// find the bias gone.
pub(super) fn scan(id: u64, mut visit: impl FnMut(&'static Slot) -> bool) -> Option<u32> {
    let mut reads = 0u32;
    for (group, rows_of) in scanned().iter().zip(rows().chunks(GROUP)) {
        // ORDERING: Acquire: pairs with the Release in `return_row`.
        let mut bits = group.load(Ordering::Acquire);
        while bits != 0 {
            let row = &rows_of[bits.trailing_zeros() as usize];
            bits &= bits - 1;
            if row.last.get() == id as u32 {
                reads = reads.wrapping_add(row.reads.get());
            }
            for slot in &row.slots {
                if is_marked(slot, id) && !visit(slot) {
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

/// Creates the tables of a model's execution before its threads do: see `global_array`.
#[cfg(test)]
pub(super) fn prepare() {
    rows();
    if IS_MODEL {
        let settled = (ROWS - SETTLED..ROWS).map(|row| 1 << row).sum();
        // ORDERING: Relaxed, twice: before all other threads start.
        owned()[0].fetch_or(settled, Ordering::Relaxed);
        scanned()[0].fetch_or(settled, Ordering::Relaxed);
    }
}

/// In a model, assigns one of the last rows to this thread, without the steps that claim and return
/// it, which would multiply the executions of models that are not about them.
#[cfg(test)]
pub(super) fn settle(row: usize) {
    if IS_MODEL {
        ROW.with(|mine| mine.set(Some(&rows()[ROWS - SETTLED + row])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread;
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};

    #[test]
    fn threads_that_end_return_their_rows() {
        if IS_MODEL {
            return;
        }
        let id = new_id();
        for _ in 0..2 * ROWS {
            let read = move || unmark(mark(id).expect("no more rows: none is returned"));
            thread::spawn(read).join().unwrap();
        }
        assert!(!any_marked(id));
    }

    /// What a thread's destructors saw: whether they could mark a slot.
    struct MarksAtTheEnd(u64, Sender<bool>);

    impl Drop for MarksAtTheEnd {
        fn drop(&mut self) {
            let marked = mark(self.0).map(unmark).is_some();
            self.1.send(marked).unwrap();
        }
    }

    std::thread_local! {
        static BEFORE: RefCell<Option<MarksAtTheEnd>> = const { RefCell::new(None) };
        static AFTER: RefCell<Option<MarksAtTheEnd>> = const { RefCell::new(None) };
    }

    /// Another thread may have the row by then. Thread-locals are destroyed in the order of their first use, or in the
    /// opposite order: one of the two destructors comes after the lease.
    #[test]
    fn a_thread_has_no_row_any_more_once_its_lease_has_ended() {
        if IS_MODEL {
            return;
        }
        let (id, (sender, seen)) = (new_id(), channel());
        let ends = move || {
            BEFORE.set(Some(MarksAtTheEnd(id, sender.clone())));
            unmark(mark(id).expect("a free row"));
            AFTER.set(Some(MarksAtTheEnd(id, sender)));
        };
        thread::spawn(ends).join().unwrap();
        let mut seen: Vec<bool> = seen.iter().collect();
        seen.sort_unstable();
        assert_eq!(seen, [false, true]);
    }

    #[test]
    fn a_row_that_is_returned_with_a_forgotten_mark_is_still_scanned() {
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

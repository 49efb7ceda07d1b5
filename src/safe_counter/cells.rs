//! The cells of a counter that many threads add to: one for each thread, on a cache line of its own.
//!
//! A cell belongs to a thread's [index](crate::support::thread_index): only the index's holder writes it,
//! with a plain load and store. Threads without an index add to one shared cell with a read-modify-write.
//!
//! Cells come in *segments*: eight in the first, and as many in each further one as in all before it together. A
//! segment is made when the first thread adds whose index is in it, and stays until the counter is dropped. A sum
//! reads the first four cells, and those of the indices below `used`:
//!
//! ```text
//! used:  n => index + 1   a thread with this index adds for the first time, if n is less
//! ```
//!
//! Since threads claim the lowest free index, most of those below `used` have a thread that adds.

use super::lazy::Lazy;
use crate::support::thread_index::CAPACITY;
use crate::sys::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sys::{IS_MODEL, array};
use crossbeam_utils::CachePadded;

type Cell = CachePadded<AtomicU64>;

/// Cells of the first segment.
const FIRST: usize = if IS_MODEL { 1 } else { 8 };
/// A sum always reads this many cells, in use or not. Their number is fixed, so that it reads them without a loop.
const FIXED: usize = if FIRST < 4 { FIRST } else { 4 };
/// Segments after the first: of FIRST, 2 FIRST, 4 FIRST cells and so on.
const FURTHER: usize = (CAPACITY / FIRST).next_power_of_two().ilog2() as usize;

#[derive(Debug)]
pub(super) struct Cells {
    header: CachePadded<Header>,
    first: [Cell; FIRST],
}

/// What every addition reads and few write, on lines of its own.
#[derive(Debug)]
struct Header {
    /// Every index whose cell was ever added to is below it. It only grows.
    used: AtomicUsize,
    further: [Lazy<Box<[Cell]>>; FURTHER],
    /// Of all threads without an index.
    shared: Lazy<Cell>,
}

impl Cells {
    #[cold]
    pub(super) fn new() -> Self {
        let header = Header {
            used: AtomicUsize::new(0),
            further: array!(Lazy::new(); FURTHER),
            shared: Lazy::new(),
        };
        let first = array!(CachePadded::new(AtomicU64::new(0)); FIRST);
        Cells { header: CachePadded::new(header), first }
    }

    /// Returns the cell of an index in the first segment, if a sum reads it. `index` may be any number.
    #[inline]
    pub(super) fn find_first(&self, index: usize) -> Option<&AtomicU64> {
        self.first.get(index).filter(|_| self.is_used(index)).map(|cell| &**cell)
    }

    /// Returns the cell of an index in a further segment, if a sum reads it.
    pub(super) fn find_further(&self, index: usize) -> Option<&AtomicU64> {
        if index < FIRST || !self.is_used(index) {
            return None;
        }
        let (segment, start) = segment_of(index);
        self.header.further.get(segment)?.get().map(|cells| &*cells[index - start])
    }

    #[inline]
    fn is_used(&self, index: usize) -> bool {
        // ORDERING: Relaxed: this thread's own write, that of the index's last holder, or a greater one.
        index < self.header.used.load(Ordering::Relaxed)
    }

    /// Adds for a thread with this index, or with none, and returns its cell's new count.
    pub(super) fn add(&self, index: Option<usize>, n: u64) -> u64 {
        match index {
            Some(index) => add_alone(self.find_or_make(index), n),
            None => {
                let shared = self.header.shared.get_or_make(new_cell);
                // ORDERING: Release: pairs with the Acquire in `sum`.
                shared.fetch_add(n, Ordering::Release).wrapping_add(n)
            }
        }
    }

    fn find_or_make(&self, index: usize) -> &AtomicU64 {
        // ORDERING: Relaxed: comes before the addition, which is Release. A sum that doesn't see it doesn't count
        // that addition, nor any later one of this thread's.
        self.header.used.fetch_max(index + 1, Ordering::Relaxed);
        if let Some(cell) = self.first.get(index) {
            return cell;
        }
        let (segment, len) = segment_of(index);
        let cells =
            self.header.further[segment].get_or_make(|| (0..len).map(|_| new_cell()).collect());
        &cells[index - len]
    }

    /// The sum of all cells, modulo 2^64, each read at a moment of its own. The shared cell comes first: a thread
    /// adds to it after it has released the index of its own cell.
    #[inline]
    pub(super) fn sum(&self) -> u64 {
        // ORDERING: Acquire, in all of them: pairs with the Release of each addition: what the thread did before is
        // done, K3.
        let shared = self.header.shared.get().map_or(0, |cell| cell.load(Ordering::Acquire));
        // ORDERING: Relaxed: the shared cell's Acquire keeps it behind: it sees the writes of the threads whose
        // additions that load has counted.
        let used = self.header.used.load(Ordering::Relaxed);
        // ORDERING: Acquire: as above.
        let add = |sum: u64, cell: &Cell| sum.wrapping_add(cell.load(Ordering::Acquire));
        let (fixed, others) = self.first.split_at(FIXED);
        let mut sum = fixed.iter().fold(shared, add);
        if used > FIXED {
            sum = others.iter().take(used - FIXED).fold(sum, add);
        }
        if used > FIRST {
            sum = sum.wrapping_add(self.sum_further(used));
        }
        sum
    }

    /// Apart, so that a sum of the first segment saves no registers for it.
    #[cold]
    fn sum_further(&self, used: usize) -> u64 {
        let mut sum = 0u64;
        for (segment, cells) in self.header.further.iter().enumerate() {
            let start = FIRST << segment;
            let Some(cells) = cells.get().filter(|_| start < used) else { continue };
            for cell in &cells[..cells.len().min(used - start)] {
                // ORDERING: Acquire: as in `sum`.
                sum = sum.wrapping_add(cell.load(Ordering::Acquire));
            }
        }
        sum
    }

    /// How many cells a sum reads, without the shared one.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        // ORDERING: Relaxed: for a test whose threads have ended.
        self.header.used.load(Ordering::Relaxed)
    }
}

/// The segment of an index that isn't in the first, and the segment's first index, which is also its length.
fn segment_of(index: usize) -> (usize, usize) {
    let segment = (index / FIRST).ilog2();
    (segment as usize, FIRST << segment)
}

fn new_cell() -> Cell {
    CachePadded::new(AtomicU64::new(0))
}

/// Adds to a number that no other thread writes, and returns its new value.
#[inline]
pub(super) fn add_alone(cell: &AtomicU64, n: u64) -> u64 {
    // ORDERING: Relaxed: the last store was this thread's, or that of the index's last holder, which claiming the
    // index acquired.
    let count = cell.load(Ordering::Relaxed).wrapping_add(n);
    // ORDERING: Release: pairs with the Acquire of a sum.
    cell.store(count, Ordering::Release);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_has_a_cell_of_its_own() {
        let cells = Cells::new();
        let mut seen: Vec<usize> = (0..CAPACITY)
            .map(|index| std::ptr::from_ref(cells.find_or_make(index)).addr())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), CAPACITY);
        for index in 0..CAPACITY {
            cells.add(Some(index), index as u64);
        }
        cells.add(None, 5);
        assert_eq!(cells.sum(), (CAPACITY * (CAPACITY - 1) / 2) as u64 + 5);
    }

    #[test]
    fn a_sum_reads_the_cells_that_were_added_to() {
        let cells = Cells::new();
        assert_eq!((cells.used(), cells.sum()), (0, 0));
        cells.add(Some(0), 1);
        assert_eq!((cells.used(), cells.sum()), (1, 1));
        cells.add(Some(FIRST), 2);
        cells.add(Some(0), 4);
        assert_eq!((cells.used(), cells.sum()), (FIRST + 1, 7));
        cells.add(Some(CAPACITY - 1), 8);
        cells.add(None, 16);
        assert_eq!((cells.used(), cells.sum()), (CAPACITY, 31));
    }

    #[test]
    fn a_sum_reads_all_cells_in_use_however_many() {
        let cells = Cells::new();
        for index in 0..2 * FIRST {
            cells.add(Some(index), 1 << index);
            assert_eq!(cells.sum(), (2 << index) - 1, "the cell of index {index} is in use");
        }
    }

    #[test]
    fn segments_are_made_when_they_are_needed() {
        let cells = Cells::new();
        cells.add(Some(FIRST - 1), 1);
        assert!(cells.header.further.iter().all(|segment| segment.get().is_none()));
        cells.add(Some(CAPACITY - 1), 1);
        let lengths: Vec<_> =
            cells.header.further.iter().map(|it| it.get().map(|cells| cells.len())).collect();
        let (last, before) = lengths.split_last().unwrap();
        assert!(before.iter().all(Option::is_none), "{lengths:?}");
        assert!(*last >= Some(CAPACITY / 2), "{lengths:?}");
    }
}

#[cfg(test)]
mod models {
    use super::*;
    use crate::model;
    use crate::sys::Arc;
    use crate::testing::{Plain, spawn};

    /// A load and a store would lose one.
    #[test]
    fn additions_to_the_shared_cell_are_all_counted() {
        model(|| {
            let cells = Arc::new(Cells::new());
            let other = spawn(&cells, |cells| cells.add(None, 1));
            cells.add(None, 10);
            other.join();
            assert_eq!(cells.sum(), 11);
        });
    }

    /// A sum that read the shared cell last could count the second addition alone.
    #[test]
    fn a_thread_s_own_cell_is_counted_before_its_additions_to_the_shared_one() {
        model(|| {
            let cells = Arc::new(Cells::new());
            let other = spawn(&cells, |cells| {
                cells.add(Some(0), 1);
                cells.add(None, 10);
            });
            let sum = cells.sum();
            assert!([0, 1, 11].contains(&sum), "{sum}");
            other.join();
            assert_eq!(cells.sum(), 11);
        });
    }

    /// In each kind of cell, which exists before: making it would publish what its maker did.
    #[test]
    fn a_sum_that_counts_an_addition_sees_what_came_before_it() {
        for index in [None, Some(0), Some(FIRST)] {
            model(move || {
                let shared = Arc::new((Cells::new(), Plain::new()));
                shared.0.add(index, 1);
                let other = spawn(&shared, move |(cells, text)| {
                    text.add(7);
                    cells.add(index, 10);
                });
                if shared.0.sum() == 11 {
                    assert_eq!(shared.1.get(), 7);
                }
                other.join();
            });
        }
    }
}

//! The cells of a counter that many threads add to: one for each thread, on a line of its own.
//!
//! A cell belongs to a thread's [number](crate::support::thread_index): only its holder writes it, with a plain
//! load and store. Cells come in *segments*, each as long as all before it together, made when the first
//! thread comes whose number is that high; they stay until the counter goes. Threads without a number add to
//! one shared cell with a read-modify-write.

use super::lazy::Lazy;
use crate::support::thread_index::CAPACITY;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{IS_MODEL, array};
use crossbeam_utils::CachePadded;

type Cell = CachePadded<AtomicU64>;

/// Cells of the first segment.
const FIRST: usize = if IS_MODEL { 1 } else { 8 };
/// Segments after the first: of FIRST, 2 FIRST, 4 FIRST cells and so on.
const MORE: usize = (CAPACITY / FIRST).next_power_of_two().ilog2() as usize;

#[derive(Debug)]
pub(super) struct Cells {
    first: [Cell; FIRST],
    more: [Lazy<Box<[Cell]>>; MORE],
    /// Of all threads without a number.
    shared: Cell,
}

impl Cells {
    #[cold]
    pub(super) fn new() -> Self {
        Cells {
            first: array!(CachePadded::new(AtomicU64::new(0)); FIRST),
            more: array!(Lazy::new(); MORE),
            shared: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// The cell of a number, if there is one yet. What is no number has none.
    #[inline]
    pub(super) fn find(&self, number: usize) -> Option<&AtomicU64> {
        match self.first.get(number) {
            Some(cell) => Some(cell),
            None => self.find_further(number),
        }
    }

    fn find_further(&self, number: usize) -> Option<&AtomicU64> {
        let (segment, start) = place(number);
        self.more.get(segment)?.get().map(|cells| &*cells[number - start])
    }

    /// Adds for a thread with this number, or with none, and gives its cell's new count.
    pub(super) fn add(&self, number: Option<usize>, n: u64) -> u64 {
        match number {
            Some(number) => add_alone(self.get(number), n),
            // ORDERING: Release: as in `add_alone`.
            None => self.shared.fetch_add(n, Ordering::Release).wrapping_add(n),
        }
    }

    fn get(&self, number: usize) -> &AtomicU64 {
        if let Some(cell) = self.find(number) {
            return cell;
        }
        let (segment, len) = place(number);
        self.more[segment]
            .get_or_make(|| (0..len).map(|_| CachePadded::new(AtomicU64::new(0))).collect());
        self.find(number).expect("its segment was just made")
    }

    /// How many have been made.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let more = self.more.iter().filter_map(Lazy::get).map(|cells| cells.len());
        FIRST + more.sum::<usize>()
    }

    /// The sum of all cells, modulo 2^64, each read at a moment of its own; the shared one first, where a
    /// thread adds that has given up its own.
    pub(super) fn sum(&self) -> u64 {
        let more = self.more.iter().filter_map(Lazy::get).flat_map(|cells| cells.iter());
        let cells = [&self.shared].into_iter().chain(&self.first).chain(more);
        // ORDERING: Acquire: pairs with the Release of those that add: see `SafeCounter::sum`.
        cells.fold(0, |sum, cell| sum.wrapping_add(cell.load(Ordering::Acquire)))
    }
}

/// The segment of a number that isn't in the first, and the number with which it starts, which is how
/// many cells it has.
fn place(number: usize) -> (usize, usize) {
    let segment = (number / FIRST).ilog2();
    (segment as usize, FIRST << segment)
}

/// Adds to a cell that no other thread writes, and gives its new count.
#[inline]
pub(super) fn add_alone(cell: &AtomicU64, n: u64) -> u64 {
    // ORDERING: Relaxed: this thread's own last store, or that of the number's last holder, which
    // claiming the number acquired.
    let count = cell.load(Ordering::Relaxed).wrapping_add(n);
    // ORDERING: Release: see `SafeCounter::sum`.
    cell.store(count, Ordering::Release);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_cell_of_its_own() {
        let cells = Cells::new();
        let mut seen: Vec<usize> =
            (0..CAPACITY).map(|number| std::ptr::from_ref(cells.get(number)).addr()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), CAPACITY);
        for number in 0..CAPACITY {
            cells.add(Some(number), number as u64);
        }
        cells.add(None, 5);
        assert_eq!(cells.sum(), (CAPACITY * (CAPACITY - 1) / 2) as u64 + 5);
    }

    #[test]
    fn segments_are_made_when_they_are_needed() {
        let cells = Cells::new();
        cells.add(Some(FIRST - 1), 1);
        assert!(cells.more.iter().all(|segment| segment.get().is_none()));
        cells.add(Some(CAPACITY - 1), 1);
        let lengths: Vec<_> =
            cells.more.iter().map(|it| it.get().map(|cells| cells.len())).collect();
        let (last, before) = lengths.split_last().unwrap();
        assert!(before.iter().all(Option::is_none));
        assert!(*last >= Some(CAPACITY / 2), "{lengths:?}");
    }
}

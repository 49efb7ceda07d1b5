//! The memory of a batch: items in, results out, each position used by exactly one participant.
//!
//! Position `i` holds item `i` until the participant that claimed it takes the item, and result `i` once that call has
//! returned. Claims divide the positions into disjoint ranges (see [`batch`](super::batch)), so no two threads ever
//! touch the same position. If items and results have the same layout they share one buffer: each result overwrites its
//! item, and the items' allocation is returned as the results'.
//!
//! While nothing panics no record is needed: what was claimed holds results, what was not holds items. A call that
//! panics leaves a *hole*, from its own position to the end of its claim. It holds neither, for the items that were
//! claimed and not started are dropped.

use crate::support::first_panic::Payload;
use crate::sys::{Tracked, catch, discard};
use std::alloc::Layout;
use std::mem::{self, ManuallyDrop, needs_drop};
use std::ops::Range;

/// See the [module](self).
pub(super) struct Buffers<I, T> {
    items: *mut I,
    results: *mut T,
    len: usize,
    /// Owns the memory of both, and none of the values. Results that share the items' memory are `None`.
    buffers: (ManuallyDrop<Vec<I>>, Option<ManuallyDrop<Vec<T>>>),
    /// One for each position: a model sees by it whether two threads touch one.
    uses: Vec<Tracked>,
}

// SAFETY: items go to the thread that claims them and results come back, so both must be `Send`;
// no value is ever used by two threads at once.
unsafe impl<I: Send, T: Send> Sync for Buffers<I, T> {}

impl<I, T> Buffers<I, T> {
    pub(super) fn new(items: Vec<I>) -> Self {
        let len = items.len();
        let uses = (0..len).map(|_| Tracked::new()).collect();
        let mut own = (Layout::new::<I>() != Layout::new::<T>())
            .then(|| ManuallyDrop::new(Vec::with_capacity(len)));
        // From here on nothing unwinds, and the values are for `self` to drop.
        let mut items = ManuallyDrop::new(items);
        let start = items.as_mut_ptr();
        let results = own.as_mut().map_or(start.cast::<T>(), |own| own.as_mut_ptr());
        Buffers { items: start, results, len, buffers: (items, own), uses }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Calls `f` on each index and item of `range`, in order, and keeps the results.
    ///
    /// # Errors
    /// If a call panics: the hole that it leaves, and the panic. What was in the hole has been dropped.
    ///
    /// # Safety
    /// - `range` lies within `len`.
    /// - The caller alone has claimed it, and runs it once.
    #[inline]
    pub(super) unsafe fn run(
        &self,
        range: Range<usize>,
        mut f: impl FnMut(usize, I) -> T,
    ) -> Result<(), (Range<usize>, Payload)> {
        // In locals, so that the loop doesn't reload them after each write of a result.
        let (items, results, uses) = (self.items, self.results, &*self.uses);
        let mut reached = range.start;
        let caught = catch(|| {
            let mut progress = Progress { at: range.start, out: &mut reached };
            while progress.at < range.end {
                let i = progress.at;
                if let Some(used) = uses.get(i) {
                    used.write();
                }
                // SAFETY: `i` is in the range that the caller alone has claimed, and not started.
                let item = unsafe { items.wrapping_add(i).read() };
                progress.at = i + 1;
                let result = f(i, item);
                // SAFETY: as above, and the item has been taken.
                unsafe { results.wrapping_add(i).write(result) };
            }
        });
        match caught {
            Ok(()) => Ok(()),
            Err(payload) => {
                // `reached` is past the item whose call panicked.
                // SAFETY: the items after it are this range's, and not started.
                unsafe { self.drop_items(reached..range.end) };
                Err((reached - 1..range.end, payload))
            }
        }
    }

    /// Drops the items of `range`. A drop that panics stops no other.
    ///
    /// # Safety
    /// - The positions in `range` hold items, and no other thread uses them.
    pub(super) unsafe fn drop_items(&self, range: Range<usize>) {
        if needs_drop::<I>() {
            for i in range {
                // SAFETY: by the contract.
                let item = unsafe { self.items.wrapping_add(i).read() };
                drop_quietly(item);
            }
        }
    }

    /// Drops the results of `range`. A drop that panics stops no other.
    ///
    /// # Safety
    /// - The positions in `range` hold results, and no other thread uses them.
    pub(super) unsafe fn drop_results(&self, range: Range<usize>) {
        if needs_drop::<T>() {
            for i in range {
                // SAFETY: by the contract.
                let result = unsafe { self.results.wrapping_add(i).read() };
                drop_quietly(result);
            }
        }
    }

    /// Returns the results.
    ///
    /// # Safety
    /// - Every position holds a result, and every use by other threads happens before this call.
    pub(super) unsafe fn into_results(mut self) -> Vec<T> {
        for used in &self.uses {
            used.write();
        }
        let (items, results) = &mut self.buffers;
        match results.take() {
            Some(mut results) => {
                // SAFETY: `results` has capacity for `len`, and by the contract they are there.
                unsafe { results.set_len(self.len) };
                ManuallyDrop::into_inner(results)
            }
            None => {
                // The memory is the results' now: `self` must not free it.
                let items = ManuallyDrop::new(mem::take(&mut **items));
                let capacity = items.capacity();
                let start = self.results;
                // SAFETY: the memory was a `Vec<I>`'s of this capacity; `T` has the same layout, and by the contract
                // there are `len` results.
                unsafe { Vec::from_raw_parts(start, self.len, capacity) }
            }
        }
    }
}

impl<I, T> Drop for Buffers<I, T> {
    /// Frees the memory. Its items and results have been taken or dropped before.
    fn drop(&mut self) {
        let (items, results) = &mut self.buffers;
        // SAFETY: the length 0 claims no value.
        unsafe { items.set_len(0) };
        // SAFETY: `items` is not used after this.
        unsafe { ManuallyDrop::drop(items) };
        if let Some(results) = results {
            // Its length is 0: nothing has set it.
            // SAFETY: `results` is not used after this.
            unsafe { ManuallyDrop::drop(results) };
        }
    }
}

/// How far a claim has come. It is written to `out` at the end alone, so that the loop can keep it in a register.
struct Progress<'a> {
    at: usize,
    out: &'a mut usize,
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        *self.out = self.at;
    }
}

/// Drops a value, and discards the panic of its drop: the batch has panicked already.
pub(super) fn drop_quietly<V>(value: V) {
    if let Err(payload) = catch(move || drop(value)) {
        discard(payload);
    }
}

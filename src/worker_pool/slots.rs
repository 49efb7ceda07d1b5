//! The values of a batch: items in, results out, each slot used by exactly one participant.
//!
//! A slot `i` holds item `i` until whoever claimed `i` takes it, and result `i` from when that
//! call has returned. Claims divide the slots into disjoint ranges (see [`batch`](super::batch)),
//! so no two threads ever touch the same slot. Where items and results have one layout they
//! share one buffer: each result takes its item's place, and the items' allocation is handed
//! back as the results'.
//!
//! While nothing panics a slot's state needs no record: what was claimed holds results, what was
//! not holds items. A call that panics leaves a *hole*: from its own slot to the end of its claim
//! there is neither, for it drops what it had claimed and not started.

use crate::support::first_panic::Payload;
use crate::sys::{Tracked, catch, discard};
use std::alloc::Layout;
use std::mem::{self, ManuallyDrop, needs_drop};
use std::ops::Range;

/// See the [module](self).
pub(super) struct Slots<I, T> {
    items: *mut I,
    results: *mut T,
    len: usize,
    /// Owns the memory of both, and none of the values. `None` results: they share the items'.
    buffers: (ManuallyDrop<Vec<I>>, Option<ManuallyDrop<Vec<T>>>),
    /// One for each slot: lets a model see whether two threads touch one.
    uses: Vec<Tracked>,
}

// SAFETY: items go to the thread that claims them and results come back, so both must be `Send`;
// no value is ever used by two threads at once.
unsafe impl<I: Send, T: Send> Sync for Slots<I, T> {}

impl<I, T> Slots<I, T> {
    pub(super) fn new(items: Vec<I>) -> Self {
        let len = items.len();
        let uses = (0..len).map(|_| Tracked::new()).collect();
        let mut own = (Layout::new::<I>() != Layout::new::<T>())
            .then(|| ManuallyDrop::new(Vec::with_capacity(len)));
        // From here on nothing unwinds, and the values are ours to drop.
        let mut items = ManuallyDrop::new(items);
        let place = items.as_mut_ptr();
        let results = own.as_mut().map_or(place.cast::<T>(), |own| own.as_mut_ptr());
        Slots { items: place, results, len, buffers: (items, own), uses }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Calls `f` on each index and item of `range`, in order, and keeps the results.
    ///
    /// If a call panics, gives the panic back with the hole it leaves; what was in the hole has
    /// been dropped.
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
        // In locals, so that the loop need not look whether a result's write has changed them.
        let (items, results, uses) = (self.items, self.results, &*self.uses);
        let mut reached = range.start;
        let caught = catch(|| {
            let mut progress = Progress { at: range.start, out: &mut reached };
            while progress.at < range.end {
                let i = progress.at;
                if let Some(slot) = uses.get(i) {
                    slot.write();
                }
                // SAFETY: `i` is in the range that the caller alone has claimed, and not started.
                let item = unsafe { items.wrapping_add(i).read() };
                progress.at = i + 1;
                let result = f(i, item);
                // SAFETY: as above, and the item has left the slot.
                unsafe { results.wrapping_add(i).write(result) };
            }
        });
        match caught {
            Ok(()) => Ok(()),
            Err(payload) => {
                // `reached` is past the item whose call panicked.
                // SAFETY: those behind it are this range's, and not started.
                unsafe { self.drop_items(reached..range.end) };
                Err((reached - 1..range.end, payload))
            }
        }
    }

    /// Drops the items of `range`. A drop that panics stops no other.
    ///
    /// # Safety
    /// - The slots of `range` hold items, and the caller is the only one to use them.
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
    /// - The slots of `range` hold results, and the caller is the only one to use them.
    pub(super) unsafe fn drop_results(&self, range: Range<usize>) {
        if needs_drop::<T>() {
            for i in range {
                // SAFETY: by the contract.
                let result = unsafe { self.results.wrapping_add(i).read() };
                drop_quietly(result);
            }
        }
    }

    /// The results, all of them.
    ///
    /// # Safety
    /// - Every slot holds a result, and every use by others happens before this call.
    pub(super) unsafe fn into_results(mut self) -> Vec<T> {
        for slot in &self.uses {
            slot.write();
        }
        let (items, results) = &mut self.buffers;
        match results.take() {
            Some(mut results) => {
                // SAFETY: `results` has room for `len`, and by the contract they are there.
                unsafe { results.set_len(self.len) };
                ManuallyDrop::into_inner(results)
            }
            None => {
                // The memory is the results' now: leave `self` none to free.
                let items = ManuallyDrop::new(mem::take(&mut **items));
                let capacity = items.capacity();
                let place = self.results;
                // SAFETY: the memory was a `Vec<I>`'s of this capacity; `T` has the same layout,
                // and by the contract each of the `len` slots holds one.
                unsafe { Vec::from_raw_parts(place, self.len, capacity) }
            }
        }
    }
}

impl<I, T> Drop for Slots<I, T> {
    /// Frees the memory. Whatever is in the slots has been taken or dropped before.
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

/// How far a claim has come. Kept apart from `out` so that the loop can keep it in a register.
struct Progress<'a> {
    at: usize,
    out: &'a mut usize,
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        *self.out = self.at;
    }
}

/// Drops a value whose panic has nowhere to go: the batch has panicked already.
pub(super) fn drop_quietly<V>(value: V) {
    if let Err(payload) = catch(move || drop(value)) {
        discard(payload);
    }
}

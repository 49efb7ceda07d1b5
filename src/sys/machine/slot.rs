//! A word in which one thread says what it is doing, for others to look for; and who pays for the fence.
//!
//! Whoever marks a slot looks at something else afterwards; whoever looks for marks has changed that
//! before. If neither is to miss the other, a full fence must stand between the two steps on both sides
//! (store buffering). Either each side has its own, or the one that looks makes everybody's:
//!
//! | the mark | costs its thread | and the one that looks |
//! | --- | --- | --- |
//! | [`mark`](Slot::mark) | a full fence, some 5 ns | a `fence(SeqCst)` |
//! | [`mark_unfenced`](Slot::mark_unfenced) | nothing: the compiler keeps the order | [`heavy_fence`], 10 to 30 µs |
//!
//! The heavy fence is Linux's `membarrier(2)` (private, expedited): it interrupts each core that runs a
//! thread of this process, and each has passed a full fence before it returns. A thread that isn't
//! running has passed one in the scheduler. So with respect to a heavy fence, either a light mark came
//! before and is seen after it, or what the marker looks at afterwards is what was written before it.
//! (The same pair is folly's `asymmetricLightBarrier`, and P1202 of the C++ committee.)

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, compiler_fence, fence};

#[derive(Debug)]
pub(crate) struct Slot(AtomicU64);

impl Slot {
    pub(crate) const fn new() -> Self {
        Slot(AtomicU64::new(0))
    }

    /// What it is marked with, or 0. For whoever looks for marks.
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// The same for the one thread that marks it, which sees its own light marks at once.
    #[inline]
    pub(crate) fn load_own(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// Takes the mark away.
    #[inline]
    pub(crate) fn clear(&self, order: Ordering) {
        self.0.store(0, order);
    }

    /// Marks it before every later load, with respect to a `fence(SeqCst)` of the one that looks.
    #[inline]
    pub(crate) fn mark(&self, value: u64) {
        if cfg!(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri))) {
            // ORDERING: SeqCst: an exchange is a full barrier on x86, and cheaper than a store and a
            // fence (crossbeam-epoch pins its threads this way). The compiler may not move loads
            // before it either.
            self.0.swap(value, Ordering::SeqCst);
            compiler_fence(Ordering::SeqCst);
        } else {
            // ORDERING: Release: whoever sees the mark sees what its thread did before.
            self.0.store(value, Ordering::Release);
            // ORDERING: SeqCst: store buffering; the pair is the fence of the one that looks.
            fence(Ordering::SeqCst);
        }
    }

    /// Marks it before every later load, with respect to a [`heavy_fence`] of the one that looks. Only
    /// where [`has_heavy_fence`].
    #[inline]
    pub(crate) fn mark_unfenced(&self, value: u64) {
        // ORDERING: Release: as in `mark`.
        self.0.store(value, Ordering::Release);
        // ORDERING: SeqCst: the compiler's part of the fence; the processor's is the heavy one's.
        compiler_fence(Ordering::SeqCst);
    }
}

/// Whether there can be heavy fences at all.
pub(crate) const MAY_BE_UNFENCED: bool =
    cfg!(all(feature = "membarrier", target_os = "linux", not(miri)));

/// Whether this process has asked the system for heavy fences, and what the answer was.
static HEAVY: AtomicU8 = AtomicU8::new(UNASKED);
const UNASKED: u8 = 0;
const ASKING: u8 = 1;
const GRANTED: u8 = 2;
const REFUSED: u8 = 3;

/// Whether there are heavy fences: [`prepare_heavy_fence`] was called, and the system has them.
#[inline]
pub(crate) fn has_heavy_fence() -> bool {
    // ORDERING: Relaxed: what was granted was granted to the process, and no memory goes with it.
    HEAVY.load(Ordering::Relaxed) == GRANTED
}

/// Asks the system for heavy fences, once in the life of the process.
///
/// That takes the kernel some 10 ms where other threads run; whoever else calls meanwhile goes on
/// without.
#[cold]
pub(crate) fn prepare_heavy_fence() {
    // ORDERING: Relaxed, twice: see `has_heavy_fence`.
    let (asking, order) = (ASKING, Ordering::Relaxed);
    if HEAVY.compare_exchange(UNASKED, asking, order, order).is_ok() {
        let granted = system::register();
        HEAVY.store(if granted { GRANTED } else { REFUSED }, Ordering::Relaxed);
    }
}

/// Returns after every thread of the process has passed a full fence since the call, as this one does.
/// `_slots` is what may be marked lightly, for the model.
#[cold]
pub(crate) fn heavy_fence<'a>(_slots: impl Iterator<Item = &'a Slot>) {
    if !system::heavy_fence() {
        // It was granted before, so something has taken it away: a sandbox set up since. Readers that
        // nobody can see any more are no state to go on from.
        eprintln!("phalanx: membarrier(2) was granted to this process and is refused now");
        std::process::abort();
    }
}

/// For models; here they are.
#[cfg(test)]
pub(crate) fn let_unfenced_marks_be_stores() {}

#[cfg(all(feature = "membarrier", target_os = "linux", not(miri)))]
mod system {
    //! `membarrier(2)`.

    use libc::{SYS_membarrier, c_int, c_long, syscall};

    /// From `<linux/membarrier.h>`.
    const PRIVATE_EXPEDITED: c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;

    fn membarrier(command: c_int) -> c_long {
        let flags: c_int = 0;
        // SAFETY: the call takes two ints and touches no memory of ours; where the kernel doesn't
        // have it, it fails with an error.
        unsafe { syscall(SYS_membarrier, command, flags) }
    }

    pub(super) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED) == 0
    }

    pub(super) fn heavy_fence() -> bool {
        // A forked child may have to register anew.
        membarrier(PRIVATE_EXPEDITED) == 0 || register() && membarrier(PRIVATE_EXPEDITED) == 0
    }
}

#[cfg(not(all(feature = "membarrier", target_os = "linux", not(miri))))]
mod system {
    //! No such thing.

    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn heavy_fence() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_fences_are_granted_or_refused_for_good() {
        for _ in 0..2 {
            prepare_heavy_fence();
        }
        // Another test's thread may still be asking; whoever finds it granted may use it.
        if has_heavy_fence() {
            let slot = Slot::new();
            slot.mark_unfenced(7);
            heavy_fence([&slot].into_iter());
            assert_eq!(slot.load(Ordering::Relaxed), 7);
        }
    }
}

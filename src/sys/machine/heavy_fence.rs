//! Heavy fences: one thread's fence for all threads of the process.
//!
//! That is Linux's `membarrier(2)` (private, expedited): it interrupts each core that runs a thread of this
//! process, and each has passed a full fence before it returns. A thread that isn't running has passed one in the
//! scheduler. So with respect to a heavy fence, either an unfenced mark came before and is seen after it, or what
//! its thread loads afterwards is what was written before it. (The same pair is folly's `asymmetricLightBarrier`,
//! and P1202 of the C++ committee.)
//!
//! ```text
//! UNASKED => ASKING => GRANTED       the first call of `prepare_heavy_fence`
//!                   => NO            the kernel refuses, or a mark's own fence costs too little to be saved
//! GRANTED => NO                      the kernel refuses later: a sandbox was set up since
//! ```
//!
//! A refusal after marks went unfenced must not leave readers invisible. The ways that remain are tried in turn:
//! registering anew, which a forked child may have to; `MEMBARRIER_CMD_GLOBAL`, which needs no registration and
//! takes some milliseconds; and at last [waiting](LAST_RESORT) for longer than a processor keeps a store to itself.
//! Nothing is unfenced after that. (Not used: `mprotect`, whose interrupts newer AMD processors do without;
//! `sched_setaffinity`, which reaches only the cores that this thread's cpuset allows.)

use super::slot::Slot;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use std::{hint, thread};

/// Whether there can be heavy fences at all.
pub(crate) const MAY_BE_UNFENCED: bool =
    cfg!(all(feature = "membarrier", target_os = "linux", not(miri)));

/// A fence that costs less isn't worth being saved, in nanoseconds.
const CHEAP: u32 = 3;

/// A store leaves its core's buffer as soon as that has the line, and at the latest with the next interrupt, such as
/// the scheduler's tick.
const LAST_RESORT: Duration = Duration::from_millis(100);

/// Whether this process has asked the kernel for heavy fences, and what came of it.
static STATE: AtomicU8 = AtomicU8::new(UNASKED);
const UNASKED: u8 = 0;
const ASKING: u8 = 1;
const GRANTED: u8 = 2;
const NO: u8 = 3;

/// Whether there are heavy fences: [`prepare_heavy_fence`] was called, and they are to be had and worth it.
#[inline]
pub(crate) fn has_heavy_fence() -> bool {
    // ORDERING: Relaxed: what was granted was granted to the process, and no memory goes with it.
    MAY_BE_UNFENCED && STATE.load(Ordering::Relaxed) == GRANTED
}

/// Asks the kernel for heavy fences, once in the life of the process, unless a fence is cheap here.
///
/// That takes the kernel some 10 ms where other threads run; a thread that calls in the meantime goes on
/// without.
#[cold]
pub(crate) fn prepare_heavy_fence() {
    prepare(is_fence_cheap);
}

fn prepare(is_cheap: fn() -> bool) {
    // ORDERING: Relaxed, in both cases: see `has_heavy_fence`.
    let (asking, order) = (ASKING, Ordering::Relaxed);
    if MAY_BE_UNFENCED && STATE.compare_exchange(UNASKED, asking, order, order).is_ok() {
        let granted = !is_cheap() && system::register();
        // ORDERING: Relaxed: see `has_heavy_fence`.
        STATE.store(if granted { GRANTED } else { NO }, Ordering::Relaxed);
    }
}

/// Whether the fence of a mark costs next to nothing on this processor.
fn is_fence_cheap() -> bool {
    const MARKS: u32 = 256;
    let slot = Slot::new();
    // The quickest of a few rounds is one without an interruption.
    let time = |mark: fn(&Slot)| {
        let round = |_| {
            let start = Instant::now();
            (0..MARKS).for_each(|_| mark(hint::black_box(&slot)));
            start.elapsed()
        };
        (0..8).map(round).min().unwrap_or_default()
    };
    let (fenced, unfenced) = (time(|slot| slot.mark(1)), time(|slot| slot.mark_unfenced(1)));
    fenced.saturating_sub(unfenced).as_nanos() < u128::from(CHEAP * MARKS)
}

/// Returns after every thread of the process has passed a full fence since the call, as this one does.
/// `_slots` is what may be marked unfenced, for the model.
#[cold]
pub(crate) fn heavy_fence<'a>(_slots: impl Iterator<Item = &'a Slot>) {
    if !system::heavy_fence() {
        // ORDERING: Relaxed: see `has_heavy_fence`.
        STATE.store(NO, Ordering::Relaxed);
        if !system::slow_fence() {
            thread::sleep(LAST_RESORT);
        }
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
    const GLOBAL: c_int = 1 << 0;
    const PRIVATE_EXPEDITED: c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;

    #[cfg(test)]
    std::thread_local! {
        /// This thread's calls so far.
        pub(super) static CALLS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    fn membarrier(command: c_int) -> bool {
        #[cfg(test)]
        CALLS.set(CALLS.get() + 1);
        let flags: c_int = 0;
        // SAFETY: the call takes two ints and touches no memory of ours; where the kernel doesn't
        // have it, it fails with an error.
        let result: c_long = unsafe { syscall(SYS_membarrier, command, flags) };
        result == 0
    }

    pub(super) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED)
    }

    pub(super) fn heavy_fence() -> bool {
        membarrier(PRIVATE_EXPEDITED) || register() && membarrier(PRIVATE_EXPEDITED)
    }

    pub(super) fn slow_fence() -> bool {
        membarrier(GLOBAL)
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

    pub(super) fn slow_fence() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot::litmus::overlooked;
    use super::*;

    #[test]
    fn an_unfenced_mark_comes_before_later_loads_by_a_heavy_fence() {
        prepare(|| false);
        // Another test's thread may still be asking.
        if has_heavy_fence() {
            let heavy = |slot: &Slot| heavy_fence(std::iter::once(slot));
            assert_eq!(overlooked(|slot| slot.mark_unfenced(1), heavy), 0);
        }
    }

    #[test]
    #[cfg(all(feature = "membarrier", target_os = "linux", not(miri)))]
    fn every_way_of_fencing_that_the_kernel_has_is_a_fence() {
        if system::slow_fence() {
            // Not for a second, as it takes milliseconds: this is for a command that doesn't exist.
            assert!(!has_heavy_fence() || system::heavy_fence());
        }
    }

    #[test]
    #[cfg(all(feature = "membarrier", target_os = "linux", not(miri)))]
    fn each_heavy_fence_is_a_system_call() {
        for _ in 0..3 {
            let before = system::CALLS.get();
            heavy_fence(std::iter::empty());
            assert!(system::CALLS.get() > before);
        }
    }

    #[test]
    fn a_refused_fence_is_the_last() {
        if !MAY_BE_UNFENCED {
            heavy_fence([&Slot::new()].into_iter());
            assert!(!has_heavy_fence());
        }
    }
}

//! The processor and the clock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// Returns how many cores this process may use; the system is asked once. `1` where it doesn't say.
pub(crate) fn cores() -> usize {
    /// 0 until a thread has asked.
    static CORES: AtomicUsize = AtomicUsize::new(0);
    // ORDERING: Relaxed: the number is all there is; a thread that loads 0 asks again.
    match CORES.load(Ordering::Relaxed) {
        0 => {
            let cores = available_parallelism().map_or(1, usize::from);
            // ORDERING: Relaxed: every thread stores the same.
            CORES.store(cores, Ordering::Relaxed);
            cores
        }
        cores => cores,
    }
}

/// Whether waiting awake can help: another core may do meanwhile what this thread waits for.
#[inline]
pub(crate) fn can_spin() -> bool {
    cores() > 1
}

/// Returns the time since the first call.
pub(crate) fn uptime() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Measures how much time has passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[inline]
    pub(crate) fn start() -> Self {
        Stopwatch(Instant::now())
    }

    #[inline]
    pub(crate) fn nanos(self) -> u128 {
        self.0.elapsed().as_nanos()
    }
}

/// A moment of which it can be told that it was just now, at a third of what a [`Stopwatch`] costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        Moment(ticks().unwrap_or(0))
    }

    /// Whether less than a few microseconds have passed. A hint: `false` is always right.
    #[inline]
    pub(crate) fn is_recent(self) -> bool {
        /// A microsecond where the counter runs at 2 GHz, as most do.
        const RECENT: u64 = 2_000;
        ticks().is_some_and(|now| now.wrapping_sub(self.0) < RECENT)
    }
}

/// The processor's counter of time, if it has one that is cheap to read.
#[inline]
fn ticks() -> Option<u64> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // SAFETY: every x86-64 processor has the instruction, and systems let programs use it, as their clocks do.
        Some(unsafe { std::arch::x86_64::_rdtsc() })
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        None
    }
}

/// A number that steers and never decides: it orders nothing, and any value is right.
#[derive(Debug)]
pub(crate) struct Hint(AtomicU32);

impl Hint {
    pub(crate) const fn new() -> Self {
        Hint(AtomicU32::new(0))
    }

    #[inline]
    pub(crate) fn get(&self) -> u32 {
        // ORDERING: Relaxed: see the type.
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self, value: u32) {
        // ORDERING: Relaxed: see the type.
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `n`, and may lose what others add meanwhile: a load and a store, no read-modify-write.
    #[inline]
    pub(crate) fn add(&self, n: u32) {
        self.set(self.get().wrapping_add(n));
    }
}

/// Starts to fetch the line at an address into this core's cache. Any address will do: nothing is read.
#[inline]
pub(crate) fn prefetch(address: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) };
    }
    let _ = address;
}

/// [`prefetch`], for a write: no other core keeps the line.
#[inline]
pub(crate) fn prefetch_to_write(address: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // The intrinsic is a prefetch to read without the target feature.
        // SAFETY: the instruction never faults, and does nothing on a 64-bit processor that doesn't have it.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
        };
    }
    let _ = address;
}

//! A bounded spin before a thread sleeps.
//!
//! Sleeping and being woken costs the kernel's scheduler twice, some 10 to 30 µs on a virtual
//! machine. What is about to happen anyway is cheaper waited for awake, but only for about as
//! long as the sleep would cost, and only where another core can make it happen meanwhile.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// How long to look at a word before sleeping on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spin {
    /// Not at all: there are more threads than cores, and the other side wants this one.
    None,
    /// A hundred polls or so, a few microseconds: the other side may be about to arrive.
    Brief,
    /// As long as a wake-up would cost: for helpers between two batches.
    WakeUp,
}

const BRIEF_POLLS: u32 = 120;
const WAKE_UP: Duration = Duration::from_micros(25);
/// Polls between two looks at the clock.
const POLLS_PER_LOOK: u32 = 16;

impl Spin {
    /// The spin for a group of `threads` that work together.
    pub(crate) fn for_threads(threads: usize) -> Spin {
        if threads > cores() { Spin::None } else { Spin::WakeUp }
    }

    /// Polls `ready` until it gives something or the bound is reached.
    pub(crate) fn poll<R>(self, mut ready: impl FnMut() -> Option<R>) -> Option<R> {
        let until = match self {
            Spin::None => return None,
            _ if cores() == 1 => return None,
            Spin::Brief => None,
            Spin::WakeUp => Some(Instant::now() + WAKE_UP),
        };
        loop {
            for _ in 0..if until.is_some() { POLLS_PER_LOOK } else { BRIEF_POLLS } {
                if let Some(found) = ready() {
                    return Some(found);
                }
                spin_loop();
            }
            if until.is_none_or(|until| Instant::now() >= until) {
                return None;
            }
        }
    }
}

/// The cores this process may use, asked once. `1` where the system doesn't say.
fn cores() -> usize {
    /// 0 until somebody has asked.
    static CORES: AtomicUsize = AtomicUsize::new(0);
    // ORDERING: Relaxed, here and below: a number that is its own message; whoever finds 0 asks
    // again and stores the same.
    match CORES.load(Ordering::Relaxed) {
        0 => {
            let cores = available_parallelism().map_or(1, usize::from);
            CORES.store(cores, Ordering::Relaxed);
            cores
        }
        cores => cores,
    }
}

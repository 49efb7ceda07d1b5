//! A bounded spin before a thread sleeps.
//!
//! Sleeping and being woken costs the kernel's scheduler twice, some 10 to 30 µs on a virtual
//! machine. What is about to happen anyway is cheaper waited for awake, but only for about as
//! long as the sleep would cost, and only where another core can make it happen meanwhile.

use std::hint::spin_loop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
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

/// The looks of one who waits for a lock, and the pauses between them.
///
/// Whoever works under a lock that nobody else touches takes 5 ns for it; each look of another
/// takes the lock's line away, and costs ten times as much. So the pauses grow, and late looks are
/// polite (see [`grants`](Backoff::grants)), up to the point where it would have been as cheap to
/// sleep: all pauses together are about a wake-up, some 20 µs where a pause is 28 ns.
#[derive(Debug)]
pub(crate) struct Backoff {
    looks: u32,
}

const LOOKS: u32 = 12;
/// The longest pause, as a power of two of the processor's.
const LONGEST: u32 = 7;
/// Pauses between the looks of one who watches a long section for its end.
const WATCHED: u32 = 4;
/// After this many looks, less than half a microsecond, a waiter knows what it is waiting for.
const LATE: u32 = 4;
/// Where one starts who has slept: it didn't help to hurry before.
const RESTED: u32 = 6;

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff { looks: 0 }
    }

    pub(crate) fn rested() -> Self {
        Backoff { looks: RESTED }
    }

    /// Whether it has not paused yet, and is going to.
    pub(crate) fn is_new(&self) -> bool {
        self.looks == 0 && !self.is_over()
    }

    pub(crate) fn is_late(&self) -> bool {
        self.looks >= LATE
    }

    /// Whether it is better to sleep than to look again.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.looks >= LOOKS || cores() == 1
    }

    /// Lets some time pass before the next look.
    #[inline]
    pub(crate) fn pause(&mut self) {
        spin(1 << self.looks.min(LONGEST));
        self.looks += 1;
    }

    /// [`pause`](Self::pause), and looks every now and then, to end it early.
    pub(crate) fn pause_while(&mut self, same: impl Fn() -> bool) {
        let pauses = 1 << self.looks.min(LONGEST);
        (0..pauses).step_by(WATCHED as usize).take_while(|_| same()).for_each(|_| spin(WATCHED));
        self.looks += 1;
    }

    /// Whether a waiter may take what it has just seen free: at once in its first `eager` looks;
    /// later only if `still` says so after `pauses` more. One who works with the lock all the time
    /// is back by then, and goes on while it has the line, which is what makes it fast.
    #[inline]
    pub(crate) fn grants(&self, eager: u32, pauses: u32, still: impl FnOnce() -> bool) -> bool {
        if self.looks < eager || self.is_over() {
            return true;
        }
        spin(pauses);
        still()
    }
}

#[inline]
fn spin(pauses: u32) {
    for _ in 0..pauses {
        spin_loop();
    }
}

/// How long a waiter lets others overtake it.
#[derive(Debug)]
pub(crate) struct Patience {
    since: Option<Instant>,
}

/// Go's figure for the same.
const PATIENCE: Duration = Duration::from_millis(1);

impl Patience {
    pub(crate) fn new() -> Self {
        Patience { since: None }
    }

    /// Starts it, unless it has started: a wait that its first looks end needs no clock.
    pub(crate) fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether it is over. Starts at the first call, if it has not before.
    pub(crate) fn is_over(&mut self) -> bool {
        match self.since {
            Some(since) => since.elapsed() >= PATIENCE,
            None => {
                self.begin();
                false
            }
        }
    }
}

/// How long a thread that was woken may be passed by others before it is given what it waits for,
/// on a clock of few bits that a lock's word has room for.
#[derive(Debug)]
pub(crate) struct Grace;

impl Grace {
    /// The clock's bits: it goes round in four seconds.
    const BITS: u32 = 18;
    /// A tick in nanoseconds, as a power of two: 16 µs.
    const TICK: u32 = 14;
    /// A millisecond, in ticks.
    const TICKS: u32 = 61;

    /// The time, in ticks.
    pub(crate) fn now() -> u32 {
        static START: OnceLock<Instant> = OnceLock::new();
        (START.get_or_init(Instant::now).elapsed().as_nanos() >> Self::TICK) as u32
    }

    /// Whether the time is over that began then. After more than a round of the clock it may take as
    /// long again until it says so.
    pub(crate) fn is_over(since: u32) -> bool {
        Self::now().wrapping_sub(since) & ((1 << Self::BITS) - 1) >= Self::TICKS
    }
}

/// A number that steers and never decides: nothing is ordered by it, any value is right.
#[derive(Debug)]
pub(crate) struct Hint(AtomicU32);

impl Hint {
    pub(crate) const fn new() -> Self {
        Hint(AtomicU32::new(0))
    }

    #[inline]
    pub(crate) fn get(&self) -> u32 {
        // ORDERING: Relaxed, here and below: see the type.
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds, and may lose what others add meanwhile: a load and a store, no read-modify-write.
    #[inline]
    pub(crate) fn add(&self, n: u32) {
        self.set(self.get().wrapping_add(n));
    }
}

/// The cores this process may use, asked once. `1` where the system doesn't say.
pub(crate) fn cores() -> usize {
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

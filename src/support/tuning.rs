//! The figures by which threads wait: for how long awake, when to sleep, when to overtake no more.
//!
//! None of them decides what is right, only what is fast. In a model waiting awake never helps, and every wait has
//! been long enough (see `sys`). Each was found by the command beside it, where `measure` stands for
//! `cargo run --release -p phalanx-peers -- measure`; run it before and after a change. `benches/peers/README.md` has
//! what else was tried.

use crate::sys::{IS_MODEL, Stopwatch, uptime};
use std::time::Duration;

/// Polls of a brief spin: a few microseconds, in which the other side may arrive.
///
/// `measure wait_groups`
pub(super) const BRIEF_POLLS: u32 = 120;

/// The longest spin: sleeping and being woken costs the scheduler twice, some 10 to 30 µs on a virtual machine.
///
/// `measure pools wait_groups`, and `measure mutexes --rows "Beside three hogs"` for a mutex's claim
pub(super) const WAKE_UP: Duration = Duration::from_micros(25);

/// Polls between two readings of the clock.
pub(super) const POLLS_PER_READING: u32 = 16;

/// Checks of a thread that waits for its partner, with a yield after each: some 10 µs where no other thread wants
/// the core.
///
/// `measure channels`
pub(super) const YIELDS: u32 = 32;

/// Checks of a channel's lock with pauses between them, before those with yields.
///
/// `measure channels --rows "p"`
pub(super) const CHECKS_BEFORE_YIELDS: u32 = 5;

/// A yield that takes longer has let another thread use up its time slice. A partner's turn is shorter.
///
/// `measure channels --rows "busy"`
pub(super) const LONG_YIELD: Duration = Duration::from_millis(2);

/// Partners that take a step as often have used the core well.
///
/// `measure channels --rows "p1c"`
pub(super) const PARTNERS_STEP: Duration = Duration::from_micros(1);

/// For how many steps of partners the end of a wait stands.
///
/// `measure channels --rows "Select, one"`
pub(super) const STEPS_PER_WAIT: u32 = 32;

/// Cores are crowded when long yields, each of which counts so much, outweigh the quick ones by so much.
///
/// `measure channels --rows "busy"`
pub(super) const LONG_YIELD_WEIGHT: u32 = 8;
pub(super) const CROWDED: u32 = 12;

/// For how long no thread waits awake after the cores were found crowded: the first time, and at most, if each time
/// doubles it.
///
/// `measure channels --rows "busy"`
pub(super) const SHORTEST_TRUCE: Duration = Duration::from_millis(32);
pub(super) const LONGEST_TRUCE: Duration = Duration::from_secs(1);

/// Checks of a lock before a waiter sleeps. All pauses between them take about as long as a wake-up, some 20 µs
/// where the processor's pause is 28 ns.
///
/// `measure mutexes rwlocks`
pub(super) const MOST_CHECKS: u32 = 12;

/// The longest pause between two checks, as a power of two of the processor's.
///
/// `measure mutexes rwlocks`
pub(super) const LONGEST_PAUSE: u32 = 7;

/// Pauses between two checks for the end of a long section.
///
/// `cargo bench --bench mutex_vs_rw_mutex -- 90_reads/long`
pub(super) const WATCHING_PAUSES: u32 = 4;

/// Checks, within half a microsecond, after which a waiter knows what it waits for.
///
/// `measure rwlocks --rows "Read or write"`
pub(super) const EARLY_CHECKS: u32 = 4;

/// The check that a thread begins with after it has slept: hurrying didn't help before.
///
/// `measure mutexes rwlocks`
pub(super) const RESTED_CHECK: u32 = 6;

/// How long a waiter lets others overtake it: Go's figure.
///
/// `measure mutexes rwlocks --rows "hogs"`
const STARVATION: Duration = Duration::from_millis(1);

/// Measures how long others have overtaken a waiter, which starves when that is too long.
#[derive(Debug)]
pub(crate) struct StarvationTimer {
    since: Option<Stopwatch>,
}

impl StarvationTimer {
    pub(crate) fn new() -> Self {
        StarvationTimer { since: None }
    }

    /// Starts it, unless it runs: a wait that its first checks end needs no clock. In a model only
    /// [`is_over`](Self::is_over) does, so that its first answer is no and all others are yes.
    pub(crate) fn begin(&mut self) {
        if !IS_MODEL {
            self.since.get_or_insert_with(Stopwatch::start);
        }
    }

    /// Whether the waiter starves. Starts the timer, unless it runs.
    pub(crate) fn is_over(&mut self) -> bool {
        match self.since {
            Some(since) => since.nanos() >= STARVATION.as_nanos(),
            None => {
                self.since = Some(Stopwatch::start());
                false
            }
        }
    }
}

/// How long a woken thread may be overtaken before it is handed what it waits for, on a clock of so few bits that
/// a lock's word has room for them.
///
/// `measure mutexes --rows "hogs"`
#[derive(Debug)]
pub(crate) struct Grace;

impl Grace {
    /// The clock's bits: it goes round in four seconds.
    const BITS: u32 = 18;
    /// A tick in nanoseconds, as a power of two: 16 µs.
    const TICK: u32 = 14;
    /// A millisecond, in ticks.
    const TICKS: u32 = 61;

    /// Returns the time, in ticks.
    pub(crate) fn now() -> u32 {
        (uptime().as_nanos() >> Self::TICK) as u32
    }

    /// Whether the grace that began at `since` is over. After more than a round of the clock the answer may come as
    /// late again. In a model there is no grace.
    pub(crate) fn is_over(since: u32) -> bool {
        IS_MODEL || Self::now().wrapping_sub(since) & ((1 << Self::BITS) - 1) >= Self::TICKS
    }
}

//! Whether other threads keep the cores busy, so that a thread had better not wait awake.
//!
//! A thread that yields lets the others run, which is what it waits for if one of them is its partner. A thread that
//! only computes keeps the core for its whole time slice, though, which is a thousand times what a sleep and a wake-up
//! cost. Nothing tells the two apart but the time that a yield takes. So yields are timed, for all threads of the
//! process together. When long ones outweigh the quick ones the cores are *crowded*, and no thread waits awake for a
//! while; each time that the next long yield confirms it, for twice as long.
//!
//! All of it is hints: threads may overwrite what others have noted.

use super::tuning::{
    CROWDED, LONG_YIELD, LONG_YIELD_WEIGHT, LONGEST_TRUCE, PARTNERS_STEP, SHORTEST_TRUCE,
    STEPS_PER_WAIT,
};
use crate::sys::thread::yield_now;
use crate::sys::{Hint, Stopwatch, uptime};

/// How much long yields outweigh quick ones.
static SCORE: Hint = Hint::new();
/// How many waits of all threads have ended awake.
static ENDED: Hint = Hint::new();
/// Until when the cores are taken for crowded, in milliseconds of the uptime; 0 if they aren't.
static UNTIL: Hint = Hint::new();
/// For how long they were taken for crowded the last time, in milliseconds; 0 after enough quick yields.
static TRUCE: Hint = Hint::new();

/// Whether the cores are crowded.
#[inline]
pub(crate) fn is_crowded() -> bool {
    match UNTIL.get() {
        0 => false,
        until => until.wrapping_sub(now()).cast_signed() > 0,
    }
}

/// Lets other threads use the core. Returns `false` if they kept it for long, and have got little done meanwhile of what
/// is waited for: `progress` is a number that grows with what the caller's partners do, and the ends of waits count too,
/// whoever waited.
pub(crate) fn yield_to_partners(progress: impl Fn() -> u64) -> bool {
    let (before, ended) = (progress(), ENDED.get());
    let since = Stopwatch::start();
    yield_now();
    let nanos = since.nanos();
    let is_brief = nanos <= LONG_YIELD.as_nanos() || {
        let waits = ENDED.get().wrapping_sub(ended);
        let steps =
            progress().saturating_sub(before) + u64::from(STEPS_PER_WAIT) * u64::from(waits);
        u128::from(steps) >= nanos / PARTNERS_STEP.as_nanos()
    };
    if is_brief {
        count_brief();
    } else {
        count_long();
    }
    is_brief
}

/// Called when a wait has ended awake, after a yield.
pub(crate) fn count_wait() {
    ENDED.add(1);
}

/// Lets other threads use the core, for as long as they like, unless the cores are crowded. Returns `false` if they are.
pub(crate) fn yield_uncounted() -> bool {
    let is_crowded = is_crowded();
    if !is_crowded {
        yield_now();
    }
    !is_crowded
}

#[inline]
fn count_brief() {
    let score = SCORE.get();
    if score > 0 {
        SCORE.set(score - 1);
        if score == 1 {
            TRUCE.set(0);
        }
    }
}

#[cold]
fn count_long() {
    let score = SCORE.get() + LONG_YIELD_WEIGHT;
    if score < CROWDED {
        SCORE.set(score);
        return;
    }
    // The next long yield is enough to confirm it.
    SCORE.set(CROWDED);
    let [shortest, longest] = [SHORTEST_TRUCE, LONGEST_TRUCE].map(|time| time.as_millis() as u32);
    let truce = (2 * TRUCE.get()).clamp(shortest, longest);
    TRUCE.set(truce);
    UNTIL.set(now().wrapping_add(truce).max(1));
}

/// The uptime in milliseconds. It wraps around after seven weeks, which does no harm.
fn now() -> u32 {
    uptime().as_millis() as u32
}

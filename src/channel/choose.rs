//! Waiting for the first of several cases.
//!
//! All cases are tried, in a random order, so that none of several ready ones is preferred. If none is ready, the
//! thread enters all queues, with one signal, and sleeps until one of its waiters is taken; the other queues pass over
//! it from then on. It leaves all queues, and the case whose waiter was taken is complete, or is the first to be tried
//! again. So a select takes no wake-up that it doesn't use.
//!
//! A select that finds a partner for a rendezvous as it enters gives up its signal, leaves, and tries that case first. Two
//! selects may each find the other like that, and both leave. They enter in a random order, so that they don't meet in
//! the same way again and again.

use super::blocking::{earlier, is_over, wait_awake};
use super::case::{Case, Left};
use crate::support::backoff::Spin;
use crate::support::waiters::{AbortOnUnwind, Signal};
use crate::sys::atomic::{Ordering, fence};
use crate::sys::{IS_MODEL, Parked, local, new_serial};
use std::cell::Cell;
use std::mem;
use std::time::Instant;

/// The cases of one select.
pub(super) type Cases<'c, 'a> = [Option<&'c mut (dyn Case + 'a)>];

/// How long a select waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until then; without a time, as long as it takes.
    Until(Option<Instant>),
}

/// Completes one of the cases. Returns its index, or `None` if no case became ready in time.
///
/// # Panics
/// If all cases are off and the wait has no end.
#[track_caller]
pub(super) fn choose(cases: &mut Cases<'_, '_>, patience: Patience) -> Option<usize> {
    let deadline = match patience {
        Patience::Until(deadline) if !is_over(deadline) => deadline,
        _ => return choose_at_once(cases),
    };
    let mut woken = None;
    let mut is_last = false;
    loop {
        if let Some(chosen) = try_all(cases, woken) {
            return Some(chosen);
        }
        if is_last {
            return None;
        }
        let seems_ready =
            wait_awake(|| (0..cases.len()).any(|index| case(cases, index).seems_ready()));
        if seems_ready && let Some(chosen) = try_all(cases, None) {
            return Some(chosen);
        }
        let end = wait_for_any(cases, deadline, false, seems_ready);
        match end.left {
            Some((chosen, Left::Complete)) => return Some(chosen),
            left => woken = left.map(|(index, _)| index),
        }
        // Once more after the deadline: what is ready by then is done.
        is_last = end.is_over;
    }
}

/// Completes one of the cases if one is ready. If this returns `None` there was a moment at which none was: the cases are
/// tried one after the other, and again if any of their channels may have become ready meanwhile.
fn choose_at_once(cases: &mut Cases<'_, '_>) -> Option<usize> {
    let stamps = |cases: &Cases<'_, '_>| {
        (0..cases.len()).fold(0_u64, |sum, index| sum.wrapping_add(case(cases, index).stamp()))
    };
    let mut before = stamps(cases);
    loop {
        if let Some(chosen) = try_all(cases, None) {
            return Some(chosen);
        }
        let after = stamps(cases);
        if after == before {
            return None;
        }
        before = after;
    }
}

/// Waits until one of the cases is ready. Returns its index, or `None` if none became ready in time.
///
/// # Panics
/// If all cases are off and the wait has no end.
#[track_caller]
pub(super) fn await_ready(cases: &mut Cases<'_, '_>, patience: Patience) -> Option<usize> {
    let mut is_last = false;
    loop {
        let ready = find_at_random(cases.len(), |index| case(cases, index).is_ready());
        if ready.is_some() {
            return ready;
        }
        let Patience::Until(deadline) = patience else {
            return None;
        };
        if is_last {
            return None;
        }
        let end = wait_for_any(cases, deadline, true, true);
        if let Some((woken, Left::Woken)) = end.left {
            // The caller need not use it.
            case(cases, woken).pass_on();
            return Some(woken);
        }
        is_last = end.is_over;
    }
}

/// How a wait has ended.
struct End {
    /// The case whose waiter was taken, and how it left.
    left: Option<(usize, Left)>,
    /// Whether the deadline has come.
    is_over: bool,
}

/// Waits once: until a case's waiter is taken, a case is found ready, or a time has come.
#[track_caller]
fn wait_for_any(
    cases: &mut Cases<'_, '_>,
    deadline: Option<Instant>,
    only_to_know: bool,
    spins: bool,
) -> End {
    let is_on = (0..cases.len()).any(|index| case(cases, index).is_on());
    assert!(
        is_on || deadline.is_some(),
        "a select without a default or a time-out whose cases are all switched off would block forever"
    );
    let due = (0..cases.len()).filter_map(|index| case(cases, index).due()).min();
    let until = earlier(deadline, due);
    let signal = Signal::new();
    let complete = AbortOnUnwind;
    let not_in = around(random(cases.len()), cases.len()).find(|&index| {
        // SAFETY: the case leaves below, before this function returns; it doesn't unwind.
        !unsafe { case_mut(cases, index).enter(&signal, only_to_know) }
    });
    let mut has_come = false;
    if not_in.is_none() {
        let spin = if spins { Spin::Yielding } else { Spin::None };
        spin.poll(|| signal.seems_settled().then_some(()));
        has_come = signal.sleep(until) == Parked::TimedOut;
    }
    if not_in.is_some() || has_come {
        // If it can't, a waiter was taken, and is settled by the time at which it has left.
        signal.give_up();
    }
    let mut left = None;
    for index in 0..cases.len() {
        let how = case_mut(cases, index).leave();
        if how != Left::Idle {
            left = Some((index, how));
        }
    }
    mem::forget(complete);
    if let Some(due) = due.filter(|_| has_come && until == due) {
        (0..cases.len()).for_each(|index| case(cases, index).fall_due(due));
    }
    // A case that is ready is tried first, if no other was woken.
    let left = left.or(not_in.map(|index| (index, Left::Idle)));
    End { left, is_over: has_come && until == deadline }
}

/// Tries all cases: the one that was woken, then all in a random order.
fn try_all(cases: &mut Cases<'_, '_>, woken: Option<usize>) -> Option<usize> {
    // ORDERING: SeqCst: two threads that each send into one channel, and then find in a select that the other's has
    // nothing, would both be too early. After the fence `seems_ready` is right when it says no.
    fence(Ordering::SeqCst);
    let count = cases.len();
    let mut completes = |index| {
        let case = case_mut(cases, index);
        case.seems_ready() && case.try_now()
    };
    match woken {
        Some(woken) if completes(woken) => Some(woken),
        _ => find_at_random(count, completes),
    }
}

/// Passes the numbers below `count` to `accepts` in a random order, and returns the first that it accepts. So of those
/// that it would accept each is as likely, wherever they stand.
fn find_at_random(count: usize, mut accepts: impl FnMut(usize) -> bool) -> Option<usize> {
    let (mut few, mut many) = ([0; 32], Vec::new());
    let order = if count <= few.len() {
        &mut few[..count]
    } else {
        many.resize(count, 0);
        &mut many[..]
    };
    order.iter_mut().enumerate().for_each(|(index, place)| *place = index);
    for at in 0..count {
        // Fisher and Yates' shuffle, as far as it is needed.
        order.swap(at, at + random(count - at));
        if accepts(order[at]) {
            return Some(order[at]);
        }
    }
    None
}

/// Returns all numbers below `count`, beginning with `start`.
fn around(start: usize, count: usize) -> impl Iterator<Item = usize> {
    (start..count).chain(0..start)
}

fn case<'l, 'a>(cases: &'l Cases<'_, 'a>, index: usize) -> &'l (dyn Case + 'a) {
    cases[index].as_deref().expect("a list of cases has no gaps")
}

fn case_mut<'l, 'a>(cases: &'l mut Cases<'_, 'a>, index: usize) -> &'l mut (dyn Case + 'a) {
    cases[index].as_deref_mut().expect("a list of cases has no gaps")
}

/// Returns a random number below `count`; 0 in a model.
fn random(count: usize) -> usize {
    local! {
        static STATE: Cell<u32> = Cell::new(0);
    }
    if IS_MODEL || count < 2 {
        return 0;
    }
    STATE.with(|state| {
        let mut x = match state.get() {
            // A seed of each thread's own, spread over all bits by Knuth's multiplier; not 0.
            0 => (new_serial() as u32).wrapping_mul(0x9e37_79b9) | 1,
            x => x,
        };
        // Marsaglia's xorshift.
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        state.set(x);
        ((u64::from(x) * count as u64) >> 32) as usize
    })
}

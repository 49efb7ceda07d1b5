//! Models of the real lock's word alone: the woken thread, the starving one and the claimant.

use super::{Guarded, Word};
use crate::model;
use crate::sys::{IS_MODEL, thread};
use crate::testing::{Running, spawn, until};
use std::time::{Duration, Instant};

/// Unlocks and locks again until a waiter that was asleep has had the lock. Calls `passed` after each round in which the
/// waiter was overtaken: whether it had been woken, and whether it was starving, before the unlock.
fn pass_a_waiter(mut passed: impl FnMut(bool, bool)) {
    let shared = Guarded::<Word>::new();
    let lock = &shared.lock;
    lock.lock();
    let waiter = spawn(&shared, |it| it.add());
    loop {
        until(|| lock.has_sleeper() || lock.has_woken());
        let (woken, starves) = (lock.has_woken(), lock.is_starving());
        lock.unlock();
        lock.lock();
        if shared.value.get() == 1 {
            break;
        }
        passed(woken, starves);
    }
    lock.unlock();
    waiter.join();
}

/// The bound, for a waiter without a core: the second unlock after the one that woke it hands it the lock. Only in a
/// model, where the millisecond is over at once.
#[test]
fn a_woken_thread_is_granted_the_lock_without_having_a_core() {
    /// One for each of the two wake-ups that it needs, and one for an unlock that wakes it again just after it has
    /// gone to sleep.
    const MOST: u32 = 3;
    if !IS_MODEL {
        return;
    }
    model(|| {
        let mut passes = 0;
        pass_a_waiter(|woken, _| {
            passes = if woken { passes + 1 } else { 0 };
            assert!(passes <= MOST, "overtaken once too often");
        });
    });
}

/// The bound, for an awake waiter: the next unlock after it has set `STARVING` grants it the lock.
#[test]
fn a_waiter_that_starves_is_overtaken_no_more() {
    if !IS_MODEL {
        return;
    }
    model(|| pass_a_waiter(|_, starves| assert!(!starves, "its mark was overlooked")));
}

/// A time-out is one step: the thread either times out or has been granted the lock.
#[test]
fn a_starving_thread_that_times_out_leaves_the_lock_to_others() {
    model(|| {
        let shared = Guarded::<Word>::new();
        shared.lock.lock();
        shared.lock.mark_starving();
        let hasty = spawn(&shared, |it| {
            if !it.lock.lock_starving(Instant::now() + Duration::from_secs(60)) {
                return 0;
            }
            it.value.add(1);
            it.lock.unlock();
            1
        });
        shared.value.add(1);
        shared.lock.unlock();
        shared.add();
        let added = hasty.join();
        shared.is(2 + added);
    });
}

/// After a spurious wake-up two threads may starve. The unlock that grants the lock must wake both, as the one that
/// comes too late must start again.
#[test]
fn two_starving_threads_both_get_the_lock() {
    model(|| {
        let shared = Guarded::<Word>::new();
        shared.lock.lock();
        shared.lock.mark_starving();
        let starving = [(); 2].map(|()| {
            spawn(&shared, |it| {
                it.lock.lock_as_starving();
                it.value.add(1);
                it.lock.unlock();
            })
        });
        shared.lock.unlock();
        starving.into_iter().for_each(Running::join);
        shared.is(2);
    });
}

/// Two threads may starve. A time-out of one clears the bit of both, so the other
/// must start again: no unlock would grant it the lock.
#[test]
fn a_starving_thread_that_times_out_wakes_another_that_starves() {
    model(|| {
        let shared = Guarded::<Word>::new();
        shared.lock.lock();
        shared.lock.mark_starving();
        let patient = spawn(&shared, |it| {
            it.lock.lock_as_starving();
            it.value.add(1);
            it.lock.unlock();
        });
        let hasty =
            spawn(&shared, |it| it.lock.lock_starving(Instant::now() + Duration::from_millis(1)));
        assert!(!hasty.join(), "the lock was held all the time");
        shared.lock.unlock();
        patient.join();
        shared.is(1);
    });
}

/// A wake-up may be spurious, since a queue knows only an address. Then two threads take `WOKEN` for their own, and a
/// grant must be taken by exactly one of them.
#[test]
fn two_threads_that_both_own_the_woken_bit_take_turns() {
    model(|| {
        let shared = Guarded::<Word>::new();
        shared.lock.lock();
        let waiters = [(); 2].map(|()| {
            spawn(&shared, |it| {
                it.lock.lock_as_woken();
                it.value.add(1);
                it.lock.unlock();
            })
        });
        shared.value.add(1);
        shared.lock.unlock();
        shared.add();
        waiters.into_iter().for_each(Running::join);
        shared.is(4);
    });
}

/// In one step a claimant stops waiting awake, or finds that it was handed the lock.
#[test]
fn a_claimant_that_stops_waiting_is_not_handed_the_lock() {
    model(|| {
        let shared = Guarded::<Word>::new();
        shared.lock.lock();
        let claimant = spawn(&shared, |it| it.add());
        thread::yield_now();
        shared.lock.unlock();
        claimant.join();
        shared.is(1);
    });
}

/// A thread sleeps and another is on its way while a third one claims: the unlock that hands over must leave the
/// sleeper's bit for the next unlock.
#[test]
fn an_unlock_that_hands_over_to_a_claimant_forgets_no_sleeper() {
    model(|| {
        let shared = Guarded::<Word>::new();
        shared.lock.lock();
        let sleeper = spawn(&shared, |it| it.add());
        until(|| shared.lock.has_sleeper());
        shared.lock.mark_woken();
        let claimant = spawn(&shared, |it| it.add());
        thread::yield_now();
        shared.lock.unlock();
        shared.lock.lock_as_woken();
        shared.value.add(1);
        shared.lock.unlock();
        sleeper.join();
        claimant.join();
        shared.is(3);
    });
}

#[test]
fn an_unlock_hands_the_lock_to_the_claimant_fair_or_not() {
    model(|| {
        for unlock in [Word::unlock, Word::unlock_fair] {
            let lock = Word::new();
            Word::lock(&lock);
            lock.mark_claimed();
            unlock(&lock);
            assert!(!Word::try_lock(&lock), "free for all");
            assert!(lock.stop_claiming(), "passed the claim");
            Word::unlock(&lock);
            assert!(Word::try_lock(&lock), "left locked");
        }
    });
}

#[test]
fn a_fair_unlock_grants_the_lock_to_the_woken_thread() {
    model(|| {
        let lock = Word::new();
        Word::lock(&lock);
        lock.mark_woken();
        Word::unlock_fair(&lock);
        assert!(!Word::try_lock(&lock), "not handed over");
        lock.lock_as_woken();
        Word::unlock(&lock);
        assert!(Word::try_lock(&lock), "left locked");
    });
}

//! Models of the mutex. The real lock and the specification that users' models run on pass the same models. In a
//! plain build each runs once, on real threads.
//!
//! Bugs that other locks had, and the model that would find each here:
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | RUSTSEC-2019-0013 | an unlock without Release | `one_at_a_time_and_each_sees_the_last` |
//! | parking_lot#465, #466 | a time-out clears the bit of waiters still asleep | `a_time_out_leaves_no_waiter_asleep` |
//! | llvm#201937, golang#37852 | a waiter that times out swallows a wake-up | the same, `a_claimant_that_times_out_leaves_no_waiter_asleep` |
//! | golang#13086 | a thread that locks without pause starves another | `a_waiter_that_was_overtaken_is_handed_the_lock`, `word::a_waiter_that_starves_is_overtaken_no_more` |

mod word;

use super::Word;
use crate::sys::Arc;
use crate::testing::{Plain, Running, spawn};
use crate::{Model, model};
use lock_api::{RawMutex as _, RawMutexFair as _, RawMutexTimed as _};
use std::time::{Duration, Instant};

/// The operations that both locks have.
trait Subject: Send + Sync + 'static {
    fn new() -> Self;
    fn lock(&self);
    fn try_lock(&self) -> bool;
    /// With a deadline that may pass at any moment.
    fn lock_in_time(&self) -> bool;
    fn unlock(&self);
    fn unlock_fair(&self);
}

impl Subject for Word {
    fn new() -> Self {
        Word::new()
    }

    fn lock(&self) {
        Word::lock(self);
    }

    fn try_lock(&self) -> bool {
        Word::try_lock(self)
    }

    fn lock_in_time(&self) -> bool {
        self.lock_until(Some(Instant::now() + Duration::from_secs(60)))
    }

    fn unlock(&self) {
        Word::unlock(self);
    }

    fn unlock_fair(&self) {
        Word::unlock_fair(self);
    }
}

/// The lock that users see: the specification in a model build.
struct Users(super::RawMutex);

impl Subject for Users {
    fn new() -> Self {
        Users(super::RawMutex::INIT)
    }

    fn lock(&self) {
        let _ = self.0.lock();
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock().is_some()
    }

    fn lock_in_time(&self) -> bool {
        self.0.try_lock_for(Duration::from_secs(60)).is_some()
    }

    fn unlock(&self) {
        // SAFETY: the models unlock what they have locked.
        unsafe { self.0.unlock(lock_api::GuardSend::new()) };
    }

    fn unlock_fair(&self) {
        // SAFETY: as in `unlock`.
        unsafe { self.0.unlock_fair(lock_api::GuardSend::new()) };
    }
}

/// The word as a raw mutex of `lock_api`'s, in either build.
#[derive(Debug)]
pub(crate) struct RealRaw(Option<Word>);

impl RealRaw {
    pub(crate) fn word(&self) -> &Word {
        self.0.as_ref().expect("made by `real`")
    }
}

// SAFETY: the word's invariants 1 and 3.
unsafe impl lock_api::RawMutex for RealRaw {
    /// A model's atomics can't be made in a const: `real` makes them.
    const INIT: Self = RealRaw(None);
    type Guard = lock_api::GuardSend;

    fn lock(&self) -> Self::Guard {
        self.word().lock();
        lock_api::GuardSend::new()
    }

    fn try_lock(&self) -> Option<Self::Guard> {
        self.word().try_lock().then(lock_api::GuardSend::new)
    }

    unsafe fn unlock(&self, _: Self::Guard) {
        self.word().unlock();
    }

    fn is_locked(&self) -> bool {
        self.word().is_locked()
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawMutexFair for RealRaw {
    unsafe fn unlock_fair(&self, _: Self::Guard) {
        self.word().unlock_fair();
    }
}

/// A mutex on the real word, for models of types built on the mutex.
pub(crate) fn real<T>(value: T) -> super::RealMutex<T> {
    lock_api::Mutex::from_raw(RealRaw(Some(Word::new())), value)
}

struct Guarded<L> {
    lock: L,
    value: Plain,
}

impl<L: Subject> Guarded<L> {
    fn new() -> Arc<Self> {
        Arc::new(Guarded { lock: L::new(), value: Plain::new() })
    }

    fn add(&self) {
        self.lock.lock();
        self.value.add(1);
        self.lock.unlock();
    }

    fn add_in_time(&self) -> u32 {
        if !self.lock.lock_in_time() {
            return 0;
        }
        self.value.add(1);
        self.lock.unlock();
        1
    }

    /// Asserts the value, once all other threads are done.
    fn is(&self, expected: u32) {
        assert!(self.lock.try_lock(), "left locked");
        assert_eq!(self.value.get(), expected);
        self.lock.unlock();
    }
}

fn join_all<const N: usize>(threads: [Running<u32>; N]) -> u32 {
    threads.map(Running::join).iter().sum()
}

fn one_at_a_time<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        let threads = [(); 2].map(|()| spawn(&shared, |it| it.add()));
        shared.add();
        threads.into_iter().for_each(Running::join);
        shared.is(3);
    });
}

#[test]
fn one_at_a_time_and_each_sees_the_last() {
    one_at_a_time::<Word>();
    one_at_a_time::<Users>();
}

fn overtaken<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        shared.lock.lock();
        let short = spawn(&shared, |it| it.add());
        let hog = spawn(&shared, |it| {
            it.add();
            it.add();
        });
        shared.value.add(1);
        shared.lock.unlock();
        short.join();
        hog.join();
        shared.is(4);
    });
}

#[test]
fn a_waiter_that_was_overtaken_is_handed_the_lock() {
    overtaken::<Word>();
    overtaken::<Users>();
}

/// The holder may unlock while a waiter is about to sleep, and lock again before the waiter is in the queue. The waiter
/// must not sleep then, since the new holder doesn't know of it.
fn held_anew<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        shared.lock.lock();
        let waiter = spawn(&shared, |it| it.add());
        // Blocks, so that the waiter may run up to any point without a preemption.
        let let_run = || spawn(&shared, |_| {}).join();
        let_run();
        shared.lock.unlock();
        shared.lock.lock();
        let_run();
        shared.value.add(1);
        shared.lock.unlock();
        waiter.join();
        shared.is(2);
    });
}

#[test]
fn a_waiter_sleeps_only_if_the_holder_knows_of_it() {
    held_anew::<Word>();
    held_anew::<Users>();
}

fn tried<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        let other = spawn(&shared, |it| it.add());
        let mut added = 1;
        for _ in 0..2 {
            if shared.lock.try_lock() {
                shared.value.add(1);
                shared.lock.unlock();
                added += 1;
            }
        }
        other.join();
        shared.is(added);
    });
}

#[test]
fn try_lock_excludes_too() {
    tried::<Word>();
    tried::<Users>();
}

fn timed<L: Subject>(settings: &Model) {
    settings.check(|| {
        let shared = Guarded::<L>::new();
        let hasty = [(); 2].map(|()| spawn(&shared, |it| it.add_in_time()));
        shared.add();
        let added = join_all(hasty);
        shared.is(1 + added);
    });
}

#[test]
fn a_time_out_leaves_no_waiter_asleep() {
    timed::<Word>(&Model::new());
    timed::<Users>(&Model::new());
}

#[test]
fn a_timed_waiter_is_woken_before_its_deadline() {
    timed::<Word>(&Model::new().without_deadlines());
    timed::<Users>(&Model::new().without_deadlines());
}

/// A waiter without a deadline stands behind another that may time out in every state of its wait.
fn beside_a_time_out<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        shared.lock.lock();
        let hasty = spawn(&shared, |it| it.add_in_time());
        let patient = spawn(&shared, |it| it.add());
        shared.value.add(1);
        shared.lock.unlock();
        // Locks again, to overtake the woken waiter, which then claims the lock.
        shared.add();
        patient.join();
        let added = hasty.join();
        shared.is(3 + added);
    });
}

#[test]
fn a_claimant_that_times_out_leaves_no_waiter_asleep() {
    beside_a_time_out::<Word>();
    beside_a_time_out::<Users>();
}

fn fair<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        shared.lock.lock();
        let others = [
            spawn(&shared, |it| it.add_in_time()),
            spawn(&shared, |it| {
                it.add();
                1
            }),
        ];
        shared.value.add(1);
        shared.lock.unlock_fair();
        let added = join_all(others);
        shared.is(1 + added);
    });
}

#[test]
fn a_fair_unlock_hands_over_to_a_waiter_that_takes_it() {
    fair::<Word>();
    fair::<Users>();
}

#[test]
fn an_unlock_wakes_all_in_turn() {
    model(|| {
        let shared = Guarded::<Word>::new();
        shared.lock.lock();
        let waiters = [(); 3].map(|()| spawn(&shared, |it| it.add()));
        shared.lock.unlock();
        waiters.into_iter().for_each(Running::join);
        shared.is(3);
    });
}

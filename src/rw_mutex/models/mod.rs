//! Models of the reader-writer lock: the real one, and the specification that users' models run on.
//! What both promise is checked by the same text; what only the real one has, slots and the bias, by
//! models of its own. In a plain build each runs once, on real threads.
//!
//! Bugs that other locks had, and what would find each here:
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | RUSTSEC-2019-0013 | an unlock that publishes nothing | `a_writer_is_alone_and_readers_see_what_it_wrote` |
//! | parking_lot#465, #466, llvm#201937 | a writer that times out leaves others asleep | `a_writer_that_gives_up_lets_the_others_in`, `timed_waiters_are_woken_before_their_deadline` |
//! | parking_lot 249cb2a | the same, upgradable readers | `a_writer_that_gives_up_lets_the_others_in`; on real threads in `tests/rw_mutex_timeouts.rs` |
//! | parking_lot#101 | a queued upgradable read blocks plain ones | `readers_pass_a_claim_of_an_upgradable_one` |
//! | shuttle#351 | an upgrade lets a writer slip in | `nobody_comes_between_reading_and_upgrading` |
//! | tokio#2957, dashmap#328, rust#128219 | a downgrade releases twice | `a_downgrade_lets_readers_in_and_writers_only_after` |
//! | tinygo#2407, #5692 | an unlock wakes one of several readers | `a_writer_that_leaves_wakes_all_readers` |
//! | golang#13086 | a hog starves the others | `one_that_starves_is_overtaken_once` |

mod bias;
mod external;
mod subject;
mod unfenced;
mod upgrades;

use super::raw::RawRwMutex;
use super::state::{READERS_PARKED, STARVING, WRITERS_PARKED};
use crate::sys::atomic::Ordering;
use crate::sys::{Arc, Hint, IS_MODEL};
use crate::testing::{Plain, Running, spawn, until};
use crate::{Model, model};
use subject::{Subject, Users};

struct Guarded<L> {
    lock: L,
    value: Plain,
}

impl<L: Subject> Guarded<L> {
    fn new() -> Arc<Self> {
        Arc::new(Guarded { lock: L::new(), value: Plain::new() })
    }

    /// With the bias engaged.
    fn biased() -> Arc<Self> {
        let shared = Self::new();
        shared.favour_readers();
        shared
    }

    fn favour_readers(&self) {
        let pass = self.lock.read();
        self.lock.favour_readers();
        self.lock.unlock_shared(pass);
    }

    fn get(&self) -> u32 {
        let pass = self.lock.read();
        let value = self.value.get();
        self.lock.unlock_shared(pass);
        value
    }

    fn visit(&self) {
        self.get();
    }

    fn visit_upgradably(&self) {
        self.lock.upgradable();
        self.value.get();
        self.lock.unlock_upgradable();
    }

    fn visit_from_row(&self, row: usize) {
        self.lock.settle(row);
        self.visit();
    }

    fn add(&self) {
        self.lock.write();
        self.value.add(1);
        self.lock.unlock_exclusive();
    }

    /// 1 if it did.
    fn try_to_add(&self) -> u32 {
        if !self.lock.try_write() {
            return 0;
        }
        self.value.add(1);
        self.lock.unlock_exclusive();
        1
    }

    /// 1 if it did.
    fn add_in_time(&self) -> u32 {
        if !self.lock.write_in_time() {
            return 0;
        }
        self.value.add(1);
        self.lock.unlock_exclusive();
        1
    }

    fn get_in_time(&self) {
        if let Some(pass) = self.lock.read_in_time() {
            self.value.get();
            self.lock.unlock_shared(pass);
        }
    }

    /// After everybody else.
    fn is(&self, expected: u32) {
        assert!(!self.lock.is_locked() && self.lock.try_write(), "left locked");
        assert!(self.lock.is_locked_exclusive());
        assert_eq!(self.value.get(), expected);
        self.lock.unlock_exclusive();
        assert!(self.lock.try_read().map(|pass| self.lock.unlock_shared(pass)).is_some());
        self.lock.upgradable();
        assert!(self.lock.try_upgrade());
        self.lock.unlock_exclusive();
    }
}

fn join_all<const N: usize>(threads: [Running<()>; N]) {
    threads.into_iter().for_each(Running::join);
}

fn reads_and_writes<L: Subject>(start: fn() -> Arc<Guarded<L>>) {
    model(move || {
        let shared = start();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        let writer = spawn(&shared, Guarded::add);
        shared.add();
        join_all([reader, writer]);
        shared.is(2);
    });
}

#[test]
fn a_writer_is_alone_and_readers_see_what_it_wrote() {
    reads_and_writes::<RawRwMutex>(Guarded::new);
    reads_and_writes::<Users>(Guarded::new);
}

#[test]
fn a_writer_is_alone_and_readers_by_slots_see_what_it_wrote() {
    reads_and_writes::<RawRwMutex>(Guarded::biased);
}

fn gives_up<L: Subject>(start: fn() -> Arc<Guarded<L>>, other: fn(&Guarded<L>)) {
    model(move || {
        let shared = start();
        let pass = shared.lock.read();
        let writer = spawn(&shared, |it| it.add_in_time());
        let reader = spawn(&shared, other);
        shared.value.get();
        shared.lock.unlock_shared(pass);
        reader.join();
        let added = writer.join();
        shared.is(added);
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_others_in() {
    gives_up::<RawRwMutex>(Guarded::new, |it| it.visit_from_row(0));
    gives_up::<Users>(Guarded::new, |it| it.visit_from_row(0));
    gives_up::<RawRwMutex>(Guarded::new, Guarded::visit_upgradably);
    gives_up::<Users>(Guarded::new, Guarded::visit_upgradably);
}

#[test]
fn a_writer_that_gives_up_on_slots_puts_the_bias_back() {
    gives_up::<RawRwMutex>(Guarded::biased, |it| it.visit_from_row(0));
}

fn many_that_may_give_up<L: Subject>(settings: &Model) {
    settings.check(|| {
        let shared = Guarded::<L>::new();
        shared.lock.write();
        let writer = spawn(&shared, |it| it.add_in_time());
        let reader = spawn(&shared, |it| it.get_in_time());
        shared.value.add(1);
        shared.lock.unlock_exclusive();
        shared.add();
        reader.join();
        let added = writer.join();
        shared.is(2 + added);
    });
}

#[test]
fn timed_waiters_leave_no_one_asleep() {
    many_that_may_give_up::<RawRwMutex>(&Model::new());
    many_that_may_give_up::<Users>(&Model::new());
}

#[test]
fn timed_waiters_are_woken_before_their_deadline() {
    many_that_may_give_up::<RawRwMutex>(&Model::new().without_deadlines());
    many_that_may_give_up::<Users>(&Model::new().without_deadlines());
}

fn wakes_readers<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        shared.lock.write();
        let readers = [(); 2].map(|()| {
            spawn(&shared, |it| {
                assert_eq!(it.get(), 1);
            })
        });
        shared.value.add(1);
        shared.lock.unlock_exclusive();
        join_all(readers);
        shared.is(1);
    });
}

#[test]
fn a_writer_that_leaves_wakes_all_readers() {
    wakes_readers::<RawRwMutex>();
    wakes_readers::<Users>();
}

fn overtaken<L: Subject>(victim: fn(&Guarded<L>), adds: u32) {
    model(move || {
        let shared = Guarded::<L>::new();
        shared.lock.write();
        let victim = spawn(&shared, victim);
        shared.value.add(1);
        shared.lock.unlock_exclusive();
        shared.add();
        shared.add();
        victim.join();
        shared.is(3 + adds);
    });
}

#[test]
fn a_reader_that_is_overtaken_enters_in_the_end() {
    overtaken::<RawRwMutex>(Guarded::visit, 0);
    overtaken::<Users>(Guarded::visit, 0);
}

#[test]
fn a_writer_that_is_overtaken_enters_in_the_end() {
    overtaken::<RawRwMutex>(Guarded::add, 1);
    overtaken::<Users>(Guarded::add, 1);
}

/// The bound: a writer that locks again at once overtakes the one it has woken, whose patience is over by
/// then; with its claim standing, it doesn't again. Only in a model, whose patience ends with the first
/// sleep: outside it takes time.
#[test]
fn one_that_starves_is_overtaken_once() {
    if !IS_MODEL {
        return;
    }
    // ORDERING: Relaxed: waits for the bit.
    let marked = |lock: &RawRwMutex, bits| lock.core().word.load(Ordering::Relaxed) & bits != 0;
    let come: [fn(&RawRwMutex, &Hint); 3] = [
        |lock, entered| {
            let pass = lock.read();
            entered.set(1);
            lock.unlock_shared(pass);
        },
        |lock, entered| {
            lock.write();
            entered.set(1);
            lock.unlock_exclusive();
        },
        |lock, entered| {
            Subject::upgradable(lock);
            entered.set(1);
            lock.unlock_upgradable();
        },
    ];
    for come in come {
        model(move || {
            let shared = Guarded::<RawRwMutex>::new();
            // Nothing for the model to look into: what comes when is decided by the lock.
            let entered = Arc::new(Hint::new());
            shared.lock.write();
            let waiter = spawn(&shared, {
                let entered = entered.clone();
                move |it| come(&it.lock, &entered)
            });
            until(|| marked(&shared.lock, READERS_PARKED | WRITERS_PARKED));
            for overtaken in 0.. {
                Subject::unlock_exclusive(&shared.lock);
                shared.lock.write();
                if entered.get() == 1 {
                    break;
                }
                assert!(overtaken < 1, "its claim was overlooked");
                until(|| marked(&shared.lock, STARVING));
            }
            Subject::unlock_exclusive(&shared.lock);
            waiter.join();
        });
    }
}

/// A try that must fail, since a reader is inside, beside a try that must succeed.
fn unnoticed<L: Subject>(start: fn() -> Arc<Guarded<L>>, fails: fn(&Guarded<L>)) {
    model(move || {
        let shared = start();
        let pass = shared.lock.read();
        let tries = spawn(&shared, fails);
        shared.lock.settle(0);
        let other = shared.lock.try_read().expect("nobody writes");
        shared.value.get();
        shared.lock.unlock_shared(other);
        tries.join();
        assert!(!shared.lock.is_locked_exclusive());
        shared.lock.unlock_shared(pass);
        shared.is(0);
    });
}

/// What fails beside a reader. The upgrade fails while this thread is an upgradable reader itself.
fn failing_tries<L: Subject>() -> [fn(&Guarded<L>); 3] {
    [
        |it| assert!(!it.lock.try_write()),
        |it| assert!(!it.lock.write_without_time()),
        |it| {
            it.lock.upgradable();
            assert!(!it.lock.try_upgrade());
            it.lock.unlock_upgradable();
        },
    ]
}

#[test]
fn nobody_notices_a_try_to_write_that_fails() {
    for fails in failing_tries() {
        unnoticed::<RawRwMutex>(Guarded::new, fails);
        unnoticed::<RawRwMutex>(Guarded::biased, fails);
    }
    for fails in failing_tries() {
        unnoticed::<Users>(Guarded::new, fails);
    }
}

/// A lone try of either kind succeeds beside others that are only reading and leaving before.
fn one_of_two_tries<L: Subject>(start: fn() -> Arc<Guarded<L>>) {
    model(move || {
        let shared = start();
        let other = spawn(&shared, |it| {
            let got = it.lock.try_write();
            if got {
                it.value.add(1);
                it.lock.unlock_exclusive();
            }
            u32::from(got)
        });
        let mut got = 0;
        if shared.lock.try_write() {
            got = 1;
            shared.value.add(1);
            shared.lock.unlock_exclusive();
        }
        got += other.join();
        assert!(got > 0, "two tries failed by one another");
        shared.is(got);
    });
}

#[test]
fn of_two_tries_to_write_one_succeeds() {
    one_of_two_tries::<RawRwMutex>(Guarded::new);
    one_of_two_tries::<RawRwMutex>(Guarded::biased);
    one_of_two_tries::<Users>(Guarded::new);
}

/// A claimant that times out, beside a waiter of another kind that has no deadline.
fn claimant_gives_up<L: Subject>(victim: fn(&Guarded<L>), adds: u32) {
    model(move || {
        let shared = Guarded::<L>::new();
        shared.lock.write();
        let hasty = spawn(&shared, |it| it.get_in_time());
        let patient = spawn(&shared, victim);
        shared.value.add(1);
        shared.lock.unlock_exclusive();
        shared.add();
        join_all([hasty, patient]);
        shared.is(2 + adds);
    });
}

#[test]
fn a_claimant_that_gives_up_leaves_no_one_asleep() {
    claimant_gives_up::<RawRwMutex>(Guarded::add, 1);
    claimant_gives_up::<Users>(Guarded::add, 1);
}

//! Models of the reader-writer lock: the real one, and the specification that users' models run on.
//! What both promise is checked by the same text; what only the real one has, slots and the bias, by
//! models of its own. In a plain build each runs once, on real threads.
//!
//! Bugs that other locks had, and what would show them here:
//!
//! | told in | the bug | model |
//! | --- | --- | --- |
//! | RUSTSEC-2019-0013 | an unlock that publishes nothing | `a_writer_is_alone_and_readers_see_what_it_wrote` |
//! | parking_lot#465, #466, llvm#201937 | a writer that times out leaves others asleep | `a_writer_that_gives_up_lets_the_others_in`, `timed_waiters_are_woken_before_their_deadline` |
//! | parking_lot 249cb2a | the same, upgraders | `an_upgrade_that_gives_up_is_upgradable_as_before` |
//! | parking_lot#101 | a queued upgradable read blocks plain ones | `readers_pass_a_claim_of_an_upgradable_one` |
//! | shuttle#351 | an upgrade lets a writer slip in | `nobody_comes_between_reading_and_upgrading` |
//! | tokio#2957, dashmap#328, rust#128219 | a downgrade releases twice | `a_downgrade_lets_readers_in_and_writers_only_after` |
//! | tinygo#2407, #5692 | an unlock wakes one of several readers | `a_writer_that_leaves_wakes_all_readers` |
//! | golang#13086 | a hog starves the others | `a_reader_that_was_overtaken_enters_before_the_next_writer` |

use super::RawRwMutex as UsersRawRwMutex;
use super::raw::{Pass, RawRwMutex};
use super::slots;
use crate::sys::testing::{Plain, Running, spawn};
use crate::sys::{Arc, Model, model};
use lock_api::{
    RawRwLock as _, RawRwLockDowngrade as _, RawRwLockFair as _, RawRwLockTimed as _,
    RawRwLockUpgrade as _, RawRwLockUpgradeDowngrade as _, RawRwLockUpgradeFair as _,
    RawRwLockUpgradeTimed as _,
};
use std::time::{Duration, Instant};

/// What both locks can do. A limited wait has a deadline that may pass at any moment.
trait Subject: Send + Sync + 'static {
    type Pass;
    fn new() -> Self;
    fn read(&self) -> Self::Pass;
    fn try_read(&self) -> Option<Self::Pass>;
    fn read_in_time(&self) -> Option<Self::Pass>;
    fn leave(&self, pass: Self::Pass);
    fn write(&self);
    fn try_write(&self) -> bool;
    fn write_in_time(&self) -> bool;
    fn unwrite(&self);
    fn unwrite_fair(&self);
    fn downgrade(&self) -> Self::Pass;
    fn downgrade_to_upgradable(&self);
    fn downgrade_upgradable(&self) -> Self::Pass;
    fn is_locked(&self) -> bool;
    fn is_locked_exclusive(&self) -> bool;
    fn upgradable(&self);
    fn upgradable_in_time(&self) -> bool;
    fn leave_upgradable(&self);
    fn leave_upgradable_fair(&self);
    fn upgrade(&self);
    fn try_upgrade(&self) -> bool;
    fn upgrade_in_time(&self) -> bool;
    /// Has readers enter by slots from now on, as far as there is such a thing. Only for a reader.
    fn favour_readers(&self) {}
    /// Gives this thread a row for its slots, another for each thread of a model.
    fn settle(&self, _row: usize) {}
}

fn some_time() -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(60))
}

impl Subject for RawRwMutex {
    type Pass = Pass;

    fn new() -> Self {
        slots::prepare();
        RawRwMutex::new()
    }

    fn read(&self) -> Pass {
        RawRwMutex::read(self)
    }

    fn try_read(&self) -> Option<Pass> {
        RawRwMutex::try_read(self)
    }

    fn read_in_time(&self) -> Option<Pass> {
        self.read_until(some_time())
    }

    fn leave(&self, pass: Pass) {
        RawRwMutex::leave(self, pass);
    }

    fn write(&self) {
        RawRwMutex::write(self);
    }

    fn try_write(&self) -> bool {
        RawRwMutex::try_write(self)
    }

    fn write_in_time(&self) -> bool {
        self.write_until(some_time())
    }

    fn unwrite(&self) {
        RawRwMutex::unwrite(self);
    }

    fn unwrite_fair(&self) {
        RawRwMutex::unwrite_fair(self);
    }

    fn downgrade(&self) -> Pass {
        RawRwMutex::downgrade(self)
    }

    fn downgrade_to_upgradable(&self) {
        RawRwMutex::downgrade_to_upgradable(self);
    }

    fn downgrade_upgradable(&self) -> Pass {
        RawRwMutex::downgrade_upgradable(self)
    }

    fn is_locked(&self) -> bool {
        RawRwMutex::is_locked(self)
    }

    fn is_locked_exclusive(&self) -> bool {
        RawRwMutex::is_locked_exclusive(self)
    }

    fn upgradable(&self) {
        assert!(RawRwMutex::upgradable(self, None));
    }

    fn upgradable_in_time(&self) -> bool {
        RawRwMutex::upgradable(self, some_time())
    }

    fn leave_upgradable(&self) {
        RawRwMutex::leave_upgradable(self);
    }

    fn leave_upgradable_fair(&self) {
        RawRwMutex::leave_upgradable_fair(self);
    }

    fn upgrade(&self) {
        assert!(RawRwMutex::upgrade(self, None));
    }

    fn try_upgrade(&self) -> bool {
        RawRwMutex::try_upgrade(self)
    }

    fn upgrade_in_time(&self) -> bool {
        RawRwMutex::upgrade(self, some_time())
    }

    fn favour_readers(&self) {
        self.engage_bias();
    }

    fn settle(&self, row: usize) {
        slots::settle(row);
    }
}

/// The lock that users see: the specification in a model build.
struct Users(UsersRawRwMutex);

fn token() -> lock_api::GuardSend {
    lock_api::GuardSend::new()
}

impl Subject for Users {
    type Pass = <UsersRawRwMutex as lock_api::RawRwLock>::SharedGuard;

    fn new() -> Self {
        Users(UsersRawRwMutex::INIT)
    }

    fn read(&self) -> Self::Pass {
        self.0.lock_shared()
    }

    fn try_read(&self) -> Option<Self::Pass> {
        self.0.try_lock_shared()
    }

    fn read_in_time(&self) -> Option<Self::Pass> {
        self.0.try_lock_shared_for(Duration::from_secs(60))
    }

    fn leave(&self, pass: Self::Pass) {
        // SAFETY: here and below: the models leave as what they have entered.
        unsafe { self.0.unlock_shared(pass) };
    }

    fn write(&self) {
        let _ = self.0.lock_exclusive();
    }

    fn try_write(&self) -> bool {
        self.0.try_lock_exclusive().is_some()
    }

    fn write_in_time(&self) -> bool {
        self.0.try_lock_exclusive_for(Duration::from_secs(60)).is_some()
    }

    fn unwrite(&self) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_exclusive(token()) };
    }

    fn unwrite_fair(&self) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_exclusive_fair(token()) };
    }

    fn downgrade(&self) -> Self::Pass {
        // SAFETY: see `leave`.
        unsafe { self.0.downgrade(token()) }
    }

    fn downgrade_to_upgradable(&self) {
        // SAFETY: see `leave`.
        let _ = unsafe { self.0.downgrade_to_upgradable(token()) };
    }

    fn downgrade_upgradable(&self) -> Self::Pass {
        // SAFETY: see `leave`.
        unsafe { self.0.downgrade_upgradable(token()) }
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.0.is_locked_exclusive()
    }

    fn upgradable(&self) {
        let _ = self.0.lock_upgradable();
    }

    fn upgradable_in_time(&self) -> bool {
        self.0.try_lock_upgradable_for(Duration::from_secs(60)).is_some()
    }

    fn leave_upgradable(&self) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_upgradable(token()) };
    }

    fn leave_upgradable_fair(&self) {
        // SAFETY: see `leave`.
        unsafe { self.0.unlock_upgradable_fair(token()) };
    }

    fn upgrade(&self) {
        // SAFETY: see `leave`.
        let _ = unsafe { self.0.upgrade(token()) };
    }

    fn try_upgrade(&self) -> bool {
        // SAFETY: see `leave`.
        unsafe { self.0.try_upgrade(token()) }.is_ok()
    }

    fn upgrade_in_time(&self) -> bool {
        // SAFETY: see `leave`.
        unsafe { self.0.try_upgrade_for(token(), Duration::from_secs(60)) }.is_ok()
    }
}

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
        self.lock.leave(pass);
    }

    fn get(&self) -> u32 {
        let pass = self.lock.read();
        let value = self.value.get();
        self.lock.leave(pass);
        value
    }

    fn visit(&self) {
        self.get();
    }

    fn visit_from_row(&self, row: usize) {
        self.lock.settle(row);
        self.visit();
    }

    fn add(&self) {
        self.lock.write();
        self.value.add(1);
        self.lock.unwrite();
    }

    /// 1 if it did.
    fn add_in_time(&self) -> u32 {
        if !self.lock.write_in_time() {
            return 0;
        }
        self.value.add(1);
        self.lock.unwrite();
        1
    }

    fn get_in_time(&self) {
        if let Some(pass) = self.lock.read_in_time() {
            self.value.get();
            self.lock.leave(pass);
        }
    }

    /// After everybody else.
    fn is(&self, expected: u32) {
        assert!(!self.lock.is_locked() && self.lock.try_write(), "left locked");
        assert!(self.lock.is_locked_exclusive());
        assert_eq!(self.value.get(), expected);
        self.lock.unwrite();
        assert!(self.lock.try_read().map(|pass| self.lock.leave(pass)).is_some());
        self.lock.upgradable();
        assert!(self.lock.try_upgrade());
        self.lock.unwrite();
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

/// Two readers by slots, and the first writer.
#[test]
fn a_revoking_writer_overlooks_no_reader() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        let readers = [0, 1].map(|row| spawn(&shared, move |it| it.visit_from_row(row)));
        shared.add();
        join_all(readers);
        shared.is(1);
    });
}

/// A reader engages the bias while a writer comes, and another reads by it.
#[test]
fn a_bias_engaged_beside_a_writer_lets_no_reader_in_with_it() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::new();
        let engages = spawn(&shared, Guarded::favour_readers);
        let reads = spawn(&shared, |it| it.visit_from_row(0));
        shared.add();
        join_all([engages, reads]);
        shared.is(1);
    });
}

/// The same with one that only tries: it has what came with the bias, or doesn't enter by it.
#[test]
fn one_that_tries_beside_a_bias_being_engaged_enters_in_order() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::new();
        let engages = spawn(&shared, |it| {
            it.lock.settle(0);
            it.favour_readers();
        });
        let writes = spawn(&shared, Guarded::add);
        shared.lock.settle(1);
        if let Some(pass) = shared.lock.try_read() {
            shared.value.get();
            shared.lock.leave(pass);
        }
        join_all([engages, writes]);
        shared.is(1);
    });
}

#[test]
fn two_that_engage_the_bias_mean_the_same_lock() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::new();
        let engages = [0, 1].map(|row| {
            spawn(&shared, move |it| {
                it.lock.settle(row);
                it.favour_readers();
                it.get();
            })
        });
        join_all(engages);
        shared.add();
        shared.is(1);
    });
}

/// The second writer finds the bias as the first has left it: suspended and put back, or ended.
#[test]
fn a_bias_that_was_put_back_or_ended_is_no_way_past_a_writer() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        let reader = spawn(&shared, |it| {
            it.lock.settle(0);
            let first = it.get();
            assert!(first <= it.get(), "time runs backwards");
        });
        shared.add();
        shared.add();
        reader.join();
        shared.is(2);
    });
}

/// The writer is asleep by the time that the reader leaves its slot: nobody else would wake it.
#[test]
fn a_reader_that_leaves_its_slot_wakes_the_writer_that_sleeps() {
    Model::new().without_deadlines().check(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        let pass = shared.lock.read();
        let writer = spawn(&shared, Guarded::add);
        while !shared.lock.is_draining() {
            crate::sys::thread::yield_now();
        }
        assert_eq!(shared.value.get(), 0);
        shared.lock.leave(pass);
        writer.join();
        shared.is(1);
    });
}

#[test]
fn more_locks_than_slots_are_read_by_the_word() {
    model(|| {
        let locks = [(); 4].map(|()| Guarded::<RawRwMutex>::biased());
        let writers = [&locks[0], &locks[3]].map(|lock| spawn(lock, Guarded::add));
        let passes = locks.each_ref().map(|it| it.lock.try_read());
        for (it, pass) in locks.iter().zip(passes) {
            if let Some(pass) = pass {
                it.value.get();
                it.lock.leave(pass);
            }
        }
        join_all(writers);
        for (index, lock) in locks.iter().enumerate() {
            lock.is(u32::from(index % 3 == 0));
        }
    });
}

/// A slot goes from a reader to the thread that drops its guard, back to its own thread, and on to
/// another lock: the first lock's writer sees it there, and all that was read through it as done.
#[test]
fn a_slot_that_went_on_to_another_lock_is_in_order_for_the_first_one_s_writer() {
    model(|| {
        let [first, other] = [(); 2].map(|()| Guarded::<RawRwMutex>::biased());
        first.lock.settle(0);
        let pass = first.lock.read();
        let leaves = spawn(&first, |it| {
            it.value.get();
            it.lock.leave(pass);
        });
        let writer = spawn(&first, Guarded::add);
        for _ in 0..2 {
            other.visit();
        }
        let pass = other.lock.read();
        join_all([leaves, writer]);
        other.lock.leave(pass);
        first.is(1);
    });
}

/// As on one core, a waiter here never pauses: it must not wait for a slot to become free.
#[test]
fn a_read_without_a_free_slot_goes_by_the_word_at_once() {
    model(|| {
        let locks = [(); 4].map(|()| Guarded::<RawRwMutex>::biased());
        locks[0].lock.settle(0);
        let writer = spawn(&locks[3], Guarded::add);
        let passes = locks.each_ref().map(|it| it.lock.read());
        for (it, pass) in locks.iter().zip(passes) {
            it.value.get();
            it.lock.leave(pass);
        }
        writer.join();
        locks[3].is(1);
    });
}

/// A row goes from one thread to another, with a mark of the first in it.
#[test]
fn a_guard_outlives_its_thread_and_is_left_by_another() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        let pass = spawn(&shared, |it| it.lock.read()).join();
        let successor = spawn(&shared, |it| it.visit());
        shared.value.get();
        shared.lock.leave(pass);
        shared.add();
        successor.join();
        shared.is(1);
    });
}

fn gives_up<L: Subject>(start: fn() -> Arc<Guarded<L>>, settings: &Model) {
    settings.check(move || {
        let shared = start();
        let pass = shared.lock.read();
        let writer = spawn(&shared, |it| it.add_in_time());
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        shared.value.get();
        shared.lock.leave(pass);
        reader.join();
        let added = writer.join();
        shared.is(added);
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_others_in() {
    gives_up::<RawRwMutex>(Guarded::new, &Model::new());
    gives_up::<Users>(Guarded::new, &Model::new());
}

#[test]
fn a_writer_that_gives_up_on_slots_puts_the_bias_back() {
    gives_up::<RawRwMutex>(Guarded::biased, &Model::new());
}

fn many_that_may_give_up<L: Subject>(settings: &Model) {
    settings.check(|| {
        let shared = Guarded::<L>::new();
        shared.lock.write();
        let writer = spawn(&shared, |it| it.add_in_time());
        let reader = spawn(&shared, |it| it.get_in_time());
        shared.value.add(1);
        shared.lock.unwrite();
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
        shared.lock.unwrite();
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
        shared.lock.unwrite();
        shared.add();
        shared.add();
        victim.join();
        shared.is(3 + adds);
    });
}

#[test]
fn a_reader_that_was_overtaken_enters_before_the_next_writer() {
    overtaken::<RawRwMutex>(Guarded::visit, 0);
    overtaken::<Users>(Guarded::visit, 0);
}

#[test]
fn a_writer_that_was_overtaken_enters_before_the_next() {
    overtaken::<RawRwMutex>(Guarded::add, 1);
    overtaken::<Users>(Guarded::add, 1);
}

/// A claimant that gives up, beside one of another kind that waits for ever.
fn claimant_gives_up<L: Subject>(victim: fn(&Guarded<L>), adds: u32) {
    model(move || {
        let shared = Guarded::<L>::new();
        shared.lock.write();
        let hasty = spawn(&shared, |it| it.get_in_time());
        let patient = spawn(&shared, victim);
        shared.value.add(1);
        shared.lock.unwrite();
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

fn upgrade_then_add<L: Subject>(it: &Guarded<L>) {
    it.lock.upgradable();
    let seen = it.value.get();
    it.lock.upgrade();
    assert_eq!(it.value.get(), seen, "somebody slipped in");
    it.value.add(1);
    it.lock.unwrite();
}

fn upgrades<L: Subject>(start: fn() -> Arc<Guarded<L>>) {
    model(move || {
        let shared = start();
        let upgrader = spawn(&shared, upgrade_then_add);
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        shared.add();
        join_all([upgrader, reader]);
        shared.is(2);
    });
}

#[test]
fn nobody_comes_between_reading_and_upgrading() {
    upgrades::<RawRwMutex>(Guarded::new);
    upgrades::<RawRwMutex>(Guarded::biased);
    upgrades::<Users>(Guarded::new);
}

fn two_upgraders<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        let other = spawn(&shared, upgrade_then_add);
        upgrade_then_add(&*shared);
        other.join();
        shared.is(2);
    });
}

#[test]
fn two_that_upgrade_come_one_after_the_other() {
    two_upgraders::<RawRwMutex>();
    two_upgraders::<Users>();
}

fn upgrade_gives_up<L: Subject>(start: fn() -> Arc<Guarded<L>>) {
    model(move || {
        let shared = start();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        let upgradable = spawn(&shared, |it| {
            it.lock.upgradable();
            it.value.get();
            it.lock.leave_upgradable();
        });
        let mut added = 0;
        shared.lock.upgradable();
        let seen = shared.value.get();
        if shared.lock.try_upgrade() || shared.lock.upgrade_in_time() {
            added = 1;
            shared.value.add(1);
            shared.lock.downgrade_to_upgradable();
        }
        assert_eq!(shared.value.get(), seen + added);
        shared.lock.leave_upgradable();
        join_all([reader, upgradable]);
        shared.is(added);
    });
}

#[test]
fn an_upgrade_that_gives_up_is_upgradable_as_before() {
    upgrade_gives_up::<RawRwMutex>(Guarded::new);
    upgrade_gives_up::<RawRwMutex>(Guarded::biased);
    upgrade_gives_up::<Users>(Guarded::new);
}

/// Two that want to be upgradable behind one that is; the plain reader must not wait for it to leave.
fn claims_of_upgradables<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        shared.lock.upgradable();
        let waiting = spawn(&shared, |it| {
            if it.lock.upgradable_in_time() {
                it.lock.leave_upgradable();
            }
        });
        let plain = spawn(&shared, |it| it.visit_from_row(0));
        plain.join();
        shared.lock.leave_upgradable();
        shared.lock.upgradable();
        shared.lock.leave_upgradable();
        waiting.join();
        shared.is(0);
    });
}

#[test]
fn readers_pass_a_claim_of_an_upgradable_one() {
    claims_of_upgradables::<RawRwMutex>();
    claims_of_upgradables::<Users>();
}

fn downgrades<L: Subject>(start: fn() -> Arc<Guarded<L>>, other: fn(&Guarded<L>), adds: u32) {
    model(move || {
        let shared = start();
        let other = spawn(&shared, other);
        shared.lock.write();
        shared.value.add(1);
        let pass = shared.lock.downgrade();
        let seen = shared.value.get();
        assert_eq!(shared.value.get(), seen, "a writer came in");
        shared.lock.leave(pass);
        other.join();
        shared.is(1 + adds);
    });
}

#[test]
fn a_downgrade_lets_readers_in_and_writers_only_after() {
    for start in [Guarded::<RawRwMutex>::new, Guarded::biased] {
        downgrades(start, |it| it.visit_from_row(0), 0);
        downgrades(start, Guarded::add, 1);
    }
    downgrades::<Users>(Guarded::new, Guarded::visit, 0);
    downgrades::<Users>(Guarded::new, Guarded::add, 1);
}

/// A reader that waits for a writer must get in as soon as that is a reader itself.
fn downgrade_wakes<L: Subject>(other: fn(&Guarded<L>)) {
    model(move || {
        let shared = Guarded::<L>::new();
        shared.lock.write();
        let other = spawn(&shared, other);
        shared.value.add(1);
        let pass = shared.lock.downgrade();
        other.join();
        shared.lock.leave(pass);
        shared.lock.write();
        let other = spawn(&shared, |it| it.visit());
        shared.lock.downgrade_to_upgradable();
        other.join();
        shared.lock.leave_upgradable();
        shared.is(1);
    });
}

/// Who waits for an upgradable reader must get on as soon as that is a plain one.
fn plain_wakes<L: Subject>(other: fn(&Guarded<L>), adds: u32) {
    model(move || {
        let shared = Guarded::<L>::new();
        shared.lock.upgradable();
        let other = spawn(&shared, other);
        let pass = shared.lock.downgrade_upgradable();
        assert!(shared.lock.is_locked());
        shared.value.get();
        shared.lock.leave(pass);
        other.join();
        shared.is(adds);
    });
}

#[test]
fn an_upgradable_reader_that_becomes_a_plain_one_wakes_the_next() {
    plain_wakes::<RawRwMutex>(Guarded::add, 1);
    plain_wakes::<RawRwMutex>(upgrade_then_add, 1);
    plain_wakes::<Users>(upgrade_then_add, 1);
}

#[test]
fn a_downgrade_wakes_those_that_may_come_in_now() {
    let upgradable = |it: &Guarded<RawRwMutex>| {
        it.lock.upgradable(None);
        it.lock.leave_upgradable();
    };
    downgrade_wakes::<RawRwMutex>(Guarded::visit);
    downgrade_wakes::<RawRwMutex>(upgradable);
    downgrade_wakes::<Users>(Guarded::visit);
}

/// With both of them asleep, if it comes so.
fn fair<L: Subject>(let_go: fn(&L), hold: fn(&L), first: fn(&Guarded<L>), second: fn(&Guarded<L>)) {
    model(move || {
        let shared = Guarded::<L>::new();
        hold(&shared.lock);
        let others = [spawn(&shared, first), spawn(&shared, second)];
        let_go(&shared.lock);
        join_all(others);
        shared.is(1);
    });
}

#[test]
fn a_fair_write_unlock_hands_over_to_a_reader_and_wakes_the_others() {
    fair::<RawRwMutex>(RawRwMutex::unwrite_fair, RawRwMutex::write, Guarded::visit, Guarded::add);
    fair::<Users>(Users::unwrite_fair, Users::write, Guarded::visit, Guarded::add);
}

#[test]
fn a_fair_write_unlock_hands_over_to_a_writer_or_an_upgradable_one() {
    let passes = |it: &Guarded<RawRwMutex>| {
        it.lock.upgradable(None);
        it.lock.leave_upgradable();
    };
    fair::<RawRwMutex>(RawRwMutex::unwrite_fair, RawRwMutex::write, passes, upgrade_then_add);
}

#[test]
fn a_fair_upgradable_unlock_hands_over_to_one_that_takes_it() {
    let hold = <RawRwMutex as Subject>::upgradable;
    let let_go = RawRwMutex::leave_upgradable_fair;
    fair::<RawRwMutex>(let_go, hold, Guarded::visit, upgrade_then_add);
    fair::<RawRwMutex>(let_go, hold, Guarded::visit, Guarded::add);
    let (let_go, hold) = (Users::leave_upgradable_fair, Users::upgradable);
    fair::<Users>(let_go, hold, Guarded::visit, upgrade_then_add);
}

/// The door is handed over with the bias suspended: the next writer still looks at the slots.
#[test]
fn a_door_handed_over_under_a_bias_is_drained_again() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        shared.lock.upgradable(None);
        let writer = spawn(&shared, Guarded::add);
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        shared.lock.leave_upgradable_fair();
        join_all([writer, reader]);
        shared.is(1);
    });
}

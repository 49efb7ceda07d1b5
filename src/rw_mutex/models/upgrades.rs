//! Models of upgradable readers, downgrades and fair unlocks.

use super::subject::{Subject, Users};
use super::{Guarded, join_all};
use crate::model;
use crate::rw_mutex::raw::RawRwMutex;
use crate::rw_mutex::state::{STARVING, WRITERS_PARKED};
use crate::sys::Arc;
use crate::sys::atomic::Ordering;
use crate::testing::{spawn, until};

fn upgrade_then_add<L: Subject>(it: &Guarded<L>) {
    it.lock.upgradable();
    let seen = it.value.get();
    it.lock.upgrade();
    assert_eq!(it.value.get(), seen, "somebody slipped in");
    it.value.add(1);
    it.lock.unlock_exclusive();
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

fn upgrade_gives_up<L: Subject>(start: fn() -> Arc<Guarded<L>>, upgrade: fn(&L) -> bool) {
    model(move || {
        let shared = start();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        let upgradable = spawn(&shared, |it| {
            it.lock.upgradable();
            it.value.get();
            it.lock.unlock_upgradable();
        });
        let mut added = 0;
        shared.lock.upgradable();
        let seen = shared.value.get();
        if upgrade(&shared.lock) {
            added = 1;
            shared.value.add(1);
            shared.lock.downgrade_to_upgradable();
        }
        assert_eq!(shared.value.get(), seen + added);
        shared.lock.unlock_upgradable();
        join_all([reader, upgradable]);
        shared.is(added);
    });
}

#[test]
fn an_upgrade_that_gives_up_is_upgradable_as_before() {
    let both = |lock: &RawRwMutex| Subject::try_upgrade(lock) || lock.upgrade_in_time();
    upgrade_gives_up::<RawRwMutex>(Guarded::new, both);
    upgrade_gives_up::<RawRwMutex>(Guarded::biased, Subject::upgrade_in_time);
    upgrade_gives_up::<Users>(Guarded::new, |lock| lock.try_upgrade() || lock.upgrade_in_time());
}

#[test]
fn a_try_to_upgrade_that_fails_is_upgradable_as_before() {
    upgrade_gives_up::<RawRwMutex>(Guarded::biased, Subject::try_upgrade);
}

/// Two waiters for the upgradable role behind an upgradable reader; the plain reader must not wait for that to leave.
fn claims_of_upgradables<L: Subject>() {
    model(|| {
        let shared = Guarded::<L>::new();
        shared.lock.upgradable();
        let waiting = spawn(&shared, |it| {
            if it.lock.upgradable_in_time() {
                it.lock.unlock_upgradable();
            }
        });
        let plain = spawn(&shared, |it| it.visit_from_row(0));
        plain.join();
        shared.lock.unlock_upgradable();
        shared.lock.upgradable();
        shared.lock.unlock_upgradable();
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
        let written = shared.value.get();
        let pass = shared.lock.downgrade();
        assert_eq!(shared.value.get(), written, "a writer came in between");
        assert_eq!(shared.value.get(), written, "a writer came in");
        shared.lock.unlock_shared(pass);
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
        shared.lock.unlock_shared(pass);
        shared.lock.write();
        let other = spawn(&shared, |it| it.visit());
        shared.lock.downgrade_to_upgradable();
        other.join();
        shared.lock.unlock_upgradable();
        shared.is(1);
    });
}

/// A thread that waits for an upgradable reader must go on as soon as that is a plain reader.
fn plain_wakes<L: Subject>(other: fn(&Guarded<L>), adds: u32) {
    model(move || {
        let shared = Guarded::<L>::new();
        shared.lock.upgradable();
        let other = spawn(&shared, other);
        let pass = shared.lock.downgrade_upgradable();
        assert!(shared.lock.is_locked());
        shared.value.get();
        shared.lock.unlock_shared(pass);
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
        it.lock.unlock_upgradable();
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
    fair::<RawRwMutex>(
        RawRwMutex::unlock_exclusive_fair,
        RawRwMutex::write,
        Guarded::visit,
        Guarded::add,
    );
    fair::<Users>(Users::unlock_exclusive_fair, Users::write, Guarded::visit, Guarded::add);
}

#[test]
fn a_fair_write_unlock_hands_over_to_a_writer_or_an_upgradable_one() {
    let passes = |it: &Guarded<RawRwMutex>| {
        it.lock.upgradable(None);
        it.lock.unlock_upgradable();
    };
    fair::<RawRwMutex>(
        RawRwMutex::unlock_exclusive_fair,
        RawRwMutex::write,
        passes,
        upgrade_then_add,
    );
}

#[test]
fn a_fair_upgradable_unlock_hands_over_to_one_that_takes_it() {
    let hold = <RawRwMutex as Subject>::upgradable;
    let let_go = RawRwMutex::unlock_upgradable_fair;
    fair::<RawRwMutex>(let_go, hold, Guarded::visit, upgrade_then_add);
    fair::<RawRwMutex>(let_go, hold, Guarded::visit, Guarded::add);
    let (let_go, hold) = (Users::unlock_upgradable_fair, Users::upgradable);
    fair::<Users>(let_go, hold, Guarded::visit, upgrade_then_add);
}

/// Nobody writes, so no try to read may fail, also not before the next upgradable reader is awake.
#[test]
fn an_upgradable_place_that_is_handed_over_lets_readers_in() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::new();
        Subject::upgradable(&shared.lock);
        let next = spawn(&shared, Guarded::visit_upgradably);
        // ORDERING: Relaxed: waits for the bits.
        until(|| {
            shared.lock.core().word.load(Ordering::Relaxed) & (WRITERS_PARKED | STARVING) != 0
        });
        shared.lock.unlock_upgradable_fair();
        let pass = shared.lock.try_read().expect("nobody writes");
        shared.lock.unlock_shared(pass);
        next.join();
        shared.is(0);
    });
}

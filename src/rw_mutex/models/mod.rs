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
//! | parking_lot 249cb2a | the same, upgradable readers | `a_writer_that_gives_up_lets_the_others_in`; on real threads in `tests/rw_mutex_timeouts.rs` |
//! | parking_lot#101 | a queued upgradable read blocks plain ones | `readers_pass_a_claim_of_an_upgradable_one` |
//! | shuttle#351 | an upgrade lets a writer slip in | `nobody_comes_between_reading_and_upgrading` |
//! | tokio#2957, dashmap#328, rust#128219 | a downgrade releases twice | `a_downgrade_lets_readers_in_and_writers_only_after` |
//! | tinygo#2407, #5692 | an unlock wakes one of several readers | `a_writer_that_leaves_wakes_all_readers` |
//! | golang#13086 | a hog starves the others | `one_that_starves_is_overtaken_once` |

mod bias;
mod light;
mod subject;

use super::raw::RawRwMutex;
use super::word::{READERS_PARKED, STARVING, WRITERS_PARKED};
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

    fn visit_upgradably(&self) {
        self.lock.upgradable();
        self.value.get();
        self.lock.leave_upgradable();
    }

    fn visit_from_row(&self, row: usize) {
        self.lock.settle(row);
        self.visit();
    }

    fn add(&self) {
        let entered = self.lock.write();
        self.value.add(1);
        self.lock.unwrite_as(entered);
    }

    /// 1 if it did.
    fn try_to_add(&self) -> u32 {
        if !self.lock.try_write() {
            return 0;
        }
        self.value.add(1);
        self.lock.unwrite();
        1
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

fn gives_up<L: Subject>(start: fn() -> Arc<Guarded<L>>, other: fn(&Guarded<L>)) {
    model(move || {
        let shared = start();
        let pass = shared.lock.read();
        let writer = spawn(&shared, |it| it.add_in_time());
        let reader = spawn(&shared, other);
        shared.value.get();
        shared.lock.leave(pass);
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
    let marked = |lock: &RawRwMutex, bits| lock.word.load(Ordering::Relaxed) & bits != 0;
    let come: [fn(&RawRwMutex, &Hint); 3] = [
        |lock, entered| {
            let pass = lock.read();
            entered.set(1);
            lock.leave(pass);
        },
        |lock, entered| {
            let pass = lock.write();
            entered.set(1);
            lock.unwrite(pass);
        },
        |lock, entered| {
            Subject::upgradable(lock);
            entered.set(1);
            lock.leave_upgradable();
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
                Subject::unwrite(&shared.lock);
                shared.lock.write();
                if entered.get() == 1 {
                    break;
                }
                assert!(overtaken < 1, "its claim was overlooked");
                until(|| marked(&shared.lock, STARVING));
            }
            Subject::unwrite(&shared.lock);
            waiter.join();
        });
    }
}

/// A try that must fail, since a reader is inside, beside one that must not.
fn unnoticed<L: Subject>(start: fn() -> Arc<Guarded<L>>, fails: fn(&Guarded<L>)) {
    model(move || {
        let shared = start();
        let pass = shared.lock.read();
        let tries = spawn(&shared, fails);
        shared.lock.settle(0);
        let other = shared.lock.try_read().expect("nobody writes");
        shared.value.get();
        shared.lock.leave(other);
        tries.join();
        assert!(!shared.lock.is_locked_exclusive());
        shared.lock.leave(pass);
        shared.is(0);
    });
}

/// What fails beside a reader. The upgrade fails while this thread is an upgradable reader itself.
fn failing_tries<L: Subject>() -> [fn(&Guarded<L>); 3] {
    [
        |it| assert!(!it.lock.try_write()),
        |it| assert!(!it.lock.write_at_once()),
        |it| {
            it.lock.upgradable();
            assert!(!it.lock.try_upgrade());
            it.lock.leave_upgradable();
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
                it.lock.unwrite();
            }
            u32::from(got)
        });
        let mut got = 0;
        if shared.lock.try_write() {
            got = 1;
            shared.value.add(1);
            shared.lock.unwrite();
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

fn upgrade_gives_up<L: Subject>(start: fn() -> Arc<Guarded<L>>, upgrade: fn(&L) -> bool) {
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
        if upgrade(&shared.lock) {
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
    let both = |lock: &RawRwMutex| Subject::try_upgrade(lock) || lock.upgrade_in_time();
    upgrade_gives_up::<RawRwMutex>(Guarded::new, both);
    upgrade_gives_up::<RawRwMutex>(Guarded::biased, Subject::upgrade_in_time);
    upgrade_gives_up::<Users>(Guarded::new, |lock| lock.try_upgrade() || lock.upgrade_in_time());
}

#[test]
fn a_try_to_upgrade_that_fails_is_upgradable_as_before() {
    upgrade_gives_up::<RawRwMutex>(Guarded::biased, Subject::try_upgrade);
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
fn fair<L: Subject, E: 'static>(
    let_go: fn(&L),
    hold: fn(&L) -> E,
    first: fn(&Guarded<L>),
    second: fn(&Guarded<L>),
) {
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
    fair::<RawRwMutex, _>(
        RawRwMutex::unwrite_fair,
        RawRwMutex::write,
        Guarded::visit,
        Guarded::add,
    );
    fair::<Users, _>(Users::unwrite_fair, Users::write, Guarded::visit, Guarded::add);
}

#[test]
fn a_fair_write_unlock_hands_over_to_a_writer_or_an_upgradable_one() {
    let passes = |it: &Guarded<RawRwMutex>| {
        it.lock.upgradable(None);
        it.lock.leave_upgradable();
    };
    fair::<RawRwMutex, _>(RawRwMutex::unwrite_fair, RawRwMutex::write, passes, upgrade_then_add);
}

#[test]
fn a_fair_upgradable_unlock_hands_over_to_one_that_takes_it() {
    let hold = <RawRwMutex as Subject>::upgradable;
    let let_go = RawRwMutex::leave_upgradable_fair;
    fair::<RawRwMutex, _>(let_go, hold, Guarded::visit, upgrade_then_add);
    fair::<RawRwMutex, _>(let_go, hold, Guarded::visit, Guarded::add);
    let (let_go, hold) = (Users::leave_upgradable_fair, Users::upgradable);
    fair::<Users, _>(let_go, hold, Guarded::visit, upgrade_then_add);
}

/// Nobody writes, so no try to read may fail, also not before the next upgradable reader is awake.
#[test]
fn an_upgradable_place_that_is_handed_over_lets_readers_in() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::new();
        Subject::upgradable(&shared.lock);
        let next = spawn(&shared, Guarded::visit_upgradably);
        // ORDERING: Relaxed: waits for the bits.
        until(|| shared.lock.word.load(Ordering::Relaxed) & (WRITERS_PARKED | STARVING) != 0);
        shared.lock.leave_upgradable_fair();
        let pass = shared.lock.try_read().expect("nobody writes");
        shared.lock.leave(pass);
        next.join();
        shared.is(0);
    });
}

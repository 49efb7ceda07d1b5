//! Models of readers by slots, and of the writers that have to see them.

use super::subject::Subject;
use super::{Guarded, join_all};
use crate::rw_mutex::raw::RawRwMutex;
use crate::rw_mutex::state::{BIAS, DRAINING, READERS, STARVING, TAKEN};
use crate::sys::atomic::Ordering;
use crate::sys::thread;
use crate::testing::spawn;
use crate::{Model, model};

/// Whether one of these bits is set. Asked again and again.
fn has(shared: &Guarded<RawRwMutex>, bits: u64) -> bool {
    // ORDERING: Relaxed: as no more than a hint.
    shared.lock.core().word.load(Ordering::Relaxed) & bits != 0
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

/// The same with a try: it sees what came with the bias, or doesn't enter by it.
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
            shared.lock.unlock_shared(pass);
        }
        join_all([engages, writes]);
        shared.is(1);
    });
}

/// No reader is inside any more. A try that saw the bias without the lock's id would take every free slot for a
/// reader.
#[test]
fn a_try_that_sees_a_bias_being_engaged_sees_no_reader_that_was_not() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::new();
        // The model lets a thread that comes second load what was there before.
        let tries = spawn(&shared, |it| {
            // ORDERING: Relaxed: orders nothing before the try.
            let word = it.lock.core().word.load(Ordering::Relaxed);
            let is_free = word & BIAS != 0 && word & READERS == 0;
            let added = it.try_to_add();
            assert!(added == 1 || !is_free, "failed without a reader or writer");
            added
        });
        shared.favour_readers();
        shared.is(tries.join());
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

/// Upgrades if nobody else reads, and adds.
fn try_to_upgrade_and_add(it: &Guarded<RawRwMutex>) -> u32 {
    it.lock.upgradable(None);
    if !it.lock.try_upgrade() {
        it.lock.unlock_upgradable();
        return 0;
    }
    it.value.add(1);
    Subject::unlock_exclusive(&it.lock);
    1
}

/// A reader by a slot, and a try: it sees the reader, or the reader sees it. A bias is worth its first write, so it
/// is back when all is over, whether the try failed or not.
#[test]
fn a_try_overlooks_no_reader_and_brings_the_bias_back() {
    for tries in [Guarded::try_to_add, try_to_upgrade_and_add] {
        model(move || {
            let shared = Guarded::<RawRwMutex>::biased();
            let reader = spawn(&shared, |it| it.visit_from_row(0));
            let added = tries(&shared);
            reader.join();
            assert!(has(&shared, BIAS), "no reader enters by a slot any more");
            shared.is(added);
        });
    }
}

/// The bias ends just after a try has seen it. Then a reader engages the next, and enters by a
/// slot.
#[test]
fn a_bias_engaged_after_a_try_has_looked_at_the_slots_lets_no_reader_in_with_it() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        shared.lock.write();
        shared.lock.parts().end();
        Subject::unlock_exclusive(&shared.lock);
        let engages = spawn(&shared, |it| {
            it.lock.settle(0);
            it.favour_readers();
            it.visit();
        });
        let mut added = 0;
        if shared.lock.parts().try_write_biased(TAKEN | STARVING, 0) {
            added = 1;
            shared.value.add(1);
            Subject::unlock_exclusive(&shared.lock);
        }
        engages.join();
        shared.is(added);
    });
}

/// One of two tries fails, for a reader in the word; then that reader enters by a slot, or not: the other try may
/// have looked at the slots already.
#[test]
fn a_try_that_fails_brings_no_bias_back_for_a_reader_beside_another_try() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        let fails = spawn(&shared, Guarded::try_to_add);
        let reader = spawn(&shared, |it| {
            it.lock.settle(0);
            let pass = it.lock.read();
            let added = fails.join();
            it.lock.unlock_shared(pass);
            it.visit();
            added
        });
        let added = shared.try_to_add();
        shared.is(added + reader.join());
    });
}

/// The writer is asleep by the time that the reader leaves its slot: nobody else would wake it.
#[test]
fn a_reader_that_leaves_its_slot_wakes_the_writer_that_sleeps() {
    Model::new().without_deadlines().check(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        let pass = shared.lock.read();
        let writer = spawn(&shared, Guarded::add);
        while !has(&shared, DRAINING) {
            thread::yield_now();
        }
        assert_eq!(shared.value.get(), 0);
        shared.lock.unlock_shared(pass);
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
                it.lock.unlock_shared(pass);
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
            it.lock.unlock_shared(pass);
        });
        let writer = spawn(&first, Guarded::add);
        for _ in 0..2 {
            other.visit();
        }
        let pass = other.lock.read();
        join_all([leaves, writer]);
        other.lock.unlock_shared(pass);
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
            it.lock.unlock_shared(pass);
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
        shared.lock.unlock_shared(pass);
        shared.add();
        successor.join();
        shared.is(1);
    });
}

/// The thread ends as another leaves the slot: a writer that doesn't look at the row any more must
/// still come after that.
#[test]
fn a_row_is_given_back_as_another_leaves_its_slot() {
    // The writer, the owner and the leaver in turn take three.
    Model::new().preemption_bound(Some(3)).check(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        let leavers = shared.clone();
        let owner = spawn(&shared, move |it| {
            let pass = it.lock.read();
            spawn(&leavers, |it| {
                it.value.get();
                it.lock.unlock_shared(pass);
            })
        });
        shared.add();
        owner.join().join();
        shared.is(1);
    });
}

/// A writer is handed an upgradable reader's role: it becomes pending from there, and scans the slots.
#[test]
fn a_writer_that_is_handed_a_place_under_a_bias_drains_the_slots() {
    model(|| {
        let shared = Guarded::<RawRwMutex>::biased();
        shared.lock.upgradable(None);
        let writer = spawn(&shared, Guarded::add);
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        shared.lock.unlock_upgradable_fair();
        join_all([writer, reader]);
        shared.is(1);
    });
}

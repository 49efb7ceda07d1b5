//! Models of marks without a fence, and of the writers that make one for all.
//!
//! A model's light mark is seen by nobody before a heavy fence; and where it is a store, after one only by those
//! who are ordered after it: see `sys/model/slot.rs`.

use super::subject::Subject;
use super::{Guarded, join_all};
use crate::model;
use crate::rw_mutex::light::Light;
use crate::rw_mutex::raw::RawRwMutex;
use crate::rw_mutex::slots;
use crate::sys::{Arc, IS_MODEL, heavy_fence, let_light_marks_be_stores};
use crate::testing::{Plain, Running, spawn};

impl Guarded<RawRwMutex> {
    /// With a bias, and readers that mark lightly.
    fn lit() -> Arc<Self> {
        let shared = Self::biased();
        shared.lock.engage_light();
        shared
    }
}

/// Two readers by light marks, and the first writer.
#[test]
fn a_writer_overlooks_no_light_mark() {
    model(|| {
        let shared = Guarded::lit();
        let readers = [0, 1].map(|row| spawn(&shared, move |it| it.visit_from_row(row)));
        shared.add();
        join_all(readers);
        shared.is(1);
    });
}

/// The first writer has made everyone's fence; the second relies on its own, and readers on theirs.
#[test]
fn after_the_first_writer_readers_mark_with_a_fence_again() {
    model(|| {
        let_light_marks_be_stores();
        let shared = Guarded::lit();
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

/// A reader has light marks allowed while a writer comes, and another reads so.
#[test]
fn light_marks_allowed_beside_a_writer_are_seen_by_the_next() {
    model(|| {
        let_light_marks_be_stores();
        let shared = Guarded::<RawRwMutex>::biased();
        let reader = spawn(&shared, |it| {
            it.lock.settle(0);
            it.lock.engage_light();
            it.visit();
        });
        let writer = spawn(&shared, Guarded::add);
        shared.add();
        join_all([reader, writer]);
        shared.is(2);
    });
}

/// One that only tries gives the door up before it has made a fence, or after: the next writer knows.
#[test]
fn a_writer_that_gives_the_door_up_leaves_light_marks_to_be_seen() {
    model(|| {
        let shared = Guarded::lit();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        let hasty = spawn(&shared, Guarded::try_to_add);
        shared.add();
        reader.join();
        let added = hasty.join();
        shared.is(1 + added);
    });
}

/// It gives the door up before it has looked at the slots, because of a reader that is counted in the word: its own
/// thread, so that nothing but the deadline ends the wait. Only in a model, whose deadlines take no time.
#[test]
fn a_writer_that_times_out_leaves_light_marks_to_be_seen() {
    if !IS_MODEL {
        return;
    }
    model(|| {
        let shared = Guarded::lit();
        shared.lock.upgradable(None);
        let pass = shared.lock.downgrade_upgradable();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        assert!(!shared.lock.write_in_time());
        shared.lock.leave(pass);
        shared.add();
        reader.join();
        shared.is(1);
    });
}

#[test]
fn an_upgrade_overlooks_no_light_mark() {
    model(|| {
        let_light_marks_be_stores();
        let shared = Guarded::lit();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        shared.lock.upgradable(None);
        shared.lock.upgrade(None);
        shared.value.add(1);
        Subject::unwrite(&shared.lock);
        reader.join();
        shared.is(1);
    });
}

#[test]
fn a_light_mark_is_left_by_another_thread() {
    model(|| {
        let shared = Guarded::lit();
        shared.lock.settle(0);
        let pass = shared.lock.read();
        let leaver = spawn(&shared, move |it| {
            it.value.get();
            it.lock.leave(pass);
        });
        let writer = spawn(&shared, Guarded::add);
        shared.visit();
        join_all([leaver, writer]);
        shared.is(1);
    });
}

/// Two locks that are steered by one [`Light`].
struct Pair {
    light: Light,
    locks: [RawRwMutex; 2],
    values: [Plain; 2],
}

impl Pair {
    /// Biased, and engaged if so asked.
    fn new(engaged: bool) -> Arc<Self> {
        slots::prepare();
        let locks = slots::new_uncounted_ids(2).map(RawRwMutex::steered).collect::<Vec<_>>();
        let Ok(locks) = <[_; 2]>::try_from(locks) else { unreachable!("two ids were asked for") };
        let pair = Pair { light: Light::new(), locks, values: [Plain::new(), Plain::new()] };
        for lock in &pair.locks {
            let pass = lock.read();
            lock.engage_bias();
            lock.leave(pass);
        }
        if engaged {
            pair.light.engage();
        }
        Arc::new(pair)
    }

    fn add(&self, which: usize) {
        let entered = self.locks[which].write_steered(&self.light, true);
        self.values[which].add(1);
        self.locks[which].unwrite(entered);
    }

    /// As one that knows nothing of what steers it.
    fn add_unsteered(&self, which: usize) {
        let entered = self.locks[which].write();
        self.values[which].add(1);
        self.locks[which].unwrite(entered);
    }

    fn visit(&self, which: usize) {
        let lock = &self.locks[which];
        let pass = match self.light.look() {
            Some(allowed) => lock.read_lightly(&self.light, allowed),
            None => lock.read_at_once(&self.light),
        };
        if let Some(pass) = pass {
            self.values[which].get();
            self.locks[which].leave(pass);
        }
    }

    fn visit_from_row(&self, which: usize, row: usize) {
        slots::settle(row);
        self.visit(which);
    }
}

fn joined<const N: usize>(threads: [Running<()>; N], pair: &Pair, expected: [u32; 2]) {
    join_all(threads);
    for which in [0, 1] {
        let entered = pair.locks[which].write();
        assert_eq!(pair.values[which].get(), expected[which]);
        pair.locks[which].unwrite(entered);
    }
}

#[test]
fn a_writer_of_one_of_many_overlooks_no_light_mark() {
    model(|| {
        let_light_marks_be_stores();
        let pair = Pair::new(true);
        let reader = spawn(&pair, |it| it.visit_from_row(0, 0));
        let writer = spawn(&pair, |it| it.add(0));
        pair.add(0);
        joined([reader, writer], &pair, [2, 0]);
    });
}

/// The writer of one lock makes the fence, and that of the other finds that it is made, or being made.
#[test]
fn a_fence_made_for_another_lock_serves() {
    model(|| {
        let_light_marks_be_stores();
        let pair = Pair::new(true);
        let writers = [0, 1].map(|which| spawn(&pair, move |it| it.add(which)));
        pair.visit_from_row(1, 0);
        joined(writers, &pair, [1, 1]);
    });
}

/// One fence has been made when light marks are allowed anew: the other lock's writer may have seen
/// that there are none.
#[test]
fn light_marks_allowed_anew_are_no_way_past_a_writer_at_its_door() {
    model(|| {
        let_light_marks_be_stores();
        let pair = Pair::new(false);
        let reader = spawn(&pair, |it| it.visit_from_row(1, 0));
        let writer = spawn(&pair, |it| it.add(1));
        pair.light.engage();
        joined([reader, writer], &pair, [0, 1]);
    });
}

/// A writer that is slow to end what was allowed first must not vouch for what is allowed next.
#[test]
fn a_slow_fence_does_not_vouch_for_later_marks() {
    model(|| {
        let_light_marks_be_stores();
        let pair = Pair::new(true);
        let slow = pair.light.start_ending();
        heavy_fence(slots::all_first());
        pair.add(0);
        pair.light.engage();
        let reader = spawn(&pair, |it| it.visit_from_row(1, 0));
        if let Some(slow) = slow {
            pair.light.finish(slow);
        }
        pair.add(1);
        joined([reader], &pair, [1, 1]);
    });
}

/// A reader was allowed a light mark, that was ended, and others are allowed light marks now: it is no
/// longer for this one, as a writer may be at its door since.
#[test]
fn an_allowance_from_before_is_none() {
    model(|| {
        let_light_marks_be_stores();
        let pair = Pair::new(true);
        let allowed = pair.light.look();
        pair.add(0);
        let reader = spawn(&pair, move |it| {
            slots::settle(0);
            let Some(allowed) = allowed else { return };
            if let Some(pass) = it.locks[1].read_lightly(&it.light, allowed) {
                it.values[1].get();
                it.locks[1].leave(pass);
            }
        });
        let writer = spawn(&pair, |it| it.add(1));
        pair.light.engage();
        joined([reader, writer], &pair, [1, 1]);
    });
}

#[test]
fn a_writer_that_knows_nothing_of_light_marks_overlooks_none() {
    model(|| {
        let_light_marks_be_stores();
        let pair = Pair::new(true);
        let readers = [0, 1].map(|row| spawn(&pair, move |it| it.visit_from_row(0, row)));
        pair.add_unsteered(0);
        joined(readers, &pair, [1, 0]);
    });
}

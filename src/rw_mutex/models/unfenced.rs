//! Models of marks without a fence, and of the writers that make one for all.
//!
//! A model's unfenced mark is seen by nobody before a heavy fence; and where it is a store, after one only by those
//! that are ordered after it: see `sys/model/slot.rs`.

use super::subject::Subject;
use super::{Guarded, join_all};
use crate::model;
use crate::rw_mutex::raw::RawRwMutex;
use crate::rw_mutex::state::UNFENCED;
use crate::rw_mutex::unfenced;
use crate::sys::atomic::Ordering;
use crate::sys::{Arc, IS_MODEL, let_unfenced_marks_be_stores, prepare_heavy_fence};
use crate::testing::spawn;

impl Guarded<RawRwMutex> {
    /// With a bias, and readers that mark unfenced.
    fn unfenced() -> Arc<Self> {
        let shared = Self::biased();
        prepare_heavy_fence();
        unfenced::engage(shared.lock.core());
        shared
    }
}

/// A reader by an unfenced mark, and the first writer.
#[test]
fn a_writer_overlooks_no_unfenced_mark() {
    model(|| {
        let shared = Guarded::unfenced();
        let reader = spawn(&shared, |it| it.visit_from_row(1));
        shared.add();
        reader.join();
        shared.is(1);
    });
}

/// The first writer has made everyone's fence; the second relies on its own, and readers on theirs.
#[test]
fn after_the_first_writer_readers_mark_with_a_fence_again() {
    model(|| {
        let_unfenced_marks_be_stores();
        let shared = Guarded::unfenced();
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

/// A reader has unfenced marks allowed while a writer comes, and another reads so.
#[test]
fn unfenced_marks_allowed_beside_a_writer_are_seen_by_the_next() {
    model(|| {
        let_unfenced_marks_be_stores();
        let shared = Guarded::<RawRwMutex>::biased();
        let reader = spawn(&shared, |it| {
            it.lock.settle(0);
            unfenced::engage(it.lock.core());
            it.visit();
        });
        let writer = spawn(&shared, Guarded::add);
        shared.add();
        join_all([reader, writer]);
        shared.is(2);
    });
}

/// A try fails before it has made a heavy fence, or after: the next writer knows which.
#[test]
fn a_try_that_fails_leaves_unfenced_marks_to_be_seen() {
    model(|| {
        let shared = Guarded::unfenced();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        let hasty = spawn(&shared, Guarded::try_to_add);
        shared.add();
        reader.join();
        let added = hasty.join();
        shared.is(1 + added);
    });
}

/// The second try finds that no heavy fence is needed any more.
#[test]
fn a_try_sees_the_readers_that_another_s_heavy_fence_made_visible() {
    model(|| {
        let_unfenced_marks_be_stores();
        let shared = Guarded::unfenced();
        let first = spawn(&shared, Guarded::try_to_add);
        let second = spawn(&shared, |it| {
            // ORDERING: Relaxed: orders nothing before the try.
            let word = it.lock.core().word.load(Ordering::Relaxed);
            if word & UNFENCED == 0 { it.try_to_add() } else { 0 }
        });
        shared.visit_from_row(0);
        shared.is(first.join() + second.join());
    });
}

/// It times out before it has scanned the slots, because of a reader that is counted in the word: its own thread, so that
/// nothing but the deadline ends the wait. Only in a model, whose deadlines take no time.
#[test]
fn a_writer_that_times_out_leaves_unfenced_marks_to_be_seen() {
    if !IS_MODEL {
        return;
    }
    model(|| {
        let shared = Guarded::unfenced();
        shared.lock.upgradable(None);
        let pass = shared.lock.downgrade_upgradable();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        assert!(!shared.lock.write_in_time());
        shared.lock.unlock_shared(pass);
        shared.add();
        reader.join();
        shared.is(1);
    });
}

#[test]
fn an_upgrade_overlooks_no_unfenced_mark() {
    model(|| {
        let_unfenced_marks_be_stores();
        let shared = Guarded::unfenced();
        let reader = spawn(&shared, |it| it.visit_from_row(0));
        shared.lock.upgradable(None);
        shared.lock.upgrade(None);
        shared.value.add(1);
        Subject::unlock_exclusive(&shared.lock);
        reader.join();
        shared.is(1);
    });
}

#[test]
fn an_unfenced_mark_is_left_by_another_thread() {
    model(|| {
        let shared = Guarded::unfenced();
        shared.lock.settle(0);
        let pass = shared.lock.read();
        let leaver = spawn(&shared, move |it| {
            it.value.get();
            it.lock.unlock_shared(pass);
        });
        let writer = spawn(&shared, Guarded::add);
        shared.visit();
        join_all([leaver, writer]);
        shared.is(1);
    });
}

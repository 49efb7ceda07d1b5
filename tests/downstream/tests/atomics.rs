//! Models of the structures on atomics and cells alone. In a native build each runs once, under the gate in every
//! interleaving.
//!
//! The ignored tests are planted bugs, see `models.rs`.

use downstream::counted::Counted;
use downstream::flag::{Checked, Flagged};
use downstream::hazard::Guarded;
use downstream::once::{DoubleChecked, Once};
use downstream::pointer::{Lazy, Setting};
use downstream::ring::{Mailbox, Ring};
use downstream::sequence::Pair;
use downstream::stack::Stack;
use phalanx::atomic::{AtomicBool, Ordering};
use phalanx::{model, thread};
use std::sync::Arc;

/// Runs each step on one shared `T`, in a thread of its own, and returns the `T`.
fn beside<T: Default + Sync>(steps: &[fn(&T)]) -> T {
    let shared = T::default();
    thread::scope(|scope| {
        for step in steps {
            scope.spawn(|| step(&shared));
        }
    });
    shared
}

#[test]
fn a_flag_alone_is_set_once_its_thread_has_ended() {
    model(|| {
        for order in [Ordering::Release, Ordering::SeqCst] {
            let flag = Arc::new(AtomicBool::new(false));
            let f = flag.clone();
            let setter = thread::spawn(move || f.store(true, order));
            flag.load(Ordering::Acquire);
            setter.join().unwrap();
            assert!(flag.load(Ordering::Acquire));
        }
    });
}

fn publish(set: fn(&Flagged), get: fn(&Flagged) -> Option<u64>) {
    let flagged = Flagged::default();
    thread::scope(|scope| {
        scope.spawn(|| set(&flagged));
        assert!(get(&flagged).is_none_or(|value| value == 7));
    });
    assert_eq!(flagged.get(), Some(7));
}

#[test]
fn a_flag_publishes_a_value() {
    model(|| publish(|flagged| flagged.set(7), Flagged::get));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_flag_that_is_set_weakly() {
    model(|| publish(|flagged| flagged.set_weakly(7), Flagged::get));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_flag_that_is_set_too_early() {
    model(|| publish(|flagged| flagged.set_too_early(7), Flagged::get));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_flag_that_is_read_weakly() {
    model(|| publish(|flagged| flagged.set(7), Flagged::get_weakly));
}

#[test]
fn a_flag_publishes_a_value_by_an_exchange() {
    model(|| publish(|flagged| flagged.set_if_unset(7), Flagged::get));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_flag_that_is_exchanged_weakly() {
    model(|| publish(|flagged| flagged.set_if_unset_weakly(7), Flagged::get));
}

fn publish_through_a_second_thread(check: fn(&Checked)) {
    beside::<Checked>(&[
        |checked| checked.write(7),
        check,
        |checked| assert!(checked.read().is_none_or(|value| value == 7)),
    ]);
}

#[test]
fn a_release_sequence_publishes_a_value() {
    model(|| publish_through_a_second_thread(Checked::check));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_release_sequence_that_a_store_breaks() {
    model(|| publish_through_a_second_thread(Checked::check_with_a_store));
}

fn send_by_mailbox(put: fn(&Mailbox, u32), take: fn(&Mailbox) -> Option<u32>) {
    let mailbox = Mailbox::default();
    thread::scope(|scope| {
        scope.spawn(|| [1, 2].map(|value| put(&mailbox, value)));
        assert_eq!([take(&mailbox), take(&mailbox)], [Some(1), Some(2)]);
    });
}

#[test]
fn a_mailbox_hands_values_over() {
    model(|| send_by_mailbox(Mailbox::put, Mailbox::take));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_mailbox_that_is_filled_at_once() {
    model(|| send_by_mailbox(Mailbox::put_at_once, Mailbox::take));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_mailbox_that_is_freed_weakly() {
    model(|| send_by_mailbox(Mailbox::put, Mailbox::take_weakly));
}

fn send_by_ring(put: fn(&Ring, u32) -> bool) {
    let ring = Ring::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=3 {
                while !put(&ring, value) {
                    thread::yield_now();
                }
            }
        });
        for value in 1..=3 {
            let taken = loop {
                match ring.take() {
                    Some(taken) => break taken,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(taken, value);
        }
    });
}

#[test]
fn a_ring_hands_values_over() {
    model(|| send_by_ring(Ring::put));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_ring_that_publishes_weakly() {
    model(|| send_by_ring(Ring::put_weakly));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_ring_that_holds_one_too_many() {
    model(|| send_by_ring(Ring::put_one_too_many));
}

/// A second thread and the main thread get a value; each would make another number.
fn ask_twice<T: Default + Sync>(get: fn(&T, u64) -> u64) {
    let cell = T::default();
    let first = thread::scope(|scope| {
        let other = scope.spawn(|| get(&cell, 1));
        let mine = get(&cell, 2);
        assert_eq!(other.join().unwrap(), mine, "wrong result: two values");
        mine
    });
    assert_eq!(get(&cell, 3), first);
}

#[test]
fn a_once_makes_one_value() {
    model(|| ask_twice(|once: &Once, number| once.get(|| number)));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_once_that_loads_weakly() {
    model(|| ask_twice(|once: &Once, number| once.get_by_a_weak_load(|| number)));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_once_that_publishes_weakly() {
    model(|| ask_twice(|once: &Once, number| once.get_and_publish_weakly(|| number)));
}

#[test]
fn a_double_checked_value_is_made_once() {
    model(|| ask_twice(|cell: &DoubleChecked, number| cell.get(|| number)));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_double_check_by_a_weak_load() {
    model(|| ask_twice(|cell: &DoubleChecked, number| cell.get_by_a_weak_load(|| number)));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_double_check_that_checks_once() {
    model(|| ask_twice(|cell: &DoubleChecked, number| cell.get_by_one_check(|| number)));
}

#[test]
fn a_lazy_pointer_is_set_once() {
    model(|| ask_twice(|lazy: &Lazy, number| lazy.get(|| number)));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_lazy_pointer_that_loses_weakly() {
    model(|| ask_twice(|lazy: &Lazy, number| lazy.get_and_lose_weakly(|| number)));
}

fn read_beside_a_writer(write: fn(&Pair, u64), read: fn(&Pair) -> Option<(u64, u64)>) {
    let pair = Pair::default();
    thread::scope(|scope| {
        scope.spawn(|| write(&pair, 1));
        if let Some((first, second)) = read(&pair) {
            assert_eq!(first, second, "wrong result: a torn pair");
        }
    });
    assert_eq!(pair.read(), Some((1, 1)));
}

#[test]
fn a_sequence_lock_shows_no_torn_pair() {
    model(|| read_beside_a_writer(Pair::write, Pair::read));
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_of_a_sequence_lock_whose_writer_has_no_fence() {
    model(|| read_beside_a_writer(Pair::write_without_a_fence, Pair::read));
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_of_a_sequence_lock_whose_reader_has_no_fence() {
    model(|| read_beside_a_writer(Pair::write, Pair::read_without_a_fence));
}

fn share_and_drop<const CAREFUL: bool>() {
    let mut mine = Counted::<_, CAREFUL>::new(7);
    let others = [mine.clone(), mine.clone()];
    let others = others.map(|theirs| thread::spawn(move || theirs.with(|value| *value)));
    assert!(mine.with_mut(|value| *value = 8).is_none_or(|()| mine.with(|value| *value == 8)));
    drop(mine);
    for other in others {
        assert_eq!(other.join().unwrap(), 7);
    }
}

#[test]
fn a_counted_value_is_freed_by_its_last_owner() {
    model(share_and_drop::<true>);
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_count_that_orders_nothing() {
    model(share_and_drop::<false>);
}

fn push_from_two_threads(push: fn(&Stack, u32)) {
    let stack = Stack::default();
    let mut values = thread::scope(|scope| {
        for value in [1, 2] {
            let stack = &stack;
            scope.spawn(move || push(stack, value));
        }
        stack.take_all()
    });
    values.extend(stack.take_all());
    values.sort();
    assert_eq!(values, [1, 2], "wrong result: a value was lost");
}

#[test]
fn a_stack_keeps_every_value() {
    model(|| push_from_two_threads(Stack::push));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_stack_that_publishes_weakly() {
    model(|| push_from_two_threads(Stack::push_weakly));
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_of_a_stack_with_a_push_in_two_steps() {
    model(|| push_from_two_threads(Stack::push_in_two_steps));
}

fn read_beside_a_replacement(replace: fn(&Setting, u64)) {
    let setting = Setting::new(1);
    thread::scope(|scope| {
        scope.spawn(|| replace(&setting, 2));
        let (first, second) = (setting.read(), setting.read());
        assert!(first <= second, "wrong result: an older version after a newer one");
    });
    assert_eq!(setting.read(), 2);
}

#[test]
fn a_setting_is_read_in_one_version_or_the_other() {
    model(|| read_beside_a_replacement(Setting::replace));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_setting_that_is_replaced_weakly() {
    model(|| read_beside_a_replacement(Setting::replace_weakly));
}

fn read_beside_the_end(read: fn(&Guarded) -> Option<u32>) {
    let guarded = Guarded::new(7);
    thread::scope(|scope| {
        scope.spawn(|| assert!(read(&guarded).is_none_or(|value| value == 7)));
        assert_eq!(guarded.retire(), 7);
    });
}

#[test]
fn an_announced_pointer_is_not_freed() {
    model(|| read_beside_the_end(Guarded::read));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_an_announcement_without_a_fence() {
    model(|| read_beside_the_end(Guarded::read_without_a_fence));
}

//! Models of locks and waits on atomics and cells alone, see `atomics.rs`.

use downstream::buffering::{Peterson, Room};
use downstream::latch::{Barrier, Parts};
use downstream::signal::{Event, Word, Worker};
use downstream::spin::{Count, SpinLock, TicketLock};
use downstream::turns::Turns;
use phalanx::atomic::{AtomicU32, AtomicUsize, Ordering};
use phalanx::{model, thread};

/// A second thread and the main thread add one each.
fn count_under<L: Default + Sync, T>(lock: fn(&L) -> T, unlock: fn(&L, T)) {
    let (guard, count) = (L::default(), Count::default());
    let add = || {
        let token = lock(&guard);
        count.increment();
        unlock(&guard, token);
    };
    thread::scope(|scope| {
        scope.spawn(add);
        add();
    });
    assert_eq!(count.get(), 2);
}

#[test]
fn a_test_and_set_lock_lets_one_in() {
    model(|| count_under(SpinLock::lock, |lock: &SpinLock, ()| lock.unlock()));
}

#[test]
fn a_polite_spin_lock_lets_one_in() {
    model(|| count_under(SpinLock::lock_politely, |lock: &SpinLock, ()| lock.unlock()));
}

#[test]
fn a_try_lock_in_a_loop_lets_one_in() {
    let lock = |lock: &SpinLock| {
        while !lock.try_lock() {
            thread::yield_now();
        }
    };
    model(move || count_under(lock, |lock: &SpinLock, ()| lock.unlock()));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_spin_lock_that_is_released_weakly() {
    model(|| count_under(SpinLock::lock_politely, |lock: &SpinLock, ()| lock.unlock_weakly()));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_spin_lock_in_two_steps() {
    model(|| count_under(SpinLock::lock_in_two_steps, |lock: &SpinLock, ()| lock.unlock()));
}

#[test]
fn a_ticket_lock_lets_one_in() {
    model(|| count_under(TicketLock::lock, TicketLock::unlock));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_ticket_lock_in_two_steps() {
    model(|| count_under(TicketLock::lock_in_two_steps, TicketLock::unlock));
}

fn enter_from_both_sides(enter: fn(&Room, usize) -> bool) {
    let room = Room::default();
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| enter(&room, 0));
        let second = enter(&room, 1);
        (first.join().unwrap(), second)
    });
    assert!(!(first && second), "wrong result: both entered");
}

#[test]
fn fences_let_one_enter() {
    model(|| enter_from_both_sides(Room::enter));
}

#[test]
fn seq_cst_accesses_let_one_enter() {
    model(|| {
        enter_from_both_sides(Room::enter_in_one_order);
        enter_from_both_sides(Room::enter_with_a_swap);
    });
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_without_a_fence() {
    model(|| enter_from_both_sides(Room::enter_without_a_fence));
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_of_a_store_that_is_not_seq_cst() {
    model(|| enter_from_both_sides(Room::enter_with_a_weak_store));
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_of_a_load_that_is_not_seq_cst() {
    model(|| enter_from_both_sides(Room::enter_with_a_weak_load));
}

fn count_by_turns(lock: fn(&Peterson, usize)) {
    let (peterson, count) = (Peterson::default(), Count::default());
    let add = |me| {
        lock(&peterson, me);
        count.increment();
        peterson.unlock(me);
    };
    thread::scope(|scope| {
        scope.spawn(|| add(0));
        add(1);
    });
    assert_eq!(count.get(), 2);
}

#[test]
fn petersons_lock_lets_one_in() {
    model(|| count_by_turns(Peterson::lock));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_petersons_lock_without_one_order() {
    model(|| count_by_turns(Peterson::lock_weakly));
}

fn add_up(finish: fn(&Parts<3>, usize, u64) -> Option<u64>) {
    let parts = Parts::default();
    let sums = thread::scope(|scope| {
        let others = [0, 1].map(|part| {
            let parts = &parts;
            scope.spawn(move || finish(parts, part, 10))
        });
        let mine = finish(&parts, 2, 10);
        let [first, second] = others.map(|other| other.join().unwrap());
        [first, second, mine]
    });
    assert_eq!(sums.into_iter().flatten().collect::<Vec<_>>(), [30]);
}

#[test]
fn the_last_worker_adds_up() {
    model(|| add_up(Parts::finish));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_last_worker_that_acquires_nothing() {
    model(|| add_up(Parts::finish_without_acquire));
}

/// Each thread writes its count, waits, and reads the other's; twice.
fn meet_twice(wait: fn(&Barrier)) {
    let (barrier, counts) = (Barrier::new(2), [Count::default(), Count::default()]);
    let go = |me: usize| {
        for round in 1..=2 {
            counts[me].increment();
            wait(&barrier);
            assert_eq!(counts[1 - me].get(), round);
            wait(&barrier);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| go(0));
        go(1);
    });
}

#[test]
fn a_barrier_holds_until_all_have_arrived() {
    model(|| meet_twice(Barrier::wait));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_a_barrier_that_orders_nothing() {
    model(|| meet_twice(Barrier::wait_weakly));
}

fn wait_for_an_event(signal: fn(&Event, &thread::Thread)) {
    let (event, count) = (Event::default(), Count::default());
    thread::scope(|scope| {
        let waiter = thread::current();
        scope.spawn({
            let (event, count) = (&event, &count);
            move || {
                count.increment();
                signal(event, &waiter);
            }
        });
        event.wait();
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn an_event_wakes_its_waiter() {
    model(|| wait_for_an_event(Event::signal));
}

#[test]
#[ignore = "planted lost wake-up: fails under the gate"]
fn planted_lost_wake_up_of_an_event_that_comes_too_early() {
    model(|| wait_for_an_event(Event::signal_too_early));
}

#[test]
fn a_worker_stops_when_it_is_told_to() {
    model(|| {
        let worker = Worker::default();
        thread::scope(|scope| {
            scope.spawn(|| worker.run());
            worker.stop();
        });
        assert_eq!(worker.done(), 1);
    });
}

/// One thread opens, two mark; the later mark must not close it again.
fn open_and_see(see: fn(&Word) -> bool) {
    let word = Word::default();
    let seen = thread::scope(|scope| {
        let other = scope.spawn(|| see(&word));
        word.open();
        see(&word) && (other.join().unwrap() || word.is_open())
    });
    assert!(seen && word.is_open(), "wrong result: an opening was lost");
}

#[test]
fn a_store_among_read_modify_writes_is_not_lost() {
    model(|| open_and_see(Word::see));
}

#[test]
#[ignore = "planted wrong result: fails under the gate"]
fn planted_wrong_result_of_a_mark_in_two_steps() {
    model(|| open_and_see(Word::see_in_two_steps));
}

fn ask_and_answer(answer: fn(&Turns, fn(u32) -> u32)) {
    let turns = Turns::default();
    thread::scope(|scope| {
        scope.spawn(|| answer(&turns, |question| question + 1));
        assert_eq!(turns.ask(1), 2);
    });
}

#[test]
fn a_question_gets_its_answer() {
    model(|| ask_and_answer(|turns, answer| turns.answer(answer)));
}

#[test]
#[ignore = "planted race: fails under the gate"]
fn planted_race_of_an_answer_that_is_not_published() {
    model(|| ask_and_answer(|turns, answer| turns.answer_weakly(answer)));
}

#[test]
fn relaxed_counts_of_scoped_threads_are_all_there_at_the_end() {
    model(|| {
        let (count, highest) = (AtomicUsize::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for value in [1, 2] {
                let (count, highest) = (&count, &highest);
                scope.spawn(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    highest.fetch_max(value, Ordering::Relaxed);
                });
            }
            count.update(Ordering::Relaxed, Ordering::Relaxed, |count| count + 10);
        });
        assert_eq!(highest.load(Ordering::Relaxed), 2);
        let mut count = count;
        *count.get_mut() += 100;
        assert_eq!(format!("{count:?}"), "112");
        assert_eq!(count.into_inner(), 112);
    });
}

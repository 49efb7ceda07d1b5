//! Single steps of the scheduler. Whole calls are in `walks`.

use super::super::batch::{Batch, Grain};
use super::*;

type Nothing = Batch<(), (), fn(usize, ())>;

/// A batch of so many tasks, which wants a helper for each but one.
fn batch(len: usize, grain: Grain, nested: bool) -> Nothing {
    Batch::new(vec![(); len], |_, ()| (), grain, len - 1, nested)
}

fn run(len: usize) -> Nothing {
    batch(len, Grain::One, false)
}

fn map(len: usize) -> Nothing {
    batch(len, Grain::Guided(len), false)
}

fn header(batch: &Nothing) -> &Header {
    // SAFETY: it lives as long as its batch.
    unsafe { batch.header().as_ref() }
}

/// What `run` asks for.
fn gang(batch: &Nothing) -> Request {
    let seats = 1 + header(batch).lacks();
    Request { seats, batch: Some(batch.header()), lent: false }
}

/// A call that asks for one seat.
fn one(lent: bool) -> Request {
    Request { seats: 1, batch: None, lent }
}

fn calls(next: &Next) -> bool {
    !matches!(next.call, Call::Nobody)
}

/// The next callers in turn, handed their seats.
fn granted(mut next: Next) -> Vec<NonNull<CallerWaiter>> {
    let granted = next.granted.clone();
    next.hand_over();
    granted
}

#[test]
fn callers_get_seats_in_the_order_they_came() {
    let mut scheduler = Scheduler::new(1);
    assert!(scheduler.enter(one(false)).is_some());
    assert!(scheduler.enter(one(false)).is_none());
    let (first, second) = (CallerWaiter::new(), CallerWaiter::new());
    assert!(granted(scheduler.queue(one(false), &first)).is_empty());
    assert!(granted(scheduler.queue(one(false), &second)).is_empty());
    assert_eq!(granted(scheduler.close(None, Seat::Kept)), [NonNull::from(&first)]);
    assert_eq!(granted(scheduler.close(None, Seat::Kept)), [NonNull::from(&second)]);
    assert_eq!((scheduler.free, scheduler.waiting.len()), (0, 0));
}

#[test]
fn a_gang_is_taken_whole_or_not_at_all() {
    let (batch, later) = (run(3), CallerWaiter::new());
    let mut scheduler = Scheduler::new(3);
    assert!(scheduler.enter(one(false)).is_some());
    assert!(scheduler.enter(gang(&batch)).is_none());
    let caller = CallerWaiter::new();
    assert!(!calls(&scheduler.queue(gang(&batch), &caller)));
    // It holds nothing while it waits, and nobody passes it.
    assert_eq!((scheduler.free, header(&batch).reserved()), (2, 0));
    assert!(scheduler.enter(one(false)).is_none());
    assert!(granted(scheduler.queue(one(false), &later)).is_empty());
    let next = scheduler.close(None, Seat::Kept);
    assert!(matches!(next.call, Call::Start));
    assert_eq!(granted(next), [NonNull::from(&caller)]);
    assert_eq!((scheduler.free, header(&batch).reserved()), (0, 2));
}

#[test]
fn a_worker_that_finds_a_batch_is_counted_before_the_lock_is_released() {
    let batch = run(3);
    let mut scheduler = Scheduler::new(3);
    assert!(calls(&scheduler.enter(gang(&batch)).unwrap()));
    let (found, next) = scheduler.look(None, true);
    assert_eq!(found, Some(batch.header()));
    assert_eq!(header(&batch).helpers_inside(), 1);
    // And it calls the next one.
    assert!(calls(&next));
    assert_eq!((header(&batch).reserved(), scheduler.called), (1, 1));
}

#[test]
fn seats_reserved_for_a_batch_that_is_used_up_go_to_the_next_caller() {
    let (batch, caller) = (run(3), CallerWaiter::new());
    let mut scheduler = Scheduler::new(3);
    assert!(calls(&scheduler.enter(gang(&batch)).unwrap()));
    assert!(scheduler.enter(one(false)).is_none());
    assert!(granted(scheduler.queue(one(false), &caller)).is_empty());
    assert_eq!(batch.run_some(3), 3);
    // The worker finds nothing to do, and leaves the seats to those that wait.
    let (found, next) = scheduler.look(None, true);
    assert_eq!(found, None);
    assert_eq!(granted(next), [NonNull::from(&caller)]);
    assert_eq!((scheduler.free, header(&batch).reserved()), (1, 0));
    // The same for whoever comes.
    assert!(scheduler.enter(one(false)).is_some());
}

#[test]
fn a_call_that_comes_when_a_batch_is_used_up_gets_its_reserved_seats() {
    let batch = run(2);
    let mut scheduler = Scheduler::new(2);
    assert!(calls(&scheduler.enter(gang(&batch)).unwrap()));
    assert_eq!(batch.run_some(2), 2);
    assert!(scheduler.enter(one(false)).is_some());
}

#[test]
fn a_closed_batch_leaves_its_reserved_seats() {
    let batch = run(3);
    let mut scheduler = Scheduler::new(3);
    assert!(calls(&scheduler.enter(gang(&batch)).unwrap()));
    assert!(!calls(&scheduler.close(Some(batch.header()), Seat::Kept)));
    assert_eq!((scheduler.free, header(&batch).reserved()), (3, 0));
    assert!(scheduler.look(None, true).0.is_none());
}

#[test]
fn a_map_waits_for_its_helper_in_the_same_queue() {
    let (batch, early, late) = (map(3), CallerWaiter::new(), CallerWaiter::new());
    let mut scheduler = Scheduler::new(2);
    assert!(scheduler.enter(one(false)).is_some() && scheduler.enter(one(true)).is_some());
    assert!(granted(scheduler.queue(one(false), &early)).is_empty());
    assert!(!calls(&scheduler.open(batch.header())));
    assert!(granted(scheduler.queue(one(false), &late)).is_empty());
    // The caller that came before the batch, then the batch's helper, then the other caller.
    assert_eq!(granted(scheduler.close(None, Seat::Kept)), [NonNull::from(&early)]);
    let next = scheduler.close(None, Seat::Kept);
    assert!(calls(&next) && granted(next).is_empty());
    assert_eq!((scheduler.free, header(&batch).reserved()), (0, 1));
    let (found, next) = scheduler.look(None, true);
    assert_eq!(found, Some(batch.header()));
    assert!(granted(next).is_empty());
    // It makes room: the batch is behind the caller now.
    assert!(scheduler.wants_room());
    let (again, next) = scheduler.look(Some(Returning { lent: true, unfinished: found }), false);
    assert_eq!((again, granted(next)), (None, vec![NonNull::from(&late)]));
}

#[test]
fn a_lent_seat_is_asked_for_only_if_it_completes_the_gang() {
    let (batch, caller, other) = (run(3), CallerWaiter::new(), CallerWaiter::new());
    let mut scheduler = Scheduler::new(3);
    assert!(scheduler.enter(one(true)).is_some() && scheduler.enter(one(false)).is_some());
    assert!(granted(scheduler.queue(gang(&batch), &caller)).is_empty());
    assert!(!scheduler.wants_room() && scheduler.make_room(&other).is_none());
    assert!(granted(scheduler.close(None, Seat::Kept)).is_empty());
    assert!(scheduler.wants_room());
    let next = scheduler.make_room(&other).unwrap();
    assert_eq!(granted(next), [NonNull::from(&caller)]);
    assert!(!other.is_granted() && !scheduler.wants_room());
    // It gets a seat back in its turn, lent again.
    assert_eq!(batch.run_some(3), 3);
    let next = scheduler.close(Some(batch.header()), Seat::Kept);
    assert_eq!((granted(next), scheduler.lent), (vec![NonNull::from(&other)], 1));
}

#[test]
fn a_nested_run_is_helped_before_the_call_that_waits_for_a_gang() {
    let (nested, batch) = (self::batch(2, Grain::One, true), run(2));
    let caller = CallerWaiter::new();
    let mut scheduler = Scheduler::new(2);
    assert!(scheduler.enter(one(false)).is_some());
    assert!(granted(scheduler.queue(gang(&batch), &caller)).is_empty());
    let next = scheduler.open(nested.header());
    assert!(calls(&next) && granted(next).is_empty());
    assert_eq!((scheduler.free, header(&nested).reserved()), (0, 1));
}

#[test]
fn the_oldest_nested_run_gets_all_that_it_wants_first() {
    let nested = [3, 2].map(|len| self::batch(len, Grain::One, true));
    let mut scheduler = Scheduler::new(4);
    for _ in 0..4 {
        assert!(scheduler.enter(one(false)).is_some());
    }
    let first = nested.each_ref().map(|batch| calls(&scheduler.open(batch.header())));
    assert_eq!(first, [false; 2]);
    for reserved in [[1, 0], [2, 0], [2, 1]] {
        let _ = scheduler.close(None, Seat::Kept);
        assert_eq!(nested.each_ref().map(|batch| header(batch).reserved()), reserved);
    }
}

#[test]
fn a_seat_reserved_for_a_worker_that_cannot_start_goes_to_the_next_caller() {
    let (batch, caller) = (run(2), CallerWaiter::new());
    let mut scheduler = Scheduler::new(2);
    assert!(matches!(scheduler.enter(gang(&batch)).unwrap().call, Call::Start));
    assert!(scheduler.enter(one(false)).is_none());
    assert!(granted(scheduler.queue(one(false), &caller)).is_empty());
    assert_eq!(granted(scheduler.not_started(true)), [NonNull::from(&caller)]);
    let state = (scheduler.free, header(&batch).reserved(), scheduler.workers, scheduler.called);
    assert_eq!(state, (0, 0, 0, 0));
}

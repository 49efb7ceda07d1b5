//! Single steps of the scheduler. Whole calls are in `walks`.

mod walks;
mod world;

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

fn job(batch: &Nothing) -> &Job {
    // SAFETY: it lives as long as its batch.
    unsafe { batch.job().as_ref() }
}

/// What `run` asks for.
fn gang(batch: &Nothing) -> Request {
    let seats = 1 + job(batch).missing();
    Request { seats, job: Some(batch.job()), lent: false }
}

/// A call that asks for one seat.
fn one(lent: bool) -> Request {
    Request { seats: 1, job: None, lent }
}

fn signals(follow_up: &FollowUp) -> bool {
    !matches!(follow_up.signal, Signal::None)
}

/// Grants the seats, and returns the callers that have them.
fn granted(mut follow_up: FollowUp) -> Vec<NonNull<CallerWaiter>> {
    let granted = follow_up.granted.clone();
    follow_up.grant_all();
    granted
}

/// Assigns a worker its next job, if there is one.
fn assign(
    scheduler: &mut Scheduler,
    returning: Option<Returning>,
) -> (Option<NonNull<Job>>, FollowUp) {
    match scheduler.assign(&WorkerParker::new(), returning, returning.is_none()) {
        (Assignment::Help(job), follow_up) => (Some(job), follow_up),
        (Assignment::Park, follow_up) => (None, follow_up),
        (Assignment::End, _) => unreachable!("no test shuts the pool down"),
    }
}

#[test]
fn callers_get_seats_in_the_order_they_came() {
    let mut scheduler = Scheduler::new(1);
    assert!(scheduler.try_enter(one(false)).is_some());
    assert!(scheduler.try_enter(one(false)).is_none());
    let (first, second) = (CallerWaiter::new(), CallerWaiter::new());
    assert!(granted(scheduler.enqueue(one(false), &first)).is_empty());
    assert!(granted(scheduler.enqueue(one(false), &second)).is_empty());
    assert_eq!(granted(scheduler.close(None, Seat::Kept)), [NonNull::from(&first)]);
    assert_eq!(granted(scheduler.close(None, Seat::Kept)), [NonNull::from(&second)]);
    assert_eq!((scheduler.free, scheduler.waiting_callers.len()), (0, 0));
}

#[test]
fn a_gang_is_taken_whole_or_not_at_all() {
    let (batch, later) = (run(3), CallerWaiter::new());
    let mut scheduler = Scheduler::new(3);
    assert!(scheduler.try_enter(one(false)).is_some());
    assert!(scheduler.try_enter(gang(&batch)).is_none());
    let caller = CallerWaiter::new();
    assert!(!signals(&scheduler.enqueue(gang(&batch), &caller)));
    // It holds nothing while it waits, and no call passes it.
    assert_eq!((scheduler.free, job(&batch).reserved()), (2, 0));
    assert!(scheduler.try_enter(one(false)).is_none());
    assert!(granted(scheduler.enqueue(one(false), &later)).is_empty());
    let follow_up = scheduler.close(None, Seat::Kept);
    assert!(matches!(follow_up.signal, Signal::Start));
    assert_eq!(granted(follow_up), [NonNull::from(&caller)]);
    assert_eq!((scheduler.free, job(&batch).reserved()), (0, 2));
}

#[test]
fn a_worker_that_finds_a_batch_is_counted_before_the_lock_is_released() {
    let batch = run(3);
    let mut scheduler = Scheduler::new(3);
    assert!(signals(&scheduler.try_enter(gang(&batch)).unwrap()));
    let (found, follow_up) = assign(&mut scheduler, None);
    assert_eq!(found, Some(batch.job()));
    assert_eq!(job(&batch).helpers_inside(), 1);
    // And it signals the next one.
    assert!(signals(&follow_up));
    assert_eq!((job(&batch).reserved(), scheduler.signalled), (1, 1));
}

#[test]
fn seats_reserved_for_an_exhausted_batch_go_to_the_next_caller() {
    let (batch, caller) = (run(3), CallerWaiter::new());
    let mut scheduler = Scheduler::new(3);
    assert!(signals(&scheduler.try_enter(gang(&batch)).unwrap()));
    assert!(scheduler.try_enter(one(false)).is_none());
    assert!(granted(scheduler.enqueue(one(false), &caller)).is_empty());
    assert_eq!(batch.claim_and_run(3), 3);
    // The worker finds nothing to do, and the seats go to the call that waits.
    let (found, follow_up) = assign(&mut scheduler, None);
    assert_eq!(found, None);
    assert_eq!(granted(follow_up), [NonNull::from(&caller)]);
    assert_eq!((scheduler.free, job(&batch).reserved()), (1, 0));
    // A call that comes now gets the other seat.
    assert!(scheduler.try_enter(one(false)).is_some());
}

#[test]
fn any_step_dispatches_the_seats_reserved_for_an_exhausted_batch() {
    let (batch, first, second) = (run(2), CallerWaiter::new(), CallerWaiter::new());
    let mut scheduler = Scheduler::new(2);
    assert!(signals(&scheduler.try_enter(gang(&batch)).unwrap()));
    assert!(granted(scheduler.enqueue(one(false), &first)).is_empty());
    assert_eq!(batch.claim_and_run(2), 2);
    assert_eq!(granted(scheduler.enqueue(one(false), &second)), [NonNull::from(&first)]);
}

#[test]
fn a_call_that_comes_when_a_batch_is_exhausted_gets_its_reserved_seats() {
    let batch = run(2);
    let mut scheduler = Scheduler::new(2);
    assert!(signals(&scheduler.try_enter(gang(&batch)).unwrap()));
    assert_eq!(batch.claim_and_run(2), 2);
    assert!(scheduler.try_enter(one(false)).is_some());
}

#[test]
fn closing_a_batch_frees_its_reserved_seats() {
    let batch = run(3);
    let mut scheduler = Scheduler::new(3);
    assert!(signals(&scheduler.try_enter(gang(&batch)).unwrap()));
    assert!(!signals(&scheduler.close(Some(batch.job()), Seat::Kept)));
    assert_eq!((scheduler.free, job(&batch).reserved()), (3, 0));
    assert!(assign(&mut scheduler, None).0.is_none());
}

#[test]
fn a_map_waits_for_its_helper_in_the_same_queue() {
    let (batch, early, late) = (map(3), CallerWaiter::new(), CallerWaiter::new());
    let mut scheduler = Scheduler::new(2);
    assert!(scheduler.try_enter(one(false)).is_some() && scheduler.try_enter(one(true)).is_some());
    assert!(granted(scheduler.enqueue(one(false), &early)).is_empty());
    assert!(!signals(&scheduler.open(batch.job())));
    assert!(granted(scheduler.enqueue(one(false), &late)).is_empty());
    // First the caller that came before the batch, then the batch's helper, then the other caller.
    assert_eq!(granted(scheduler.close(None, Seat::Kept)), [NonNull::from(&early)]);
    let follow_up = scheduler.close(None, Seat::Kept);
    assert!(signals(&follow_up) && granted(follow_up).is_empty());
    assert_eq!((scheduler.free, job(&batch).reserved()), (0, 1));
    let (found, follow_up) = assign(&mut scheduler, None);
    assert_eq!(found, Some(batch.job()));
    assert!(granted(follow_up).is_empty());
    // It yields: the batch is behind the caller now.
    assert!(scheduler.should_yield());
    let (again, follow_up) =
        assign(&mut scheduler, Some(Returning { lent: true, unfinished: found }));
    assert_eq!((again, granted(follow_up)), (None, vec![NonNull::from(&late)]));
}

#[test]
fn a_lent_seat_is_asked_for_only_if_it_completes_the_gang() {
    let (batch, caller, other) = (run(3), CallerWaiter::new(), CallerWaiter::new());
    let mut scheduler = Scheduler::new(3);
    assert!(scheduler.try_enter(one(true)).is_some() && scheduler.try_enter(one(false)).is_some());
    assert!(granted(scheduler.enqueue(gang(&batch), &caller)).is_empty());
    assert!(!scheduler.should_yield() && scheduler.yield_seat(&other).is_none());
    assert!(granted(scheduler.close(None, Seat::Kept)).is_empty());
    assert!(scheduler.should_yield());
    let follow_up = scheduler.yield_seat(&other).unwrap();
    assert_eq!(granted(follow_up), [NonNull::from(&caller)]);
    assert!(!other.is_granted() && !scheduler.should_yield());
    // It gets a seat back in its turn, lent again.
    assert_eq!(batch.claim_and_run(3), 3);
    let follow_up = scheduler.close(Some(batch.job()), Seat::Kept);
    assert_eq!((granted(follow_up), scheduler.lent), (vec![NonNull::from(&other)], 1));
}

#[test]
fn a_nested_run_is_helped_before_the_call_that_waits_for_a_gang() {
    let (nested, batch) = (self::batch(2, Grain::One, true), run(2));
    let caller = CallerWaiter::new();
    let mut scheduler = Scheduler::new(2);
    assert!(scheduler.try_enter(one(false)).is_some());
    assert!(granted(scheduler.enqueue(gang(&batch), &caller)).is_empty());
    let follow_up = scheduler.open(nested.job());
    assert!(signals(&follow_up) && granted(follow_up).is_empty());
    assert_eq!((scheduler.free, job(&nested).reserved()), (0, 1));
}

#[test]
fn the_oldest_nested_run_gets_all_the_helpers_it_wants_first() {
    let nested = [3, 2].map(|len| self::batch(len, Grain::One, true));
    let mut scheduler = Scheduler::new(4);
    for _ in 0..4 {
        assert!(scheduler.try_enter(one(false)).is_some());
    }
    let first = nested.each_ref().map(|batch| signals(&scheduler.open(batch.job())));
    assert_eq!(first, [false; 2]);
    for reserved in [[1, 0], [2, 0], [2, 1]] {
        let _ = scheduler.close(None, Seat::Kept);
        assert_eq!(nested.each_ref().map(|batch| job(batch).reserved()), reserved);
    }
}

#[test]
fn a_seat_reserved_for_a_worker_that_cannot_start_goes_to_the_next_caller() {
    let (batch, caller) = (run(2), CallerWaiter::new());
    let mut scheduler = Scheduler::new(2);
    assert!(matches!(scheduler.try_enter(gang(&batch)).unwrap().signal, Signal::Start));
    assert!(scheduler.try_enter(one(false)).is_none());
    assert!(granted(scheduler.enqueue(one(false), &caller)).is_empty());
    assert_eq!(granted(scheduler.not_started(true)), [NonNull::from(&caller)]);
    let state = (scheduler.free, job(&batch).reserved(), scheduler.workers, scheduler.signalled);
    assert_eq!(state, (0, 0, 0, 0));
}

//! Models of what channels are made of: an end's lock, its waiters, and the blocks. Those of whole channels are in
//! `tests/models_channel.rs`. In a plain build each runs once, on real threads.
//!
//! | the bug | model |
//! | --- | --- |
//! | an unlock, a publication or a close leaves a contender asleep | `a_contender_is_woken_by_…` |
//! | a waiter enters as the end moves, and neither sees the other | `a_publication_wakes_a_waiter_or_is_seen_by_it` |
//! | the bit is cleared while another still waits | `a_publication_of_two_wakes_two_waiters`, `each_publication_wakes_one_waiter` |
//! | a close wakes one waiter and forgets the next | `a_close_wakes_all_waiters_and_none_enters_later` |
//! | an emptied block is written again while it is read | `an_emptied_block_is_written_after_it_was_read` |

use super::blocks::Blocks;
use super::buffered::Buffered;
use super::core::{Core, Wants};
use super::end::{End, Seen};
use super::error::TryRecvError;
use crate::support::waiters::{Ended, wait};
use crate::sys::Arc;
use crate::testing::{Plain, Running, spawn};
use crate::{Model, model};
use std::time::{Duration, Instant};

/// As long as any in a model; never over outside of one.
const LONG: Duration = Duration::from_secs(60);

/// An end, and what its lock protects.
type Tested = End<Plain, ()>;

fn end() -> Arc<Tested> {
    Arc::new(End::new(Plain::new()))
}

/// Adds one under the lock, and leaves the end where it is.
fn add(end: &Tested) {
    end.lock().state().add(1);
}

fn publish(end: &Tested, n: u64) {
    let mut locked = end.lock();
    locked.state().add(1);
    locked.publish(n);
}

/// Waits until `is_ready`, by the end's queue alone. Returns how the last wait has ended.
fn await_end(end: &Tested, limit: Option<Duration>, is_ready: impl Fn(Seen) -> bool) -> Ended {
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let ((), ended) = wait(
            (),
            None,
            deadline,
            // SAFETY: `wait` returns once the waiter has left or is settled; the end is borrowed.
            |waiter| _ = unsafe { end.enter(waiter, &is_ready) },
            |waiter| _ = end.leave(waiter),
        );
        if ended == Ended::Removed || is_ready(end.load()) {
            return ended;
        }
    }
}

fn waiter(end: &Arc<Tested>, is_ready: fn(Seen) -> bool) -> Running<Ended> {
    spawn(end, move |end| await_end(end, None, is_ready))
}

#[test]
fn a_contender_is_woken_by_an_unlock() {
    model(|| {
        let end = end();
        let other = spawn(&end, add);
        add(&end);
        other.join();
        assert_eq!(end.lock().state().get(), 2);
    });
}

#[test]
fn two_contenders_are_woken_by_unlocks() {
    model(|| {
        let end = end();
        let others = [(); 2].map(|()| spawn(&end, add));
        add(&end);
        others.into_iter().for_each(Running::join);
        assert_eq!(end.lock().state().get(), 3);
    });
}

#[test]
fn a_contender_is_woken_by_a_publication() {
    model(|| {
        let end = end();
        let other = spawn(&end, |end| publish(end, 1));
        publish(&end, 2);
        other.join();
        let mut locked = end.lock();
        assert_eq!((locked.seen().position(), locked.state().get()), (3, 2));
    });
}

#[test]
fn a_contender_is_woken_by_a_close() {
    model(|| {
        let end = end();
        let other = spawn(&end, |end| end.lock().close());
        let is_first = end.lock().close();
        assert_ne!(is_first, other.join());
        assert!(end.load().is_closed());
    });
}

/// Without the lock: the position alone orders what was written before it.
#[test]
fn what_is_done_before_a_publication_is_seen_with_it() {
    model(|| {
        let shared = Arc::new((End::<(), ()>::new(()), Plain::new()));
        let publishing = spawn(&shared, |(end, beside)| {
            beside.add(1);
            end.lock().publish(1);
        });
        let (end, beside) = &*shared;
        if end.load().position() == 1 {
            assert_eq!(beside.get(), 1);
        }
        publishing.join();
    });
}

#[test]
fn what_is_done_before_a_close_is_seen_with_it() {
    model(|| {
        let shared = Arc::new((End::<(), ()>::new(()), Plain::new()));
        let closing = spawn(&shared, |(end, beside)| {
            beside.add(1);
            end.lock().close();
        });
        let (end, beside) = &*shared;
        if end.load().is_closed() {
            assert_eq!(beside.get(), 1);
        }
        closing.join();
    });
}

#[test]
fn a_publication_wakes_a_waiter_or_is_seen_by_it() {
    model(|| {
        let end = end();
        let waiter = waiter(&end, |seen| seen.position() == 1);
        publish(&end, 1);
        waiter.join();
    });
}

#[test]
fn each_publication_wakes_one_waiter() {
    model(|| {
        let end = end();
        let first = waiter(&end, |seen| seen.position() >= 1);
        let second = waiter(&end, |seen| seen.position() >= 1);
        publish(&end, 1);
        publish(&end, 1);
        first.join();
        second.join();
    });
}

#[test]
fn a_publication_of_two_wakes_two_waiters() {
    model(|| {
        let end = end();
        let waiters = [(); 2].map(|()| waiter(&end, |seen| seen.position() == 2));
        publish(&end, 2);
        for waiter in waiters {
            waiter.join();
        }
    });
}

#[test]
fn a_close_wakes_all_waiters_and_none_enters_later() {
    model(|| {
        let end = end();
        let waiters = [(); 2].map(|()| waiter(&end, Seen::is_closed));
        assert!(end.lock().close());
        end.wake_all();
        for waiter in waiters {
            waiter.join();
        }
    });
}

/// The waiter that times out has left by then, or was woken: the next publication is another's.
#[test]
fn a_time_out_takes_no_wake_up_with_it() {
    model(|| {
        let end = end();
        let hasty = spawn(&end, |end| {
            let ended = await_end(end, Some(LONG), |seen| seen.position() >= 1);
            // As a receiver does that has found its message.
            assert!(ended == Ended::Removed || end.load().position() >= 1);
            ended
        });
        let patient = waiter(&end, |seen| seen.position() >= 1);
        publish(&end, 1);
        if hasty.join() != Ended::Removed {
            // It was woken in place of the patient one, if that was in the queue.
            end.wake(1);
        }
        patient.join();
    });
}

#[test]
fn a_timed_waiter_is_woken_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let end = end();
        let waiter = spawn(&end, |end| await_end(end, Some(LONG), |seen| seen.position() == 1));
        publish(&end, 1);
        assert_ne!(waiter.join(), Ended::Removed);
    });
}

fn blocks() -> Arc<Buffered<u32, Blocks<u32>>> {
    Arc::new(Buffered::new(Blocks::new(), None))
}

/// Blocks have two slots in a model. The receiver empties and leaves the first one while the sender begins the third.
#[test]
fn an_emptied_block_is_written_after_it_was_read() {
    model(|| {
        let channel = blocks();
        (0..4).for_each(|n| channel.try_send(n).unwrap());
        let sending = spawn(&channel, |channel| channel.try_send(4).unwrap());
        (0..4).for_each(|n| assert_eq!(channel.try_recv(), Ok(n)));
        sending.join();
        assert_eq!(channel.try_recv(), Ok(4));
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    });
}

/// Two receivers leave a block each, and the second frees that of the first.
#[test]
fn two_receivers_leave_blocks_behind() {
    model(|| {
        let channel = blocks();
        (0..5).for_each(|n| channel.try_send(n).unwrap());
        assert_eq!([channel.try_recv(), channel.try_recv()], [Ok(0), Ok(1)]);
        let receiving =
            spawn(&channel, |channel| channel.try_recv().unwrap() + channel.try_recv().unwrap());
        let here = channel.try_recv().unwrap();
        assert_eq!(here + receiving.join(), 2 + 3 + 4);
        assert!(!channel.is_ready(Wants::Recv));
    });
}

/// The sender appends a block that the receiver may not have reached when both are gone.
#[test]
fn a_channel_is_freed_in_the_middle_of_its_blocks() {
    model(|| {
        let channel = blocks();
        (0..2).for_each(|n| channel.try_send(n).unwrap());
        let sending = spawn(&channel, |channel| {
            channel.try_send(2).unwrap();
            channel.close()
        });
        assert_eq!(channel.try_recv(), Ok(0));
        assert!(sending.join());
    });
}

//! Models of what channels are made of: an end's claims and waiters, threads that wait for another's step, slots and
//! blocks. Those of whole channels are in `tests/models_channel.rs`. In a plain build each runs once, on real threads.
//!
//! | the bug | model |
//! | --- | --- |
//! | a waiter enters as the end moves, and neither sees the other | `a_claim_wakes_a_waiter_or_is_seen_by_it` |
//! | the bit is cleared while another still waits | `a_claim_of_two_wakes_two_waiters`, `each_claim_wakes_one_waiter` |
//! | a close wakes one waiter and forgets the next | `a_close_wakes_all_waiters_and_none_enters_later` |
//! | a thread sleeps until a step that is taken already | `a_step_is_seen_or_wakes_the_thread_that_waits_for_it` |
//! | the end is reached while a slot is claimed | `a_slot_of_a_ring_that_was_claimed_before_a_close_is_waited_for` |
//! | two senders append a block each, or one writes behind the last slot | `a_sender_waits_for_the_next_block` |
//! | a slot is used again before its message was moved out | `a_slot_is_filled_again_after_it_was_emptied` |
//! | an emptied block is written again while it is read | `an_emptied_block_is_written_after_it_was_read` |

use super::blocking;
use super::blocks::Blocks;
use super::buffered::Buffered;
use super::core::{Core, Unsent, Wants};
use super::end::{End, Seen};
use super::error::TryRecvError;
use super::ring::Ring;
use super::stalled::Stalled;
use super::storage::Storage;
use crate::support::waiters::{Ended, wait};
use crate::sys::Arc;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::testing::{Plain, Running, spawn};
use crate::{Model, model};
use std::time::{Duration, Instant};

/// As long as any in a model; never over outside of one.
const LONG: Duration = Duration::from_secs(60);

/// An end without a storage.
type Tested = End<(), ()>;

fn end() -> Arc<Tested> {
    Arc::new(End::new(()))
}

/// Claims `n` slots, and publishes them.
fn claim(end: &Tested, n: u64) {
    let mut seen = end.load();
    while let Err(now) = end.claim(seen, seen.position() + n) {
        seen = now;
    }
    end.published(seen, n);
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

/// The position alone orders what was done before it.
#[test]
fn what_is_done_before_a_claim_is_seen_with_it() {
    model(|| {
        let shared = Arc::new((Tested::new(()), Plain::new()));
        let claiming = spawn(&shared, |(end, beside)| {
            beside.add(1);
            claim(end, 1);
        });
        let (end, beside) = &*shared;
        if end.load().position() == 1 {
            assert_eq!(beside.get(), 1);
        }
        claiming.join();
    });
}

#[test]
fn what_is_done_before_a_close_is_seen_with_it() {
    model(|| {
        let shared = Arc::new((Tested::new(()), Plain::new()));
        let closing = spawn(&shared, |(end, beside)| {
            beside.add(1);
            end.close();
        });
        let (end, beside) = &*shared;
        if end.load().is_closed() {
            assert_eq!(beside.get(), 1);
        }
        closing.join();
    });
}

#[test]
fn a_claim_wakes_a_waiter_or_is_seen_by_it() {
    model(|| {
        let end = end();
        let waiter = waiter(&end, |seen| seen.position() == 1);
        claim(&end, 1);
        waiter.join();
    });
}

#[test]
fn each_claim_wakes_one_waiter() {
    model(|| {
        let end = end();
        let first = waiter(&end, |seen| seen.position() >= 1);
        let second = waiter(&end, |seen| seen.position() >= 1);
        claim(&end, 1);
        claim(&end, 1);
        first.join();
        second.join();
    });
}

#[test]
fn a_claim_of_two_wakes_two_waiters() {
    model(|| {
        let end = end();
        let waiters = [(); 2].map(|()| waiter(&end, |seen| seen.position() == 2));
        claim(&end, 2);
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
        assert!(end.close());
        end.wake_all();
        for waiter in waiters {
            waiter.join();
        }
    });
}

/// The waiter that times out has left by then, or was woken: the next claim is another's.
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
        claim(&end, 1);
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
        claim(&end, 1);
        assert_ne!(waiter.join(), Ended::Removed);
    });
}

/// A step that other threads wait for.
struct Step {
    taken: AtomicBool,
    stalled: Stalled,
}

impl Step {
    fn new() -> Arc<Self> {
        Arc::new(Step { taken: AtomicBool::new(false), stalled: Stalled::new() })
    }

    fn take(&self) {
        // ORDERING: Relaxed: as a slot's stamp is for the thread that looks for sleepers.
        self.taken.store(true, Ordering::Relaxed);
        self.stalled.stepped();
    }

    fn wait(&self) {
        // ORDERING: Relaxed: as a hint at a slot's stamp.
        self.stalled.wait_while(|| !self.taken.load(Ordering::Relaxed));
    }
}

#[test]
fn a_step_is_seen_or_wakes_the_thread_that_waits_for_it() {
    model(|| {
        let step = Step::new();
        let waiting = spawn(&step, Step::wait);
        step.take();
        waiting.join();
    });
}

#[test]
fn a_step_wakes_two_threads_that_wait_for_it() {
    model(|| {
        let step = Step::new();
        let waiting = [(); 2].map(|()| spawn(&step, Step::wait));
        step.take();
        waiting.into_iter().for_each(Running::join);
    });
}

fn ring(capacity: usize) -> Arc<Buffered<u32, Ring<u32>>> {
    Arc::new(Buffered::new(Ring::new(capacity), Some(capacity)))
}

/// Two threads claim a slot each, and one of them finds the other's unfilled.
fn two_senders_beside_a_receiver<S: Storage<u32> + Send + Sync + 'static>(
    new: fn() -> Arc<Buffered<u32, S>>,
) where
    S::Near: Send + Sync,
{
    model(move || {
        let channel = new();
        let sending =
            [1, 2].map(|n| spawn(&channel, move |channel| channel.try_send(&mut Some(n)).unwrap()));
        let mut received = 0;
        while received < 3 {
            received += recv(&channel);
        }
        sending.into_iter().for_each(Running::join);
        assert_eq!((received, channel.len()), (3, 0));
    });
}

/// Receives, by the end's queue alone.
fn recv<S: Storage<u32>>(channel: &Buffered<u32, S>) -> u32 {
    blocking::recv(channel, None).unwrap()
}

#[test]
fn a_receiver_waits_for_a_claimed_slot_of_a_ring() {
    two_senders_beside_a_receiver(|| ring(2));
}

#[test]
fn a_receiver_waits_for_a_claimed_slot_of_a_block() {
    two_senders_beside_a_receiver(blocks);
}

/// A ring of one slot: a sender that finds it claimed by a receiver waits until it is empty.
#[test]
fn a_slot_is_filled_again_after_it_was_emptied() {
    model(|| {
        let channel = ring(1);
        channel.try_send(&mut Some(1)).unwrap();
        let sending = spawn(&channel, |channel| match channel.try_send(&mut Some(2)) {
            Ok(()) => true,
            Err(Unsent::Full) => false,
            Err(Unsent::Closed) => unreachable!("nobody closes"),
        });
        assert_eq!(channel.try_recv(), Ok(1));
        let received = channel.try_recv();
        let sent = sending.join();
        let left = channel.try_recv();
        assert_eq!(received.is_ok() || left == Ok(2), sent);
    });
}

/// Two receivers of one message: one of them finds the other's claim.
#[test]
fn two_receivers_do_not_take_one_message() {
    model(|| {
        let channel = ring(2);
        channel.try_send(&mut Some(1)).unwrap();
        let receiving = spawn(&channel, |channel| channel.try_recv().is_ok());
        let here = channel.try_recv().is_ok();
        assert_ne!(here, receiving.join());
        channel.try_send(&mut Some(2)).unwrap();
        channel.try_send(&mut Some(3)).unwrap();
        assert_eq!(channel.try_send(&mut Some(4)), Err(Unsent::Full));
        assert_eq!([channel.try_recv(), channel.try_recv()], [Ok(2), Ok(3)]);
    });
}

/// A close beside a claim: what was sent is received, and then comes the end.
fn a_send_beside_a_close<S: Storage<u32> + Send + Sync + 'static>(
    new: fn() -> Arc<Buffered<u32, S>>,
) where
    S::Near: Send + Sync,
{
    model(move || {
        let channel = new();
        let sending = spawn(&channel, |channel| channel.try_send(&mut Some(1)).is_ok());
        channel.close();
        let received = channel.try_recv();
        let expected = if sending.join() { Ok(1) } else { Err(TryRecvError::Disconnected) };
        assert_eq!(received, expected);
    });
}

#[test]
fn a_slot_of_a_ring_that_was_claimed_before_a_close_is_waited_for() {
    a_send_beside_a_close(|| ring(2));
}

#[test]
fn a_slot_of_a_block_that_was_claimed_before_a_close_is_waited_for() {
    a_send_beside_a_close(blocks);
}

/// Two senders at the last slot of a block: one appends the next, the other waits for it.
#[test]
fn a_sender_waits_for_the_next_block() {
    model(|| {
        let channel = blocks();
        channel.try_send(&mut Some(0)).unwrap();
        let sending = spawn(&channel, |channel| channel.try_send(&mut Some(1)).unwrap());
        channel.try_send(&mut Some(2)).unwrap();
        sending.join();
        assert_eq!(channel.try_recv(), Ok(0));
        assert_eq!(channel.try_recv().unwrap() + channel.try_recv().unwrap(), 3);
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    });
}

fn blocks() -> Arc<Buffered<u32, Blocks<u32>>> {
    Arc::new(Buffered::new(Blocks::new(None), None))
}

/// Blocks have two slots in a model. The receiver empties and leaves the first one while the sender, which is at the end
/// of the third, appends another.
#[test]
fn an_emptied_block_is_written_after_it_was_read() {
    model(|| {
        let channel = blocks();
        (0..5).for_each(|n| channel.try_send(&mut Some(n)).unwrap());
        let sending = spawn(&channel, |channel| {
            channel.try_send(&mut Some(5)).unwrap();
            channel.try_send(&mut Some(6)).unwrap();
        });
        (0..4).for_each(|n| assert_eq!(channel.try_recv(), Ok(n)));
        sending.join();
        (4..7).for_each(|n| assert_eq!(channel.try_recv(), Ok(n)));
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    });
}

/// Two receivers leave a block each, and the second frees that of the first.
#[test]
fn two_receivers_leave_blocks_behind() {
    model(|| {
        let channel = blocks();
        (0..5).for_each(|n| channel.try_send(&mut Some(n)).unwrap());
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
        (0..2).for_each(|n| channel.try_send(&mut Some(n)).unwrap());
        let sending = spawn(&channel, |channel| {
            channel.try_send(&mut Some(2)).unwrap();
            channel.close()
        });
        assert_eq!(channel.try_recv(), Ok(0));
        assert!(sending.join());
    });
}

/// Bounds over that of the largest ring.
#[test]
fn a_sender_waits_for_room_in_blocks_with_a_bound() {
    model(|| {
        let shared = Arc::new((Buffered::new(Blocks::new(Some(1)), Some(1)), Plain::new()));
        shared.0.try_send(&mut Some(1)).unwrap();
        assert_eq!(shared.0.try_send(&mut Some(2)), Err(Unsent::Full));
        let receiving = spawn(&shared, |(channel, beside)| {
            beside.add(1);
            assert_eq!(channel.try_recv(), Ok(1));
        });
        blocking::send(&shared.0, &mut Some(2), None).unwrap();
        // The receive that made room comes before.
        assert_eq!(shared.1.get(), 1);
        receiving.join();
        assert_eq!(shared.0.try_recv(), Ok(2));
    });
}

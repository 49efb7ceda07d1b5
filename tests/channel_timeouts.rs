//! Time-outs beside messages that arrive: a message is neither lost nor doubled, and a wait ends in time.
//!
//! Bugs that other channels had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | rust#39364 | a send at the moment of a receiver's time-out; the next receive panics | `a_receive_that_timed_out_does_not_disturb_the_next` |
//! | golang#37852, parking_lot#466 | a waiter that times out takes a wake-up with it | `a_message_wakes_a_receiver_beside_those_that_time_out` |

mod common;

use common::channels::{BUFFERED, KINDS, open};
use common::locks::Dice;
use common::stress::for_about;
use common::{Counted, watchdog};
use phalanx::channel::{self, RecvTimeoutError, SendTimeoutError};
use phalanx::select;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(3);

#[test]
fn a_wait_does_not_end_before_its_time() {
    for capacity in KINDS {
        let (sender, receiver) = open(capacity);
        let start = Instant::now();
        assert_eq!(receiver.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= MOMENT);
        let deadline = Instant::now() + MOMENT;
        assert_eq!(receiver.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
        assert!(Instant::now() >= deadline);
        if capacity.is_none_or(|capacity| capacity > 10) {
            continue;
        }
        (0..capacity.unwrap()).for_each(|_| sender.send(0).unwrap());
        let start = Instant::now();
        assert_eq!(sender.send_timeout(1, MOMENT), Err(SendTimeoutError::Timeout(1)));
        assert!(start.elapsed() >= MOMENT);
        let deadline = Instant::now() + MOMENT;
        assert_eq!(sender.send_deadline(1, deadline), Err(SendTimeoutError::Timeout(1)));
        assert!(Instant::now() >= deadline);
    }
}

#[test]
fn a_wait_with_a_time_out_ends_with_the_message() {
    watchdog(|| {
        for capacity in KINDS {
            for timeout in [Duration::from_secs(3_600), Duration::MAX] {
                let (sender, receiver) = open(capacity);
                thread::scope(|scope| {
                    scope.spawn(|| sender.send_timeout("value", timeout).unwrap());
                    assert_eq!(receiver.recv_timeout(timeout), Ok("value"));
                });
            }
        }
    });
}

/// Both sides time out and try again, with times around that of a hand-over.
#[test]
fn a_value_is_received_or_comes_back() {
    watchdog(|| {
        for capacity in [Some(0), Some(1), Some(2)] {
            for receivers in [1, 3] {
                let (value, drops) = Counted::new();
                let (sender, receiver) = open(capacity);
                let received = AtomicUsize::new(0);
                let mut sent = 0;
                thread::scope(|scope| {
                    for id in 0..receivers {
                        let (receiver, received) = (receiver.clone(), &received);
                        scope.spawn(move || {
                            let mut dice = Dice::new(id);
                            loop {
                                let time = Duration::from_micros(dice.roll(60));
                                match receiver.recv_timeout(time) {
                                    Ok(value) => {
                                        drop::<Counted>(value);
                                        received.fetch_add(1, SeqCst);
                                    }
                                    Err(RecvTimeoutError::Timeout) => {}
                                    Err(RecvTimeoutError::Disconnected) => break,
                                }
                            }
                        });
                    }
                    let mut dice = Dice::new(7);
                    for_about(Duration::from_millis(300), |_| {
                        let time = Duration::from_micros(dice.roll(60));
                        match sender.send_timeout(value.clone(), time) {
                            Ok(()) => sent += 1,
                            Err(error) => {
                                let before = drops.load(SeqCst);
                                drop(error.into_inner());
                                assert!(drops.load(SeqCst) > before, "it came back whole");
                            }
                        }
                    });
                    drop(sender);
                });
                assert_eq!(received.into_inner(), sent, "{capacity:?}");
            }
        }
    });
}

#[test]
fn a_receive_that_timed_out_does_not_disturb_the_next() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open(capacity);
            thread::scope(|scope| {
                scope.spawn(move || (0..).try_for_each(|n: u64| sender.send(n)));
                let mut next = 0;
                for_about(Duration::from_millis(200), |round| {
                    let time = Duration::from_nanos(round * 37 % 20_000);
                    if let Ok(n) = receiver.recv_timeout(time) {
                        assert_eq!(n, next);
                        next += 1;
                    }
                    // The next receives take the next messages.
                    assert_eq!(receiver.recv(), Ok(next));
                    next += 1;
                    if let Ok(n) = receiver.try_recv() {
                        assert_eq!(n, next);
                        next += 1;
                    }
                });
                drop(receiver);
            });
        }
    });
}

/// One receiver waits without a time, the others time out all the time. Each message is followed by a wait for its answer,
/// so one wake-up that is lost would stop the test.
#[test]
fn a_message_wakes_a_receiver_beside_those_that_time_out() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open(capacity);
            let (answer, answers) = channel::bounded(1);
            thread::scope(|scope| {
                for id in 0..3 {
                    let (receiver, answer) = (receiver.clone(), answer.clone());
                    scope.spawn(move || {
                        let mut dice = Dice::new(id);
                        loop {
                            let time = Duration::from_micros(dice.roll(100));
                            let received = match dice.roll(2) {
                                0 => receiver.recv_timeout(time),
                                _ => select! {
                                    recv(receiver) -> n => n.map_err(RecvTimeoutError::from),
                                    default(time) => Err(RecvTimeoutError::Timeout),
                                },
                            };
                            match received {
                                Ok(n) => answer.send(n).unwrap(),
                                Err(RecvTimeoutError::Timeout) => {}
                                Err(RecvTimeoutError::Disconnected) => break,
                            }
                        }
                    });
                }
                scope.spawn(move || receiver.iter().try_for_each(|n| answer.send(n)));
                for_about(Duration::from_millis(300), |round| {
                    sender.send(round).unwrap();
                    assert_eq!(answers.recv(), Ok(round));
                });
                drop(sender);
            });
        }
    });
}

/// The same for senders: of those that wait for room, one has no time-out.
#[test]
fn room_wakes_a_sender_beside_those_that_time_out() {
    watchdog(|| {
        for capacity in [Some(0), Some(1), Some(2)] {
            let (sender, receiver) = open(capacity);
            thread::scope(|scope| {
                for id in 0..3 {
                    let sender = sender.clone();
                    scope.spawn(move || {
                        let mut dice = Dice::new(id);
                        loop {
                            let time = Duration::from_micros(dice.roll(100));
                            if let Err(SendTimeoutError::Disconnected(_)) =
                                sender.send_timeout(false, time)
                            {
                                break;
                            }
                        }
                    });
                }
                let patient =
                    scope.spawn(move || (0..).take_while(|_| sender.send(true).is_ok()).count());
                // A value of the patient sender has to come again and again.
                let mut received = 0;
                for_about(Duration::from_millis(300), |_| {
                    received += 1;
                    while !receiver.recv().unwrap() {}
                });
                receiver.close();
                received += receiver.iter().filter(|of_patient| *of_patient).count();
                assert_eq!(patient.join().unwrap(), received);
            });
        }
    });
}

/// Many threads wait with the same deadline, and one message comes around that time.
#[test]
fn one_message_at_the_deadline_of_many_is_received_once() {
    watchdog(|| {
        for capacity in KINDS {
            for_about(Duration::from_millis(150), |round| {
                let (value, drops) = Counted::new();
                let (sender, receiver) = open(capacity);
                let deadline = Instant::now() + Duration::from_micros(100 + round % 200);
                let (sent, received) = thread::scope(|scope| {
                    let receivers =
                        [(); 3].map(|()| scope.spawn(|| receiver.recv_deadline(deadline)));
                    let sent = sender.send_deadline(value, deadline);
                    (sent, receivers.map(|receiver| receiver.join().unwrap().ok()))
                });
                let received = received.into_iter().flatten().count();
                let in_channel = receiver.try_iter().count();
                assert_eq!(received + in_channel, usize::from(sent.is_ok()), "{capacity:?}");
                drop(sent);
                assert_eq!(drops.load(SeqCst), 1);
            });
        }
    });
}

#[test]
fn the_clocks_channels_are_due_in_time_and_once() {
    let start = Instant::now();
    let (at, after) = (channel::at(start + MOMENT), channel::after(MOMENT));
    assert!(at.try_recv().is_err_and(|error| error.is_empty()) || start.elapsed() >= MOMENT);
    assert_eq!(at.recv(), Ok(start + MOMENT));
    assert!(after.recv().unwrap() >= start + MOMENT);
    assert!(start.elapsed() >= MOMENT);
    // Each sends once, and is never at its end.
    for timer in [at, after] {
        assert!(timer.try_recv().unwrap_err().is_empty());
        assert!(timer.recv_timeout(Duration::from_micros(1)).unwrap_err().is_timeout());
        assert!(timer.close() && !timer.close());
        assert!(timer.recv().is_err());
    }
    // In the past, and never.
    assert_eq!(channel::at(start).try_recv(), Ok(start));
    assert!(channel::after(Duration::ZERO).try_recv().is_ok());
    assert!(channel::after(Duration::MAX).recv_timeout(MOMENT).is_err());
    assert!(channel::tick(Duration::MAX).recv_timeout(MOMENT).is_err());
}

#[test]
fn ticks_keep_their_times_and_skip_what_nobody_received() {
    let start = Instant::now();
    let ticks = channel::tick(MOMENT);
    let first = ticks.recv().unwrap();
    assert!(first >= start + MOMENT);
    // Two at least are missed.
    let resumed = first + 4 * MOMENT;
    assert!(channel::at(resumed).recv().is_ok());
    let late = ticks.recv().unwrap();
    assert_eq!(late, first + MOMENT, "one is held");
    for tick in ticks.iter().take(3) {
        assert!(tick >= resumed, "the others are skipped");
        let since = (tick - first).as_nanos();
        assert_eq!(since % MOMENT.as_nanos(), 0, "and the times are kept");
        assert!(Instant::now() >= tick);
    }
}

#[test]
fn two_receivers_of_one_timer_share_its_messages() {
    watchdog(|| {
        let timer = channel::after(MOMENT);
        let received = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| received.fetch_add(timer.iter().count(), SeqCst));
            }
            while received.load(SeqCst) == 0 && !timer.is_closed() {
                if timer.is_empty() && timer.recv_timeout(MOMENT).is_err() {
                    timer.close();
                }
            }
            timer.close();
        });
        assert!(received.into_inner() <= 1);
    });
}

#[test]
fn what_is_there_is_received_by_the_deadline_at_once() {
    for capacity in BUFFERED {
        let (sender, receiver) = open(capacity);
        sender.send(1).unwrap();
        let taken = select! {
            recv(receiver) -> n => n.ok(),
            default(Duration::ZERO) => None,
        };
        assert_eq!(taken, Some(1));
    }
}

//! What `select!` does, case by case.
//!
//! Bugs that other channels had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | kanal#50 | a case that isn't chosen loses its value | `a_pending_value_stays_in_its_slot_until_it_is_sent`, `values_of_cases_not_chosen_are_in_one_place` |
//! | flume#44 | a select of a rendezvous hangs | `two_selects_meet_that_send_and_receive_over_the_same_rendezvous` |
//! | golang#37852 | a select that is woken for one channel and goes on with another swallows the wake-up | `a_select_swallows_no_wake_up` |
//! | servo#21325 | no way to know that a channel is ready without an operation | `channel_select_list.rs` |

mod common;

use common::channels::{KINDS, open, until_a_receiver_waits, until_a_sender_waits};
use common::locks::Dice;
use common::stress::{for_about, for_about_a_second};
use common::{Counted, watchdog};
use phalanx::channel::{self, Receiver, RecvError, RecvTimeoutError, SendError, Sender};
use phalanx::{select, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[test]
fn every_message_of_two_rendezvous_senders_is_selected_once() {
    for capacity in [0, 1] {
        let (one, receiver_one) = channel::bounded(capacity);
        let (other, receiver_other) = channel::bounded(capacity);
        let sum: u64 = thread::scope(|scope| {
            for sender in [one, other] {
                scope.spawn(move || (1..=20_000).try_for_each(|n| sender.send(n)));
            }
            let (mut a, mut b) = (Some(receiver_one), Some(receiver_other));
            let mut sum = 0;
            while a.is_some() || b.is_some() {
                select! {
                    recv(a) -> n => match n { Ok(n) => sum += n, Err(_) => a = None },
                    recv(b) -> n => match n { Ok(n) => sum += n, Err(_) => b = None },
                }
            }
            sum
        });
        assert_eq!(sum, 2 * (20_000 * 20_001 / 2));
    }
}

#[test]
fn two_selects_meet_that_send_and_receive_over_the_same_rendezvous() {
    let (sender, receiver) = channel::bounded(0);
    let work = || {
        let (mut sent, mut received) = (0, 0);
        for _ in 0..10_000 {
            select! {
                recv(receiver) -> n => received += n.unwrap(),
                send(sender, 1) -> done => { done.unwrap(); sent += 1 }
            }
        }
        sent - received
    };
    let difference: i32 = thread::scope(|scope| {
        let handles = [scope.spawn(work), scope.spawn(work)];
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    });
    assert_eq!(difference, 0);
}

#[test]
fn a_pending_value_stays_in_its_slot_until_it_is_sent() {
    let (sender, receiver) = channel::bounded(0);
    let (ticks, ticking) = channel::unbounded();
    let mut slot = Some(String::from("kept"));
    ticks.send(1).unwrap();
    select! {
        send_from(sender, &mut slot) -> _ => unreachable!("nobody receives"),
        recv(ticking) -> n => assert_eq!(n, Ok(1)),
    }
    assert_eq!(slot.as_deref(), Some("kept"));
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(receiver.recv().unwrap(), "kept"));
        select! {
            send_from(sender, &mut slot) -> done => assert_eq!(done, Ok(())),
            recv(ticking) -> _ => unreachable!("nothing was sent"),
        }
    });
    assert_eq!(slot, None);
}

#[test]
fn a_default_is_chosen_when_nothing_is_ready() {
    for capacity in KINDS {
        let (sender, receiver) = open::<u8>(capacity);
        let chosen = select! {
            recv(receiver) -> _ => "received",
            default => "default",
        };
        assert_eq!(chosen, "default");
        let room = capacity != Some(0);
        let chosen = select! {
            send(sender, 1) -> sent => { sent.unwrap(); "sent" }
            default() => "default",
        };
        assert_eq!(chosen, if room { "sent" } else { "default" });
        let chosen = select! {
            recv(receiver) -> n => { assert_eq!(n, Ok(1)); "received" }
            default => "default",
        };
        assert_eq!(chosen, if room { "received" } else { "default" });
    }
}

#[test]
fn a_select_with_a_limit_ends_then_and_not_before() {
    let moment = Duration::from_millis(3);
    for capacity in KINDS {
        let (_sender, receiver) = open::<u8>(capacity);
        let (full, _kept) = channel::bounded(0);
        let start = Instant::now();
        select! {
            recv(receiver) -> _ => unreachable!("it is empty"),
            send(full, 1) -> _ => unreachable!("nobody receives"),
            default(moment) => assert!(start.elapsed() >= moment),
        }
        let deadline = Instant::now() + moment;
        select! {
            recv(receiver) -> _ => unreachable!("it is empty"),
            default(deadline) => assert!(Instant::now() >= deadline),
        }
        // A limit in the past is a default.
        select! {
            recv(receiver) -> _ => unreachable!("it is empty"),
            default(start) => {}
        }
    }
}

#[test]
fn a_limit_too_long_to_represent_is_none() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open(capacity);
            thread::scope(|scope| {
                scope.spawn(|| sender.send(7).unwrap());
                select! {
                    recv(receiver) -> n => assert_eq!(n, Ok(7)),
                    default(Duration::MAX) => unreachable!("it never ends"),
                }
            });
        }
    });
}

#[test]
fn a_case_that_is_off_is_not_chosen_however_it_is_written() {
    let (sender, receiver) = channel::unbounded();
    sender.send(1).unwrap();
    let none: Option<Receiver<u8>> = None;
    let (off, by_reference): (Option<&Receiver<u8>>, _) = (None, &none);
    let (no_sender, mut nothing) = (None::<Sender<u8>>, None);
    let shared = Arc::new(receiver.clone());
    for _ in 0..50 {
        let is_on = select! {
            recv(none) -> _ => false,
            recv(off) -> _ => false,
            recv(by_reference) -> _ => false,
            recv(&&none) -> _ => false,
            recv(channel::never::<u8>()) -> _ => false,
            send(no_sender, 1) -> _ => false,
            send_from(sender, &mut nothing) -> _ => false,
            recv(Some(&receiver)) -> n => sender.send(n.unwrap()).is_ok(),
            recv(shared) -> n => sender.send(n.unwrap()).is_ok(),
        };
        assert!(is_on);
    }
}

/// Each of many ready cases has its share, whatever its place.
#[test]
fn ready_cases_are_chosen_alike() {
    fn rounds(of: &str, mut choose: impl FnMut() -> usize, cases: usize) {
        let mut chosen = vec![0; cases];
        (0..cases * 1_000).for_each(|_| chosen[choose()] += 1);
        assert!(chosen.iter().all(|n| (800..1_200).contains(n)), "{of}: {chosen:?}");
    }
    let [a, b, c] = [(); 3].map(|()| channel::unbounded());
    [&a, &b, &c].into_iter().for_each(|(sender, _)| sender.send(1).unwrap());
    let again = |sender: &Sender<u8>, case| {
        sender.send(1).unwrap();
        case
    };
    rounds(
        "receives",
        || {
            select! {
                recv(a.1) -> _ => again(&a.0, 0),
                recv(b.1) -> _ => again(&b.0, 1),
                recv(c.1) -> _ => again(&c.0, 2),
            }
        },
        3,
    );
    rounds(
        "two receives from one channel, and a send",
        || {
            select! {
                recv(a.1) -> _ => again(&a.0, 0),
                recv(a.1) -> _ => again(&a.0, 1),
                send(b.0, 1) -> _ => 2,
            }
        },
        3,
    );
    let closed = [(); 2].map(|()| channel::bounded::<u8>(0).1);
    rounds(
        "closed ones",
        || {
            select! {
                recv(closed[0]) -> n => { assert_eq!(n, Err(RecvError)); 0 }
                recv(closed[1]) -> n => { assert_eq!(n, Err(RecvError)); 1 }
                recv(a.1) -> _ => again(&a.0, 2),
                default => unreachable!("all are ready"),
            }
        },
        3,
    );
}

/// Go's test of fairness: two loops that never pause share a select, and neither starves.
#[test]
fn two_busy_senders_both_come_through_a_select() {
    watchdog(|| {
        let [(one, from_one), (other, from_other)] = [(); 2].map(|()| channel::bounded(0));
        let received = thread::scope(|scope| {
            for sender in [one, other] {
                scope.spawn(move || while sender.send(()).is_ok() {});
            }
            let mut received = [0_u32; 2];
            for_about(Duration::from_millis(300), |_| {
                select! {
                    recv(from_one) -> _ => received[0] += 1,
                    recv(from_other) -> _ => received[1] += 1,
                }
            });
            drop((from_one, from_other));
            received
        });
        let total = received[0] + received[1];
        assert!(received.iter().all(|n| *n > total / 10), "{received:?}");
    });
}

#[test]
fn a_select_hears_of_a_channel_that_closes() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open::<u8>(capacity);
            let (full, kept) = channel::bounded(0);
            thread::scope(|scope| {
                scope.spawn(|| {
                    until_a_sender_waits(&kept);
                    drop(sender);
                });
                select! {
                    recv(receiver) -> n => assert_eq!(n, Err(RecvError)),
                    send(full, "value") -> _ => unreachable!("nobody receives"),
                }
                scope.spawn(|| {
                    until_a_sender_waits(&kept);
                    kept.close();
                });
                let never = channel::never::<u8>();
                select! {
                    send(full, "value") -> sent => assert_eq!(sent, Err(SendError("value"))),
                    recv(never) -> _ => unreachable!("never"),
                }
            });
        }
    });
}

/// A select that waits is in two queues. What comes from both sides at once is taken from one of them.
#[test]
fn values_of_cases_not_chosen_are_in_one_place() {
    watchdog(|| {
        for capacity in [0, 1] {
            for_about(Duration::from_millis(500), |round| {
                let (value, drops) = Counted::new();
                let (there, incoming) = channel::bounded(capacity);
                let (out, outgoing) = channel::bounded(0);
                let mut slot = Some(value.clone());
                let chosen = thread::scope(|scope| {
                    let sending = scope.spawn(|| there.try_send(value.clone()));
                    let receiving = scope.spawn(|| match round % 2 {
                        0 => outgoing.try_recv().ok(),
                        _ => outgoing.recv_timeout(Duration::from_micros(round % 50)).ok(),
                    });
                    let chosen = select! {
                        recv(incoming) -> value => Some(value.unwrap()),
                        send_from(out, &mut slot) -> sent => { sent.unwrap(); None }
                        default(Duration::from_micros(round % 70)) => None,
                    };
                    (chosen, sending.join().unwrap(), receiving.join().unwrap())
                });
                let (received, sent, taken) = chosen;
                let left = incoming.try_iter().count();
                assert_eq!(sent.is_ok(), received.is_some() || left == 1);
                assert_eq!(taken.is_some(), slot.is_none(), "it is there or here");
                assert_eq!(drops.load(SeqCst), left, "dropped is what was left");
            });
        }
    });
}

/// Many selects over the same two channels; one message at a time, whose receive is answered. A wake-up that a select takes
/// and doesn't use would leave a message, and the test, standing.
#[test]
fn a_select_swallows_no_wake_up() {
    watchdog(|| {
        for capacity in KINDS {
            let [(one, from_one), (other, from_other)] = [(); 2].map(|()| open(capacity));
            let (answer, answers) = channel::bounded(2);
            thread::scope(|scope| {
                for id in 0..4 {
                    let (from_one, from_other) = (from_one.clone(), from_other.clone());
                    let answer = answer.clone();
                    scope.spawn(move || {
                        let mut dice = Dice::new(id);
                        loop {
                            let time = Duration::from_micros(dice.roll(300));
                            let n: Result<u64, RecvError> = match dice.roll(3) {
                                0 => select! {
                                    recv(from_one) -> n => n,
                                    recv(from_other) -> n => n,
                                },
                                1 => select! {
                                    recv(from_other) -> n => n,
                                    recv(from_one) -> n => n,
                                    default(time) => continue,
                                },
                                _ => match from_one.recv_timeout(time) {
                                    Err(RecvTimeoutError::Timeout) => continue,
                                    received => received.map_err(|_| RecvError),
                                },
                            };
                            match n {
                                Ok(n) => answer.send(n).unwrap(),
                                Err(_) => break,
                            }
                        }
                    });
                }
                for_about(Duration::from_millis(300), |round| {
                    // Both at once, so that a select is woken by the one and may find the other.
                    one.send(2 * round).unwrap();
                    if let Ok(()) = other.try_send(2 * round + 1) {
                        answers.recv().unwrap();
                    }
                    answers.recv().unwrap();
                });
                drop((one, other));
            });
        }
    });
}

/// More cases than the short list has places for, and the most that the macro takes.
#[test]
fn a_select_has_up_to_32_cases() {
    let channels = [(); 32].map(|()| channel::unbounded());
    macro_rules! select_all {
        ($($n:literal)*) => {
            select! { $(recv(channels[$n].1) -> n => (n, $n),)* default => (Err(RecvError), 99) }
        };
    }
    for at in 0..32 {
        channels[at].0.send(at).unwrap();
        let chosen = select_all! { 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 };
        assert_eq!(chosen, (Ok(at), at));
    }
    let nine = select_all! { 0 1 2 3 4 5 6 7 8 };
    assert_eq!(nine, (Err(RecvError), 99));
}

/// A select leaves its queues: later calls of others aren't met by a thread that has gone.
#[test]
fn a_select_that_is_over_takes_nothing_more() {
    watchdog(|| {
        let received = AtomicUsize::new(0);
        let (sender, receiver) = channel::bounded(0);
        let (quit, over) = channel::bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                select! {
                    recv(receiver) -> _ => _ = received.fetch_add(1, SeqCst),
                    recv(over) -> _ => {}
                }
            });
            until_a_receiver_waits(&sender, 0);
            quit.send(()).unwrap();
        });
        assert!(sender.try_send(1).is_err(), "nobody waits any more");
        assert_eq!(received.into_inner(), 0);
    });
}

#[test]
fn bodies_may_leave_loops_and_functions() {
    fn first_even(receiver: &Receiver<u32>) -> Result<u32, RecvError> {
        loop {
            select! {
                recv(receiver) -> n => {
                    let n = n?;
                    if n % 2 == 1 {
                        continue;
                    }
                    break Ok(n);
                }
                default => return Ok(0),
            }
        }
    }
    let (sender, receiver) = channel::unbounded();
    sender.send_many([1, 3, 4, 5]).unwrap();
    assert_eq!((first_even(&receiver), first_even(&receiver)), (Ok(4), Ok(0)));
    drop(sender);
    assert_eq!(first_even(&receiver), Err(RecvError));
}

#[test]
fn a_timer_is_a_case_like_any_other() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (sender, receiver) = open(KINDS[round as usize % KINDS.len()]);
            let timer = channel::after(Duration::from_micros(round % 100));
            let sent = thread::scope(|scope| {
                let sending = scope.spawn(|| sender.try_send(round));
                let received = select! {
                    recv(receiver) -> n => n.ok(),
                    recv(timer) -> due => due.map(|_| None).unwrap(),
                };
                let left = receiver.try_iter().next();
                (
                    sending.join().unwrap().is_ok(),
                    received.or(left).or_else(|| receiver.try_recv().ok()),
                )
            });
            assert_eq!(sent.0, sent.1 == Some(round));
        });
    });
}

/// The ones that aren't ready stand after the first two, and must not pass their share on to one of them.
#[test]
fn of_two_ready_cases_among_many_each_is_chosen_about_as_often() {
    let mut counts = [0_u32; 2];
    let channels = [(); 2].map(|()| channel::bounded(1));
    let [one, other] = &channels;
    let off: Option<Receiver<u8>> = None;
    for _ in 0..4_000 {
        channels.iter().for_each(|(sender, _)| _ = sender.try_send(1));
        select! {
            recv(one.1) -> _ => counts[0] += 1,
            recv(other.1) -> _ => counts[1] += 1,
            recv(off) -> _ => unreachable!("it is off"),
            recv(off) -> _ => unreachable!("it is off"),
            recv(off) -> _ => unreachable!("it is off"),
            recv(off) -> _ => unreachable!("it is off"),
        }
    }
    // Six standard deviations.
    assert!(counts.into_iter().all(|count| count.abs_diff(2_000) < 190), "{counts:?}");
}

#[test]
fn a_fan_in_takes_turns_among_the_channels_that_have_something() {
    let channels = [(); 8].map(|()| channel::bounded(1));
    let all = channel::fan_in(channels.iter().map(|(_, receiver)| receiver.clone()));
    let mut last = 1;
    for _ in 0..100 {
        let _ = channels[0].0.try_send(0);
        let _ = channels[1].0.try_send(1);
        let now = all.recv().unwrap();
        assert_ne!(now, last);
        last = now;
    }
}

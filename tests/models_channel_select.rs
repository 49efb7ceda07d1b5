//! Models of `select!` and `Select`. In a plain build each runs once, on real threads; with `--cfg phalanx_loom` loom
//! explores its interleavings.
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | kanal#50 | a case that isn't chosen loses its value | `a_value_that_was_not_chosen_stays_in_its_slot` |
//! | flume#44 | a select of a rendezvous hangs | `a_select_meets_two_senders`, `two_selects_meet` |
//! | – | a select that is woken for one channel, and goes on with another, takes the wake-up with it | `a_select_takes_no_wake_up_from_another_receiver` |

use phalanx::channel::{self, Receiver, Select, Sender};
use phalanx::{Model, model, select, thread};
use std::time::Duration;

/// As long as any in a model; never over outside of one.
const LONG: Duration = Duration::from_secs(60);
/// The same in a model.
const SHORT: Duration = Duration::from_millis(1);

fn open<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(channel::unbounded, channel::bounded)
}

const ALL: [Option<usize>; 3] = [Some(0), Some(1), None];

#[test]
fn a_select_meets_two_senders() {
    for capacity in ALL {
        model(move || {
            let (one, from_one) = open(capacity);
            let (other, from_other) = open(capacity);
            let sending = [(one, 1), (other, 2)]
                .map(|(sender, n)| thread::spawn(move || sender.send(n).map(|()| sender).unwrap()));
            let mut sum = 0;
            for _ in 0..2 {
                sum += select! {
                    recv(from_one) -> n => n.unwrap(),
                    recv(from_other) -> n => n.unwrap(),
                };
            }
            assert_eq!(sum, 3);
            sending.into_iter().for_each(|thread| drop(thread.join().unwrap()));
        });
    }
}

#[test]
fn a_select_sends_to_the_receiver_that_comes() {
    for capacity in [0, 1] {
        model(move || {
            let (one, from_one) = channel::bounded(0);
            let (other, from_other) = channel::bounded(capacity);
            if capacity == 1 {
                other.send(0).unwrap();
            }
            let receiving = thread::spawn(move || from_other.iter().sum::<u32>());
            select! {
                send(one, 1) -> _ => unreachable!("nobody receives"),
                send(other, 2) -> sent => sent.unwrap(),
            }
            drop((other, from_one));
            assert_eq!(receiving.join().unwrap(), 2);
        });
    }
}

/// One receives from what the other sends, each in a select with another case.
#[test]
fn two_selects_meet() {
    for capacity in [0, 1] {
        model(move || {
            let (sender, receiver) = channel::bounded(capacity);
            let never = channel::never::<()>();
            let beside = thread::spawn(move || {
                select! {
                    send(sender, 7) -> sent => sent.unwrap(),
                    recv(channel::never::<()>()) -> _ => unreachable!("never"),
                }
            });
            select! {
                recv(receiver) -> n => assert_eq!(n, Ok(7)),
                recv(never) -> _ => unreachable!("never"),
            }
            beside.join().unwrap();
        });
    }
}

#[test]
fn a_value_that_was_not_chosen_stays_in_its_slot() {
    for capacity in [0, 1] {
        model(move || {
            let (sender, receiver) = channel::bounded(capacity);
            let (other, from_other) = channel::bounded(1);
            if capacity == 1 {
                sender.send(0).unwrap();
            }
            let beside = thread::spawn(move || {
                other.send(()).unwrap();
                (receiver.recv_timeout(SHORT).unwrap_or(0), receiver)
            });
            let mut slot = Some(7);
            select! {
                send_from(sender, &mut slot) -> sent => {
                    sent.unwrap();
                    assert_eq!(slot, None);
                }
                recv(from_other) -> _ => assert_eq!(slot, Some(7)),
            }
            let (received, receiver) = beside.join().unwrap();
            let received = received + receiver.try_iter().sum::<u32>();
            assert_eq!(received, 7 - slot.unwrap_or(0));
        });
    }
}

/// A select over two channels, and a receiver of the second. The message of the second goes to one of them, though the
/// select may be woken for the first.
#[test]
fn a_select_takes_no_wake_up_from_another_receiver() {
    for capacity in [0, 1] {
        Model::new().without_deadlines().check(move || {
            let (one, from_one) = channel::bounded(capacity);
            let (other, from_other) = channel::bounded(1);
            let shared = from_other.clone();
            let selecting = thread::spawn(move || {
                select! {
                    recv(from_one) -> end => assert!(end.is_err()),
                    recv(shared) -> sent => return sent.unwrap(),
                }
                0
            });
            let closing = thread::spawn(move || drop::<Sender<()>>(one));
            other.send(7).unwrap();
            // Woken, if the select was and has gone on with the close.
            let received = from_other.try_recv().unwrap_or(0);
            assert_eq!(received + selecting.join().unwrap(), 7);
            closing.join().unwrap();
        });
    }
}

#[test]
fn a_select_that_times_out_has_done_nothing() {
    for capacity in ALL {
        model(move || {
            let (sender, receiver) = open(capacity);
            let selecting = thread::spawn(move || {
                let first = select! {
                    recv(receiver) -> n => n.unwrap(),
                    default(LONG) => 0,
                };
                first + receiver.iter().sum::<u32>()
            });
            sender.send(7).unwrap();
            drop(sender);
            assert_eq!(selecting.join().unwrap(), 7);
        });
    }
}

#[test]
fn a_close_ends_a_blocked_select() {
    for capacity in ALL {
        model(move || {
            let (sender, receiver) = open::<()>(capacity);
            let (_kept, other) = open::<()>(capacity);
            let closing = thread::spawn(move || sender.close());
            select! {
                recv(receiver) -> end => assert!(end.is_err()),
                recv(other) -> _ => unreachable!("nothing is sent"),
            }
            assert!(closing.join().unwrap());
        });
    }
}

/// A thread that only wants to know passes its wake-up on.
#[test]
fn ready_takes_no_wake_up_from_a_receiver() {
    for capacity in [0, 1] {
        Model::new().without_deadlines().check(move || {
            let (sender, receiver) = channel::bounded(capacity);
            let shared = receiver.clone();
            let knowing = thread::spawn(move || {
                let mut select = Select::new();
                select.recv(&shared);
                select.ready()
            });
            let receiving = thread::spawn(move || receiver.recv().unwrap());
            sender.send(7).unwrap();
            assert_eq!(receiving.join().unwrap(), 7);
            drop(sender);
            assert_eq!(knowing.join().unwrap(), 0);
        });
    }
}

#[test]
fn a_fan_in_receives_from_all_and_then_ends() {
    model(|| {
        let (one, from_one) = channel::bounded(0);
        let (other, from_other) = channel::bounded(0);
        let sending = [(one, 1), (other, 2)]
            .map(|(sender, n)| thread::spawn(move || sender.send(n).unwrap()));
        let all = channel::fan_in([from_one, from_other]);
        assert_eq!(all.iter().sum::<u32>(), 3);
        sending.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_fan_in_receives_what_is_queued_and_what_comes() {
    model(|| {
        let (one, from_one) = channel::bounded(1);
        let (other, from_other) = channel::unbounded();
        other.send(1).unwrap();
        drop(other);
        let sending = thread::spawn(move || one.send(2).unwrap());
        let all = channel::fan_in([from_one, from_other]);
        assert_eq!(all.iter().sum::<u32>(), 3);
        sending.join().unwrap();
    });
}

/// A model has no clock: a timer comes or doesn't.
#[test]
fn a_timer_comes_before_a_message_or_after_it() {
    model(|| {
        let (sender, receiver) = channel::bounded(1);
        let sending = thread::spawn(move || sender.send(7).unwrap());
        let received = select! {
            recv(receiver) -> n => n.unwrap(),
            recv(channel::after(LONG)) -> _ => receiver.recv().unwrap(),
        };
        assert_eq!(received, 7);
        sending.join().unwrap();
    });
}

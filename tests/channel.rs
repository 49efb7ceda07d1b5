//! What channels do, call by call. Each test runs over channels of every kind.
//!
//! | file | what it is about |
//! | --- | --- |
//! | `channel.rs` | the calls, one by one, and the errors' words |
//! | `channel_threads.rs` | many senders and receivers at once |
//! | `channel_rendezvous.rs` | channels that keep nothing |
//! | `channel_close.rs` | closing, from either end |
//! | `channel_drops.rs` | values and ends that are dropped |
//! | `channel_panics.rs` | drops that panic, threads that unwind, misuse |
//! | `channel_timeouts.rs` | time-outs beside messages that arrive |
//! | `channel_go.rs` | programs that Go's channels are known for |
//! | `channel_select*.rs` | `select!` and `Select` |
//! | `differential_channel.rs` | random calls beside a `VecDeque` |

mod common;

use common::channels::{BUFFERED, KINDS, open, until_a_receiver_waits, until_a_sender_waits};
use common::watchdog;
use phalanx::channel::{
    self, Receiver, RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError,
    Sender, TryRecvError, TrySelectError, TrySendError,
};
use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(1);
/// Too long to represent as an instant.
const FOR_EVER: Duration = Duration::MAX;

#[test]
fn messages_arrive_in_the_order_in_which_they_were_sent() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open(capacity);
            let sending = thread::spawn(move || {
                for n in 0..1_000 {
                    let sent = match n % 3 {
                        0 => sender.send(n).is_ok(),
                        1 => sender.send_timeout(n, FOR_EVER).is_ok(),
                        _ => sender.send_deadline(n, Instant::now() + 1_000 * SOON * 1_000).is_ok(),
                    };
                    assert!(sent);
                }
            });
            for n in 0..1_000 {
                let received = match n % 3 {
                    0 => receiver.recv().ok(),
                    1 => receiver.recv_timeout(FOR_EVER).ok(),
                    _ => receiver.recv_deadline(Instant::now() + 1_000 * SOON * 1_000).ok(),
                };
                assert_eq!(received, Some(n), "{capacity:?}");
            }
            sending.join().unwrap();
            assert_eq!(receiver.recv(), Err(RecvError));
        }
    });
}

#[test]
fn a_channel_holds_as_many_messages_as_its_capacity_and_hands_the_next_one_back() {
    for capacity in [1, 2, 3, 10, 31, 32, 33, 100, 16_383, 16_384, 16_385] {
        let (sender, receiver) = channel::bounded(capacity);
        for n in 0..capacity {
            assert_eq!((sender.len(), receiver.len()), (n, n));
            assert!(!sender.is_full() && !receiver.is_full(), "{n} of {capacity}");
            assert_eq!((sender.is_empty(), receiver.is_empty()), (n == 0, n == 0));
            assert_eq!(sender.try_send(n), Ok(()));
        }
        // Full, and full again after each receive and send.
        for n in 0..3 {
            assert!(sender.is_full() && receiver.is_full());
            assert_eq!(sender.len(), capacity);
            assert_eq!(sender.try_send(capacity), Err(TrySendError::Full(capacity)));
            let sent = sender.send_timeout(capacity, SOON);
            assert_eq!(sent, Err(SendTimeoutError::Timeout(capacity)));
            let sent = sender.send_deadline(capacity, Instant::now());
            assert_eq!(sent, Err(SendTimeoutError::Timeout(capacity)));
            assert_eq!(receiver.recv(), Ok(n % capacity));
            assert_eq!(sender.send_timeout(n % capacity, SOON), Ok(()));
        }
        receiver.close();
        assert_eq!(receiver.iter().count(), capacity);
    }
}

#[test]
fn a_large_bound_is_no_burden_until_it_is_used() {
    for capacity in [usize::MAX, usize::MAX - 1, usize::MAX / 2, 1 << 60, 1 << 32] {
        let (sender, receiver) = channel::bounded(capacity);
        assert_eq!(sender.capacity(), Some(capacity));
        assert_eq!(receiver.capacity(), Some(capacity));
        assert_eq!(sender.send_many(0..200).unwrap(), 200);
        assert!(!sender.is_full());
        assert_eq!(sender.len(), 200);
        drop(sender);
        assert!(receiver.iter().eq(0..200));
    }
}

#[test]
fn capacities_are_as_they_were_asked_for() {
    for capacity in BUFFERED.into_iter().chain(KINDS) {
        let (sender, receiver) = open::<u8>(capacity);
        assert_eq!((sender.capacity(), receiver.capacity()), (capacity, capacity));
    }
}

#[test]
fn a_rendezvous_is_empty_and_full_at_once() {
    let (sender, receiver) = channel::bounded::<u8>(0);
    for (is_empty, is_full) in
        [(sender.is_empty(), sender.is_full()), (receiver.is_empty(), receiver.is_full())]
    {
        assert!(is_empty && is_full);
    }
    assert_eq!((sender.len(), receiver.len()), (0, 0));
}

#[test]
fn an_empty_channel_has_nothing_to_receive() {
    for capacity in KINDS {
        let (_sender, receiver) = open::<u8>(capacity);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.recv_deadline(Instant::now()), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.try_iter().next(), None);
        assert_eq!(receiver.try_recv_many(&mut Vec::new(), 9), Err(TryRecvError::Empty));
        assert!(receiver.is_empty());
    }
}

#[test]
fn a_deadline_in_the_past_does_not_hide_what_can_be_done_at_once() {
    let past = Instant::now();
    for capacity in BUFFERED {
        let (sender, receiver) = open(capacity);
        assert_eq!(sender.send_deadline("sent", past), Ok(()));
        assert_eq!(receiver.recv_deadline(past), Ok("sent"));
        assert_eq!(sender.send_timeout("again", Duration::ZERO), Ok(()));
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok("again"));
    }
    watchdog(move || {
        let (sender, receiver) = channel::bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| receiver.recv().unwrap());
            until_a_receiver_waits(&sender, 0);
            assert_eq!(sender.send_deadline(1, past), Ok(()));
            scope.spawn(|| sender.send(2).unwrap());
            until_a_sender_waits(&receiver);
            assert_eq!(receiver.recv_deadline(past), Ok(2));
        });
    });
}

#[test]
fn a_closed_channel_returns_what_is_queued_and_then_the_end() {
    for capacity in BUFFERED {
        let (sender, receiver) = open(capacity);
        sender.send(1).unwrap();
        assert!(sender.close());
        assert_eq!(sender.send(2), Err(SendError(2)));
        assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
        assert_eq!(sender.send_timeout(4, FOR_EVER), Err(SendTimeoutError::Disconnected(4)));
        let sent = sender.send_deadline(5, Instant::now());
        assert_eq!(sent, Err(SendTimeoutError::Disconnected(5)));
        assert_eq!(receiver.len(), 1);
        assert_eq!(receiver.try_recv(), Ok(1));
    }
    for capacity in KINDS {
        let (sender, receiver) = open::<u8>(capacity);
        sender.close();
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.recv_timeout(FOR_EVER), Err(RecvTimeoutError::Disconnected));
        assert_eq!(receiver.recv_deadline(Instant::now()), Err(RecvTimeoutError::Disconnected));
        assert_eq!(receiver.recv_many(&mut Vec::new(), 9), Err(RecvError));
        assert_eq!(receiver.try_recv_many(&mut Vec::new(), 9), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.iter().next(), None);
        assert_eq!(receiver.try_iter().next(), None);
        assert_eq!(sender.send(1), Err(SendError(1)), "and the sends fail, {capacity:?}");
    }
}

#[test]
fn clones_are_ends_of_the_same_channel() {
    for capacity in KINDS {
        let (sender, receiver) = open::<u8>(capacity);
        let (other_sender, other_receiver) = open::<u8>(capacity);
        assert!(sender.same_channel(&sender.clone()) && receiver.same_channel(&receiver.clone()));
        assert!(!sender.same_channel(&other_sender) && !receiver.same_channel(&other_receiver));
        let both = channel::fan_in([receiver.clone(), other_receiver]);
        assert!(both.same_channel(&both.clone()) && !both.same_channel(&receiver));
        assert!(channel::fan_out(receiver.clone(), 2).iter().all(|it| it.same_channel(&receiver)));
    }
}

#[test]
fn iterators_end_with_the_channel_and_stay_ended() {
    for capacity in BUFFERED {
        let (sender, receiver) = open(capacity);
        sender.send(1).unwrap();
        let mut there = receiver.try_iter();
        assert_eq!((there.next(), there.next()), (Some(1), None));
        // It has ended for the moment only.
        sender.send(2).unwrap();
        assert_eq!(there.next(), Some(2));
        sender.send(3).unwrap();
        drop(sender);
        let mut all = receiver.iter();
        assert_eq!([all.next(), all.next(), all.next()], [Some(3), None, None]);
        let mut none = (&receiver).into_iter();
        assert_eq!((none.next(), none.next()), (None, None));
        let mut none = receiver.into_iter();
        assert_eq!((none.next(), none.next()), (None, None));
    }
}

#[test]
fn loops_receive_by_reference_and_by_value() {
    let (sender, receiver) = channel::unbounded();
    sender.send_many(0..10).unwrap();
    for n in &receiver {
        if n == 4 {
            break;
        }
    }
    drop(sender);
    let mut rest = Vec::new();
    for n in receiver {
        rest.push(n);
    }
    assert_eq!(rest, [5, 6, 7, 8, 9]);
}

/// On one thread a channel takes what can't be sent to another, and what is borrowed.
#[test]
fn values_need_neither_send_nor_a_static_lifetime() {
    let text = String::from("borrowed");
    for capacity in BUFFERED {
        let (sender, receiver) = open(capacity);
        let shared = Rc::new(Cell::new(0));
        sender.send(Rc::clone(&shared)).unwrap();
        receiver.recv().unwrap().set(7);
        assert_eq!(shared.get(), 7);
        let (sender, receiver) = open::<&str>(capacity);
        sender.send(&text).unwrap();
        assert_eq!(receiver.recv(), Ok("borrowed"));
        let (sender, receiver) = open::<Box<dyn FnOnce() -> usize>>(capacity);
        let len = text.len();
        assert!(sender.send(Box::new(move || len)).is_ok());
        assert_eq!(receiver.recv().unwrap()(), 8);
    }
}

#[test]
fn an_end_can_be_sent_through_a_channel() {
    watchdog(|| {
        for capacity in KINDS {
            let (requests, incoming) = open::<(u32, Sender<u32>)>(capacity);
            let answering =
                thread::spawn(move || incoming.iter().try_for_each(|(n, reply)| reply.send(n * n)));
            for n in 0..100 {
                let (reply, answer) = channel::bounded(1);
                requests.send((n, reply)).unwrap();
                assert_eq!(answer.iter().collect::<Vec<_>>(), [n * n]);
            }
            drop(requests);
            answering.join().unwrap().unwrap();
        }
    });
}

#[test]
fn many_values_are_sent_and_received_at_once() {
    for capacity in BUFFERED {
        let room = capacity.unwrap_or(usize::MAX).min(1_000);
        let (sender, receiver) = open(capacity);
        let mut buffer = vec![usize::MAX];
        for round in 0..3 {
            let values = round * room..(round + 1) * room;
            assert_eq!(sender.send_many(values.clone()).unwrap(), room);
            assert_eq!(receiver.recv_many(&mut buffer, 0), Ok(0));
            while buffer.len() <= room {
                assert!(receiver.recv_many(&mut buffer, 300).unwrap() <= 300);
            }
            assert_eq!(buffer.remove(0), usize::MAX, "the buffer's own stay in front");
            assert_eq!(buffer, Vec::from_iter(values));
            buffer = vec![usize::MAX];
        }
        assert_eq!(sender.send_many([]).unwrap(), 0);
        drop(receiver);
        assert_eq!(sender.send_many([1, 2]).unwrap_err().unsent.collect::<Vec<_>>(), [1, 2]);
    }
}

#[track_caller]
fn says(error: &(impl Error + 'static), debug: &str, display: &str) {
    assert_eq!((format!("{error:?}"), error.to_string()), (debug.to_owned(), display.to_owned()));
    assert!(error.source().is_none());
}

/// Not `Debug`, as a value in an error needs not be.
struct Silent;

#[test]
fn errors_say_what_has_happened() {
    let closed = "sending on a closed channel";
    says(&SendError(Silent), "SendError(..)", closed);
    says(&TrySendError::Full(Silent), "Full(..)", "sending on a full channel");
    says(&TrySendError::Disconnected(Silent), "Disconnected(..)", closed);
    says(&SendTimeoutError::Timeout(Silent), "Timeout(..)", "timed out while the channel was full");
    says(&SendTimeoutError::Disconnected(Silent), "Disconnected(..)", closed);
    let closed = "receiving on a closed and empty channel";
    says(&RecvError, "RecvError", closed);
    says(&TryRecvError::Empty, "Empty", "receiving on an empty channel");
    says(&TryRecvError::Disconnected, "Disconnected", closed);
    says(&RecvTimeoutError::Timeout, "Timeout", "timed out while the channel was empty");
    says(&RecvTimeoutError::Disconnected, "Disconnected", closed);
    says(&TrySelectError, "TrySelectError", "no case of the select was ready");
    let late = "timed out before a case of the select was ready";
    says(&SelectTimeoutError, "SelectTimeoutError", late);
    let (sender, receiver) = channel::bounded(1);
    receiver.close();
    let error = sender.send_many([1]).unwrap_err();
    says(
        &error,
        "SendManyError { sent: 0, .. }",
        "sending on a channel that was closed after 0 values",
    );
}

#[test]
fn errors_return_the_value_and_tell_their_kind() {
    assert_eq!(SendError("value").into_inner(), "value");
    let (full, closed) = (TrySendError::Full(1), TrySendError::Disconnected(2));
    assert!(full.is_full() && !full.is_disconnected() && full.into_inner() == 1);
    assert!(!closed.is_full() && closed.is_disconnected() && closed.into_inner() == 2);
    let (late, closed) = (SendTimeoutError::Timeout(1), SendTimeoutError::Disconnected(2));
    assert!(late.is_timeout() && !late.is_disconnected() && late.into_inner() == 1);
    assert!(!closed.is_timeout() && closed.is_disconnected() && closed.into_inner() == 2);
    assert!(TryRecvError::Empty.is_empty() && !TryRecvError::Empty.is_disconnected());
    assert!(!TryRecvError::Disconnected.is_empty() && TryRecvError::Disconnected.is_disconnected());
    let (late, closed) = (RecvTimeoutError::Timeout, RecvTimeoutError::Disconnected);
    assert!(late.is_timeout() && !late.is_disconnected());
    assert!(!closed.is_timeout() && closed.is_disconnected());
    // The errors of a blocking call are among those of the others.
    assert_eq!(TrySendError::from(SendError(1)), TrySendError::Disconnected(1));
    assert_eq!(SendTimeoutError::from(SendError(1)), SendTimeoutError::Disconnected(1));
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Disconnected);
}

#[test]
fn errors_go_on_with_a_question_mark() {
    fn relay(from: &Receiver<u8>, to: &Sender<u8>) -> Result<(), Box<dyn Error + Send + Sync>> {
        to.send(from.recv()?)?;
        to.try_send(from.try_recv()?)?;
        Ok(())
    }
    let (sender, receiver) = channel::bounded(2);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    let (onwards, last) = channel::bounded(1);
    let error = relay(&receiver, &onwards).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TrySendError::Full(2_u8)));
    assert_eq!(last.len(), 1);
}

#[test]
fn ends_and_iterators_show_their_state() {
    fn shows(it: impl Debug, text: &str) {
        assert_eq!(format!("{it:?}"), text);
    }
    // Values need not be `Debug`.
    let (sender, receiver) = channel::bounded(2);
    assert!(sender.send(Silent).is_ok());
    let open = "len: 1, capacity: Some(2), is_closed: false, ..";
    shows(&sender, &format!("Sender {{ {open} }}"));
    shows(&receiver, &format!("Receiver {{ {open} }}"));
    sender.close();
    let closed = "Receiver { len: 1, capacity: Some(2), is_closed: true, .. }";
    shows(receiver.iter(), &format!("Iter {{ receiver: {closed} }}"));
    shows(receiver.try_iter(), &format!("TryIter {{ receiver: {closed} }}"));
    shows(receiver.into_iter(), &format!("IntoIter {{ receiver: {closed} }}"));
    let (sender, _receiver) = channel::unbounded::<u8>();
    shows(&sender, "Sender { len: 0, capacity: None, is_closed: false, .. }");
}

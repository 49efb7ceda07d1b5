//! Models of channels: the shipped algorithm, through the public types. In a plain build each runs once, on real
//! threads; with `--cfg phalanx_loom` loom explores its interleavings.
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | kanal#8, kanal#35, flume#172 | a rendezvous send returns before the value is taken | `a_rendezvous_send_returns_after_the_take` |
//! | crossbeam#838 | a receiver that sees the end doesn't see what came before it | `what_comes_before_a_close_comes_before_the_end_that_a_receiver_sees` |
//! | rust#39364 | a value that arrives as a receive times out is lost, or the next receive fails | `a_value_is_received_or_stays_when_the_receive_times_out` |
//! | crossbeam#236 | no way to close from the receiver and know that nothing was lost | `a_receiver_that_closes_and_drains_has_all_that_was_sent` |

use phalanx::cell::UnsafeCell;
use phalanx::channel::{
    self, Receiver, RecvTimeoutError, Select, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use phalanx::{model, select, thread};
use std::sync::Arc;
use std::time::Duration;

/// As long as any in a model; never over outside of one.
const LONG: Duration = Duration::from_secs(60);

/// Memory whose accesses a model checks.
struct Memory(UnsafeCell<u32>);

// SAFETY: the channel has to order the accesses; a model fails if it doesn't.
unsafe impl Sync for Memory {}

/// A message with memory: written by the sender, used by the receiver.
#[derive(Clone)]
struct Checked(Arc<Memory>);

impl Checked {
    fn new(n: u32) -> Self {
        Checked(Arc::new(Memory(UnsafeCell::new(n))))
    }

    /// Returns the number and adds one to it, so that any other access that isn't ordered fails the model.
    fn read(self) -> u32 {
        self.0.0.with_mut(|value| {
            // SAFETY: as for `Sync`.
            let value = unsafe { &mut *value };
            *value += 1;
            *value - 1
        })
    }
}

fn open<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(channel::unbounded, channel::bounded)
}

const ALL: [Option<usize>; 3] = [Some(0), Some(1), None];

#[test]
fn what_is_sent_is_received_in_its_order_and_then_the_end() {
    for capacity in [Some(0), None] {
        model(move || {
            let (sender, receiver) = open(capacity);
            let sending = thread::spawn(move || {
                for n in [1, 2] {
                    sender.send(Checked::new(n)).unwrap();
                }
            });
            for n in [1, 2] {
                assert_eq!(receiver.recv().unwrap().read(), n);
            }
            assert!(receiver.recv().is_err());
            sending.join().unwrap();
        });
    }
}

#[test]
fn two_senders_values_are_all_received() {
    // `channel::models` has the same for an end of a buffered channel.
    model(|| {
        let (sender, receiver) = channel::bounded(0);
        let senders = [sender.clone(), sender];
        let sending =
            senders.map(|sender| thread::spawn(move || sender.send(Checked::new(1)).unwrap()));
        assert_eq!([(); 2].map(|()| receiver.recv().unwrap().read()), [1, 1]);
        sending.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn two_receivers_get_one_value_each() {
    // `channel::models` has the same for an end of a buffered channel.
    model(|| {
        let (sender, receiver) = channel::bounded(0);
        let receiving = [receiver.clone(), receiver].map(|receiver: Receiver<Checked>| {
            thread::spawn(move || receiver.recv().unwrap().read())
        });
        for n in [1, 2] {
            sender.send(Checked::new(n)).unwrap();
        }
        let sum: u32 = receiving.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

#[test]
fn a_rendezvous_send_returns_after_the_take() {
    model(|| {
        let (sender, receiver) = channel::bounded(0);
        let cell = Checked::new(0);
        let beside = cell.clone();
        let receiving = thread::spawn(move || {
            // Comes before the end of the send.
            beside.read();
            receiver.recv().unwrap();
        });
        sender.send(()).unwrap();
        assert_eq!(cell.read(), 1);
        receiving.join().unwrap();
    });
}

/// The receive that makes room comes before the send that needs it.
#[test]
fn a_receive_comes_before_the_send_that_takes_its_room() {
    model(|| {
        let (sender, receiver) = channel::bounded(1);
        let cell = Checked::new(0);
        let beside = cell.clone();
        let receiving = thread::spawn(move || {
            beside.read();
            receiver.recv().unwrap();
            receiver
        });
        sender.send(()).unwrap();
        sender.send(()).unwrap();
        assert_eq!(cell.read(), 1);
        receiving.join().unwrap();
    });
}

#[test]
fn what_comes_before_a_close_comes_before_the_end_that_a_receiver_sees() {
    for capacity in ALL {
        model(move || {
            let (sender, receiver) = open::<()>(capacity);
            let cell = Checked::new(0);
            let beside = cell.clone();
            let closing = thread::spawn(move || {
                beside.read();
                sender.close();
                sender
            });
            assert!(receiver.recv().is_err());
            assert_eq!(cell.read(), 1);
            closing.join().unwrap();
        });
    }
}

#[test]
fn a_receiver_that_closes_and_drains_has_all_that_was_sent() {
    for capacity in ALL {
        model(move || {
            let (sender, receiver) = open(capacity);
            let sending = thread::spawn(move || {
                [1, 2].into_iter().filter(|n| sender.send(*n).is_ok()).sum::<u32>()
            });
            let mut received = receiver.recv().unwrap_or(0);
            receiver.close();
            received += receiver.iter().sum::<u32>();
            assert_eq!(sending.join().unwrap(), received);
        });
    }
}

#[test]
fn a_close_returns_the_value_of_a_blocked_send() {
    for capacity in [0, 1] {
        model(move || {
            let (sender, receiver) = channel::bounded(capacity);
            if capacity == 1 {
                sender.send(1).unwrap();
            }
            let sending = thread::spawn(move || sender.send(2));
            assert!(receiver.close());
            // The close itself wakes it: nothing is received before it has returned.
            match sending.join().unwrap() {
                Ok(()) => unreachable!("nobody receives before the close"),
                Err(error) => assert_eq!(error.0, 2),
            }
            assert_eq!(receiver.iter().sum::<u32>(), capacity as u32);
        });
    }
}

#[test]
fn a_close_wakes_two_blocked_receivers() {
    // `channel::models` has the same for an end of a buffered channel.
    model(|| {
        let (sender, receiver) = channel::bounded::<u32>(0);
        let receiving = [receiver.clone(), receiver]
            .map(|receiver| thread::spawn(move || receiver.recv().is_err()));
        sender.close();
        receiving.into_iter().for_each(|thread| assert!(thread.join().unwrap()));
    });
}

#[test]
fn a_value_is_received_or_stays_when_the_receive_times_out() {
    for capacity in ALL {
        model(move || {
            let (sender, receiver) = open(capacity);
            let receiving = thread::spawn(move || match receiver.recv_timeout(LONG) {
                Ok(n) => n,
                Err(RecvTimeoutError::Timeout) => receiver.recv().unwrap(),
                Err(RecvTimeoutError::Disconnected) => unreachable!("the sender is there"),
            });
            sender.send(7).unwrap();
            assert_eq!(receiving.join().unwrap(), 7);
            drop(sender);
        });
    }
}

#[test]
fn a_value_is_taken_or_returned_when_the_send_times_out() {
    for capacity in [0, 1] {
        model(move || {
            let (sender, receiver) = channel::bounded(capacity);
            if capacity == 1 {
                sender.send(0).unwrap();
            }
            let sending = thread::spawn(move || match sender.send_timeout(7, LONG) {
                Ok(()) => 0,
                Err(SendTimeoutError::Timeout(n)) => n,
                Err(SendTimeoutError::Disconnected(_)) => unreachable!("the receiver is there"),
            });
            let received: u32 = receiver.iter().sum();
            assert_eq!(received + sending.join().unwrap(), 7);
        });
    }
}

/// A receive that times out has been woken too: its wake-up is another receiver's. (`channel::models` has the same for an
/// end of a buffered channel.)
#[test]
fn a_time_out_takes_no_wake_up_from_another_receiver() {
    model(|| {
        let (sender, receiver) = channel::bounded(0);
        let hasty = receiver.clone();
        let hasty = thread::spawn(move || hasty.recv_timeout(LONG).map_or(0, |n: u32| n));
        let patient = thread::spawn(move || receiver.recv().map_or(0, |n| n));
        sender.send(1).unwrap();
        drop(sender);
        assert_eq!(hasty.join().unwrap() + patient.join().unwrap(), 1);
    });
}

#[test]
fn tries_beside_each_other_lose_nothing() {
    for capacity in [Some(1), None] {
        model(move || {
            let (sender, receiver) = open(capacity);
            let sending = thread::spawn(move || {
                let sent = sender.try_send(1).is_ok();
                match sender.try_send(2) {
                    Ok(()) => 2 + u32::from(sent),
                    Err(TrySendError::Full(_)) => u32::from(sent),
                    Err(TrySendError::Disconnected(_)) => unreachable!("the receiver is there"),
                }
            });
            let received: u32 = [receiver.try_recv(), receiver.try_recv()].iter().flatten().sum();
            let sent = sending.join().unwrap();
            assert_eq!(received + receiver.try_iter().sum::<u32>(), sent);
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        });
    }
}

/// Ways to find out at once whether there is something to receive.
const FINDS: [fn(&Receiver<()>) -> bool; 3] = [
    |receiver| receiver.try_recv().is_ok(),
    |receiver| {
        select! {
            recv(receiver) -> _ => true,
            default => false,
        }
    },
    |receiver| {
        let mut select = Select::new();
        select.recv(receiver);
        select.try_ready().is_ok()
    },
];

/// Each sends and then finds nothing in the other's channel: one of them must find something.
#[test]
fn two_threads_that_send_and_then_try_do_not_both_come_first() {
    for finds in FINDS {
        model(move || {
            let (one, from_one) = channel::bounded(1);
            let (other, from_other) = channel::bounded(1);
            let beside = thread::spawn(move || {
                one.send(()).unwrap();
                (finds(&from_other), from_other)
            });
            other.send(()).unwrap();
            let found = finds(&from_one);
            let (beside, _from_other) = beside.join().unwrap();
            assert!(found || beside);
        });
    }
}

/// The same from the other side: each makes room in one channel and then finds the other full.
#[test]
fn two_threads_that_receive_and_then_try_do_not_both_come_first() {
    model(|| {
        let (one, from_one) = channel::bounded(1);
        let (other, from_other) = channel::bounded(1);
        one.send(()).unwrap();
        other.send(()).unwrap();
        let beside = thread::spawn(move || {
            from_one.recv().unwrap();
            (other.try_send(()).is_ok(), from_one)
        });
        from_other.recv().unwrap();
        let found = one.try_send(()).is_ok();
        let (beside, _from_one) = beside.join().unwrap();
        assert!(found || beside);
    });
}

//! Models of awaited channels. In a plain build each runs once, on real threads.
//!
//! | the bug | model |
//! | --- | --- |
//! | a cancelled waiter takes its wake-up with it (golang#37852) | `a_cancelled_…_passes_its_wake_up_on…`, `a_cancelled_fan_in_…` |
//! | a cancelled send is received later, or a received value dropped (kanal#50) | `a_cancelled_send_is_taken_or_not_and_never_both` |
//! | a wake-up goes to a waker that was replaced | `a_future_is_woken_by_the_waker_of_its_last_poll` |
//! | a task waits in several queues and is taken from one | `an_awaited_fan_in_…` |
//! | nobody wakes a task that waits for the clock | `an_awaited_timer_…` |

use crate::channel::{self, Receiver, RecvError, Sender, TryRecvError};
use crate::sys::Arc;
use crate::sys::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sys::thread::{self, Thread};
use crate::testing::spawn;
use crate::{Model, model};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

struct Flag {
    is_set: AtomicUsize,
    thread: Thread,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_set.swap(1, Relaxed);
        self.thread.unpark();
    }
}

fn poll<F: Future>(future: &mut Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Polls only when it was woken, so that a lost wake-up is a deadlock.
fn block_on<F: Future>(future: F) -> F::Output {
    let flag = Arc::new(Flag { is_set: AtomicUsize::new(0), thread: thread::current() });
    let waker = Waker::from(flag.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll(&mut future, &waker) {
            return output;
        }
        while flag.is_set.swap(0, Relaxed) == 0 {
            thread::park();
        }
    }
}

/// Both ends of a channel.
struct Both<T>(Sender<T>, Receiver<T>);

fn open<T>(capacity: usize) -> Arc<Both<T>> {
    let (sender, receiver) = channel::bounded(capacity);
    Arc::new(Both(sender, receiver))
}

#[test]
fn a_cancelled_receive_passes_its_wake_up_on_to_a_thread() {
    model(|| {
        let both = open(1);
        let mut head = Box::pin(both.1.recv_async());
        assert!(poll(&mut head.as_mut(), Waker::noop()).is_pending());
        let receiving = spawn(&both, |both| both.1.recv());
        let sending = spawn(&both, |both| both.0.send(1));
        drop(head);
        assert_eq!(sending.join(), Ok(()));
        assert_eq!(receiving.join(), Ok(1));
    });
}

#[test]
fn a_cancelled_receive_passes_its_wake_up_on_to_a_task() {
    model(|| {
        // In a rendezvous only tasks wait to be told.
        let both = open(0);
        let mut head = Box::pin(both.1.recv_async());
        assert!(poll(&mut head.as_mut(), Waker::noop()).is_pending());
        let receiving = spawn(&both, |both| block_on(both.1.recv_async()));
        let sending = spawn(&both, |both| both.0.send(1));
        drop(head);
        assert_eq!(sending.join(), Ok(()));
        assert_eq!(receiving.join(), Ok(1));
    });
}

#[test]
fn a_cancelled_send_passes_its_wake_up_on() {
    model(|| {
        let both = open(1);
        both.0.send(0).unwrap();
        let mut head = Box::pin(both.0.send_async(1));
        assert!(poll(&mut head.as_mut(), Waker::noop()).is_pending());
        let sending = spawn(&both, |both| both.0.send(2));
        let receiving = spawn(&both, |both| both.1.recv());
        drop(head);
        assert_eq!(receiving.join(), Ok(0));
        assert_eq!(sending.join(), Ok(()));
        assert_eq!(both.1.try_recv(), Ok(2));
    });
}

#[test]
fn a_cancelled_send_is_taken_or_not_and_never_both() {
    model(|| {
        let both = open(0);
        let value = Arc::new(());
        let mut sending = Box::pin(both.0.send_async(value.clone()));
        assert!(poll(&mut sending.as_mut(), Waker::noop()).is_pending());
        let receiving = spawn(&both, |both| both.1.try_recv());
        drop(sending);
        // It isn't in the channel any more.
        let count = Arc::strong_count(&value);
        assert_eq!(both.1.try_recv(), Err(TryRecvError::Empty));
        match receiving.join() {
            Ok(received) => assert_eq!((count, Arc::strong_count(&received)), (2, 2)),
            Err(error) => assert_eq!((error, count), (TryRecvError::Empty, 1)),
        }
    });
}

#[test]
fn a_future_is_woken_by_the_waker_of_its_last_poll() {
    for capacity in [0, 1] {
        model(move || {
            let both = open(capacity);
            let sending = spawn(&both, |both| both.0.send(1));
            let mut receiving = pin!(both.1.recv_async());
            match poll(&mut receiving, Waker::noop()) {
                Poll::Ready(received) => assert_eq!(received, Ok(1)),
                Poll::Pending => assert_eq!(block_on(receiving), Ok(1)),
            }
            assert_eq!(sending.join(), Ok(()));
        });
    }
}

#[test]
fn a_sending_and_a_receiving_task_meet() {
    model(|| {
        let both = open(0);
        let sending = spawn(&both, |both| block_on(both.0.send_async(1)));
        let receiving = spawn(&both, |both| block_on(both.1.recv_async()));
        assert_eq!((sending.join(), receiving.join()), (Ok(()), Ok(1)));
    });
}

#[test]
fn a_sending_task_waits_for_room() {
    model(|| {
        let both = open(1);
        let sending = spawn(&both, |both| [1, 2].map(|n| block_on(both.0.send_async(n))));
        assert_eq!([(); 2].map(|()| both.1.recv()), [Ok(1), Ok(2)]);
        assert_eq!(sending.join(), [Ok(()), Ok(())]);
    });
}

#[test]
fn a_close_wakes_a_receiving_task() {
    for capacity in [0, 1] {
        model(move || {
            let both = open::<u32>(capacity);
            let receiving = spawn(&both, |both| block_on(both.1.recv_async()));
            both.0.close();
            assert_eq!(receiving.join(), Err(RecvError));
        });
    }
}

#[test]
fn a_close_wakes_a_sending_task_and_what_was_sent_is_received() {
    for capacity in [0, 1] {
        model(move || {
            let both = open(capacity);
            let sending = spawn(&both, |both| {
                let sent = [1, 2].map(|n| block_on(both.0.send_async(n)).is_ok());
                sent.into_iter().filter(|is_sent| *is_sent).count()
            });
            both.0.close();
            assert_eq!(both.1.try_iter().count(), sending.join());
        });
    }
}

#[test]
fn an_awaited_fan_in_is_woken_by_either_channel() {
    model(|| {
        let [one, other] = [(); 2].map(|()| open(1));
        let fan_in = channel::fan_in([one.1.clone(), other.1.clone()]);
        let sending = [spawn(&one, |both| both.0.send(1)), spawn(&other, |both| both.0.send(2))];
        let received = [(); 2].map(|()| block_on(fan_in.recv_async()).unwrap());
        assert!(received == [1, 2] || received == [2, 1]);
        sending.into_iter().for_each(|thread| assert_eq!(thread.join(), Ok(())));
    });
}

#[test]
fn a_cancelled_fan_in_passes_the_wake_up_of_a_channel_on() {
    model(|| {
        let [one, other] = [(); 2].map(|()| open(1));
        let fan_in = channel::fan_in([one.1.clone(), other.1.clone()]);
        let mut head = Box::pin(fan_in.recv_async());
        assert!(poll(&mut head.as_mut(), Waker::noop()).is_pending());
        let receiving = spawn(&other, |both| both.1.recv());
        let sending = spawn(&other, |both| both.0.send(1));
        drop(head);
        assert_eq!(sending.join(), Ok(()));
        assert_eq!(receiving.join(), Ok(1));
    });
}

/// Both channels have a message and another receiver. The fan-in takes one message, and the other must not sleep on.
#[test]
fn a_fan_in_that_is_woken_takes_what_it_was_woken_for() {
    model(|| {
        let [one, other] = [(); 2].map(|()| open(1));
        let fan_in = channel::fan_in([one.1.clone(), other.1.clone()]);
        let mut receiving = Box::pin(fan_in.recv_async());
        assert!(poll(&mut receiving.as_mut(), Waker::noop()).is_pending());
        let theirs = spawn(&other, |both| both.1.recv());
        let sending = spawn(&other, |both| both.0.send(2));
        one.0.send(1).unwrap();
        match poll(&mut receiving.as_mut(), Waker::noop()) {
            Poll::Ready(Ok(1)) => assert_eq!(theirs.join(), Ok(2)),
            Poll::Ready(Ok(2)) => {
                other.0.close();
                assert_eq!(theirs.join(), Err(RecvError));
            }
            polled => panic!("{polled:?}"),
        }
        assert_eq!(sending.join(), Ok(()));
    });
}

/// It enters the queue of one channel, and then finds that the other is ready. Meanwhile it was taken from the first, in
/// whose queue another task waits.
#[test]
fn a_fan_in_that_is_woken_while_it_enters_takes_what_it_was_woken_for() {
    model(|| {
        let both = Arc::new([open(1), open(1)]);
        let fan_in = channel::fan_in(both.iter().map(|both| both.1.clone()));
        let sending = spawn(&both, |both| {
            let receiver = both[0].1.clone();
            let mut theirs = Box::pin(async move { receiver.recv_async().await });
            let flag = Arc::new(Flag { is_set: AtomicUsize::new(0), thread: thread::current() });
            assert!(poll(&mut theirs.as_mut(), &Waker::from(flag.clone())).is_pending());
            [0, 1].into_iter().for_each(|at| both[at].0.send(at).unwrap());
            (theirs, flag)
        });
        let received = block_on(fan_in.recv_async()).unwrap();
        let (theirs, flag) = sending.join();
        if received == 1 {
            assert_eq!(flag.is_set.swap(0, Relaxed), 1, "the other message is for the task");
        }
        drop(theirs);
    });
}

/// The task is woken by its alarm alone.
#[test]
fn an_awaited_timer_wakes_its_task() {
    model(|| {
        let soon = channel::after(Duration::from_millis(1));
        assert!(block_on(soon.recv_async()).is_ok());
    });
}

/// Without deadlines only the close ends the wait, and the alarm must go with it.
#[test]
fn an_awaited_timer_is_closed() {
    Model::new().without_deadlines().check(|| {
        let timer = Arc::new(channel::after(Duration::from_secs(3_600)));
        let closing = spawn(&timer, |timer| assert!(timer.close()));
        assert_eq!(block_on(timer.recv_async()), Err(RecvError));
        closing.join();
    });
}

//! Awaiting sends and receives, polled by hand.

mod common;

use common::channels::{Capacity, open};
use common::wakers::{Probe, block_on, poll};
use common::{Counted, panic_of, watchdog};
use phalanx::channel::{self, Receiver, RecvError, SendError, Sender, TryRecvError};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use std::{mem, thread};

const CAPACITIES: [Capacity; 4] = [Some(0), Some(1), Some(10), None];

/// Calls `f` with a channel of each kind.
fn in_each_channel<T>(f: impl Fn(Sender<T>, Receiver<T>)) {
    for capacity in CAPACITIES {
        let (sender, receiver) = open(capacity);
        f(sender, receiver);
    }
}

#[test]
fn a_future_that_finds_the_channel_ready_completes_at_once() {
    let (sender, receiver) = channel::bounded(1);
    let (probe, waker) = Probe::new().waker();
    assert_eq!(poll(&mut pin!(sender.send_async(1)), &waker), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut pin!(receiver.recv_async()), &waker), Poll::Ready(Ok(1)));
    assert_eq!(probe.clones(), 0);
}

#[test]
fn a_receive_is_woken_by_a_send() {
    in_each_channel(|sender, receiver| {
        let (probe, waker) = Probe::new().waker();
        let mut receiving = pin!(receiver.recv_async());
        assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
        assert_eq!(probe.wakes(), 0);
        let mut sending = pin!(sender.send_async(1));
        let is_rendezvous = sender.capacity() == Some(0);
        assert_eq!(poll(&mut sending, Waker::noop()).is_pending(), is_rendezvous);
        assert_eq!(probe.wakes(), 1);
        assert_eq!(poll(&mut receiving, &waker), Poll::Ready(Ok(1)));
        if is_rendezvous {
            assert_eq!(poll(&mut sending, Waker::noop()), Poll::Ready(Ok(())));
        }
    });
}

#[test]
fn a_send_is_woken_by_a_receive() {
    for capacity in [0, 1, 10] {
        let (sender, receiver) = channel::bounded(capacity);
        for n in 0..capacity {
            sender.try_send(n).unwrap();
        }
        let (probe, waker) = Probe::new().waker();
        let mut sending = pin!(sender.send_async(capacity));
        assert_eq!(poll(&mut sending, &waker), Poll::Pending);
        assert_eq!(receiver.recv(), Ok(0));
        assert_eq!(probe.wakes(), 1);
        assert_eq!(poll(&mut sending, &waker), Poll::Ready(Ok(())));
        drop(sender.clone());
        sender.close();
        assert!(receiver.iter().eq(1..=capacity));
    }
}

/// golang#37852: a waiter that goes away when it was woken takes the wake-up with it, and others sleep for ever.
#[test]
fn a_cancelled_receive_at_the_head_of_the_queue_passes_its_wake_up_on() {
    in_each_channel(|sender, receiver| {
        let [(first, first_waker), (second, second_waker)] = [(); 2].map(|()| Probe::new().waker());
        let mut head = Box::pin(receiver.recv_async());
        let mut next = pin!(receiver.recv_async());
        assert_eq!(poll(&mut head.as_mut(), &first_waker), Poll::Pending);
        assert_eq!(poll(&mut next, &second_waker), Poll::Pending);
        let mut sending = pin!(sender.send_async(1));
        let _ = poll(&mut sending, Waker::noop());
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        drop(head);
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        assert_eq!(poll(&mut next, &second_waker), Poll::Ready(Ok(1)));
    });
}

#[test]
fn a_cancelled_send_at_the_head_of_the_queue_passes_its_wake_up_on() {
    let (sender, receiver) = channel::bounded(1);
    sender.send(0).unwrap();
    let [(first, first_waker), (second, second_waker)] = [(); 2].map(|()| Probe::new().waker());
    let mut head = Box::pin(sender.send_async(1));
    let mut next = pin!(sender.send_async(2));
    assert_eq!(poll(&mut head.as_mut(), &first_waker), Poll::Pending);
    assert_eq!(poll(&mut next, &second_waker), Poll::Pending);
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(head);
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    assert_eq!(poll(&mut next, &second_waker), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_cancelled_future_passes_its_wake_up_on_to_a_blocked_thread() {
    watchdog(|| {
        in_each_channel(|sender, receiver| {
            let mut head = Box::pin(receiver.recv_async());
            assert_eq!(poll(&mut head.as_mut(), Waker::noop()), Poll::Pending);
            thread::scope(|scope| {
                let blocked = scope.spawn(|| receiver.recv());
                let sending = scope.spawn(|| sender.send(1));
                // The thread may come before the message or after it, and the future goes before or after both.
                drop(head);
                assert_eq!(blocked.join().unwrap(), Ok(1));
                assert_eq!(sending.join().unwrap(), Ok(()));
            });
        });
    });
}

#[test]
fn a_cancelled_future_that_was_not_woken_leaves_the_queue() {
    in_each_channel(|sender, receiver| {
        let [(first, first_waker), (second, second_waker)] = [(); 2].map(|()| Probe::new().waker());
        let mut head = Box::pin(receiver.recv_async());
        let mut next = pin!(receiver.recv_async());
        assert_eq!(poll(&mut head.as_mut(), &first_waker), Poll::Pending);
        assert_eq!(poll(&mut next, &second_waker), Poll::Pending);
        drop(head);
        assert_eq!(first.living(), 1);
        let _ = poll(&mut pin!(sender.send_async(1)), Waker::noop());
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
    });
}

#[test]
fn futures_are_woken_in_the_order_in_which_they_came() {
    in_each_channel(|sender, receiver| {
        let probes = [(); 4].map(|()| Probe::new().waker());
        let mut receiving = [(); 4].map(|()| Box::pin(receiver.recv_async()));
        for (future, (_, waker)) in receiving.iter_mut().zip(&probes) {
            assert_eq!(poll(&mut future.as_mut(), waker), Poll::Pending);
        }
        for woken in 1..=4 {
            let mut sending = pin!(sender.send_async(woken));
            let _ = poll(&mut sending, Waker::noop());
            assert!(
                probes
                    .iter()
                    .map(|(probe, _)| probe.wakes())
                    .eq((0..4).map(|i| (i < woken).into()))
            );
            let future = &mut receiving[woken - 1];
            assert_eq!(poll(&mut future.as_mut(), Waker::noop()), Poll::Ready(Ok(woken)));
        }
    });
}

/// A future may have lost what it was woken for to a thread that came by.
#[test]
fn a_future_that_is_woken_in_vain_waits_again() {
    in_each_channel(|sender, receiver| {
        let (probe, waker) = Probe::new().waker();
        let mut receiving = pin!(receiver.recv_async());
        for n in 1..=3 {
            assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
            let mut sending = pin!(sender.send_async(n));
            let _ = poll(&mut sending, Waker::noop());
            assert_eq!(probe.wakes(), n);
            assert_eq!(receiver.try_recv(), Ok(n));
        }
        assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
        let mut sending = pin!(sender.send_async(4));
        let _ = poll(&mut sending, Waker::noop());
        assert_eq!(poll(&mut receiving, &waker), Poll::Ready(Ok(4)));
    });
}

#[test]
fn a_future_wakes_the_waker_that_it_was_polled_with_last() {
    in_each_channel(|sender, receiver| {
        let [(old, old_waker), (new, new_waker)] = [(); 2].map(|()| Probe::new().waker());
        let mut receiving = pin!(receiver.recv_async());
        assert_eq!(poll(&mut receiving, &old_waker), Poll::Pending);
        assert_eq!(poll(&mut receiving, &new_waker), Poll::Pending);
        assert_eq!((old.living(), new.living()), (1, 2));
        let _ = poll(&mut pin!(sender.send_async(1)), Waker::noop());
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
        assert_eq!((old.living(), new.living()), (1, 1));
    });
}

#[test]
fn a_future_that_is_polled_with_the_same_waker_does_not_clone_it_again() {
    let (_sender, receiver) = channel::bounded::<u32>(1);
    let (probe, waker) = Probe::new().waker();
    let mut receiving = pin!(receiver.recv_async());
    for _ in 0..3 {
        assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
    }
    assert_eq!(probe.clones(), 1);
}

#[test]
fn a_send_and_a_receive_of_one_task_meet() {
    in_each_channel(|sender, receiver| {
        let mut sending = pin!(async {
            for n in 0..100 {
                sender.send_async(n).await.unwrap();
            }
            sender.close();
        });
        let mut receiving = pin!(async {
            let mut received = Vec::new();
            while let Ok(n) = receiver.recv_async().await {
                received.push(n);
            }
            received
        });
        let mut has_sent = false;
        let received = loop {
            has_sent = has_sent || poll(&mut sending, Waker::noop()).is_ready();
            if let Poll::Ready(received) = poll(&mut receiving, Waker::noop()) {
                break received;
            }
        };
        assert!(received.into_iter().eq(0..100));
    });
}

#[test]
fn a_task_sends_to_a_thread() {
    watchdog(|| {
        in_each_channel(|sender, receiver| {
            let receiving = thread::spawn(move || receiver.iter().collect::<Vec<_>>());
            block_on(async {
                for n in 0..1_000 {
                    sender.send_async(n).await.unwrap();
                }
            });
            drop(sender);
            assert!(receiving.join().unwrap().into_iter().eq(0..1_000));
        });
    });
}

#[test]
fn a_thread_sends_to_a_task() {
    watchdog(|| {
        in_each_channel(|sender, receiver| {
            let sending = thread::spawn(move || (0..1_000).try_for_each(|n| sender.send(n)));
            let received = block_on(async {
                let mut received = Vec::new();
                while let Ok(n) = receiver.recv_async().await {
                    received.push(n);
                }
                received
            });
            assert_eq!(sending.join().unwrap(), Ok(()));
            assert!(received.into_iter().eq(0..1_000));
        });
    });
}

#[test]
fn a_close_wakes_all_futures() {
    in_each_channel(|sender, receiver| {
        let (probe, waker) = Probe::new().waker();
        let mut receiving = [(); 3].map(|()| Box::pin(receiver.recv_async()));
        for future in &mut receiving {
            assert_eq!(poll(&mut future.as_mut(), &waker), Poll::Pending);
        }
        assert!(sender.close());
        assert_eq!(probe.wakes(), 3);
        for future in &mut receiving {
            assert_eq!(poll(&mut future.as_mut(), &waker), Poll::Ready(Err(RecvError)));
        }
        let mut late = pin!(sender.send_async(1));
        assert_eq!(poll(&mut late, &waker), Poll::Ready(Err(SendError(1))));
    });
}

#[test]
fn a_send_that_waits_has_its_value_back_from_a_close() {
    for capacity in [0, 1] {
        let (sender, receiver) = channel::bounded(capacity);
        let _ = sender.try_send(0);
        let (probe, waker) = Probe::new().waker();
        let mut sending = [1, 2].map(|n| Box::pin(sender.send_async(n)));
        for future in &mut sending {
            assert_eq!(poll(&mut future.as_mut(), &waker), Poll::Pending);
        }
        receiver.close();
        assert_eq!(probe.wakes(), 2);
        for (future, n) in sending.iter_mut().zip(1..) {
            assert_eq!(poll(&mut future.as_mut(), &waker), Poll::Ready(Err(SendError(n))));
        }
        assert_eq!(receiver.try_iter().count(), capacity);
    }
}

#[test]
fn the_last_handle_of_the_other_side_wakes_a_future() {
    in_each_channel::<u32>(|sender, receiver| {
        let (probe, waker) = Probe::new().waker();
        let mut receiving = pin!(receiver.recv_async());
        assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
        drop(sender);
        assert_eq!(probe.wakes(), 1);
        assert_eq!(poll(&mut receiving, &waker), Poll::Ready(Err(RecvError)));
    });
    let (sender, receiver) = channel::bounded(0);
    let mut sending = pin!(sender.send_async(1));
    assert_eq!(poll(&mut sending, Waker::noop()), Poll::Pending);
    drop(receiver);
    assert_eq!(poll(&mut sending, Waker::noop()), Poll::Ready(Err(SendError(1))));
}

/// kanal#50: a select drops the futures that it didn't choose.
#[test]
fn a_select_of_two_receives_loses_no_message() {
    in_each_channel(|sender, receiver| {
        let (other_sender, other_receiver) = channel::unbounded();
        let (probe, waker) = Probe::new().waker();
        {
            let (mut one, mut other) =
                (pin!(receiver.recv_async()), pin!(other_receiver.recv_async()));
            assert_eq!(poll(&mut one, &waker), Poll::Pending);
            assert_eq!(poll(&mut other, &waker), Poll::Pending);
            // Both are woken, and one of them is chosen.
            other_sender.send(2).unwrap();
            thread::scope(|scope| {
                let sending = scope.spawn(|| sender.send(1));
                while probe.wakes() < 2 {
                    thread::yield_now();
                }
                assert_eq!(poll(&mut one, &waker), Poll::Ready(Ok(1)));
                sending.join().unwrap().unwrap();
            });
        }
        assert_eq!(other_receiver.try_recv(), Ok(2));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_select_of_a_send_and_a_receive_hands_over_what_it_reports() {
    let ((sender, receiver), (other_sender, other_receiver)) =
        (channel::bounded(0), channel::bounded(1));
    {
        let (mut sending, mut receiving) =
            (pin!(sender.send_async(1)), pin!(other_receiver.recv_async()));
        assert_eq!(poll(&mut sending, Waker::noop()), Poll::Pending);
        assert_eq!(poll(&mut receiving, Waker::noop()), Poll::Pending);
        other_sender.send(2).unwrap();
        assert_eq!(poll(&mut receiving, Waker::noop()), Poll::Ready(Ok(2)));
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_value_is_dropped_once_whatever_becomes_of_its_future() {
    type End = fn(&Sender<Counted>, &Receiver<Counted>, Pin<Box<dyn Future<Output = ()> + '_>>);
    let ends: [End; 5] = [
        // Never polled.
        |_, _, future| drop(future),
        // Pending, or sent.
        |_, _, mut future| _ = poll(&mut future.as_mut(), Waker::noop()),
        // Woken.
        |_, receiver, mut future| {
            let _ = poll(&mut future.as_mut(), Waker::noop());
            drop(receiver.try_recv());
        },
        // Woken by a close.
        |sender, _, mut future| {
            let _ = poll(&mut future.as_mut(), Waker::noop());
            sender.close();
        },
        // Completed by the error.
        |sender, _, mut future| {
            let _ = poll(&mut future.as_mut(), Waker::noop());
            sender.close();
            let _ = poll(&mut future.as_mut(), Waker::noop());
        },
    ];
    for (i, end) in ends.into_iter().enumerate() {
        for capacity in CAPACITIES {
            let (sender, receiver) = open(capacity);
            let (value, drops) = Counted::new();
            let sending = async {
                let _ = sender.send_async(value).await;
                // A second poll of a future that has completed would panic.
                std::future::pending::<()>().await;
            };
            end(&sender, &receiver, Box::pin(sending));
            drop((sender, receiver));
            assert_eq!(drops.load(SeqCst), 1, "end {i}, capacity {capacity:?}");
        }
    }
}

#[test]
fn a_cancelled_send_has_sent_or_never_will() {
    let (sender, receiver) = channel::bounded(0);
    let mut sending = Box::pin(sender.send_async("taken"));
    assert_eq!(poll(&mut sending.as_mut(), Waker::noop()), Poll::Pending);
    assert_eq!(receiver.try_recv(), Ok("taken"));
    drop(sending);
    let mut sending = Box::pin(sender.send_async("cancelled"));
    assert_eq!(poll(&mut sending.as_mut(), Waker::noop()), Poll::Pending);
    drop(sending);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_future_that_was_never_polled_does_nothing() {
    in_each_channel(|sender, receiver| {
        drop(sender.send_async(1));
        drop(receiver.recv_async());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_leaked_future_may_outlive_its_channel() {
    in_each_channel(|sender, receiver| {
        let (probe, waker) = Probe::new().waker();
        let mut receiving = Box::pin(receiver.recv_async());
        assert_eq!(poll(&mut receiving.as_mut(), &waker), Poll::Pending);
        mem::forget(receiving);
        let mut sending = Box::pin(sender.send_async(Box::new(1)));
        let _ = poll(&mut sending.as_mut(), &waker);
        mem::forget(sending);
        drop((sender, receiver));
        assert!(probe.wakes() >= 1);
    });
}

#[test]
fn a_poll_after_completion_panics() {
    let (sender, receiver) = channel::bounded(1);
    let mut sending = pin!(sender.send_async(1));
    assert_eq!(poll(&mut sending, Waker::noop()), Poll::Ready(Ok(())));
    let panic = panic_of(|| poll(&mut sending, Waker::noop()));
    assert_eq!(panic.message, "a `SendFuture` must not be polled after it has completed");
    let mut receiving = pin!(receiver.recv_async());
    assert_eq!(poll(&mut receiving, Waker::noop()), Poll::Ready(Ok(1)));
    let panic = panic_of(|| poll(&mut receiving, Waker::noop()));
    assert_eq!(panic.message, "a `RecvFuture` must not be polled after it has completed");
}

#[test]
fn futures_are_formatted_without_their_values() {
    let (sender, receiver) = channel::bounded::<Box<dyn Send>>(1);
    assert!(format!("{:?}", receiver.recv_async()).starts_with("RecvFuture"));
    assert!(format!("{:?}", sender.send_async(Box::new(1))).contains("is_done: false"));
}

#[test]
fn a_timer_wakes_the_task_that_awaits_it() {
    watchdog(|| {
        let when = Instant::now() + Duration::from_millis(5);
        let timer = channel::at(when);
        assert_eq!(block_on(timer.recv_async()), Ok(when));
        assert!(Instant::now() >= when);

        let ticks = channel::tick(Duration::from_millis(1));
        let times = [(); 3].map(|()| block_on(ticks.recv_async()).unwrap());
        assert!(times.is_sorted());

        let hour = channel::after(Duration::from_secs(3600));
        let soon = channel::after(Duration::from_millis(1));
        assert!(block_on(channel::fan_in([hour, soon]).recv_async()).is_ok());
    });
}

#[test]
fn a_timer_s_message_that_is_due_is_received_by_the_first_poll() {
    let timer = channel::at(Instant::now());
    assert!(poll(&mut pin!(timer.recv_async()), Waker::noop()).is_ready());
}

#[test]
fn a_cancelled_wait_for_a_timer_drops_its_wakers() {
    let timer = channel::after(Duration::from_secs(3600));
    let (probe, waker) = Probe::new().waker();
    {
        let mut receiving = pin!(timer.recv_async());
        for _ in 0..3 {
            assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
        }
    }
    assert_eq!((probe.wakes(), probe.living()), (0, 1));
}

#[test]
fn a_closed_timer_wakes_the_task_that_awaits_it() {
    let timer = channel::after(Duration::from_secs(3600));
    let (probe, waker) = Probe::new().waker();
    let mut receiving = pin!(timer.recv_async());
    assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
    timer.close();
    assert_eq!(probe.wakes(), 1);
    assert_eq!(poll(&mut receiving, &waker), Poll::Ready(Err(RecvError)));
}

#[test]
fn never_is_awaited_until_it_is_closed() {
    let receiver = channel::never::<u32>();
    let mut receiving = pin!(receiver.recv_async());
    assert_eq!(poll(&mut receiving, Waker::noop()), Poll::Pending);
    receiver.close();
    assert_eq!(poll(&mut receiving, Waker::noop()), Poll::Ready(Err(RecvError)));
}

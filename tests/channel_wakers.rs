//! Wakers and values of awaited channels that panic, or call back into the channel.

mod common;

use common::wakers::{Probe, panic_silently, poll};
use common::{Bomb, Counted, watchdog};
use phalanx::channel::{self, Receiver, RecvError, Sender, TryRecvError};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

fn in_each_channel<T>(f: impl Fn(Sender<T>, Receiver<T>)) {
    for capacity in [0, 1, 10] {
        let (sender, receiver) = channel::bounded(capacity);
        f(sender, receiver);
    }
    let (sender, receiver) = channel::unbounded();
    f(sender, receiver);
}

#[test]
fn a_wake_up_that_panics_is_nothing_to_the_other_side() {
    in_each_channel(|sender, receiver| {
        let (bad, bad_waker) = Probe::new().on_wake(panic_silently).waker();
        let (good, good_waker) = Probe::new().waker();
        let (mut one, mut other) = (pin!(receiver.recv_async()), pin!(receiver.recv_async()));
        assert_eq!(poll(&mut one, &bad_waker), Poll::Pending);
        assert_eq!(poll(&mut other, &good_waker), Poll::Pending);
        for (future, n) in [one, other].iter_mut().zip(1..) {
            let mut sending = pin!(sender.send_async(n));
            let _ = poll(&mut sending, Waker::noop());
            assert_eq!((bad.wakes(), good.wakes()), (1, n - 1));
            assert_eq!(poll(future, Waker::noop()), Poll::Ready(Ok(n)));
        }
    });
}

#[test]
fn a_close_wakes_everybody_though_wakers_panic() {
    in_each_channel::<u32>(|sender, receiver| {
        let (bad, bad_waker) = Probe::new().on_wake(panic_silently).waker();
        let mut receiving = [(); 3].map(|()| Box::pin(receiver.recv_async()));
        for future in &mut receiving {
            assert_eq!(poll(&mut future.as_mut(), &bad_waker), Poll::Pending);
        }
        drop(sender);
        assert_eq!(bad.wakes(), 3);
        for future in &mut receiving {
            assert_eq!(poll(&mut future.as_mut(), &bad_waker), Poll::Ready(Err(RecvError)));
        }
    });
}

#[test]
fn a_clone_that_panics_leaves_the_future_as_it_was() {
    for capacity in [0, 1] {
        let (sender, receiver) = channel::bounded(capacity);
        let _ = sender.try_send(0);
        let (_bad, bad_waker) = Probe::new().on_clone(panic_silently).waker();
        let (good, good_waker) = Probe::new().waker();
        let mut sending = pin!(sender.send_async(1));
        let mut panics =
            |waker| catch_unwind(AssertUnwindSafe(|| poll(&mut sending, waker))).is_err();
        // Before its wait, and during it.
        assert!(panics(&bad_waker));
        assert!(!panics(&good_waker));
        assert!(panics(&bad_waker));
        // The value itself, or that before it.
        assert_eq!(receiver.try_recv(), Ok(1 - capacity));
        assert_eq!(good.wakes(), 1);
        assert_eq!(poll(&mut sending, &bad_waker), Poll::Ready(Ok(())));
    }
    in_each_channel(|sender, receiver| {
        let (_bad, bad_waker) = Probe::new().on_clone(panic_silently).waker();
        let (good, good_waker) = Probe::new().waker();
        let mut receiving = pin!(receiver.recv_async());
        let mut panics =
            |waker| catch_unwind(AssertUnwindSafe(|| poll(&mut receiving, waker))).is_err();
        assert!(panics(&bad_waker));
        assert!(!panics(&good_waker));
        assert!(panics(&bad_waker));
        let mut sending = pin!(sender.send_async(1));
        let _ = poll(&mut sending, Waker::noop());
        assert_eq!(good.wakes(), 1);
        assert_eq!(poll(&mut receiving, &bad_waker), Poll::Ready(Ok(1)));
    });
}

#[test]
fn a_waker_whose_drop_panics_loses_no_message() {
    in_each_channel(|sender, receiver| {
        let [(old, old_waker), (new, new_waker)] =
            [(); 2].map(|()| Probe::new().on_drop(panic_silently).waker());
        {
            // Replaced by another one.
            let mut receiving = pin!(receiver.recv_async());
            assert_eq!(poll(&mut receiving, &old_waker), Poll::Pending);
            assert_eq!(poll(&mut receiving, &new_waker), Poll::Pending);
            let mut sending = pin!(sender.send_async(1));
            let _ = poll(&mut sending, &new_waker);
            assert_eq!(poll(&mut receiving, &new_waker), Poll::Ready(Ok(1)));
        }
        {
            // Cancelled.
            let mut receiving = pin!(receiver.recv_async());
            assert_eq!(poll(&mut receiving, &old_waker), Poll::Pending);
        }
        // What the test itself holds must not be dropped.
        assert_eq!((old.living(), new.living()), (1, 1));
        std::mem::forget([old_waker, new_waker]);
    });
}

/// Whatever a waker does with the channel, no lock is held.
#[test]
fn a_waker_may_use_the_channel() {
    watchdog(|| {
        in_each_channel(|sender, receiver| {
            let (sender, receiver) = (Arc::new(sender), Arc::new(receiver));
            let calls = {
                let (sender, receiver) = (Arc::clone(&sender), Arc::clone(&receiver));
                move || {
                    let _ = (sender.is_full(), receiver.len(), receiver.is_closed());
                    let _ = receiver.try_recv();
                    let _ = sender.try_send(2);
                    let mut receiving = pin!(receiver.recv_async());
                    let _ = poll(&mut receiving, Waker::noop());
                    let mut sending = pin!(sender.send_async(3));
                    let _ = poll(&mut sending, Waker::noop());
                }
            };
            let calls = Arc::new(calls);
            let [(_, waker), (_, other_waker)] = [(); 2].map(|()| {
                let [on_wake, on_clone, on_drop] = [(); 3].map(|()| Arc::clone(&calls));
                let probe = Probe::new().on_wake(move || on_wake());
                probe.on_clone(move || on_clone()).on_drop(move || on_drop()).waker()
            });
            for _ in 0..3 {
                let mut receiving = pin!(receiver.recv_async());
                let _ = poll(&mut receiving, &waker).is_pending()
                    && poll(&mut receiving, &other_waker).is_pending();
                let mut sending = pin!(sender.send_async(1));
                let _ = poll(&mut sending, &waker).is_pending()
                    && poll(&mut sending, &other_waker).is_pending();
                while receiver.try_recv().is_ok() {}
            }
            let mut receiving = pin!(receiver.recv_async());
            let _ = poll(&mut receiving, &waker);
            sender.close();
        });
    });
}

#[test]
fn a_waker_may_close_the_channel() {
    watchdog(|| {
        in_each_channel(|sender, receiver| {
            let (sender, receiver) = (Arc::new(sender), Arc::new(receiver));
            let closing = Arc::clone(&sender);
            let (probe, waker) = Probe::new().on_wake(move || _ = closing.close()).waker();
            let mut receiving = [(); 2].map(|()| Box::pin(receiver.recv_async()));
            for future in &mut receiving {
                assert_eq!(poll(&mut future.as_mut(), &waker), Poll::Pending);
            }
            let mut sending = pin!(sender.send_async(1));
            let _ = poll(&mut sending, Waker::noop());
            assert_eq!(probe.wakes(), 2);
            let received = receiving.map(|mut future| poll(&mut future.as_mut(), &waker));
            let sent = sender.capacity() != Some(0);
            let expected = if sent { Ok(1) } else { Err(RecvError) };
            assert_eq!(received[0], Poll::Ready(expected));
            assert_eq!(received[1], Poll::Ready(Err(RecvError)));
        });
    });
}

/// A waker that polls its task at once, in the middle of a send, takes the message.
#[test]
fn a_waker_may_poll_its_future() {
    in_each_channel(|sender, receiver| {
        let received = Arc::new(Mutex::new(None));
        let task: Arc<Mutex<Task>> = {
            let received = Arc::clone(&received);
            Arc::new(Mutex::new(Box::pin(async move {
                *received.lock().unwrap() = Some(receiver.recv_async().await);
            })))
        };
        let polled = Arc::clone(&task);
        let waking = move || _ = poll(&mut polled.lock().unwrap().as_mut(), Waker::noop());
        let (_, waker) = Probe::new().on_wake(waking).waker();
        assert!(poll(&mut task.lock().unwrap().as_mut(), &waker).is_pending());
        let mut sending = pin!(sender.send_async(1));
        assert_eq!(poll(&mut sending, Waker::noop()).is_pending(), sender.capacity() == Some(0));
        assert_eq!(*received.lock().unwrap(), Some(Ok(1)));
    });
}

/// An executor that shuts down drops a task when it is woken.
#[test]
fn a_waker_may_drop_its_future() {
    in_each_channel(|sender, receiver| {
        let task: Arc<Mutex<Option<Task>>> = {
            let receiver = receiver.clone();
            Arc::new(Mutex::new(Some(Box::pin(async move { _ = receiver.recv_async().await }))))
        };
        let dropped = Arc::clone(&task);
        let (first, first_waker) =
            Probe::new().on_wake(move || drop(dropped.lock().unwrap().take())).waker();
        let (second, second_waker) = Probe::new().waker();
        let mut next = pin!(receiver.recv_async());
        assert!(
            poll(&mut task.lock().unwrap().as_mut().unwrap().as_mut(), &first_waker).is_pending()
        );
        assert_eq!(poll(&mut next, &second_waker), Poll::Pending);
        let mut sending = pin!(sender.send_async(1));
        let _ = poll(&mut sending, Waker::noop());
        assert!(task.lock().unwrap().is_none());
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        assert_eq!(poll(&mut next, &second_waker), Poll::Ready(Ok(1)));
    });
}

#[test]
fn a_waker_may_drop_the_last_handles() {
    in_each_channel::<Counted>(|sender, receiver| {
        let (value, drops) = Counted::new();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let dropped = Arc::clone(&sender);
        let (probe, waker) =
            Probe::new().on_wake(move || drop(dropped.lock().unwrap().take())).waker();
        let sending = sender.lock().unwrap().clone().unwrap();
        drop(sender);
        let mut receiving = pin!(receiver.recv_async());
        assert!(poll(&mut receiving, &waker).is_pending());
        let mut task = Box::pin(async move { sending.send_async(value).await });
        let _ = poll(&mut task.as_mut(), Waker::noop());
        drop(task);
        assert!(probe.wakes() >= 1);
        drop(poll(&mut receiving, &waker));
        assert!(matches!(
            poll(&mut pin!(receiver.recv_async()), &waker),
            Poll::Ready(Err(RecvError))
        ));
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn a_value_whose_drop_panics_unwinds_from_the_cancellation_alone() {
    let (sender, receiver) = channel::bounded(1);
    let (first, first_drops) = Counted::new();
    let (second, second_drops) = Counted::new();
    sender.send(None).unwrap();
    let (probe, waker) = Probe::new().waker();
    let mut cancelled = Box::pin(sender.send_async(Some(Bomb(first))));
    let mut next = pin!(sender.send_async(Some(Bomb(second))));
    assert!(poll(&mut cancelled.as_mut(), Waker::noop()).is_pending());
    assert!(poll(&mut next, &waker).is_pending());
    assert!(receiver.recv().unwrap().is_none());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(cancelled))).is_err());
    assert_eq!(first_drops.load(SeqCst), 1);
    // Its wake-up was passed on first.
    assert_eq!(probe.wakes(), 1);
    assert!(matches!(poll(&mut next, &waker), Poll::Ready(Ok(()))));
    let received = receiver.recv().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(received))).is_err());
    assert_eq!(second_drops.load(SeqCst), 1);
}

#[test]
fn a_value_may_use_the_channel_when_its_cancelled_send_drops_it() {
    struct Reentrant(Receiver<Reentrant>, Arc<AtomicBool>);

    impl Drop for Reentrant {
        fn drop(&mut self) {
            assert!(matches!(self.0.try_recv(), Err(TryRecvError::Empty)));
            self.1.store(true, SeqCst);
        }
    }

    watchdog(|| {
        let (sender, receiver) = channel::bounded(0);
        let is_dropped = Arc::default();
        let mut sending = Box::pin(sender.send_async(Reentrant(receiver, Arc::clone(&is_dropped))));
        assert!(poll(&mut sending.as_mut(), Waker::noop()).is_pending());
        drop(sending);
        assert!(is_dropped.load(SeqCst));
    });
}

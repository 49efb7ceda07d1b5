//! A receiver as a stream, polled by hand.

mod common;

use common::wakers::{Probe, block_on};
use futures_core::{FusedFuture, FusedStream, Stream};
use phalanx::channel::{self, RecvStream, TryRecvError};
use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;

fn poll_next<T>(stream: &mut RecvStream<T>, waker: &Waker) -> Poll<Option<T>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

async fn next<T>(stream: &mut RecvStream<T>) -> Option<T> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

#[test]
fn a_stream_receives_until_the_channel_is_closed_and_empty() {
    for capacity in [0, 1, 10, usize::MAX] {
        let (sender, receiver) = channel::bounded(capacity);
        let sending = thread::spawn(move || (0..1_000).try_for_each(|n| sender.send(n)));
        let mut stream = receiver.into_stream();
        let received = block_on(async {
            let mut received = Vec::new();
            while let Some(n) = next(&mut stream).await {
                received.push(n);
            }
            received
        });
        assert_eq!(sending.join().unwrap(), Ok(()));
        assert!(received.into_iter().eq(0..1_000));
    }
}

#[test]
fn a_stream_that_has_ended_stays_so() {
    let (sender, receiver) = channel::bounded(1);
    let mut stream = receiver.into_stream();
    sender.send(1).unwrap();
    assert!(stream.receiver().close());
    assert_eq!(stream.size_hint(), (0, None));
    assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Ready(Some(1)));
    assert!(!stream.is_terminated());
    for _ in 0..2 {
        assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Ready(None));
        assert!(stream.is_terminated());
        assert_eq!(stream.size_hint(), (0, Some(0)));
    }
}

#[test]
fn a_stream_may_be_moved_while_it_waits() {
    let (sender, receiver) = channel::bounded(0);
    let (probe, waker) = Probe::new().waker();
    let mut stream = receiver.into_stream();
    assert_eq!(poll_next(&mut stream, &waker), Poll::Pending);
    let mut moved = Box::new(stream);
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send(1));
        while probe.wakes() == 0 {
            thread::yield_now();
        }
        assert_eq!(poll_next(&mut moved, &waker), Poll::Ready(Some(1)));
        sending.join().unwrap().unwrap();
    });
}

#[test]
fn a_stream_that_is_dropped_or_taken_apart_passes_its_wake_up_on() {
    for is_dropped in [true, false] {
        let (sender, receiver) = channel::bounded(1);
        let [(first, first_waker), (second, second_waker)] = [(); 2].map(|()| Probe::new().waker());
        let (mut head, mut next) = (receiver.clone().into_stream(), receiver.clone().into_stream());
        assert_eq!(poll_next(&mut head, &first_waker), Poll::Pending);
        assert_eq!(poll_next(&mut next, &second_waker), Poll::Pending);
        sender.send(1).unwrap();
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        if is_dropped {
            drop(head);
        } else {
            assert!(head.into_receiver().same_channel(&receiver));
        }
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        assert_eq!(poll_next(&mut next, &second_waker), Poll::Ready(Some(1)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn futures_say_whether_they_have_completed() {
    let (sender, receiver) = channel::bounded(1);
    let (mut sending, mut receiving) = (pin!(sender.send_async(1)), pin!(receiver.recv_async()));
    assert!(!sending.is_terminated() && !receiving.is_terminated());
    block_on(async {
        sending.as_mut().await.unwrap();
        receiving.as_mut().await.unwrap();
    });
    assert!(sending.is_terminated() && receiving.is_terminated());
}

#[test]
fn a_stream_may_be_sent_shared_and_moved() {
    fn check<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    check::<RecvStream<Cell<u32>>>();
}

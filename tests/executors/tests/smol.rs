//! Awaiting on smol: on its global executor of several threads, and by `block_on` alone.

use futures_util::{FutureExt, StreamExt};
use phalanx::channel;
use phalanx_executors::{channels, send_below, sum_below, sum_of, watchdog};
use smol::future::{or, yield_now};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

const EACH: u64 = 2_000;

#[test]
fn tasks_and_threads_send_to_tasks_and_threads() {
    watchdog(|| {
        for (sender, receiver) in channels() {
            let sending = [(); 3].map(|()| smol::spawn(send_below(EACH, sender.clone())));
            let receiving = [(); 2].map(|()| smol::spawn(sum_of(receiver.clone())));
            let sending_thread = thread::spawn(move || (0..EACH).try_for_each(|n| sender.send(n)));
            let receiving_thread = thread::spawn(move || receiver.iter().sum::<u64>());
            sending.into_iter().for_each(smol::block_on);
            let sum: u64 = receiving.into_iter().map(smol::block_on).sum();
            sending_thread.join().unwrap().unwrap();
            assert_eq!(sum + receiving_thread.join().unwrap(), 4 * sum_below(EACH));
        }
    });
}

#[test]
fn a_receive_that_loses_a_race_loses_nothing() {
    watchdog(|| {
        for (sender, receiver) in channels() {
            let sending = smol::spawn(send_below(EACH, sender));
            smol::block_on(async {
                let mut received = 0;
                loop {
                    let receiving = async { Some(receiver.recv_async().await) };
                    match or(receiving, yield_now().map(|()| None)).await {
                        Some(Ok(n)) => {
                            assert_eq!(n, received);
                            received += 1;
                        }
                        Some(Err(_)) => break,
                        None => {}
                    }
                }
                assert_eq!(received, EACH);
                sending.await;
            });
        }
    });
}

/// Each task cancels its receives again and again, so wake-ups are passed on from task to task.
#[test]
fn receivers_that_cancel_leave_no_message_to_nobody() {
    watchdog(|| {
        for (sender, receiver) in channels() {
            let sum = Arc::new(AtomicU64::new(0));
            let receiving = [(); 3].map(|()| {
                let (receiver, sum) = (receiver.clone(), Arc::clone(&sum));
                smol::spawn(async move {
                    loop {
                        let receiving = async { Some(receiver.recv_async().await) };
                        match or(receiving, yield_now().map(|()| None)).await {
                            Some(Ok(n)) => sum.fetch_add(n, SeqCst),
                            Some(Err(_)) => break,
                            None => 0,
                        };
                    }
                })
            });
            let sending = [(); 2].map(|()| smol::spawn(send_below(EACH, sender.clone())));
            drop((sender, receiver));
            sending.into_iter().for_each(smol::block_on);
            receiving.into_iter().for_each(smol::block_on);
            assert_eq!(sum.load(SeqCst), 2 * sum_below(EACH));
        }
    });
}

/// `futures::select!` takes futures and streams that say when they have ended.
#[test]
fn a_select_of_futures_takes_futures_and_streams() {
    watchdog(|| {
        for (sender, receiver) in channels() {
            let (stop, stopped) = channel::bounded(1);
            let sending = smol::spawn(async move {
                send_below(EACH, sender).await;
                stop.send_async(()).await.unwrap();
            });
            smol::block_on(async {
                let mut stream = receiver.into_stream();
                let mut stopping = Box::pin(stopped.recv_async());
                let (mut sum, mut has_stopped) = (0, false);
                loop {
                    futures_util::select! {
                        n = stream.next() => match n {
                            Some(n) => sum += n,
                            None if has_stopped => break,
                            None => {}
                        },
                        result = stopping => {
                            result.unwrap();
                            has_stopped = true;
                        }
                        complete => break,
                    }
                }
                assert_eq!(sum, sum_below(EACH));
                sending.await;
            });
        }
    });
}

#[test]
fn a_fan_in_is_a_stream() {
    watchdog(|| {
        let (senders, receivers): (Vec<_>, Vec<_>) = channels().unzip();
        let sending: Vec<_> =
            senders.into_iter().map(|sender| smol::spawn(send_below(EACH, sender))).collect();
        let stream = channel::fan_in(receivers).into_stream();
        let sum = smol::block_on(stream.fold(0, async |sum, n| sum + n));
        assert_eq!(sum, sending.len() as u64 * sum_below(EACH));
        sending.into_iter().for_each(smol::block_on);
    });
}

//! Awaiting on tokio: with one thread, and with several.

use futures_util::StreamExt;
use phalanx::WaitGroup;
use phalanx::channel;
use phalanx_executors::{channels, send_below, sum_below, sum_of, watchdog};
use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout;

const EACH: u64 = 2_000;

/// Runs a test on each kind of runtime.
#[track_caller]
fn on_each_runtime<F: Future<Output = ()>>(test: impl Fn() -> F + Send + 'static) {
    watchdog(move || {
        let runtimes: [fn() -> Builder; 2] = [Builder::new_current_thread, || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(3);
            builder
        }];
        for builder in runtimes {
            let runtime: Runtime = builder().enable_time().build().expect("tokio starts");
            runtime.block_on(test());
        }
    });
}

#[test]
fn tasks_and_threads_send_to_tasks_and_threads() {
    on_each_runtime(|| async {
        for (sender, receiver) in channels() {
            let sending = [(); 3].map(|()| tokio::spawn(send_below(EACH, sender.clone())));
            let receiving = [(); 2].map(|()| tokio::spawn(sum_of(receiver.clone())));
            let sending_thread = thread::spawn(move || (0..EACH).try_for_each(|n| sender.send(n)));
            let receiving_thread = thread::spawn(move || receiver.iter().sum::<u64>());
            for task in sending {
                task.await.unwrap();
            }
            let mut sum = 0;
            for task in receiving {
                sum += task.await.unwrap();
            }
            sending_thread.join().unwrap().unwrap();
            assert_eq!(sum + receiving_thread.join().unwrap(), 4 * sum_below(EACH));
        }
    });
}

#[test]
fn a_receive_cancelled_by_a_select_loses_nothing() {
    on_each_runtime(|| async {
        for (sender, receiver) in channels() {
            let sending = tokio::spawn(send_below(EACH, sender));
            let mut received = 0;
            loop {
                tokio::select! {
                    result = receiver.recv_async() => match result {
                        Ok(n) => {
                            assert_eq!(n, received);
                            received += 1;
                        }
                        Err(_) => break,
                    },
                    () = yield_now() => {}
                }
            }
            assert_eq!(received, EACH);
            sending.await.unwrap();
        }
    });
}

#[test]
fn a_receive_cancelled_by_a_timeout_loses_nothing() {
    on_each_runtime(|| async {
        for (sender, receiver) in channels() {
            let sending = tokio::spawn(async move {
                for n in 0..EACH {
                    if n % 100 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    sender.send_async(n).await.unwrap();
                }
            });
            let mut received = 0;
            loop {
                match timeout(Duration::from_micros(100), receiver.recv_async()).await {
                    Ok(Ok(n)) => {
                        assert_eq!(n, received);
                        received += 1;
                    }
                    Ok(Err(_)) => break,
                    Err(_) => {}
                }
            }
            assert_eq!(received, EACH);
            sending.await.unwrap();
        }
    });
}

/// What a cancelled send has not sent can be sent again. Only a rendezvous may have passed it on.
#[test]
fn a_send_cancelled_by_a_select_sends_nothing() {
    on_each_runtime(|| async {
        for capacity in [1, 10] {
            let (sender, receiver) = channel::bounded(capacity);
            let receiving = tokio::spawn(async move {
                let mut received = Vec::new();
                while let Ok(n) = receiver.recv_async().await {
                    received.push(n);
                    yield_now().await;
                }
                received
            });
            for n in 0..EACH {
                loop {
                    tokio::select! {
                        biased;
                        result = sender.send_async(n) => break result.unwrap(),
                        () = yield_now() => {}
                    }
                }
            }
            drop(sender);
            assert!(receiving.await.unwrap().into_iter().eq(0..EACH));
        }
    });
}

/// golang#37852
#[test]
fn aborted_tasks_take_no_wake_up_with_them() {
    on_each_runtime(|| async {
        for round in 0..500 {
            for (sender, receiver) in channels() {
                let aborted = [(); 3].map(|()| tokio::spawn(sum_of(receiver.clone())));
                yield_now().await;
                let staying = tokio::spawn(async move { receiver.recv_async().await });
                let sending = tokio::spawn(async move {
                    // Until one gets to the task that stays.
                    while sender.send_async(round).await.is_ok() {
                        yield_now().await;
                    }
                });
                if round % 2 == 0 {
                    yield_now().await;
                }
                aborted.iter().for_each(|task| task.abort());
                assert_eq!(staying.await.unwrap(), Ok(round));
                for task in aborted {
                    let _ = task.await;
                }
                sending.await.unwrap();
            }
        }
    });
}

#[test]
fn a_stream_receives_and_may_be_cancelled() {
    on_each_runtime(|| async {
        for (sender, receiver) in channels() {
            let sending = tokio::spawn(send_below(EACH, sender));
            let mut stream = receiver.into_stream();
            let mut received = Vec::new();
            while received.len() < 100 {
                tokio::select! {
                    n = stream.next() => received.extend(n),
                    () = yield_now() => {}
                }
            }
            received.extend(stream.collect::<Vec<_>>().await);
            assert!(received.into_iter().eq(0..EACH));
            sending.await.unwrap();
        }
    });
}

#[test]
fn a_fan_in_is_awaited() {
    on_each_runtime(|| async {
        let (senders, receivers): (Vec<_>, Vec<_>) = channels().unzip();
        let sending: Vec<_> =
            senders.into_iter().map(|sender| tokio::spawn(send_below(EACH, sender))).collect();
        let receiver = channel::fan_in(receivers);
        let receiving = [(); 2].map(|()| tokio::spawn(sum_of(receiver.clone())));
        drop(receiver);
        let mut sum = 0;
        for task in receiving {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, sending.len() as u64 * sum_below(EACH));
        for task in sending {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_wait_group_is_awaited() {
    on_each_runtime(|| async {
        let group = Arc::new(WaitGroup::new());
        group.add(10);
        let tasks = [(); 10].map(|()| {
            let group = Arc::clone(&group);
            tokio::spawn(async move { group.done() })
        });
        (&*group).await;
        for task in tasks {
            task.await.unwrap();
        }
    });
}

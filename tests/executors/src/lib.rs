//! What the tests on executors share.

use phalanx::channel::{self, Receiver, Sender};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{panic, thread};

/// Far longer than any test takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs `test` in a thread of its own, and fails if it hangs.
#[track_caller]
pub fn watchdog(test: impl FnOnce() + Send + 'static) {
    let (alive, done) = mpsc::channel::<()>();
    let body = thread::spawn(move || {
        let _alive = alive;
        test();
    });
    if done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs: not done after {PATIENCE:?}");
    }
    if let Err(payload) = body.join() {
        panic::resume_unwind(payload);
    }
}

/// A channel of each kind.
pub fn channels<T>() -> impl Iterator<Item = (Sender<T>, Receiver<T>)> {
    [Some(0), Some(1), Some(10), None].into_iter().map(|capacity| match capacity {
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    })
}

/// Receives everything, as a task.
pub async fn sum_of(receiver: Receiver<u64>) -> u64 {
    let mut sum = 0;
    while let Ok(n) = receiver.recv_async().await {
        sum += n;
    }
    sum
}

/// Sends the numbers below `n`, as a task.
pub async fn send_below(n: u64, sender: Sender<u64>) {
    for i in 0..n {
        assert_eq!(sender.send_async(i).await, Ok(()));
    }
}

/// The sum of the numbers below `n`.
pub fn sum_below(n: u64) -> u64 {
    n * (n - 1) / 2
}

//! The semaphores that are compared, and their adapters.

use super::{Semaphore, Task, in_go, ours, peer};
use crate::entry::Entry;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

pub fn all() -> Vec<Entry<Task>> {
    vec![
        ours::<phalanx::Semaphore>("phalanx"),
        peer::<tokio::sync::Semaphore>("tokio"),
        // It has no acquisition of several permits.
        peer::<async_lock::Semaphore>("async-lock").only(|task| task.large == 1),
        peer::<Condition>("std Mutex + Condvar"),
        in_go(),
    ]
}

impl Semaphore for phalanx::Semaphore {
    fn of(permits: u32) -> Self {
        Self::new(permits as usize)
    }

    #[inline]
    fn with<R>(&self, permits: u32, f: impl FnOnce() -> R) -> R {
        let _held = self.acquire(permits as usize).expect("open");
        f()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Awaits in a thread of its own, as an executor's `block_on` does.
fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    }
    WAKER.with(|waker| {
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    })
}

/// It is for tasks: a thread tries first, which is its quickest way, and awaits if that fails.
impl Semaphore for tokio::sync::Semaphore {
    fn of(permits: u32) -> Self {
        Self::new(permits as usize)
    }

    #[inline]
    fn with<R>(&self, permits: u32, f: impl FnOnce() -> R) -> R {
        let _held = match self.try_acquire_many(permits) {
            Ok(held) => held,
            Err(_) => block_on(self.acquire_many(permits)).expect("open"),
        };
        f()
    }
}

impl Semaphore for async_lock::Semaphore {
    fn of(permits: u32) -> Self {
        Self::new(permits as usize)
    }

    #[inline]
    fn with<R>(&self, permits: u32, f: impl FnOnce() -> R) -> R {
        let _held: Vec<_> = (1..permits).map(|_| self.acquire_blocking()).collect();
        let _last = self.acquire_blocking();
        f()
    }
}

/// What programs without a library write: no order among the waiters.
struct Condition {
    permits: Mutex<u32>,
    released: Condvar,
}

impl Semaphore for Condition {
    fn of(permits: u32) -> Self {
        Condition { permits: Mutex::new(permits), released: Condvar::new() }
    }

    #[inline]
    fn with<R>(&self, permits: u32, f: impl FnOnce() -> R) -> R {
        let free = self.permits.lock().expect("no thread panicked");
        let enough = self.released.wait_while(free, |free| *free < permits);
        *enough.expect("no thread panicked") -= permits;
        let result = f();
        *self.permits.lock().expect("no thread panicked") += permits;
        // The waiters may want more than one.
        self.released.notify_all();
        result
    }
}

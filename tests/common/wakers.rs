//! Futures polled by hand, and wakers that count, panic or call back.

use std::future::Future;
use std::panic;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread::{self, Thread};

/// Polls once.
pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Polls a future in this thread until it is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match poll(&mut future, &waker) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

type Hook = Box<dyn Fn() + Send + Sync>;

/// What has been done with a waker and its clones, and what else each of these does.
pub(crate) struct Probe {
    wakes: AtomicUsize,
    clones: AtomicUsize,
    drops: AtomicUsize,
    on_wake: Hook,
    on_clone: Hook,
    on_drop: Hook,
}

impl Probe {
    pub(crate) fn new() -> Self {
        let nothing = || -> Hook { Box::new(|| ()) };
        Probe {
            wakes: AtomicUsize::new(0),
            clones: AtomicUsize::new(0),
            drops: AtomicUsize::new(0),
            on_wake: nothing(),
            on_clone: nothing(),
            on_drop: nothing(),
        }
    }

    pub(crate) fn on_wake(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_wake = Box::new(hook);
        self
    }

    pub(crate) fn on_clone(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_clone = Box::new(hook);
        self
    }

    pub(crate) fn on_drop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_drop = Box::new(hook);
        self
    }

    /// Returns the probe, to be asked, and its waker.
    pub(crate) fn waker(self) -> (Arc<Probe>, Waker) {
        let probe = Arc::new(self);
        let raw = raw_waker(Arc::clone(&probe));
        // SAFETY: the functions of the table are those of an `Arc` of a type that is `Send` and `Sync`.
        (probe, unsafe { Waker::from_raw(raw) })
    }

    /// How often it was woken.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }

    /// How many clones were made.
    pub(crate) fn clones(&self) -> usize {
        self.clones.load(SeqCst)
    }

    /// How many wakers there are: the first one, and the clones that were neither dropped nor woken.
    pub(crate) fn living(&self) -> usize {
        1 + self.clones() - self.drops.load(SeqCst)
    }
}

/// A panic as a hook's, which prints nothing.
pub(crate) fn panic_silently() {
    panic::resume_unwind(Box::new("a waker's panic"));
}

fn raw_waker(probe: Arc<Probe>) -> RawWaker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            // SAFETY: the waker owns a count of the probe, which it keeps.
            let probe = unsafe { &*data.cast::<Probe>() };
            (probe.on_clone)();
            probe.clones.fetch_add(1, SeqCst);
            // SAFETY: as above.
            unsafe { Arc::increment_strong_count(data.cast::<Probe>()) };
            RawWaker::new(data, &TABLE)
        },
        |data| {
            // SAFETY: the waker owns a count of the probe, and ends.
            let probe = unsafe { Arc::from_raw(data.cast::<Probe>()) };
            probe.wakes.fetch_add(1, SeqCst);
            probe.drops.fetch_add(1, SeqCst);
            (probe.on_wake)();
        },
        |data| {
            // SAFETY: the waker owns a count of the probe, which it keeps.
            let probe = unsafe { &*data.cast::<Probe>() };
            probe.wakes.fetch_add(1, SeqCst);
            (probe.on_wake)();
        },
        |data| {
            // SAFETY: the waker owns a count of the probe, and ends.
            let probe = unsafe { Arc::from_raw(data.cast::<Probe>()) };
            probe.drops.fetch_add(1, SeqCst);
            (probe.on_drop)();
        },
    );
    RawWaker::new(Arc::into_raw(probe).cast(), &TABLE)
}

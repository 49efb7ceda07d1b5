//! What the tests share: a watchdog, stress for a time, panics with their message and location, values for locks.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod channels;
pub(crate) mod counts;
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod forks;
pub(crate) mod history;
pub(crate) mod locks;
pub(crate) mod pipes;
pub(crate) mod stress;
pub(crate) mod wakers;

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

/// Far longer than any test takes on a loaded machine with a sanitizer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs `test` in a thread of its own, and fails with a message if it hangs.
#[track_caller]
pub(crate) fn watchdog(test: impl FnOnce() + Send + 'static) {
    let here = Location::caller();
    let (alive, done) = channel::<()>();
    let body = thread::spawn(move || {
        let _alive = alive;
        test();
    });
    match done.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => {
            panic!("the test at {here} hangs: not done after {PATIENCE:?}")
        }
        // The sender is dropped when the body ends.
        Err(RecvTimeoutError::Disconnected) | Ok(()) => {
            if let Err(payload) = body.join() {
                panic::resume_unwind(payload);
            }
        }
    }
}

/// A panic, as the panic hook sees it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

thread_local! {
    static SEEN: RefCell<Option<Option<Seen>>> = const { RefCell::new(None) };
}

/// Calls `f`, which must panic, and returns its panic. Prints nothing.
#[track_caller]
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> Seen {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let watched = SEEN.try_with(|seen| match &mut *seen.borrow_mut() {
                Some(slot) => {
                    let location = info.location().expect("a panic has a location");
                    *slot = Some(Seen {
                        message: info.payload_as_str().unwrap_or("").to_owned(),
                        file: location.file().to_owned(),
                        line: location.line(),
                    });
                    true
                }
                None => false,
            });
            // A thread that is ending is not watched, and prints nothing.
            if !watched.unwrap_or(true) {
                previous(info);
            }
        }));
    });
    SEEN.set(Some(None));
    let result = catch_unwind(AssertUnwindSafe(f));
    let seen = SEEN.take().flatten();
    assert!(result.is_err(), "expected a panic");
    seen.expect("the hook runs before the unwinding")
}

/// Drops a result that the test doesn't need.
pub(crate) fn ignore<T>(_: T) {}

/// Counts its drops.
#[derive(Clone, Debug)]
pub(crate) struct Counted(pub(crate) Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn new() -> (Self, Arc<AtomicUsize>) {
        let drops = Arc::default();
        (Counted(Arc::clone(&drops)), drops)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Panics when it is dropped, after counting that it was.
#[derive(Debug)]
pub(crate) struct Bomb(pub(crate) Counted);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic::resume_unwind(Box::new("dropped a bomb"));
    }
}

//! Models of `OnceLock` and `LazyLock`. In a plain build each runs once, on real threads; with `--cfg phalanx_loom`
//! loom explores its interleavings.
//!
//! Bugs that such types had, and the models that would show them here:
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | once_cell#185, tokio#4560 | a cancelled or failed initialiser leaves the others asleep | `a_cancelled_initialiser_wakes_the_others` |
//! | rust#31936 | an initialiser that panics, and threads that wait for it | `a_panic_lets_the_one_that_waits_try` |
//! | – | a waiter for the value is forgotten when an initialiser fails | `a_failure_forgets_no_waiter_for_the_value` |

#[path = "common/models.rs"]
mod common;

use common::{Counted, spawn};
use phalanx::cell::UnsafeCell;
use phalanx::{LazyLock, Model, OnceLock, model, thread};
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A plain value whose accesses only the lock under test orders.
#[derive(Default)]
struct Plain(UnsafeCell<u32>);

// SAFETY: every access should be ordered by the lock under test. loom fails the model otherwise.
unsafe impl Sync for Plain {}
// SAFETY: a number.
unsafe impl Send for Plain {}

impl Plain {
    fn add(&self, n: u32) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|value| unsafe { *value += n });
    }

    fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.0.with(|value| unsafe { *value })
    }
}

/// Makes a value that has been written to since it was made.
fn made(n: u32) -> Plain {
    let value = Plain::default();
    value.add(n);
    value
}

/// A panic that prints nothing.
fn panic_silently() -> ! {
    resume_unwind(Box::new("an initialiser's panic"))
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

fn poll<F: Future>(future: &mut Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let (waker, mut future) = (waker(), pin!(future));
    loop {
        match poll(&mut future, &waker) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// One more than the lock's number of initialisers: each adds one to what only they share.
fn count_initialisers(first: fn(&OnceLock<Plain>, &Plain), second: fn(&OnceLock<Plain>, &Plain)) {
    model(move || {
        let shared = Arc::new((OnceLock::new(), Plain::default()));
        let other = spawn(&shared, move |(lock, made)| second(lock, made));
        let (lock, made) = &*shared;
        first(lock, made);
        assert_eq!(lock.get_or_init(|| unreachable!("it has a value")).get(), 7);
        other.join().unwrap();
        assert_eq!(made.get(), 1);
    });
}

fn get_or_init(lock: &OnceLock<Plain>, initialisers: &Plain) {
    let value = lock.get_or_init(|| {
        initialisers.add(1);
        made(7)
    });
    assert_eq!(value.get(), 7);
}

fn get_or_init_async(lock: &OnceLock<Plain>, initialisers: &Plain) {
    let value = block_on(lock.get_or_init_async(async {
        initialisers.add(1);
        made(7)
    }));
    assert_eq!(value.get(), 7);
}

#[test]
fn of_two_initialisers_one_runs() {
    count_initialisers(get_or_init, get_or_init);
}

#[test]
fn of_a_thread_and_a_task_one_initialises() {
    count_initialisers(get_or_init, get_or_init_async);
}

#[test]
fn of_two_tasks_one_initialises() {
    count_initialisers(get_or_init_async, get_or_init_async);
}

#[test]
fn get_reads_a_whole_value_or_none() {
    model(|| {
        let lock = Arc::new(OnceLock::new());
        let other = spawn(&lock, |lock| assert!(lock.set(made(3)).is_ok()));
        for _ in 0..2 {
            if let Some(value) = lock.get() {
                assert_eq!(value.get(), 3);
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn of_two_sets_one_is_refused() {
    model(|| {
        let lock = Arc::new(OnceLock::new());
        let other = spawn(&lock, |lock| lock.set(1).is_ok());
        let mine = lock.set(2).is_ok();
        assert_ne!(other.join().unwrap(), mine);
        assert_eq!(lock.get(), Some(if mine { &2 } else { &1 }));
    });
}

/// A first initialiser fails after it has changed what only initialisers use; a second one waits, and succeeds.
fn fail(first: fn(&OnceLock<Plain>, &Plain), second: fn(&OnceLock<Plain>, &Plain)) {
    model(move || {
        let shared = Arc::new((OnceLock::new(), Plain::default()));
        let other = spawn(&shared, move |(lock, tries)| first(lock, tries));
        let (lock, tries) = &*shared;
        second(lock, tries);
        other.join().unwrap();
        assert!((1..=2).contains(&tries.get()));
        assert_eq!(lock.get().map(Plain::get), Some(7));
    });
}

#[test]
fn a_panic_lets_the_one_that_waits_try() {
    let panic = |lock: &OnceLock<Plain>, tries: &Plain| {
        let panicking = || {
            lock.get_or_init(|| {
                tries.add(1);
                panic_silently()
            });
        };
        let _ = catch_unwind(AssertUnwindSafe(panicking));
    };
    fail(panic, get_or_init);
}

#[test]
fn an_error_lets_the_one_that_waits_try() {
    let fails = |lock: &OnceLock<Plain>, tries: &Plain| {
        let _ = lock.get_or_try_init(|| {
            tries.add(1);
            Err(())
        });
    };
    fail(fails, get_or_init);
}

/// Polls a future that initialises once, and drops it.
fn cancel(lock: &OnceLock<Plain>, tries: &Plain) {
    let mut future = pin!(lock.get_or_init_async(async {
        tries.add(1);
        pending().await
    }));
    let _ = poll(&mut future, Waker::noop());
}

#[test]
fn a_cancelled_initialiser_lets_a_thread_try() {
    fail(cancel, get_or_init);
}

#[test]
fn a_cancelled_initialiser_lets_a_task_try() {
    fail(cancel, get_or_init_async);
}

#[test]
fn a_cancelled_initialiser_wakes_the_others() {
    model(|| {
        let lock = Arc::new(OnceLock::new());
        let others = [1, 2].map(|n| spawn(&lock, move |lock| *lock.get_or_init(|| n)));
        {
            let mut first = pin!(lock.get_or_init_async(pending()));
            let _ = poll(&mut first, Waker::noop());
        }
        let [one, two] = others.map(|other| other.join().unwrap());
        assert!(one == two && (1..=2).contains(&one));
    });
}

#[test]
fn wait_returns_after_the_value_is_set() {
    model(|| {
        let lock = Arc::new(OnceLock::<Plain>::new());
        let other = spawn(&lock, |lock| lock.wait().get());
        assert!(lock.set(made(5)).is_ok());
        assert_eq!(other.join().unwrap(), 5);
    });
}

#[test]
fn a_failure_forgets_no_waiter_for_the_value() {
    model(|| {
        let lock = Arc::new(OnceLock::<Plain>::new());
        let waiting = spawn(&lock, |lock| lock.wait().get());
        let failing = spawn(&lock, |lock| lock.get_or_try_init(|| Err(())).is_err());
        let _ = lock.set(made(5));
        failing.join().unwrap();
        assert_eq!(waiting.join().unwrap(), 5);
    });
}

#[test]
fn a_task_waits_until_the_value_is_set() {
    model(|| {
        let lock = Arc::new(OnceLock::<Plain>::new());
        let other = spawn(&lock, |lock| block_on(lock.wait_async()).get());
        assert!(lock.get_or_try_init(|| Err(())).is_err());
        assert!(lock.set(made(5)).is_ok());
        assert_eq!(other.join().unwrap(), 5);
    });
}

#[test]
fn a_task_that_leaves_takes_no_wake_up_with_it() {
    model(|| {
        let lock = Arc::new(OnceLock::<Plain>::new());
        let leaving = spawn(&lock, |lock| {
            let mut future = pin!(lock.wait_async());
            let _ = poll(&mut future, &waker());
        });
        let waiting = spawn(&lock, |lock| block_on(lock.wait_async()).get());
        assert!(lock.set(made(5)).is_ok());
        leaving.join().unwrap();
        assert_eq!(waiting.join().unwrap(), 5);
    });
}

#[test]
fn a_time_out_leaves_no_one_asleep() {
    model(|| {
        let lock = Arc::new(OnceLock::new());
        let hasty = spawn(&lock, |lock| lock.wait_timeout(Duration::from_secs(1)).map(Plain::get));
        let patient = spawn(&lock, |lock| lock.wait().get());
        assert!(lock.set(made(5)).is_ok());
        assert!([None, Some(5)].contains(&hasty.join().unwrap()));
        assert_eq!(patient.join().unwrap(), 5);
    });
}

#[test]
fn a_timed_waiter_is_woken_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let lock = Arc::new(OnceLock::new());
        let timed = spawn(&lock, |lock| lock.wait_timeout(Duration::from_secs(1)).map(Plain::get));
        assert!(lock.set(made(5)).is_ok());
        assert_eq!(timed.join().unwrap(), Some(5));
    });
}

#[test]
fn each_value_is_dropped_once() {
    model(|| {
        let drops = Counted::default();
        let lock = Arc::new(OnceLock::new());
        let theirs = drops.clone();
        let other = spawn(&lock, move |lock| _ = lock.set(theirs));
        lock.get_or_init(|| drops.clone());
        other.join().unwrap();
        let before = drops.drops();
        drop(lock);
        assert_eq!(drops.drops(), before + 1);
        assert!(before <= 1);
    });
}

#[test]
fn a_static_starts_anew_in_each_execution() {
    static LOCK: OnceLock<Plain> = OnceLock::new();
    static LAZY: LazyLock<Plain> = LazyLock::new(|| made(4));
    model(|| {
        let threads = [1, 2].map(|_| {
            thread::spawn(|| {
                assert_eq!(LAZY.get(), 4);
                LOCK.get_or_init(|| made(3)).get()
            })
        });
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 3);
        }
    });
}

#[test]
fn of_two_threads_one_makes_the_lazy_value() {
    model(|| {
        let made_so_far = Arc::new(Plain::default());
        let theirs = Arc::clone(&made_so_far);
        let lazy = Arc::new(LazyLock::new(move || {
            theirs.add(1);
            made(4)
        }));
        let other = spawn(&lazy, |lazy| lazy.get());
        assert_eq!((lazy.get(), other.join().unwrap()), (4, 4));
        assert_eq!(made_so_far.get(), 1);
    });
}

#[test]
fn a_lazy_value_is_poisoned_for_all_that_wait() {
    model(|| {
        let lazy = Arc::new(LazyLock::new(|| -> u32 { panic_silently() }));
        let use_it = |lazy: &LazyLock<u32, _>| {
            catch_unwind(AssertUnwindSafe(|| **lazy)).expect_err("it panics").is::<&str>()
        };
        let other = spawn(&lazy, move |lazy| use_it(lazy));
        let mine = use_it(&lazy);
        // The initialiser's own panic is a `&str`, and so is that of the other thread.
        assert!(mine && other.join().unwrap());
        assert!(LazyLock::get(&lazy).is_none());
    });
}

#[test]
fn a_ready_future_initialises_in_its_first_poll() {
    model(|| {
        let lock = OnceLock::new();
        let mut future = pin!(lock.get_or_init_async(ready(1)));
        assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(&1));
    });
}

//! Models of the cancel token. In a plain build each runs once, on real threads; with `--cfg phalanx_loom` loom explores
//! its interleavings.
//!
//! | the bug | model |
//! | --- | --- |
//! | a child made while its parent is cancelled stays uncancelled | `a_child_made_while_its_parent_is_cancelled_is_cancelled`, `a_grandchild_…` |
//! | a callback registered during the cancel is lost, or called twice | `a_callback_registered_during_a_cancel_is_called_once` |
//! | the thread that cancels uses a child after its end | `a_child_dropped_while_its_parent_is_cancelled_…`, `siblings_…` |
//! | a deadline rings for a token that is gone, or that was cancelled | `a_deadline_and_a_cancel_…`, `a_token_dropped_at_its_deadline_…` |
//! | a waiter enters after the wake-ups | `a_wait_ends_with_the_cancel`, `a_future_is_woken_…` |

#[path = "common/models.rs"]
mod common;

use common::{Counted, spawn};
use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use phalanx::cell::UnsafeCell;
use phalanx::thread::{self, Thread};
use phalanx::{CallbackState, CancelReason, CancelToken, Model, channel, model, select};
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// As long as any in a model; comes soon outside of one.
const SOON: Duration = Duration::from_millis(1);
/// The same in a model; never over outside of one.
const LONG: Duration = Duration::from_secs(3_600);

/// A plain value, which the token has to order.
struct Plain(UnsafeCell<u32>);

// SAFETY: the token under test has to order all accesses; a model fails if it doesn't.
unsafe impl Sync for Plain {}
// SAFETY: a number.
unsafe impl Send for Plain {}

impl Plain {
    fn new() -> Arc<Self> {
        Arc::new(Plain(UnsafeCell::new(0)))
    }

    fn set(&self) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.0.with(|value| unsafe { *value })
    }
}

fn is_cancelled(reason: &CancelReason) -> bool {
    matches!(reason, CancelReason::Cancelled)
}

fn is_exceeded(reason: &CancelReason) -> bool {
    matches!(reason, CancelReason::DeadlineExceeded)
}

#[test]
fn a_wait_ends_with_the_cancel() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let waiting = spawn(&token, |token| assert!(is_cancelled(&token.wait())));
        assert!(token.cancel());
        waiting.join().unwrap();
    });
}

#[test]
fn all_waiters_of_a_token_and_its_child_are_woken() {
    Model::new().without_deadlines().check(|| {
        let token = Arc::new(CancelToken::new());
        let child = token.child();
        let one = spawn(&token, |token| assert!(is_cancelled(&token.wait())));
        let other = thread::spawn(move || assert!(child.wait_timeout(LONG).is_some()));
        token.cancel();
        one.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn both_waiters_of_one_token_are_woken() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let waiting = [(); 2].map(|()| spawn(&token, |token| assert!(is_cancelled(&token.wait()))));
        token.cancel();
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_timed_wait_returns_the_reason_or_nothing() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let waiting = spawn(&token, |token| {
            assert!(token.wait_timeout(SOON).is_none_or(|reason| is_cancelled(&reason)));
        });
        token.cancel();
        waiting.join().unwrap();
    });
}

#[test]
fn what_was_done_before_a_cancel_is_seen_after_it() {
    model(|| {
        let (token, value) = (Arc::new(CancelToken::new()), Plain::new());
        let cancelling = spawn(&token, {
            let value = value.clone();
            move |token| {
                value.set();
                token.cancel();
            }
        });
        if token.is_cancelled() {
            assert_eq!(value.get(), 1);
        }
        token.wait();
        assert_eq!(value.get(), 1);
        cancelling.join().unwrap();
    });
}

#[test]
fn what_was_done_before_a_cancel_is_seen_in_the_child() {
    model(|| {
        let (token, value) = (Arc::new(CancelToken::new()), Plain::new());
        let child = token.child();
        let cancelling = spawn(&token, {
            let value = value.clone();
            move |token| {
                value.set();
                token.cancel();
            }
        });
        if child.is_cancelled() {
            assert_eq!(value.get(), 1);
            assert!(child.reason().is_some());
        }
        cancelling.join().unwrap();
        assert!(child.is_cancelled());
    });
}

#[test]
fn a_child_made_while_its_parent_is_cancelled_is_cancelled() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let making = spawn(&token, CancelToken::child);
        token.cancel_with("stop");
        let child = making.join().unwrap();
        assert!(child.is_cancelled());
        assert_eq!(child.reason().unwrap().to_string(), "stop");
    });
}

#[test]
fn a_grandchild_made_while_the_tree_is_cancelled_is_cancelled() {
    model(|| {
        let token = CancelToken::new();
        let child = Arc::new(token.child());
        let making = spawn(&child, |child| {
            let grandchild = child.child();
            grandchild.wait();
            grandchild
        });
        token.cancel();
        assert!(child.is_cancelled());
        assert!(making.join().unwrap().is_cancelled());
    });
}

#[test]
fn of_two_cancels_one_is_the_first_and_its_reason_stays() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let other = spawn(&token, |token| token.cancel_with("other"));
        let mine = token.cancel_with("mine");
        let first = token.reason().unwrap().to_string();
        assert_ne!(mine, other.join().unwrap());
        assert_eq!(first, if mine { "mine" } else { "other" });
        assert_eq!(token.reason().unwrap().to_string(), first);
    });
}

/// The child is cancelled by itself and with its parent, and a waiter of the grandchild is woken in any case.
#[test]
fn a_parent_and_a_child_are_cancelled_at_once() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let child = token.child();
        let grandchild = child.child();
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = calls.clone();
        grandchild.on_cancel(move || _ = counting.fetch_add(1, Relaxed)).detach();
        let parent = spawn(&token, CancelToken::cancel);
        let first = child.cancel_with("child");
        assert!(parent.join().unwrap());
        assert_eq!(calls.load(Relaxed), 1);
        let reason = grandchild.reason().unwrap();
        assert_eq!(reason.to_string(), if first { "child" } else { "cancelled" });
    });
}

#[test]
fn a_callback_registered_during_a_cancel_is_called_once() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let registering = spawn(&token, {
            let calls = calls.clone();
            move |token| token.on_cancel(move || _ = calls.fetch_add(1, Relaxed))
        });
        token.cancel();
        let registration = registering.join().unwrap();
        assert_eq!(registration.unregister(), CallbackState::HasRun);
        assert_eq!(calls.load(Relaxed), 1);
    });
}

#[test]
fn unregister_tells_whether_the_callback_has_run() {
    model(|| {
        let (token, value) = (Arc::new(CancelToken::new()), Plain::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let registration = token.on_cancel({
            let (value, calls) = (value.clone(), calls.clone());
            move || {
                value.set();
                calls.fetch_add(1, Relaxed);
            }
        });
        let cancelling = spawn(&token, CancelToken::cancel);
        let state = registration.unregister();
        if state == CallbackState::HasRun {
            assert_eq!(value.get(), 1, "what it did is seen");
        }
        assert!(cancelling.join().unwrap());
        let runs = usize::from(state != CallbackState::NeverRuns);
        assert_eq!(calls.load(Relaxed), runs);
    });
}

#[test]
fn a_child_dropped_while_its_parent_is_cancelled_is_freed_once() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let drops = Counted::default();
        let children = [token.child(), token.child()];
        for child in &children {
            let held = drops.clone();
            child.on_cancel(move || _ = &held).detach();
        }
        let [one, other] = children;
        let dropping = thread::spawn(move || drop(one));
        token.cancel();
        dropping.join().unwrap();
        assert!(other.is_cancelled());
        assert_eq!(drops.drops(), 2);
    });
}

#[test]
fn siblings_and_their_parent_are_dropped_at_once() {
    model(|| {
        let token = CancelToken::new();
        let [one, other, last] = [(); 3].map(|()| token.child());
        let dropping = [one, other].map(|child| thread::spawn(move || drop(child)));
        drop(token);
        dropping.into_iter().for_each(|thread| thread.join().unwrap());
        let child = last.child();
        last.cancel();
        assert!(child.is_cancelled());
    });
}

#[test]
fn the_last_handles_of_a_child_and_its_parent_go_at_once() {
    model(|| {
        let token = CancelToken::new();
        let child = token.child();
        let grandchild = child.child();
        let dropping = thread::spawn(move || drop((token, child)));
        grandchild.cancel();
        drop(grandchild);
        dropping.join().unwrap();
    });
}

#[test]
fn a_deadline_ends_a_wait() {
    model(|| {
        let token = CancelToken::new().with_timeout(SOON);
        assert!(is_exceeded(&token.wait()));
        assert!(token.is_cancelled());
    });
}

#[test]
fn a_deadline_and_a_cancel_have_one_reason() {
    model(|| {
        let token = CancelToken::new().with_timeout(SOON);
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = calls.clone();
        let registration = token.on_cancel(move || _ = counting.fetch_add(1, Relaxed));
        let mine = token.cancel();
        let reason = token.wait();
        assert_eq!(mine, is_cancelled(&reason));
        assert_eq!(mine, !is_exceeded(&reason));
        if mine {
            assert_eq!(registration.unregister(), CallbackState::HasRun);
            assert_eq!(calls.load(Relaxed), 1);
        }
    });
}

#[test]
fn a_deadline_cancels_the_children() {
    model(|| {
        let token = CancelToken::new().with_timeout(SOON);
        let child = token.child();
        assert_eq!(child.deadline(), token.deadline());
        assert!(is_exceeded(&child.wait()));
    });
}

#[test]
fn a_token_dropped_at_its_deadline_is_freed_once() {
    model(|| {
        let root = CancelToken::new();
        let drops = Counted::default();
        let held = drops.clone();
        let token = root.with_timeout(SOON);
        token.on_cancel(move || _ = &held).detach();
        drop(token);
        drop(root);
    });
}

/// The timer's thread ends with the last alarm, so that a model without deadlines ends.
#[test]
fn a_token_that_is_cancelled_or_dropped_takes_its_alarm_along() {
    Model::new().without_deadlines().check(|| {
        let root = CancelToken::new();
        let dropped = root.with_timeout(LONG);
        let cancelled = root.with_timeout(LONG);
        drop(dropped);
        let cancelling = thread::spawn(move || root.cancel());
        assert!(is_cancelled(&cancelled.wait()));
        assert!(cancelling.join().unwrap());
    });
}

/// The alarm is set while another thread cancels the parent.
#[test]
fn a_child_with_a_deadline_made_while_its_parent_is_cancelled_is_cancelled() {
    Model::new().without_deadlines().check(|| {
        let token = Arc::new(CancelToken::new());
        let making = spawn(&token, |token| token.with_timeout(LONG));
        token.cancel();
        let child = making.join().unwrap();
        assert!(is_cancelled(&child.reason().unwrap()));
    });
}

/// The timer's thread may have ended, or be about to.
#[test]
fn a_deadline_that_is_set_after_the_last_one_comes_too() {
    model(|| {
        let root = CancelToken::new();
        assert!(is_exceeded(&root.with_timeout(SOON).wait()));
        assert!(is_exceeded(&root.with_timeout(SOON).wait()));
    });
}

/// A second alarm that is earlier than the first.
#[test]
fn an_earlier_deadline_comes_first() {
    model(|| {
        let root = CancelToken::new();
        let late = root.with_timeout(LONG);
        let early = root.with_timeout(SOON);
        assert!(is_exceeded(&early.wait()));
        late.cancel();
    });
}

struct Flag {
    is_set: AtomicUsize,
    thread: Thread,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.is_set.swap(1, Relaxed);
        self.thread.unpark();
    }
}

fn poll<F: Future>(future: &mut Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Polls only when it was woken, so that a lost wake-up is a deadlock.
fn block_on<F: Future>(future: F) -> F::Output {
    let flag = Arc::new(Flag { is_set: AtomicUsize::new(0), thread: thread::current() });
    let waker = Waker::from(flag.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll(&mut future, &waker) {
            return output;
        }
        while flag.is_set.swap(0, Relaxed) == 0 {
            thread::park();
        }
    }
}

#[test]
fn a_future_is_woken_by_the_cancel() {
    model(|| {
        let (token, value) = (Arc::new(CancelToken::new()), Plain::new());
        let cancelling = spawn(&token, {
            let value = value.clone();
            move |token| {
                value.set();
                token.cancel();
            }
        });
        assert!(is_cancelled(&block_on((&*token).into_future())));
        assert_eq!(value.get(), 1);
        cancelling.join().unwrap();
    });
}

#[test]
fn a_future_is_woken_by_the_waker_of_its_last_poll() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let cancelling = spawn(&token, CancelToken::cancel);
        let mut future = pin!((&*token).into_future());
        if poll(&mut future, Waker::noop()).is_pending() {
            assert!(is_cancelled(&block_on(future)));
        }
        assert!(cancelling.join().unwrap());
    });
}

#[test]
fn a_future_dropped_during_the_cancel_drops_its_waker() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let flag = Arc::new(Flag { is_set: AtomicUsize::new(0), thread: thread::current() });
        let cancelling = spawn(&token, CancelToken::cancel);
        {
            let waker = Waker::from(flag.clone());
            let mut future = pin!((&*token).into_future());
            _ = poll(&mut future, &waker);
        }
        assert!(cancelling.join().unwrap());
        assert_eq!(Arc::strong_count(&flag), 1);
    });
}

#[test]
fn a_future_is_woken_by_the_deadline() {
    model(|| {
        let token = CancelToken::new().with_timeout(SOON);
        assert!(is_exceeded(&block_on((&token).into_future())));
    });
}

#[test]
fn a_select_ends_with_the_cancel() {
    for capacity in [0, 1] {
        model(move || {
            let token = Arc::new(CancelToken::new());
            let (sender, receiver) = channel::bounded::<u32>(capacity);
            let cancelling = spawn(&token, CancelToken::cancel);
            select! {
                recv(receiver) -> message => unreachable!("nothing was sent: {message:?}"),
                cancelled(token) -> reason => assert!(is_cancelled(&reason)),
            }
            assert!(cancelling.join().unwrap());
            drop(sender);
        });
    }
}

/// The message is received, or it is still there.
#[test]
fn a_select_meets_a_message_and_a_cancel() {
    model(|| {
        let token = Arc::new(CancelToken::new());
        let (sender, receiver) = channel::bounded(1);
        let other = spawn(&token, move |token| {
            sender.send(7).unwrap();
            token.cancel();
            sender
        });
        select! {
            recv(receiver) -> message => assert_eq!(message, Ok(7)),
            cancelled(token) => assert_eq!(receiver.try_recv(), Ok(7)),
        }
        drop(other.join().unwrap());
    });
}

/// Two threads that each cancel a token, and then find in a select that the other's is not cancelled, would both be too
/// early.
#[test]
fn of_two_selects_one_sees_the_other_s_cancel() {
    model(|| {
        let tokens = Arc::new([CancelToken::new(), CancelToken::new()]);
        let sees = |tokens: &[CancelToken; 2], mine: usize| {
            tokens[mine].cancel();
            select! {
                cancelled(tokens[1 - mine]) => true,
                default => false,
            }
        };
        let other = spawn(&tokens, move |tokens| sees(tokens, 1));
        let mine = sees(&tokens, 0);
        assert!(other.join().unwrap() | mine);
    });
}

#[test]
fn a_select_ends_with_a_deadline() {
    model(|| {
        let token = CancelToken::new().with_timeout(SOON);
        let (_sender, receiver) = channel::bounded::<u32>(1);
        select! {
            recv(receiver) -> message => unreachable!("nothing was sent: {message:?}"),
            cancelled(token) -> reason => assert!(is_exceeded(&reason)),
        }
    });
}

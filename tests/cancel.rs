//! Cancel tokens, on threads: the tree, reasons, deadlines, callbacks, waits and the case of a select.

mod common;

use common::channels::until;
use common::stress::for_about_a_second;
use common::wakers::{Probe, block_on, panic_silently, poll};
use common::{Bomb, Counted, panic_of, watchdog};
use phalanx::channel::{self, Select};
use phalanx::{CallbackState, CancelReason, CancelToken, select};
use std::error::Error;
use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(2);
const HOUR: Duration = Duration::from_secs(3_600);

/// Returns an empty list of names, and a function that adds one.
fn names() -> (Arc<Mutex<Vec<&'static str>>>, impl Fn(&'static str) + Clone + Send + 'static) {
    let names = Arc::new(Mutex::new(Vec::new()));
    let adding = names.clone();
    (names, move |name| adding.lock().unwrap().push(name))
}

fn is_exceeded(reason: &CancelReason) -> bool {
    matches!(reason, CancelReason::DeadlineExceeded)
}

#[test]
fn a_cancel_reaches_all_descendants_and_no_one_else() {
    let root = CancelToken::new();
    let [one, other] = [root.child(), root.child()];
    let grandchild = one.child().child();
    assert!(one.cancel());
    assert!(one.is_cancelled() && grandchild.is_cancelled());
    assert!(!root.is_cancelled() && !other.is_cancelled());
    assert!(root.cancel());
    assert!(other.is_cancelled());
    assert!(!root.cancel() && !one.cancel() && !other.cancel());
}

#[test]
fn clones_are_handles_to_one_token() {
    let token = CancelToken::new();
    let clone = token.clone();
    let child = token.child();
    drop(token);
    assert!(!child.is_cancelled(), "a drop cancels nothing");
    assert!(clone.cancel());
    assert!(child.is_cancelled());
}

#[test]
fn a_cancel_passes_through_tokens_that_were_dropped() {
    let root = CancelToken::new();
    let leaf = root.child().child().child();
    root.cancel_with("through");
    assert_eq!(leaf.reason().unwrap().to_string(), "through");
}

#[test]
fn a_child_of_a_cancelled_token_is_cancelled_with_its_reason() {
    let root = CancelToken::new();
    root.cancel_with("first");
    for child in [root.child(), root.with_timeout(HOUR), root.child().child()] {
        assert!(child.is_cancelled());
        assert_eq!(child.reason().unwrap().to_string(), "first");
        assert!(!child.cancel_with("second"));
    }
}

#[test]
fn the_first_reason_stays() {
    let root = CancelToken::new();
    let child = root.child();
    assert!(root.reason().is_none());
    assert!(child.cancel_with("child"));
    assert!(root.cancel());
    assert_eq!(child.reason().unwrap().to_string(), "child");
    assert!(matches!(root.reason(), Some(CancelReason::Cancelled)));
    assert_eq!(root.reason().unwrap().to_string(), "cancelled");
    assert!(!root.cancel_with("late"));
    assert_eq!(CancelReason::DeadlineExceeded.to_string(), "deadline exceeded");
}

#[test]
fn a_reason_is_an_error_that_can_be_had_back() {
    #[derive(Debug)]
    struct BadLine(std::num::ParseIntError);
    impl std::fmt::Display for BadLine {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a bad line")
        }
    }
    impl Error for BadLine {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let token = CancelToken::new();
    token.cancel_with(BadLine("x".parse::<u32>().unwrap_err()));
    let reason = token.reason().unwrap();
    assert_eq!(reason.to_string(), "a bad line");
    assert!(reason.downcast_ref::<BadLine>().is_some());
    assert!(reason.downcast_ref::<std::io::Error>().is_none());
    assert!(reason.source().is_some_and(|source| source.is::<std::num::ParseIntError>()));
    assert!(CancelReason::Cancelled.downcast_ref::<std::io::Error>().is_none());
    assert!(CancelReason::Cancelled.source().is_none());
}

#[test]
fn the_reason_of_one_token_can_be_passed_to_another() {
    let one = CancelToken::new();
    one.cancel();
    let other = CancelToken::new();
    other.cancel_with(one.wait());
    assert!(matches!(other.reason(), Some(CancelReason::Cancelled)));
}

#[test]
fn a_child_s_deadline_is_never_later_than_its_parent_s() {
    let root = CancelToken::new();
    assert_eq!(root.deadline(), None);
    assert_eq!(root.with_timeout(Duration::MAX).deadline(), None);
    let now = Instant::now();
    let parent = root.with_deadline(now + HOUR);
    assert_eq!(parent.deadline(), Some(now + HOUR));
    assert_eq!(parent.child().deadline(), Some(now + HOUR));
    assert_eq!(parent.with_deadline(now + 2 * HOUR).deadline(), Some(now + HOUR));
    assert_eq!(parent.with_deadline(now + HOUR / 2).deadline(), Some(now + HOUR / 2));
}

#[test]
fn a_deadline_cancels_the_subtree() {
    watchdog(|| {
        let root = CancelToken::new();
        let start = Instant::now();
        let token = root.with_timeout(SOON);
        let child = token.with_timeout(HOUR);
        assert!(is_exceeded(&child.wait()));
        assert!(start.elapsed() >= SOON);
        assert!(is_exceeded(&token.reason().unwrap()));
        assert!(!root.is_cancelled());
    });
}

#[test]
fn a_deadline_that_has_passed_cancels_at_once() {
    let token = CancelToken::new().with_timeout(Duration::ZERO);
    assert!(token.is_cancelled());
    assert!(is_exceeded(&token.reason().unwrap()));
}

#[test]
fn deadlines_come_in_their_order_whatever_order_they_are_set_in() {
    watchdog(|| {
        let root = CancelToken::new();
        let start = Instant::now();
        let (order, add) = names();
        let late = root.with_deadline(start + 20 * SOON);
        let early = root.with_deadline(start + SOON);
        let middle = root.with_deadline(start + 10 * SOON);
        for (token, name) in [(&late, "late"), (&early, "early"), (&middle, "middle")] {
            let add = add.clone();
            token.on_cancel(move || add(name)).detach();
        }
        late.wait();
        until(|| order.lock().unwrap().len() == 3);
        assert_eq!(*order.lock().unwrap(), ["early", "middle", "late"]);
    });
}

#[test]
fn a_token_that_was_cancelled_keeps_its_reason_at_its_deadline() {
    watchdog(|| {
        let token = CancelToken::new().with_timeout(5 * SOON);
        token.cancel_with("before");
        assert!(CancelToken::new().with_timeout(10 * SOON).wait_timeout(HOUR).is_some());
        assert_eq!(token.reason().unwrap().to_string(), "before");
    });
}

#[test]
fn a_wait_ends_with_the_cancel_or_its_time() {
    watchdog(|| {
        let token = CancelToken::new();
        assert!(token.wait_timeout(SOON).is_none());
        assert!(token.wait_timeout(Duration::ZERO).is_none());
        assert!(token.wait_deadline(Instant::now() + SOON).is_none());
        thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..4).map(|_| scope.spawn(|| token.wait().to_string())).collect();
            let timed = scope.spawn(|| token.wait_timeout(HOUR).unwrap().to_string());
            token.cancel_with("enough");
            for thread in waiting.into_iter().chain([timed]) {
                assert_eq!(thread.join().unwrap(), "enough");
            }
        });
        assert!(token.wait_timeout(Duration::ZERO).is_some());
    });
}

#[test]
fn callbacks_are_called_in_order_and_those_of_an_ancestor_first() {
    let (order, add) = names();
    let root = CancelToken::new();
    let child = root.child();
    let callback = |token: &CancelToken, name| {
        let add = add.clone();
        token.on_cancel(move || add(name))
    };
    let _registrations = [
        callback(&child, "child"),
        callback(&root, "root 1"),
        callback(&root, "root 2"),
        callback(&child.child(), "grandchild"),
    ];
    drop(callback(&root, "dropped"));
    root.cancel();
    assert_eq!(*order.lock().unwrap(), ["root 1", "root 2", "child", "grandchild"]);
}

#[test]
fn a_callback_finds_all_descendants_cancelled() {
    let root = CancelToken::new();
    let tokens: Vec<_> = (0..3).map(|_| root.child().child()).collect();
    let calls = Arc::new(AtomicUsize::new(0));
    let (inner, counting) = (tokens.clone(), calls.clone());
    let _registration = root.on_cancel(move || {
        assert!(inner.iter().all(CancelToken::is_cancelled));
        counting.fetch_add(1, SeqCst);
    });
    root.cancel();
    assert_eq!(calls.load(SeqCst), 1);
}

#[test]
fn a_callback_of_a_cancelled_token_is_called_at_once() {
    let token = CancelToken::new();
    token.cancel();
    let (order, add) = names();
    let registration = token.on_cancel(move || add("at once"));
    assert_eq!(*order.lock().unwrap(), ["at once"]);
    assert_eq!(registration.unregister(), CallbackState::HasRun);
    let panic = panic_of(|| token.on_cancel(|| panic!("at once")));
    assert_eq!(panic.message, "at once");
}

#[test]
fn a_callback_that_is_not_called_is_dropped() {
    let (held, drops) = Counted::new();
    let token = CancelToken::new();
    let counted = || {
        let held = held.clone();
        move || {
            let _held = &held;
            unreachable!("never called")
        }
    };
    assert_eq!(token.on_cancel(counted()).unregister(), CallbackState::NeverRuns);
    assert_eq!(drops.load(SeqCst), 1);
    drop(token.on_cancel(counted()));
    assert_eq!(drops.load(SeqCst), 2);
    token.on_cancel(counted()).detach();
    let registration = token.on_cancel(counted());
    drop(token);
    assert_eq!(drops.load(SeqCst), 2, "the registration keeps the token");
    drop(registration);
    assert_eq!(drops.load(SeqCst), 4);
}

#[test]
fn a_callback_is_dropped_when_it_has_run() {
    let (held, drops) = Counted::new();
    let token = CancelToken::new();
    let registration = token.on_cancel(move || _ = &held);
    token.cancel();
    assert_eq!(drops.load(SeqCst), 1);
    drop(registration);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn unregister_tells_that_the_callback_is_running() {
    watchdog(|| {
        let token = CancelToken::new();
        let (started, ends) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let registration = token.on_cancel({
            let (started, ends) = (started.clone(), ends.clone());
            move || {
                started.wait();
                ends.wait();
            }
        });
        let cancelling = thread::spawn(move || token.cancel());
        started.wait();
        assert_eq!(registration.unregister(), CallbackState::Running);
        ends.wait();
        assert!(cancelling.join().unwrap());
    });
}

#[test]
fn a_callback_may_use_its_token_and_its_registration() {
    let token = CancelToken::new();
    let place = Arc::new(Mutex::new(None));
    let (result, done) = mpsc::channel();
    let registration = token.on_cancel({
        let (token, place) = (token.clone(), place.clone());
        move || {
            assert!(!token.cancel());
            assert!(token.child().is_cancelled());
            _ = token.wait();
            let (order, add) = names();
            drop(token.on_cancel(move || add("inner")));
            assert_eq!(*order.lock().unwrap(), ["inner"]);
            let registration: phalanx::CancelRegistration =
                Mutex::lock(&place).unwrap().take().unwrap();
            result.send(registration.unregister()).unwrap();
        }
    });
    *place.lock().unwrap() = Some(registration);
    token.cancel();
    assert_eq!(done.recv(), Ok(CallbackState::Running));
}

#[test]
fn a_callback_that_panics_stops_no_other_and_the_first_panic_is_resumed() {
    let root = CancelToken::new();
    let child = root.child();
    let (order, add) = names();
    let _panicking = root.on_cancel(|| panic!("the first"));
    let another = child.on_cancel(|| panic!("the second"));
    let adding = add.clone();
    let _after = root.on_cancel(move || adding("root"));
    let _last = child.on_cancel(move || add("child"));
    let result = catch_unwind(AssertUnwindSafe(|| panic_of(|| root.cancel())));
    assert!(result.is_ok());
    assert_eq!(*order.lock().unwrap(), ["root", "child"]);
    assert_eq!(another.unregister(), CallbackState::HasRun);
    assert!(child.is_cancelled() && !root.cancel());

    let token = CancelToken::new();
    let _one = token.on_cancel(|| panic!("one"));
    let _other = token.on_cancel(|| panic!("other"));
    let payload = catch_unwind(AssertUnwindSafe(|| token.cancel())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"one"));
}

#[test]
fn a_callback_whose_drop_panics_stops_no_other() {
    let (held, drops) = Counted::new();
    let token = CancelToken::new();
    let bomb = Bomb(held.clone());
    token.on_cancel(move || _ = &bomb).detach();
    let bomb = Bomb(held.clone());
    token.on_cancel(move || _ = &bomb).detach();
    let child = token.child();
    assert!(catch_unwind(AssertUnwindSafe(|| token.cancel())).is_err());
    assert_eq!(drops.load(SeqCst), 2);
    assert!(child.is_cancelled());

    let token = CancelToken::new();
    for _ in 0..2 {
        let bomb = Bomb(held.clone());
        token.on_cancel(move || _ = &bomb).detach();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(token))).is_err());
    assert_eq!(drops.load(SeqCst), 4);
}

#[test]
fn a_token_is_cancelled_by_an_unwinding_thread() {
    struct Cancels(CancelToken);
    impl Drop for Cancels {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let token = CancelToken::new();
    let _registration = token.on_cancel(panic_silently);
    let cancels = Cancels(token.clone());
    let panic = panic_of(move || {
        let _cancels = cancels;
        panic!("unwinds")
    });
    assert_eq!(panic.message, "unwinds");
    assert!(token.is_cancelled());
}

#[test]
fn a_callback_that_panics_at_a_deadline_leaves_the_timer_alive() {
    watchdog(|| {
        let root = CancelToken::new();
        let one = root.with_timeout(SOON);
        one.on_cancel(panic_silently).detach();
        one.wait();
        assert!(is_exceeded(&root.with_timeout(SOON).wait()));
    });
}

#[test]
fn a_future_ends_with_the_cancel() {
    watchdog(|| {
        let token = CancelToken::new();
        let (probe, waker) = Probe::new().waker();
        let mut future = pin!((&token).into_future());
        for _ in 0..3 {
            assert!(poll(&mut future, &waker).is_pending());
        }
        let (other, other_waker) = Probe::new().waker();
        assert!(poll(&mut future, &other_waker).is_pending());
        assert_eq!(probe.living(), 1, "the waker that was replaced is dropped");
        token.cancel_with("now");
        assert_eq!((probe.wakes(), other.wakes()), (0, 1));
        let Poll::Ready(reason) = poll(&mut future, &waker) else { panic!("it is cancelled") };
        assert_eq!(reason.to_string(), "now");
        assert!(poll(&mut future, Waker::noop()).is_ready(), "it may be polled again");
        assert_eq!((probe.living(), other.living()), (1, 1));
        assert!(is_exceeded(&block_on((&CancelToken::new().with_timeout(SOON)).into_future())));
    });
}

#[test]
fn a_future_that_is_dropped_waits_no_longer() {
    let token = CancelToken::new();
    let (probe, waker) = Probe::new().waker();
    {
        let mut future = pin!((&token).into_future());
        assert!(poll(&mut future, &waker).is_pending());
    }
    token.cancel();
    assert_eq!((probe.wakes(), probe.living()), (0, 1));
}

#[test]
fn a_waker_may_panic_or_cancel_again() {
    let token = CancelToken::new();
    let (panicking, panicking_waker) = Probe::new().on_wake(panic_silently).waker();
    let again = token.clone();
    let (calling, calling_waker) = Probe::new().on_wake(move || assert!(!again.cancel())).waker();
    let mut one = Box::pin((&token).into_future());
    let mut other = Box::pin((&token).into_future());
    assert!(poll(&mut one.as_mut(), &panicking_waker).is_pending());
    assert!(poll(&mut other.as_mut(), &calling_waker).is_pending());
    assert!(token.cancel());
    assert_eq!((panicking.wakes(), calling.wakes()), (1, 1));
}

#[test]
fn a_waker_whose_clone_panics_leaves_the_future_as_it_was() {
    let token = CancelToken::new();
    let (_probe, waker) = Probe::new().on_clone(panic_silently).waker();
    let mut future = pin!((&token).into_future());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut future, &waker))).is_err());
    assert!(poll(&mut future, Waker::noop()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut future, &waker))).is_err());
    token.cancel();
    assert!(poll(&mut future, Waker::noop()).is_ready());
}

#[test]
fn a_select_has_a_case_for_a_token() {
    watchdog(|| {
        let token = CancelToken::new();
        let (sender, receiver) = channel::bounded::<u32>(1);
        select! {
            cancelled(token) => unreachable!("it is not"),
            recv(receiver) -> _ => unreachable!("nothing was sent"),
            default => {}
        }
        sender.send(1).unwrap();
        let received = select! {
            recv(receiver) -> n => n.unwrap(),
            cancelled(&token) -> reason => unreachable!("{reason}"),
        };
        assert_eq!(received, 1);
        let cancelling = thread::spawn({
            let token = token.clone();
            move || token.cancel_with("stop")
        });
        let reason = select! {
            recv(receiver) -> _ => unreachable!("nothing was sent"),
            cancelled(token) -> reason => reason.to_string(),
        };
        assert_eq!(reason, "stop");
        assert!(cancelling.join().unwrap());
        select! {
            cancelled(Some(&token)) => {},
            cancelled(None::<CancelToken>) => unreachable!("it is off"),
        }
        assert_eq!(
            receiver.try_recv().ok(),
            None,
            "a select takes nothing for a case that isn't chosen"
        );
    });
}

#[test]
fn a_list_of_cases_may_have_tokens() {
    watchdog(|| {
        let tokens: Vec<_> = (0..3).map(|_| CancelToken::new()).collect();
        let receiver = channel::never::<u32>();
        let mut select = Select::new();
        select.recv(&receiver);
        for token in &tokens {
            select.cancelled(token);
        }
        assert!(select.try_select().is_err());
        assert!(select.try_ready().is_err());
        tokens[1].cancel();
        assert_eq!(select.ready(), 2);
        assert_eq!(select.select().index(), 2);
        let panic = panic_of(|| select.select().recv(&receiver));
        assert!(panic.message.contains("case 2 is not a receive"), "{panic:?}");
        select.remove(2);
        thread::scope(|scope| {
            scope.spawn(|| tokens[2].cancel());
            assert_eq!(select.select().index(), 3);
        });
    });
}

/// A recursive walk would overflow the stack.
#[test]
fn a_deep_chain_is_cancelled_and_freed_on_a_small_stack() {
    const DEPTH: usize = 1_000_000;
    watchdog(|| {
        let body = || {
            for cancels in [true, false] {
                let root = CancelToken::new();
                let leaf = (0..DEPTH).fold(root.child(), |token, _| token.child());
                let (order, add) = names();
                leaf.on_cancel(move || add("leaf")).detach();
                if cancels {
                    root.cancel();
                    assert!(leaf.is_cancelled());
                }
                assert_eq!(order.lock().unwrap().len(), usize::from(cancels));
                drop(root);
                drop(leaf);
            }
        };
        thread::Builder::new().stack_size(64 << 10).spawn(body).unwrap().join().unwrap();
    });
}

#[test]
fn a_wide_tree_is_cancelled() {
    let root = CancelToken::new();
    let children: Vec<_> = (0..100_000).map(|_| root.child()).collect();
    root.cancel();
    assert!(children.iter().all(CancelToken::is_cancelled));
}

#[test]
fn a_token_is_formatted_with_its_reason() {
    let token = CancelToken::default();
    assert!(format!("{token:?}").contains("reason: None"));
    token.cancel();
    assert!(format!("{token:?}").contains("Cancelled"));
    assert!(format!("{:?}", (&token).into_future()).starts_with("CancelFuture"));
    assert!(format!("{:?}", token.on_cancel(|| ())).starts_with("CancelRegistration"));
}

/// Children come and go, with deadlines and callbacks, while their parent is cancelled.
#[test]
fn no_child_of_a_cancelled_parent_stays_uncancelled() {
    watchdog(|| {
        for_about_a_second(|_| {
            let root = CancelToken::new();
            let start = Barrier::new(4);
            let calls = Arc::new(AtomicUsize::new(0));
            let registered: usize = thread::scope(|scope| {
                let making = (0..3).map(|thread| {
                    let (root, start, calls) = (&root, &start, &calls);
                    scope.spawn(move || {
                        let mut kept = Vec::new();
                        start.wait();
                        for n in 0..20 {
                            let child = match (n + thread) % 3 {
                                0 => root.child(),
                                1 => root.with_timeout(HOUR),
                                _ => root.child().child(),
                            };
                            let calls = calls.clone();
                            let count = move || _ = calls.fetch_add(1, SeqCst);
                            kept.push((child.on_cancel(count), child));
                            if n % 4 == 3 {
                                drop(root.child());
                            }
                        }
                        kept.iter().for_each(|(_, child)| _ = child.wait());
                        kept.into_iter().map(|(registration, _)| registration).collect::<Vec<_>>()
                    })
                });
                let making: Vec<_> = making.collect();
                start.wait();
                root.cancel();
                let kept = making.into_iter().flat_map(|thread| thread.join().unwrap());
                let states = kept.map(phalanx::CancelRegistration::unregister);
                states.filter(|state| *state == CallbackState::HasRun).count()
            });
            assert_eq!((registered, calls.load(SeqCst)), (60, 60));
        });
    });
}

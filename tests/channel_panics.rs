//! Values whose drop panics, threads that unwind, and misuse that panics with the rule's name, at the caller's line.

mod common;

use common::channels::{BUFFERED, KINDS, open};
use common::{Bomb, Counted, panic_of, watchdog};
use phalanx::channel::{self, Receiver, RecvError, Select, Sender};
use phalanx::select;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// The body must panic with a message that contains the rule, at one of its own lines.
macro_rules! panics {
    ($rule:literal, $body:expr) => {{
        let first = line!();
        let seen = panic_of(|| {
            _ = $body;
        });
        assert!(seen.message.contains($rule), "{}", seen.message);
        assert!(seen.file.ends_with("channel_panics.rs"), "{}", seen.file);
        assert!((first..first + 10).contains(&seen.line), "line {}, not {first}", seen.line);
    }};
}

#[test]
fn a_select_that_would_block_forever_panics() {
    panics!("a Select without cases would block forever", Select::new().select());
    panics!("a Select without cases would block forever", Select::new().ready());
    let (sender, receiver) = channel::bounded::<u8>(1);
    panics!("whose cases are all switched off would block forever", {
        let off: Option<Receiver<u8>> = None;
        select! {
            recv(off) -> _ => unreachable!("it is off"),
        }
    });
    panics!("whose cases are all switched off would block forever", {
        let (off, mut nothing) = (None::<Sender<u8>>, None);
        select! {
            send(off, 1) -> _ => unreachable!("it is off"),
            send_from(sender, &mut nothing) -> _ => unreachable!("it is off"),
        }
    });
    let mut nothing = None;
    let mut select = Select::new();
    select.send_from(&sender, &mut nothing);
    panics!("whose cases are all switched off would block forever", select.select());
    panics!("whose cases are all switched off would block forever", select.ready());
    let removed = select.recv(&receiver);
    select.remove(removed);
    panics!("whose cases are all switched off would block forever", select.select());
}

#[test]
fn a_select_of_no_cases_with_a_limit_ends_at_the_limit() {
    let moment = Duration::from_millis(2);
    let start = Instant::now();
    assert!(Select::new().try_select().is_err() && Select::new().try_ready().is_err());
    assert!(Select::new().select_timeout(moment).is_err());
    assert!(start.elapsed() >= moment);
    assert!(Select::new().ready_deadline(Instant::now() + moment).is_err());
    assert!(start.elapsed() >= 2 * moment);
    let off: Option<Receiver<u8>> = None;
    let chosen = select! {
        recv(off) -> _ => "received",
        default(moment) => "default",
    };
    assert_eq!(chosen, "default");
    assert!(start.elapsed() >= 3 * moment);
}

#[test]
fn misuse_panics_at_the_callers_line() {
    panics!("channel::tick: the period must not be zero", channel::tick(Duration::ZERO));
    let (sender, receiver) = channel::bounded(1);
    let (other_sender, other_receiver) = channel::bounded(1);
    sender.send(1).unwrap();
    other_sender.send(1).unwrap();
    let mut select = Select::new();
    let case = select.recv(&receiver);
    panics!("there is no case 7", select.remove(7));
    panics!("case 0 is not a receive", select.select().recv(&other_receiver));
    panics!("case 0 is not a send", select.select().send(&sender));
    // What was selected is still there.
    assert_eq!(select.select().recv(&receiver), Ok(1));
    select.remove(case);
    panics!("there is no case 0", select.remove(case));
    let case = select.send(&sender, 2);
    assert_eq!(case, 1, "indices aren't used again");
    panics!("case 1 is not a send", select.select().send(&other_sender));
    panics!("case 1 is not a receive", select.select().recv(&receiver));
}

#[test]
fn the_others_are_dropped_when_a_drop_panics_and_the_first_panic_goes_on() {
    struct Item(Option<&'static str>, #[expect(dead_code, reason = "counts its drop")] Counted);
    impl Drop for Item {
        fn drop(&mut self) {
            if let Some(name) = self.0 {
                resume_unwind(Box::new(name));
            }
        }
    }
    for capacity in BUFFERED.into_iter().filter(|capacity| capacity.is_none_or(|n| n >= 10)) {
        for by_fan_in in [false, true] {
            let (count, drops) = Counted::new();
            let (sender, receiver) = open(capacity);
            for bomb in [None, Some("first"), None, Some("second"), None] {
                assert!(sender.send(Item(bomb, count.clone())).is_ok());
            }
            let (beside, other) = channel::unbounded();
            assert!(beside.send(Item(None, count.clone())).is_ok());
            let last = if by_fan_in { channel::fan_in([receiver, other]) } else { receiver };
            let panic = catch_unwind(AssertUnwindSafe(|| drop(last))).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"first"));
            assert_eq!(drops.load(SeqCst), if by_fan_in { 6 } else { 5 }, "{capacity:?}");
            assert!(sender.is_closed() && sender.is_empty());
            drop(sender);
        }
    }
}

#[test]
fn a_received_bomb_is_the_receivers_own() {
    for capacity in BUFFERED.into_iter().filter(|capacity| capacity.is_none_or(|n| n >= 3)) {
        let (count, drops) = Counted::new();
        let (sender, receiver) = open(capacity);
        (0..3).for_each(|_| assert!(sender.send(Bomb(count.clone())).is_ok()));
        for n in 1..=2 {
            assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver.recv()))).is_err());
            assert_eq!(drops.load(SeqCst), n);
        }
        // In an error too.
        receiver.close();
        let refused = sender.send(Bomb(count.clone()));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(refused))).is_err());
        assert_eq!(drops.load(SeqCst), 3);
        std::mem::forget(receiver.recv());
    }
}

/// It panics on its way out of the select, when the message of the chosen case is already received.
#[test]
fn a_bomb_that_is_not_chosen_leaves_the_channels_whole() {
    let (count, bombs) = Counted::new();
    let (value, drops) = Counted::new();
    let (sender, receiver) = channel::bounded(2);
    let (nobody, _receives) = channel::bounded(0);
    sender.send(value.clone()).unwrap();
    sender.send(value.clone()).unwrap();
    let select = AssertUnwindSafe(|| {
        select! {
            send(nobody, Bomb(count)) -> _ => unreachable!("nobody receives"),
            recv(receiver) -> value => drop(value),
        }
    });
    assert!(catch_unwind(select).is_err());
    assert_eq!((bombs.load(SeqCst), drops.load(SeqCst)), (1, 1));
    assert_eq!(receiver.len(), 1);
    drop(receiver);
    assert_eq!(drops.load(SeqCst), 2);
}

#[test]
fn a_thread_that_unwinds_closes_what_it_alone_held() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open::<u8>(capacity);
            thread::spawn(move || {
                let _sender = sender;
                resume_unwind(Box::new("the sender's end"));
            });
            assert_eq!(receiver.recv(), Err(RecvError));
            let (sender, receiver) = open(capacity);
            let (value, drops) = Counted::new();
            let receiving = thread::spawn(move || {
                let _first = receiver.recv();
                resume_unwind(Box::new("the receiver's end"));
            });
            let made = 1 + (1..).find(|_| sender.send(value.clone()).is_err()).unwrap();
            assert!(receiving.join().is_err());
            assert_eq!(drops.load(SeqCst), made - 1, "{capacity:?}");
        }
    });
}

/// Sends, receives and selects in its drop.
struct Farewell(Sender<u8>, Receiver<u8>);

impl Drop for Farewell {
    fn drop(&mut self) {
        assert!(thread::panicking());
        self.0.send(1).unwrap();
        assert_eq!(self.1.recv(), Ok(2));
        select! {
            send(self.0, 3) -> sent => sent.unwrap(),
            recv(self.1) -> _ => unreachable!("nothing more was sent"),
        }
    }
}

#[test]
fn channels_work_while_a_thread_unwinds() {
    watchdog(|| {
        for capacity in KINDS {
            let (there, incoming) = open(capacity);
            let (back, returned) = open(capacity);
            let unwinding = thread::spawn(move || {
                let _farewell = Farewell(there, returned);
                resume_unwind(Box::new("unwinds"));
            });
            assert_eq!(incoming.recv(), Ok(1));
            back.send(2).unwrap();
            assert_eq!((incoming.recv(), incoming.recv()), (Ok(3), Err(RecvError)));
            assert!(unwinding.join().is_err());
        }
    });
}

#[test]
fn an_iterator_that_panics_has_sent_what_it_has_sent() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open(capacity);
            let (value, drops) = Counted::new();
            let received = thread::spawn(move || receiver.iter().count());
            let values = (0..200)
                .map(|n| if n == 150 { resume_unwind(Box::new("150")) } else { value.clone() });
            let sent = catch_unwind(AssertUnwindSafe(|| sender.send_many(values))).is_ok();
            assert!(!sent);
            // It is as open as before.
            sender.send(value.clone()).unwrap();
            drop(sender);
            let received = received.join().unwrap();
            assert!((150 - 64 + 1..=151).contains(&received), "{received}");
            drop(value);
            assert_eq!(drops.load(SeqCst), 152, "each is dropped once");
        }
    });
}

#[test]
fn ends_may_be_used_after_a_caught_panic() {
    let (sender, receiver) = channel::unbounded();
    let result = catch_unwind(|| {
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(2), "no");
    });
    assert!(result.is_err());
    sender.send(3).unwrap();
    assert_eq!(receiver.recv(), Ok(3));
}

/// Drops of several threads' values at once, each of which closes.
#[test]
fn a_drop_that_closes_from_many_threads_is_no_deadlock() {
    struct Closes(Sender<Closes>, Arc<AtomicUsize>);
    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.close();
            self.1.fetch_add(1, SeqCst);
        }
    }
    watchdog(|| {
        for capacity in KINDS {
            let drops = Arc::new(AtomicUsize::new(0));
            let (sender, receiver) = open(capacity);
            let made = thread::scope(|scope| {
                let sending = [(); 3].map(|()| {
                    let (sender, drops) = (sender.clone(), Arc::clone(&drops));
                    scope.spawn(move || {
                        let value = || Closes(sender.clone(), Arc::clone(&drops));
                        (1..).find(|_| sender.send(value()).is_err()).unwrap_or(0)
                    })
                });
                for _ in 0..2 {
                    let receiver = receiver.clone();
                    scope.spawn(move || receiver.iter().for_each(drop));
                }
                drop(receiver);
                sending.into_iter().map(|sending| sending.join().unwrap()).sum::<usize>()
            });
            assert_eq!(drops.load(SeqCst), made);
        }
    });
}

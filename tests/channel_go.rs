//! Programs that Go's channels are known for, and what Go's own tests ask of channels, in this crate's words.

mod common;

use common::channels::{KINDS, counted, open, until, until_a_sender_waits};
use common::stress::{for_about, for_about_a_second};
use common::watchdog;
use phalanx::channel::{self, Receiver, Sender, TryRecvError, TrySendError};
use phalanx::{WaitGroup, select};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Filters are started while numbers flow: one thread a prime, each behind the one before.
#[test]
fn a_sieve_finds_the_primes() {
    fn primes(capacity: usize, count: usize) -> Vec<u32> {
        let (numbers, mut source) = channel::bounded(capacity);
        thread::spawn(move || (2..).try_for_each(|n: u32| numbers.send(n)));
        let mut primes = Vec::new();
        while primes.len() < count {
            let prime = source.recv().unwrap();
            primes.push(prime);
            let (passed, rest) = channel::bounded(capacity);
            thread::spawn(move || {
                source.iter().filter(|n| n % prime != 0).try_for_each(|n| passed.send(n))
            });
            source = rest;
        }
        // The end of the last receiver ends all threads, one after the other.
        primes
    }
    watchdog(|| {
        for capacity in [0, 1, 10] {
            let found = primes(capacity, 25);
            assert_eq!(found[..10], [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
            assert_eq!(found[24], 97);
        }
    });
}

/// Each thread waits for its turn, which the one before it gives.
#[test]
fn a_chain_of_threads_passes_turns_in_order() {
    watchdog(|| {
        let (log, order) = channel::unbounded();
        let (first, mut turn) = channel::bounded(0);
        let group = WaitGroup::new();
        for n in 0..50 {
            let (done, next) = channel::bounded(0);
            let log = log.clone();
            group.go(move || {
                if turn.recv().is_ok() {
                    log.send(n).unwrap();
                    done.send(()).unwrap();
                }
            });
            turn = next;
        }
        drop(log);
        first.send(()).unwrap();
        turn.recv().unwrap();
        group.wait();
        assert!(order.iter().eq(0..50));
    });
}

#[test]
fn a_number_is_relayed_through_a_hundred_threads() {
    watchdog(|| {
        for capacity in KINDS {
            let (start, mut end) = open(capacity);
            for _ in 0..100 {
                let (sender, receiver) = open(capacity);
                thread::spawn(move || end.iter().try_for_each(|n| sender.send(n + 1)));
                end = receiver;
            }
            for n in 0..5 {
                start.send(n).unwrap();
                assert_eq!(end.recv(), Ok(n + 100));
            }
            drop(start);
            assert!(end.recv().is_err(), "the end goes through the chain too");
        }
    });
}

/// A barrier for a fixed number of threads, of two rendezvous channels and a thread that counts.
struct Barrier {
    arrive: Sender<()>,
    leave: Receiver<()>,
}

impl Barrier {
    fn new(threads: usize) -> Self {
        let (arrive, arrivals) = channel::bounded(0);
        let (departures, leave) = channel::bounded(0);
        thread::spawn(move || {
            while arrivals.iter().take(threads).count() == threads {
                (0..threads).try_for_each(|_| departures.send(()))?;
            }
            Ok::<(), channel::SendError<()>>(())
        });
        Barrier { arrive, leave }
    }

    fn wait(&self) {
        self.arrive.send(()).unwrap();
        self.leave.recv().unwrap();
    }
}

#[test]
fn a_barrier_is_made_of_channels() {
    const THREADS: usize = 4;
    const STEPS: usize = 200;
    watchdog(|| {
        let barrier = Barrier::new(THREADS);
        let arrived = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for step in 1..=STEPS {
                        arrived.fetch_add(1, SeqCst);
                        barrier.wait();
                        // All of this step, and none of the next but one.
                        let seen = arrived.load(SeqCst);
                        assert!((step * THREADS..(step + 1) * THREADS).contains(&seen));
                        barrier.wait();
                    }
                });
            }
        });
    });
}

/// As many slots as threads may run at once: a send takes one, a receive frees it.
#[test]
fn a_buffered_channel_is_a_semaphore() {
    const LIMIT: usize = 3;
    watchdog(|| {
        let (acquire, release) = channel::bounded(LIMIT);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        acquire.send(()).unwrap();
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, SeqCst);
                        release.recv().unwrap();
                    }
                });
            }
        });
        assert!((1..=LIMIT).contains(&most.into_inner()));
    });
}

/// A blocked operation is not done before the other side comes; a try never blocks.
#[test]
fn an_operation_waits_for_the_other_side() {
    watchdog(|| {
        for capacity in [0, 1, 100] {
            let (sender, receiver) = channel::bounded(capacity);
            let done = AtomicUsize::new(0);
            thread::scope(|scope| {
                scope.spawn(|| {
                    receiver.recv().unwrap();
                    done.store(1, SeqCst);
                });
                for _ in 0..100 {
                    thread::yield_now();
                    assert_eq!(done.load(SeqCst), 0, "nothing was sent yet");
                }
                sender.send(0).unwrap();
                until(|| done.load(SeqCst) == 1);
                (0..capacity).for_each(|n| sender.try_send(n).unwrap());
                assert_eq!(sender.try_send(capacity), Err(TrySendError::Full(capacity)));
                scope.spawn(|| {
                    sender.send(capacity).unwrap();
                    done.store(2, SeqCst);
                });
                for _ in 0..100 {
                    thread::yield_now();
                    assert_eq!(done.load(SeqCst), 1, "it is full");
                }
                assert_eq!(receiver.recv(), Ok(0));
                until(|| done.load(SeqCst) == 2);
                assert!((1..=capacity).all(|n| receiver.try_recv() == Ok(n)));
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            });
        }
    });
}

/// Go's race of a try against a close: a message that was sent before the close is found by the try.
#[test]
fn a_try_finds_what_was_sent_before_the_close() {
    watchdog(|| {
        for_about_a_second(|_| {
            let (sender, receiver) = channel::bounded(1);
            sender.send(1).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    select! {
                        recv(receiver) -> n => assert_eq!(n, Ok(1)),
                        default => panic!("the channel is not empty"),
                    }
                });
                sender.close();
            });
        });
    });
}

/// One of the two is ready at each moment.
#[test]
fn a_select_with_a_default_finds_one_of_two_channels_ready() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (one, from_one) = channel::bounded(1);
            let (other, from_other) = channel::bounded(1);
            one.send(1).unwrap();
            thread::scope(|scope| {
                let (from_one, from_other) = (&from_one, &from_other);
                scope.spawn(move || {
                    select! {
                        recv(from_one) -> _ => {}
                        recv(from_other) -> _ => {}
                        default => panic!("one of the two was ready all the time"),
                    }
                });
                if round % 2 == 0 {
                    other.send(1).unwrap();
                } else {
                    drop(other);
                }
                // Only now may the first be taken away.
                let _ = from_one.try_recv();
            });
        });
    });
}

/// Several threads that all select to send and to receive over one rendezvous: none of them meets itself.
#[test]
fn threads_that_send_and_receive_in_one_select_meet_each_other() {
    watchdog(|| {
        for capacity in [0, 10] {
            let (sender, receiver) = channel::bounded(capacity);
            let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for id in 0..2 {
                    let (sender, receiver) = (&sender, &receiver);
                    let (sent, received) = (&sent, &received);
                    scope.spawn(move || {
                        for _ in 0..2_000 {
                            let got = if id == 0 {
                                select! {
                                    send(sender, id) -> done => { done.unwrap(); None }
                                    recv(receiver) -> n => Some(n.unwrap()),
                                }
                            } else {
                                select! {
                                    recv(receiver) -> n => Some(n.unwrap()),
                                    send(sender, id) -> done => { done.unwrap(); None }
                                }
                            };
                            assert!(got != Some(id) || capacity > 0, "it has met itself");
                            let count = if got.is_some() { received } else { sent };
                            count.fetch_add(1, SeqCst);
                        }
                    });
                }
            });
            let (sent, received) = (sent.into_inner(), received.into_inner());
            assert_eq!(sent + received, 4_000);
            assert_eq!(sent - received, sender.len());
        }
    });
}

/// Four threads and a select send into four channels; four threads and a select receive.
#[test]
fn plain_calls_and_selects_over_four_channels_pass_all() {
    const EACH: u64 = 500;
    watchdog(|| {
        for capacity in [0, 2] {
            let channels = [(); 4].map(|()| channel::bounded(capacity));
            let received = thread::scope(|scope| {
                let plain = channels
                    .each_ref()
                    .map(|(_, receiver)| scope.spawn(move || Vec::from_iter(receiver)));
                let selecting = scope.spawn(|| receive_from_four(&channels));
                thread::scope(|scope| {
                    for (id, (sender, _)) in (0..).zip(&channels) {
                        scope.spawn(move || {
                            (0..EACH).for_each(|n| sender.send(id * EACH + n).unwrap());
                        });
                    }
                    scope.spawn(|| send_into_four(&channels, 4 * EACH, EACH));
                });
                channels.iter().for_each(|(sender, _)| assert!(sender.close()));
                let plain = plain.into_iter().flat_map(|it| it.join().unwrap());
                Vec::from_iter(plain.chain(selecting.join().unwrap()))
            });
            let counts = counted(received);
            assert_eq!(counts.len() as u64, 8 * EACH, "{capacity}");
            assert!(counts.values().all(|n| *n == 1), "each once");
        }
    });
}

fn receive_from_four(channels: &[(Sender<u64>, Receiver<u64>); 4]) -> Vec<u64> {
    let mut received = Vec::new();
    // A case is off once its channel is at the end.
    let mut open = channels.each_ref().map(|(_, receiver)| Some(receiver));
    while open.iter().any(Option::is_some) {
        let (from, number) = select! {
            recv(open[0]) -> n => (0, n),
            recv(open[1]) -> n => (1, n),
            recv(open[2]) -> n => (2, n),
            recv(open[3]) -> n => (3, n),
        };
        match number {
            Ok(number) => received.push(number),
            Err(_) => open[from] = None,
        }
    }
    received
}

/// Sends `each` numbers into each channel, all different, from `first` on.
fn send_into_four(channels: &[(Sender<u64>, Receiver<u64>); 4], first: u64, each: u64) {
    let mut left = [each; 4];
    while left.iter().any(|left| *left > 0) {
        // A case is off once its channel has had its share.
        let to = |at: usize| (left[at] > 0).then(|| &channels[at].0);
        let number = |at: usize| first + at as u64 * each + left[at].saturating_sub(1);
        let chosen = select! {
            send(to(0), number(0)) -> sent => sent.map(|()| 0),
            send(to(1), number(1)) -> sent => sent.map(|()| 1),
            send(to(2), number(2)) -> sent => sent.map(|()| 2),
            send(to(3), number(3)) -> sent => sent.map(|()| 3),
        };
        left[chosen.unwrap()] -= 1;
    }
}

/// Queues in which the same select waits several times stay whole when it leaves them.
#[test]
fn one_channel_in_two_cases_of_many_selects_loses_nothing() {
    watchdog(|| {
        for capacity in [0, 1] {
            let (sender, receiver) = channel::bounded(capacity);
            let (quit, over) = channel::bounded::<u8>(0);
            let total = thread::scope(|scope| {
                let selecting = [(); 4].map(|()| {
                    let (receiver, over) = (receiver.clone(), over.clone());
                    scope.spawn(move || {
                        let mut sum = 0;
                        loop {
                            select! {
                                recv(receiver) -> n => sum += n.unwrap_or(0),
                                recv(receiver) -> n => sum += n.unwrap_or(0),
                                recv(over) -> _ => return sum,
                            }
                        }
                    })
                });
                let mut sent = 0;
                for_about(Duration::from_millis(300), |n| {
                    sender.send(n).unwrap();
                    sent += n;
                });
                until(|| sender.is_empty());
                drop(quit);
                let sum: u64 = selecting.into_iter().map(|it| it.join().unwrap()).sum();
                sum == sent
            });
            assert!(total);
        }
    });
}

/// Bits that nobody can foretell: both values come in any long run. The rendezvous' select is asleep each time.
#[test]
fn of_two_sends_of_one_select_each_is_chosen_at_random() {
    watchdog(|| {
        for capacity in KINDS {
            let (sender, receiver) = open(capacity);
            let bits = thread::scope(|scope| {
                scope.spawn(move || {
                    for _ in 0..1_000 {
                        let sent = select! {
                            send(sender, false) -> sent => sent,
                            send(sender, true) -> sent => sent,
                        };
                        sent.unwrap();
                    }
                });
                let next = |_| {
                    if capacity == Some(0) {
                        until_a_sender_waits(&receiver);
                    }
                    receiver.recv().unwrap()
                };
                Vec::from_iter((0..1_000).map(next))
            });
            let ones = bits.iter().filter(|bit| **bit).count();
            assert!((300..=700).contains(&ones), "{ones} of 1,000, {capacity:?}");
            assert!(bits.windows(2).any(|pair| pair[0] == pair[1]), "they don't alternate");
        }
    });
}

#[test]
fn expressions_of_a_select_are_evaluated_once_and_in_order() {
    let (sender, receiver) = channel::bounded::<u8>(1);
    let log = AtomicUsize::new(0);
    let step = |n: usize| assert_eq!(log.fetch_add(1, SeqCst), n);
    fn ends<T>(end: &T, step: impl Fn(usize), n: usize) -> &T {
        step(n);
        end
    }
    select! {
        recv(ends(&receiver, step, 0)) -> _ => unreachable!("it is empty"),
        send(ends(&sender, step, 1), { step(2); 7 }) -> sent => sent.unwrap(),
        recv(ends(&receiver, step, 3)) -> _ => unreachable!("it is empty"),
        default({ step(4); Duration::ZERO }) => unreachable!("there was room"),
    }
    assert_eq!((log.into_inner(), receiver.recv()), (5, Ok(7)));
}

//! `Select`: cases that are known only at run time, and readiness without an operation.

mod common;

use common::channels::{KINDS, open, until_a_receiver_waits, until_a_sender_waits};
use common::locks::Dice;
use common::stress::for_about;
use common::{Counted, watchdog};
use phalanx::channel::{
    self, Receiver, RecvError, Select, SelectTimeoutError, SendError, TrySelectError,
};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(2);

#[test]
fn a_list_of_receives_is_used_again_and_again() {
    for count in [1, 2, 8, 9, 40] {
        let channels = Vec::from_iter((0..count).map(|_| channel::unbounded()));
        let mut select = Select::new();
        let indices = Vec::from_iter(channels.iter().map(|(_, receiver)| select.recv(receiver)));
        assert!(indices.iter().copied().eq(0..count));
        for (at, (sender, receiver)) in channels.iter().enumerate() {
            assert_eq!(select.try_select().map(|it| it.index()), Err(TrySelectError));
            sender.send(at).unwrap();
            let selected = select.select();
            assert_eq!(selected.index(), at);
            assert_eq!(selected.recv(receiver), Ok(at));
        }
    }
}

#[test]
fn a_removed_case_is_not_chosen_and_the_others_keep_their_indices() {
    let channels = [(); 4].map(|()| channel::unbounded());
    let mut select = Select::default();
    for (sender, receiver) in &channels {
        sender.send(7).unwrap();
        select.recv(receiver);
    }
    for at in [2, 0, 3, 1] {
        select.remove(at);
        let left = select.try_select().map(|selected| {
            let index = selected.index();
            assert_ne!(index, at);
            selected.recv(&channels[index].1).unwrap();
            channels[index].0.send(7).unwrap();
        });
        assert_eq!(left.is_ok(), at != 1, "all are removed");
    }
}

#[test]
fn a_send_case_sends_its_value_once() {
    let (value, drops) = Counted::new();
    let (sender, receiver) = channel::unbounded();
    let mut select = Select::new();
    let case = select.send(&sender, value);
    let selected = select.try_select().unwrap();
    assert_eq!(selected.index(), case);
    assert!(selected.send(&sender).is_ok());
    assert_eq!(select.try_select().map(|it| it.index()), Err(TrySelectError), "it is off now");
    assert_eq!((receiver.len(), drops.load(SeqCst)), (1, 0));
    // A case that was never chosen is dropped with its value, and one with a slot is not.
    let (value, drops) = Counted::new();
    let (nobody, _receives) = channel::bounded(0);
    let mut slot = Some(value.clone());
    let mut select = Select::new();
    select.send(&nobody, value);
    select.send_from(&nobody, &mut slot);
    assert!(select.select_timeout(MOMENT).is_err());
    drop(select);
    assert_eq!(drops.load(SeqCst), 1);
    assert!(slot.is_some());
}

#[test]
fn a_slot_keeps_its_value_until_its_case_is_chosen() {
    let (sender, receiver) = channel::bounded(1);
    let mut slot = Some(1);
    let mut select = Select::new();
    let case = select.send_from(&sender, &mut slot);
    assert_eq!(select.ready(), case);
    assert!(select.select().send(&sender).is_ok());
    drop(select);
    assert_eq!(slot, None);
    slot = Some(2);
    let mut select = Select::new();
    select.send_from(&sender, &mut slot);
    assert_eq!(
        select.select_deadline(Instant::now()).map(|it| it.index()),
        Err(SelectTimeoutError)
    );
    receiver.close();
    assert_eq!(select.select().send(&sender), Err(SendError(2)));
}

#[test]
fn a_result_that_is_not_fetched_is_kept_for_the_next_select() {
    let (value, drops) = Counted::new();
    let (sender, receiver) = channel::unbounded();
    sender.send(value).unwrap();
    let mut select = Select::new();
    let case = select.recv(&receiver);
    for _ in 0..3 {
        assert_eq!(select.select().index(), case);
        assert_eq!((receiver.len(), drops.load(SeqCst)), (0, 0));
    }
    drop(select.select().recv(&receiver).unwrap());
    assert_eq!(drops.load(SeqCst), 1);
    assert!(select.try_select().is_err());
}

#[test]
fn waits_end_at_their_limits() {
    let (_sender, receiver) = channel::unbounded::<u8>();
    let mut select = Select::new();
    select.recv(&receiver);
    let start = Instant::now();
    assert!(select.select_timeout(MOMENT).is_err());
    assert!(start.elapsed() >= MOMENT);
    assert!(select.ready_timeout(MOMENT).is_err());
    assert!(start.elapsed() >= 2 * MOMENT);
    assert!(select.select_deadline(start + 3 * MOMENT).is_err());
    assert!(select.ready_deadline(start + 4 * MOMENT).is_err());
    assert!(start.elapsed() >= 4 * MOMENT);
    assert!(select.select_timeout(Duration::ZERO).is_err());
}

#[test]
fn readiness_is_told_without_an_operation() {
    watchdog(|| {
        for capacity in KINDS.into_iter().filter(|capacity| *capacity != Some(0)) {
            let (sender, receiver) = open(capacity);
            let mut select = Select::new();
            let case = select.recv(&receiver);
            assert_eq!(select.try_ready(), Err(TrySelectError));
            thread::scope(|scope| {
                scope.spawn(|| sender.send(1).unwrap());
                assert_eq!(select.ready(), case);
            });
            for _ in 0..3 {
                assert_eq!((select.ready(), select.try_ready()), (case, Ok(case)));
                assert_eq!(select.ready_timeout(Duration::MAX), Ok(case));
            }
            assert_eq!((receiver.len(), receiver.try_recv()), (1, Ok(1)));
            assert_eq!(select.try_ready(), Err(TrySelectError));
            sender.close();
            assert_eq!(select.ready(), case, "the end is something to know");
            assert_eq!(receiver.try_recv().ok(), None);
        }
    });
}

/// Knowing of a receiver, or a sender, takes nothing from it.
#[test]
fn a_rendezvous_is_ready_while_the_other_side_waits() {
    watchdog(|| {
        let (sender, receiver) = channel::bounded(0);
        let mut to_receive = Select::new();
        to_receive.recv(&receiver);
        let mut to_send = Select::new();
        to_send.send(&sender, 0);
        assert!(to_receive.try_ready().is_err() && to_send.try_ready().is_err());
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(sender.send(1), Ok(())));
            assert_eq!(to_receive.ready(), 0);
            until_a_sender_waits(&receiver);
            assert_eq!(receiver.try_recv(), Ok(1));
        });
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(receiver.recv(), Ok(2)));
            assert_eq!(to_send.ready(), 0);
            until_a_receiver_waits(&sender, 0);
            assert_eq!(sender.try_send(2), Ok(()));
        });
        assert!(to_receive.try_ready().is_err() && to_send.try_ready().is_err());
    });
}

/// Several threads wait to know of the same messages, and then try. Each wake-up that one of them doesn't use has to reach
/// another, or a message stays and the test with it.
#[test]
fn threads_that_wait_to_know_and_then_try_receive_all() {
    fn receive_all(receiver: &Receiver<u64>, id: u64) -> Vec<u64> {
        let mut dice = Dice::new(id);
        let mut received = Vec::new();
        loop {
            let mut select = Select::new();
            select.recv(receiver);
            if dice.roll(3) == 0 {
                _ = select.ready_timeout(Duration::from_micros(dice.roll(50)));
            } else {
                select.ready();
            }
            match receiver.try_recv() {
                Ok(n) => received.push(n),
                Err(error) if error.is_disconnected() => return received,
                Err(_) => {}
            }
        }
    }
    watchdog(|| {
        for capacity in KINDS {
            for_about(Duration::from_millis(200), |round| {
                let (sender, receiver) = open(capacity);
                let mut received = thread::scope(|scope| {
                    let receivers = [0, 1, 2].map(|id| {
                        let receiver = receiver.clone();
                        scope.spawn(move || receive_all(&receiver, id + round))
                    });
                    (0..100).for_each(|n| sender.send(n).unwrap());
                    drop(sender);
                    receivers.map(|receiver| receiver.join().unwrap()).concat()
                });
                received.sort_unstable();
                assert!(received.into_iter().eq(0..100), "{capacity:?}");
            });
        }
    });
}

#[test]
fn lists_of_random_cases_pass_each_message_once() {
    const CHANNELS: usize = 6;
    watchdog(|| {
        for capacity in KINDS {
            for_about(Duration::from_millis(200), |round| {
                let channels = [(); CHANNELS].map(|()| open(capacity));
                let mut received = thread::scope(|scope| {
                    let receivers = [0, 1, 2].map(|id| {
                        let channels = &channels;
                        scope.spawn(move || {
                            receive_from_any(channels.each_ref().map(|it| &it.1), id)
                        })
                    });
                    let senders = [0, 1].map(|id| {
                        let channels = &channels;
                        scope.spawn(move || {
                            let mut dice = Dice::new(id + round);
                            for n in id * 50..(id + 1) * 50 {
                                // To any of three channels, two of which may be the same.
                                let mut select = Select::new();
                                let ends = [(); 3].map(|()| &channels[dice.roll(6) as usize].0);
                                let mut slots = [Some(n); 3];
                                for (end, slot) in ends.iter().zip(&mut slots) {
                                    select.send_from(end, slot);
                                }
                                let selected = select.select();
                                let index = selected.index();
                                selected.send(ends[index]).unwrap();
                                drop(select);
                                assert_eq!(slots.iter().flatten().count(), 2);
                            }
                        })
                    });
                    senders.into_iter().for_each(|sender| sender.join().unwrap());
                    channels.iter().for_each(|(sender, _)| assert!(sender.close()));
                    receivers.map(|receiver| receiver.join().unwrap()).concat()
                });
                received.sort_unstable();
                assert!(received.into_iter().eq(0..100), "{capacity:?}");
            });
        }
    });
}

/// Receives from all until all are at their ends.
fn receive_from_any(receivers: [&Receiver<u64>; 6], id: u64) -> Vec<u64> {
    let mut received = Vec::new();
    let mut select = Select::new();
    // Another order in each thread.
    let receivers = [0, 1, 2, 3, 4, 5].map(|at| receivers[(at + id as usize) % 6]);
    receivers.iter().for_each(|receiver| _ = select.recv(receiver));
    let mut open = receivers.len();
    while open > 0 {
        let selected = select.select();
        let index = selected.index();
        match selected.recv(receivers[index]) {
            Ok(n) => received.push(n),
            Err(RecvError) => {
                select.remove(index);
                open -= 1;
            }
        }
    }
    received
}

#[test]
fn a_fan_in_receives_all_and_ends_with_the_last() {
    watchdog(|| {
        for capacity in KINDS {
            let channels = [(); 4].map(|()| open(capacity));
            let (senders, receivers): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
            let all = channel::fan_in(receivers);
            let other = all.clone();
            let mut received = thread::scope(|scope| {
                for (id, sender) in (0..).zip(senders) {
                    scope.spawn(move || (0..100).for_each(|n| sender.send(id * 100 + n).unwrap()));
                }
                let beside = scope.spawn(|| Vec::from_iter(&other));
                let mut received = Vec::from_iter(&all);
                received.extend(beside.join().unwrap());
                received
            });
            received.sort_unstable();
            assert!(received.into_iter().eq(0..400));
            assert!(all.is_closed() && all.is_empty());
            assert_eq!(all.recv(), Err(RecvError));
        }
    });
}

#[test]
fn the_end_of_a_fan_in_hands_values_back_and_of_none_is_there_at_once() {
    assert_eq!(channel::fan_in([]).recv(), Err::<u8, _>(RecvError));
    assert!(channel::fan_out(channel::bounded::<u8>(1).1, 0).is_empty());
    let (value, drops) = Counted::new();
    let channels = [(); 3].map(|()| channel::unbounded());
    let senders = channels.each_ref().map(|(sender, _)| sender.clone());
    let all = channel::fan_in(channels.map(|(_, receiver)| receiver));
    senders.iter().for_each(|sender| sender.send(value.clone()).unwrap());
    assert_eq!((all.len(), all.capacity(), all.is_closed()), (3, None, false));
    drop(all.recv());
    let out = channel::fan_out(all, 2);
    drop(out);
    assert_eq!(drops.load(SeqCst), 3);
    assert!(senders.iter().all(|sender| sender.is_closed()));
    assert!(senders[0].send(value).is_err());
}

//! What `select!` does, case by case.

use phalanx::channel;
use phalanx::{select, thread};

#[test]
fn every_message_of_two_rendezvous_senders_is_selected_once() {
    for capacity in [0, 1] {
        let (one, receiver_one) = channel::bounded(capacity);
        let (other, receiver_other) = channel::bounded(capacity);
        let sum: u64 = thread::scope(|scope| {
            for sender in [one, other] {
                scope.spawn(move || (1..=20_000).try_for_each(|n| sender.send(n)));
            }
            let (mut a, mut b) = (Some(receiver_one), Some(receiver_other));
            let mut sum = 0;
            while a.is_some() || b.is_some() {
                select! {
                    recv(a) -> n => match n { Ok(n) => sum += n, Err(_) => a = None },
                    recv(b) -> n => match n { Ok(n) => sum += n, Err(_) => b = None },
                }
            }
            sum
        });
        assert_eq!(sum, 2 * (20_000 * 20_001 / 2));
    }
}

#[test]
fn two_selects_meet_that_send_and_receive_over_the_same_rendezvous() {
    let (sender, receiver) = channel::bounded(0);
    let work = || {
        let (mut sent, mut received) = (0, 0);
        for _ in 0..10_000 {
            select! {
                recv(receiver) -> n => received += n.unwrap(),
                send(sender, 1) -> done => { done.unwrap(); sent += 1 }
            }
        }
        sent - received
    };
    let difference: i32 = thread::scope(|scope| {
        let handles = [scope.spawn(work), scope.spawn(work)];
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    });
    assert_eq!(difference, 0);
}

#[test]
fn a_pending_value_stays_in_its_slot_until_it_is_sent() {
    let (sender, receiver) = channel::bounded(0);
    let (ticks, ticking) = channel::unbounded();
    let mut slot = Some(String::from("kept"));
    ticks.send(1).unwrap();
    select! {
        send_from(sender, &mut slot) -> _ => unreachable!("nobody receives"),
        recv(ticking) -> n => assert_eq!(n, Ok(1)),
    }
    assert_eq!(slot.as_deref(), Some("kept"));
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(receiver.recv().unwrap(), "kept"));
        select! {
            send_from(sender, &mut slot) -> done => assert_eq!(done, Ok(())),
            recv(ticking) -> _ => unreachable!("nothing was sent"),
        }
    });
    assert_eq!(slot, None);
}

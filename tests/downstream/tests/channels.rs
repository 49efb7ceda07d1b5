//! Models of a user's code over phalanx's channels. In a native build each runs once, under the gate in every
//! interleaving. The ignored tests are planted bugs, which must fail under the gate.

use downstream::permits::Permits;
use downstream::relay::Relay;
use phalanx::{channel, model, thread};
use std::sync::Arc;

/// Has a relay move letters that are there, into a channel with so much room. Returns those that arrive.
fn relay_all(letters: &[u32], capacity: usize, run: fn(&Relay)) -> Vec<u32> {
    let (posted, inbox) = channel::unbounded();
    let (outbox, arrived) = channel::bounded(capacity);
    posted.send_many(letters.iter().copied()).unwrap();
    drop(posted);
    let relay = thread::spawn(move || run(&Relay { inbox, outbox }));
    let arrived = arrived.iter().collect();
    relay.join().unwrap();
    arrived
}

#[track_caller]
fn all_arrive(letters: &[u32], capacity: usize, run: fn(&Relay)) {
    assert_eq!(relay_all(letters, capacity, run), letters, "a letter was lost");
}

/// The letter comes, and its sender goes, while the relay looks for it.
#[track_caller]
fn the_last_arrives(run: fn(&Relay)) {
    let (letters, inbox) = channel::bounded(1);
    let (outbox, arrived) = channel::bounded(1);
    let relay = thread::spawn(move || run(&Relay { inbox, outbox }));
    letters.send(1).unwrap();
    drop(letters);
    relay.join().unwrap();
    assert_eq!(arrived.try_iter().collect::<Vec<_>>(), [1], "a letter was lost");
}

/// Two threads work with both permits.
fn share(first: fn(&Permits), second: fn(&Permits)) {
    let permits = Arc::new(Permits::default());
    let theirs = permits.clone();
    let other = thread::spawn(move || first(&theirs));
    second(&permits);
    other.join().unwrap();
}

#[test]
fn a_relay_that_sends_again_loses_no_letter() {
    model(|| all_arrive(&[1], 0, Relay::run));
}

#[test]
fn a_relay_with_a_slot_loses_no_letter() {
    model(|| all_arrive(&[1], 0, Relay::run_with_a_slot));
}

#[test]
fn a_relay_that_tries_until_the_end_loses_no_letter() {
    model(|| the_last_arrives(Relay::run_until_the_end));
}

#[test]
#[ignore = "a planted bug"]
fn planted_lost_value_of_a_send_in_time() {
    model(|| all_arrive(&[1, 2], 1, Relay::run_in_time));
}

#[test]
#[ignore = "a planted bug"]
fn planted_lost_value_of_a_case_not_chosen() {
    model(|| all_arrive(&[1], 0, Relay::run_if_possible));
}

#[test]
#[ignore = "a planted bug"]
fn planted_lost_value_between_a_try_and_a_check() {
    model(|| the_last_arrives(Relay::run_until_closed));
}

#[test]
fn permits_in_one_order_are_shared() {
    model(|| share(Permits::work, Permits::work));
}

#[test]
#[ignore = "a planted bug"]
fn planted_deadlock_of_two_channels() {
    model(|| share(Permits::work, Permits::work_the_other_way_round));
}

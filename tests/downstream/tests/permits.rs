//! Models of structures on a semaphore and on a barrier, see `models.rs`.

use downstream::connections::Connections;
use downstream::rounds::Rounds;
use phalanx::{model, thread};
use std::sync::Arc;

/// Two threads and the main thread use the connections.
fn query(first: fn(&Connections), second: fn(&Connections), main: fn(&Connections)) -> u32 {
    let connections = Arc::new(Connections::default());
    let threads = [first, second].map(|f| {
        let connections = connections.clone();
        thread::spawn(move || f(&connections))
    });
    main(&connections);
    for thread in threads {
        thread.join().unwrap();
    }
    connections.queries()
}

/// Two threads compute.
fn compute(f: fn(&Rounds, usize) -> u32) -> [u32; 2] {
    let rounds = Arc::new(Rounds::default());
    let theirs = rounds.clone();
    let other = thread::spawn(move || f(&theirs, 1));
    [f(&rounds, 0), other.join().unwrap()]
}

#[test]
fn three_threads_share_two_connections() {
    model(|| {
        let queries = query(Connections::query, Connections::query, Connections::query);
        assert_eq!(queries, 3);
    });
}

#[test]
fn both_connections_are_used_at_once() {
    model(|| {
        let queries = query(Connections::query_on_both, |_| (), Connections::query_on_both);
        assert_eq!(queries, 4);
    });
}

#[test]
#[ignore = "a planted bug"]
fn planted_wrong_result_of_a_permit_released_too_early() {
    let hurry = Connections::query_in_a_hurry;
    model(move || assert_eq!(query(hurry, hurry, hurry), 3));
}

#[test]
#[ignore = "a planted bug"]
fn planted_deadlock_of_permits_acquired_one_by_one() {
    let both = Connections::query_on_one_after_the_other;
    model(move || assert_eq!(query(both, |_| (), both), 4));
}

#[test]
#[ignore = "a planted bug"]
fn planted_race_of_a_connection_chosen_by_the_count() {
    let by_count = Connections::query_by_count;
    model(move || assert_eq!(query(by_count, |_| (), by_count), 2));
}

#[test]
fn two_waits_a_round_keep_the_rounds_apart() {
    model(|| assert_eq!(compute(Rounds::compute), [4, 4]));
}

#[test]
#[ignore = "a planted bug"]
fn planted_race_of_a_round_that_begins_too_early() {
    model(|| assert_eq!(compute(Rounds::compute_without_the_second_wait), [4, 4]));
}

#[test]
#[ignore = "a planted bug"]
fn planted_deadlock_of_a_party_that_comes_too_seldom() {
    model(|| assert_eq!(compute(Rounds::compute_once_too_seldom)[1], 4));
}

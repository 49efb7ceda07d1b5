//! Histories of calls on a channel, in every interleaving of a model: some order of the calls explains all results.
//! `linearizable.rs` has longer ones, on real threads.

#[path = "common/models.rs"]
mod common;
#[path = "common/history.rs"]
mod history;
#[path = "common/pipes.rs"]
mod pipes;

use common::spawn;
use history::{Clock, is_linearizable};
use phalanx::channel::{self, Receiver, Sender};
use phalanx::model;
use pipes::What::{self, Close, Len, Recv, Send};
use pipes::{Pipe, call};
use std::sync::Arc;

struct Recorded {
    ends: (Sender<u32>, Receiver<u32>),
    clock: Clock,
}

/// Two threads make the calls of a list each.
fn check(capacity: Option<usize>, first: &'static [What], second: &'static [What]) {
    model(move || {
        let ends = capacity.map_or_else(channel::unbounded, channel::bounded);
        let recorded = Arc::new(Recorded { ends, clock: Clock::new() });
        let all = |recorded: &Recorded, calls: &[What]| -> Vec<_> {
            calls.iter().map(|what| call(&recorded.ends, &recorded.clock, *what)).collect()
        };
        let beside = spawn(&recorded, move |recorded| all(recorded, first));
        let mut history = all(&recorded, second);
        history.extend(beside.join().unwrap());
        assert!(is_linearizable(Pipe::new(capacity), &history), "{history:?}");
    });
}

#[test]
fn sends_beside_receives_are_linearizable() {
    for capacity in [Some(1), None] {
        check(capacity, &[Send(1), Send(2)], &[Recv, Recv]);
    }
}

#[test]
fn sends_beside_a_close_are_linearizable() {
    for capacity in [Some(1), None] {
        check(capacity, &[Send(1), Recv], &[Close, Recv]);
    }
}

#[test]
fn two_closes_and_a_length_are_linearizable() {
    check(Some(1), &[Close, Len], &[Send(1), Close]);
}

#[test]
fn threads_that_send_and_receive_are_linearizable() {
    check(Some(1), &[Send(1), Recv], &[Send(2), Recv]);
}

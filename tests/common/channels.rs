//! What the tests of channels share: channels of every kind, and waiting for what another thread does.

#![allow(dead_code, reason = "each test file uses its own part")]

use phalanx::channel::{self, Receiver, Select, Sender};
use std::collections::BTreeMap;
use std::thread;

/// The capacity of a channel; `None` is for no bound.
pub(crate) type Capacity = Option<usize>;

/// Channels that keep messages. At 16,384 the memory changes from a ring to blocks.
pub(crate) const BUFFERED: [Capacity; 9] = [
    Some(1),
    Some(2),
    Some(3),
    Some(10),
    Some(16_383),
    Some(16_384),
    Some(16_385),
    Some(usize::MAX),
    None,
];

/// A channel of each kind: a rendezvous, a ring of one slot and one with slots to spare, blocks with a bound and without.
pub(crate) const KINDS: [Capacity; 5] = [Some(0), Some(1), Some(10), Some(usize::MAX), None];

pub(crate) fn open<T>(capacity: Capacity) -> (Sender<T>, Receiver<T>) {
    match capacity {
        Some(capacity) => channel::bounded(capacity),
        None => channel::unbounded(),
    }
}

/// Returns once `ready` is `true`.
pub(crate) fn until(ready: impl Fn() -> bool) {
    while !ready() {
        thread::yield_now();
    }
}

/// Returns once a thread is blocked in a send into the rendezvous.
pub(crate) fn until_a_sender_waits<T>(receiver: &Receiver<T>) {
    let mut select = Select::new();
    select.recv(receiver);
    while select.try_ready().is_err() {
        thread::yield_now();
    }
}

/// Returns once a thread is blocked in a receive from the rendezvous. Drops the value, which a case of a select needs.
pub(crate) fn until_a_receiver_waits<T>(sender: &Sender<T>, value: T) {
    let mut select = Select::new();
    select.send(sender, value);
    while select.try_ready().is_err() {
        thread::yield_now();
    }
}

/// How often each value is there.
pub(crate) fn counted<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

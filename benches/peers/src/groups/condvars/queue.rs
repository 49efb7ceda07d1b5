//! A bounded queue of a mutex and two condition variables.

use super::Kit;
use crate::entry::{Failure, Outcome};
use crate::groups::check;
use crate::stats::{nanos, thin};
use crate::window::{self, Span, Worker};
use std::collections::VecDeque;
use std::time::Instant;

const PRODUCERS: usize = 2;
const CONSUMERS: usize = 2;
pub const THREADS: usize = PRODUCERS + CONSUMERS;

/// One call in so many is timed, so that the clock's cost stays a small part.
const TIMED: u64 = 8;

/// Samples that a thread takes in one round at most, and samples kept of a kind.
const MAX_SAMPLES: usize = 1 << 15;
const KEPT: usize = 4096;

struct Queue<K: Kit> {
    inside: K::Mutex<Inside>,
    not_full: K::Condvar,
    not_empty: K::Condvar,
    capacity: usize,
}

struct Inside {
    messages: VecDeque<u64>,
    producers: usize,
}

impl<K: Kit> Queue<K> {
    fn new(capacity: usize) -> Self {
        let messages = VecDeque::with_capacity(capacity);
        let inside = K::mutex(Inside { messages, producers: PRODUCERS });
        Self { inside, not_full: K::condvar(), not_empty: K::condvar(), capacity }
    }

    fn put(&self, message: u64) {
        let mut inside = K::lock(&self.inside);
        while inside.messages.len() == self.capacity {
            inside = K::wait(&self.not_full, inside);
        }
        inside.messages.push_back(message);
        K::notify_one(&self.not_empty);
    }

    /// Removes and returns the next message; `None` when all producers have left and none remains.
    fn take(&self) -> Option<u64> {
        let mut inside = K::lock(&self.inside);
        loop {
            if let Some(message) = inside.messages.pop_front() {
                K::notify_one(&self.not_full);
                return Some(message);
            }
            if inside.producers == 0 {
                return None;
            }
            inside = K::wait(&self.not_empty, inside);
        }
    }

    fn leave(&self) {
        let mut inside = K::lock(&self.inside);
        inside.producers -= 1;
        if inside.producers == 0 {
            K::notify_all(&self.not_empty);
        }
    }
}

/// What one thread did.
#[derive(Default)]
struct Done {
    sum: u64,
    took: Vec<u32>,
}

impl Done {
    /// Makes a call, and times it if it is one of those to be timed.
    fn call<R>(&mut self, number: u64, call: impl FnOnce() -> R) -> R {
        if !number.is_multiple_of(TIMED) || self.took.len() == MAX_SAMPLES {
            return call();
        }
        let start = Instant::now();
        let result = call();
        self.took.push(nanos(start.elapsed()));
        result
    }
}

pub fn round<K: Kit>(capacity: usize, span: Span) -> Result<Outcome, Failure> {
    let queue = Queue::<K>::new(capacity);
    let (done, rate) = window::run(THREADS, span, |worker| {
        let mut done = Done { sum: 0, took: Vec::with_capacity(MAX_SAMPLES) };
        if worker.index < PRODUCERS {
            produce(&queue, worker, &mut done);
        } else {
            consume(&queue, worker, &mut done);
        }
        (worker.total(), done)
    });
    let (puts, takes) = done.split_at(PRODUCERS);
    let total = |threads: &[(u64, Done)]| {
        threads.iter().fold((0, 0u64), |a, (n, done)| (a.0 + n, a.1.wrapping_add(done.sum)))
    };
    let (sent, received) = (total(puts), total(takes));
    check("messages", received.0, sent.0)?;
    check("sum", received.1, sent.1)?;
    let took = |threads: &[(u64, Done)]| {
        let all = threads.iter().flat_map(|(_, done)| done.took.iter().copied());
        thin(all.collect(), KEPT)
    };
    Ok(Outcome {
        figures: vec![("message", rate.ns_per_op_of(PRODUCERS..THREADS))],
        samples: vec![("put", took(puts)), ("take", took(takes))],
    })
}

fn produce<K: Kit>(queue: &Queue<K>, worker: &mut Worker<'_>, done: &mut Done) {
    while worker.more() {
        let message = worker.total();
        done.call(message, || queue.put(message));
        done.sum = done.sum.wrapping_add(message);
        worker.did(1);
    }
    queue.leave();
}

fn consume<K: Kit>(queue: &Queue<K>, worker: &mut Worker<'_>, done: &mut Done) {
    while let Some(message) = done.call(worker.total(), || queue.take()) {
        done.sum = done.sum.wrapping_add(message);
        worker.did(1);
    }
}

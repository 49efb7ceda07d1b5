//! Channels beside a `VecDeque`: random sequences of calls that don't block, on one thread, must have the results that a
//! queue with a bound would have. Values count their drops.

#[path = "../../common/mod.rs"]
mod common;

use common::channels::{Capacity, open};
use phalanx::channel::{
    self, Receiver, RecvTimeoutError, Select, SendTimeoutError, Sender, TryRecvError, TrySendError,
};
use phalanx::select;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
enum Call {
    TrySend,
    /// Only if it doesn't block.
    Send,
    SendTimeout,
    SendDeadline,
    SendMany(usize),
    SelectSend,
    SelectSendFrom,
    ListSend,
    TryRecv,
    /// Only if it doesn't block.
    Recv,
    RecvTimeout,
    RecvDeadline,
    RecvMany(usize),
    TryRecvMany(usize),
    TryIter(usize),
    SelectRecv,
    ListRecv,
    FanIn,
    Ready,
    CloneSender,
    CloneReceiver,
    /// Drops one of several.
    DropSender,
    DropReceiver,
    /// Rare.
    CloseBySender,
    CloseByReceiver,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    use Call::*;
    let call = prop_oneof![
        6 => Just(TrySend),
        4 => Just(Send),
        3 => Just(SendTimeout),
        2 => Just(SendDeadline),
        3 => (0..70_usize).prop_map(SendMany),
        3 => Just(SelectSend),
        3 => Just(SelectSendFrom),
        2 => Just(ListSend),
        6 => Just(TryRecv),
        4 => Just(Recv),
        3 => Just(RecvTimeout),
        2 => Just(RecvDeadline),
        3 => (0..70_usize).prop_map(RecvMany),
        2 => (0..70_usize).prop_map(TryRecvMany),
        2 => (0..10_usize).prop_map(TryIter),
        3 => Just(SelectRecv),
        2 => Just(ListRecv),
        2 => Just(FanIn),
        3 => Just(Ready),
        2 => Just(CloneSender),
        2 => Just(CloneReceiver),
        2 => Just(DropSender),
        2 => Just(DropReceiver),
        1 => prop_oneof![9 => Just(TrySend), 1 => Just(CloseBySender)],
        1 => prop_oneof![9 => Just(TryRecv), 1 => Just(CloseByReceiver)],
    ];
    vec(call, 1..120)
}

/// A numbered value that counts its drop.
#[derive(Debug)]
struct Value(u64, Arc<AtomicUsize>);

impl Drop for Value {
    fn drop(&mut self) {
        self.1.fetch_add(1, SeqCst);
    }
}

/// What came of a send or a receive, by the number of its value.
#[derive(Debug, PartialEq)]
enum Outcome {
    Sent,
    Refused(u64),
    Closed(u64),
    Received(Vec<u64>),
    Nothing,
    End,
}

/// The queue that a channel is.
struct Queue {
    values: VecDeque<u64>,
    capacity: usize,
    is_closed: bool,
}

impl Queue {
    fn send(&mut self, value: u64) -> Outcome {
        if self.is_closed {
            Outcome::Closed(value)
        } else if self.values.len() < self.capacity {
            self.values.push_back(value);
            Outcome::Sent
        } else {
            Outcome::Refused(value)
        }
    }

    fn recv(&mut self, limit: usize) -> Outcome {
        match limit.min(self.values.len()) {
            _ if limit == 0 => Outcome::Received(Vec::new()),
            0 if self.is_closed => Outcome::End,
            0 => Outcome::Nothing,
            n => Outcome::Received(self.values.drain(..n).collect()),
        }
    }
}

struct Channel {
    senders: Vec<Sender<Value>>,
    receivers: Vec<Receiver<Value>>,
    queue: Queue,
    drops: Arc<AtomicUsize>,
    made: u64,
}

const NOW: Duration = Duration::ZERO;

impl Channel {
    fn new(capacity: Capacity) -> Self {
        let (sender, receiver) = open(capacity);
        let queue = Queue {
            values: VecDeque::new(),
            capacity: capacity.unwrap_or(usize::MAX),
            is_closed: false,
        };
        let drops = Arc::default();
        Channel { senders: vec![sender], receivers: vec![receiver], queue, drops, made: 0 }
    }

    fn value(&mut self) -> Value {
        self.made += 1;
        Value(self.made, self.drops.clone())
    }

    fn make(&mut self, call: &Call) -> Result<(), TestCaseError> {
        match call {
            Call::SendMany(n) => return self.send_many(*n),
            Call::CloneSender => self.senders.push(self.senders[0].clone()),
            Call::CloneReceiver => self.receivers.push(self.receivers[0].clone()),
            Call::DropSender if self.senders.len() > 1 => drop(self.senders.swap_remove(0)),
            Call::DropReceiver if self.receivers.len() > 1 => drop(self.receivers.swap_remove(0)),
            Call::CloseBySender => self.close(|channel| channel.senders[0].close())?,
            Call::CloseByReceiver => self.close(|channel| channel.receivers[0].close())?,
            Call::Ready => self.ready()?,
            _ => {
                let value = self.value();
                let number = value.0;
                match send(self.senders.last().expect("one is left"), call, value, &self.queue) {
                    Some(outcome) => prop_assert_eq!(outcome, self.queue.send(number)),
                    None => self.receive(call)?,
                }
            }
        }
        self.check()
    }

    fn close(&mut self, close: impl Fn(&Self) -> bool) -> Result<(), TestCaseError> {
        prop_assert_eq!(close(self), !self.queue.is_closed);
        self.queue.is_closed = true;
        Ok(())
    }

    /// Only as many as there is room for: more would block.
    fn send_many(&mut self, n: usize) -> Result<(), TestCaseError> {
        let room = self.queue.capacity - self.queue.values.len();
        let values = Vec::from_iter((0..n.min(room)).map(|_| self.value()));
        let numbers = Vec::from_iter(values.iter().map(|value| value.0));
        match self.senders[0].send_many(values) {
            Ok(sent) => {
                prop_assert!(!self.queue.is_closed || numbers.is_empty());
                prop_assert_eq!(sent, numbers.len());
                self.queue.values.extend(numbers);
            }
            Err(error) => {
                prop_assert!(self.queue.is_closed);
                prop_assert_eq!(error.sent, 0);
                prop_assert!(error.unsent.map(|value| value.0).eq(numbers));
            }
        }
        self.check()
    }

    fn receive(&mut self, call: &Call) -> Result<(), TestCaseError> {
        let receiver = self.receivers.last().expect("one is left");
        let limit = match call {
            Call::RecvMany(limit) | Call::TryRecvMany(limit) | Call::TryIter(limit) => *limit,
            _ => 1,
        };
        let would_block = self.queue.values.is_empty() && !self.queue.is_closed && limit > 0;
        if let Some(outcome) = recv(receiver, call, would_block) {
            let expected = match (call, self.queue.recv(limit)) {
                // An iterator doesn't say why it has ended.
                (Call::TryIter(_), Outcome::Nothing | Outcome::End) => {
                    Outcome::Received(Vec::new())
                }
                (_, expected) => expected,
            };
            prop_assert_eq!(outcome, expected, "{:?}", call);
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), TestCaseError> {
        let is_closed = self.queue.is_closed;
        let mut select = Select::new();
        select.recv(&self.receivers[0]);
        let is_ready = is_closed || !self.queue.values.is_empty();
        prop_assert_eq!(select.try_ready().is_ok(), is_ready);
        prop_assert_eq!(select.ready_timeout(NOW).is_ok(), is_ready);
        let mut select = Select::new();
        select.send(&self.senders[0], Value(0, Arc::default()));
        let has_room = is_closed || self.queue.values.len() < self.queue.capacity;
        prop_assert_eq!(select.try_ready().is_ok(), has_room);
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (sender, receiver) = (&self.senders[0], &self.receivers[0]);
        let len = self.queue.values.len();
        prop_assert_eq!((sender.len(), receiver.len()), (len, len));
        prop_assert_eq!(sender.is_empty(), len == 0);
        prop_assert_eq!(receiver.is_full(), len == self.queue.capacity);
        prop_assert_eq!(sender.is_closed(), self.queue.is_closed);
        prop_assert_eq!(self.drops.load(SeqCst) + len, self.made as usize);
        Ok(())
    }
}

/// Makes a call that sends, or returns `None` for another one, or one that would block.
fn send(sender: &Sender<Value>, call: &Call, value: Value, queue: &Queue) -> Option<Outcome> {
    let would_block = queue.values.len() == queue.capacity && !queue.is_closed;
    let closed = |value: Value| Outcome::Closed(value.0);
    let refused = |value: Value| Outcome::Refused(value.0);
    let in_time = |sent: Result<(), SendTimeoutError<Value>>| match sent {
        Ok(()) => Outcome::Sent,
        Err(SendTimeoutError::Timeout(value)) => refused(value),
        Err(SendTimeoutError::Disconnected(value)) => closed(value),
    };
    let number = value.0;
    Some(match call {
        Call::TrySend => match sender.try_send(value) {
            Ok(()) => Outcome::Sent,
            Err(TrySendError::Full(value)) => refused(value),
            Err(TrySendError::Disconnected(value)) => closed(value),
        },
        Call::Send if !would_block => match sender.send(value) {
            Ok(()) => Outcome::Sent,
            Err(error) => closed(error.into_inner()),
        },
        Call::SendTimeout => in_time(sender.send_timeout(value, NOW)),
        Call::SendDeadline => in_time(sender.send_deadline(value, Instant::now())),
        Call::SelectSend => select! {
            send(sender, value) -> sent => match sent {
                Ok(()) => Outcome::Sent,
                Err(error) => closed(error.into_inner()),
            },
            default => Outcome::Refused(number),
        },
        Call::SelectSendFrom => {
            let mut slot = Some(value);
            let outcome = select! {
                recv(channel::never::<u8>()) -> _ => unreachable!("never"),
                send_from(sender, &mut slot) -> sent => match sent {
                    Ok(()) => Outcome::Sent,
                    Err(error) => closed(error.into_inner()),
                },
                default(NOW) => Outcome::Refused(number),
            };
            assert_eq!(slot.is_some(), outcome == Outcome::Refused(number));
            outcome
        }
        Call::ListSend => {
            let mut select = Select::new();
            select.send(sender, value);
            match select.try_select() {
                Err(_) => Outcome::Refused(number),
                Ok(selected) => match selected.send(sender) {
                    Ok(()) => Outcome::Sent,
                    Err(error) => closed(error.into_inner()),
                },
            }
        }
        _ => return None,
    })
}

/// Makes a call that receives, or returns `None` for another one, or one that would block.
fn recv(receiver: &Receiver<Value>, call: &Call, would_block: bool) -> Option<Outcome> {
    let one = |value: Value| Outcome::Received(vec![value.0]);
    let many = |values: Vec<Value>| Outcome::Received(values.iter().map(|it| it.0).collect());
    let tried = |received: Result<Value, TryRecvError>| match received {
        Ok(value) => one(value),
        Err(TryRecvError::Empty) => Outcome::Nothing,
        Err(TryRecvError::Disconnected) => Outcome::End,
    };
    let in_time = |received: Result<Value, RecvTimeoutError>| match received {
        Ok(value) => one(value),
        Err(RecvTimeoutError::Timeout) => Outcome::Nothing,
        Err(RecvTimeoutError::Disconnected) => Outcome::End,
    };
    let mut buffer = Vec::new();
    Some(match call {
        Call::TryRecv => tried(receiver.try_recv()),
        Call::Recv if !would_block => receiver.recv().map_or(Outcome::End, one),
        Call::RecvTimeout => in_time(receiver.recv_timeout(NOW)),
        Call::RecvDeadline => in_time(receiver.recv_deadline(Instant::now())),
        Call::RecvMany(limit) if !would_block => match receiver.recv_many(&mut buffer, *limit) {
            Ok(n) => {
                assert_eq!(n, buffer.len());
                many(buffer)
            }
            Err(_) => Outcome::End,
        },
        Call::TryRecvMany(limit) => match receiver.try_recv_many(&mut buffer, *limit) {
            Ok(n) => {
                assert_eq!(n, buffer.len());
                many(buffer)
            }
            Err(TryRecvError::Empty) => Outcome::Nothing,
            Err(TryRecvError::Disconnected) => Outcome::End,
        },
        Call::TryIter(limit) => many(receiver.try_iter().take(*limit).collect()),
        Call::SelectRecv => select! {
            recv(receiver) -> value => value.map_or(Outcome::End, one),
            default(NOW) => Outcome::Nothing,
        },
        Call::ListRecv => {
            let mut select = Select::new();
            select.recv(receiver);
            match select.try_select() {
                Err(_) => Outcome::Nothing,
                Ok(selected) => selected.recv(receiver).map_or(Outcome::End, one),
            }
        }
        Call::FanIn => {
            let over = channel::unbounded().1;
            let both = channel::fan_in([over, receiver.clone()]);
            tried(both.try_recv())
        }
        _ => return None,
    })
}

/// Compares many random sequences.
fn compare(capacity: Capacity) {
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() };
    let result = proptest::test_runner::TestRunner::new(config).run(&calls(), |calls| {
        let mut channel = Channel::new(capacity);
        for (at, call) in calls.iter().enumerate() {
            channel.make(call).map_err(|error| {
                TestCaseError::fail(format!("call {at}, {call:?}, {capacity:?}: {error}"))
            })?;
        }
        let (drops, made) = (channel.drops.clone(), channel.made as usize);
        drop(channel);
        prop_assert_eq!(drops.load(SeqCst), made);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn a_rendezvous_with_nobody_is_a_queue_without_room() {
    compare(Some(0));
}

#[test]
fn a_ring_is_a_queue() {
    [1, 2, 3, 10, 64, 100].into_iter().map(Some).for_each(compare);
}

#[test]
fn blocks_are_a_queue() {
    [Some(16_385), Some(usize::MAX), None].into_iter().for_each(compare);
}

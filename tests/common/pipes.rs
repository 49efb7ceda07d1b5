//! A channel on one thread, for histories: what calls that never block may return.

#![allow(dead_code, reason = "each test file uses its own part")]

use super::history::{Call, Clock, Sequential};
use phalanx::channel::{Receiver, Sender, TryRecvError, TrySendError};
use std::collections::VecDeque;

/// A call and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Send(u32, Result<(), TrySendError<u32>>),
    Recv(Result<u32, TryRecvError>),
    Len(usize),
    Close(bool),
}

/// Which call to make.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Send(u32),
    Recv,
    Len,
    Close,
}

/// What a channel holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pipe {
    capacity: Option<usize>,
    queued: VecDeque<u32>,
    is_closed: bool,
}

impl Pipe {
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        Pipe { capacity, queued: VecDeque::new(), is_closed: false }
    }
}

impl Sequential for Pipe {
    type Op = Op;

    fn allows(&mut self, op: &Op) -> bool {
        match op {
            Op::Send(n, result) => {
                let expected = if self.is_closed {
                    Err(TrySendError::Disconnected(*n))
                } else if self.capacity == Some(self.queued.len()) {
                    Err(TrySendError::Full(*n))
                } else {
                    self.queued.push_back(*n);
                    Ok(())
                };
                *result == expected
            }
            Op::Recv(result) => {
                let nothing =
                    if self.is_closed { TryRecvError::Disconnected } else { TryRecvError::Empty };
                *result == self.queued.pop_front().ok_or(nothing)
            }
            Op::Len(len) => *len == self.queued.len(),
            Op::Close(is_first) => *is_first != std::mem::replace(&mut self.is_closed, true),
        }
    }
}

/// Makes a call.
pub(crate) fn call(ends: &(Sender<u32>, Receiver<u32>), clock: &Clock, what: What) -> Call<Op> {
    let (sender, receiver) = ends;
    match what {
        What::Send(n) => clock.record(|| sender.try_send(n), |result| Op::Send(n, result)),
        What::Recv => clock.record(|| receiver.try_recv(), Op::Recv),
        What::Len => clock.record(|| receiver.len(), Op::Len),
        What::Close => clock.record(|| receiver.close(), Op::Close),
    }
}

//! Histories of calls on a shared object, and whether some order of them explains all results.
//!
//! Wing and Gong, "Testing and Verifying Concurrent Objects" (1993): a history is *linearizable* if its calls can be
//! ordered so that each comes after the calls that had returned before it began, and each has the result that it would
//! have on one thread.

#![allow(dead_code, reason = "each test file uses its own part")]

use phalanx::atomic::{AtomicUsize, Ordering::SeqCst};
use std::collections::HashSet;
use std::hash::Hash;

/// Stamps calls with times. In a model each stamp is a point of choice.
#[derive(Debug)]
pub(crate) struct Clock(AtomicUsize);

/// A call that has returned.
#[derive(Clone, Debug)]
pub(crate) struct Call<O> {
    /// The call and its result.
    pub(crate) op: O,
    pub(crate) called: usize,
    pub(crate) returned: usize,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Clock(AtomicUsize::new(0))
    }

    /// Makes a call and returns its record, in which `op` names the call by its result.
    pub(crate) fn record<R, O>(
        &self,
        call: impl FnOnce() -> R,
        op: impl FnOnce(R) -> O,
    ) -> Call<O> {
        let called = self.0.fetch_add(1, SeqCst);
        let result = call();
        let returned = self.0.fetch_add(1, SeqCst);
        Call { op: op(result), called, returned }
    }
}

/// An object on one thread: a state, and the effect of a call on it.
pub(crate) trait Sequential: Clone + Eq + Hash {
    type Op;
    /// Makes the call, and returns whether its result is right.
    fn allows(&mut self, op: &Self::Op) -> bool;
}

/// Whether some order explains the calls, of which there may be 64.
pub(crate) fn is_linearizable<S: Sequential>(start: S, history: &[Call<S::Op>]) -> bool {
    assert!(history.len() <= 64, "the history is too long");
    explains(start, history, 0, &mut HashSet::new())
}

fn explains<S: Sequential>(
    state: S,
    history: &[Call<S::Op>],
    done: u64,
    tried: &mut HashSet<(u64, S)>,
) -> bool {
    let left = || history.iter().enumerate().filter(|(at, _)| done & 1 << at == 0);
    // A call may be next if none of the others had returned when it began.
    let Some(limit) = left().map(|(_, call)| call.returned).min() else { return true };
    if !tried.insert((done, state.clone())) {
        return false;
    }
    left().filter(|(_, call)| call.called < limit).any(|(at, call)| {
        let mut next = state.clone();
        next.allows(&call.op) && explains(next, history, done | 1 << at, tried)
    })
}

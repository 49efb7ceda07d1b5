//! What a counter may return, according to its documentation.

#![allow(dead_code, reason = "each test file uses its own part")]

use super::history::{Call, Sequential};
use std::collections::BTreeSet;

/// A call on a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Count {
    Add(i64),
    Get(i64),
    /// A take in one step.
    Take(i64),
}

/// A counter on one thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Total(i64);

impl Sequential for Total {
    type Op = Count;

    fn allows(&mut self, op: &Count) -> bool {
        match *op {
            Count::Add(n) => {
                self.0 = self.0.wrapping_add(n);
                true
            }
            Count::Get(result) => self.0 == result,
            Count::Take(result) => std::mem::take(&mut self.0) == result,
        }
    }
}

/// Replaces each take by a get and a subtraction, the two steps that a concurrent `get` may see.
pub(crate) fn in_two_steps(history: &[Call<Count>]) -> Vec<Call<Count>> {
    let steps = |call: &Call<Count>| match call.op {
        Count::Take(result) => vec![Count::Get(result), Count::Add(result.wrapping_neg())],
        op => vec![op],
    };
    let history = history.iter();
    history.flat_map(|call| steps(call).into_iter().map(|op| Call { op, ..*call })).collect()
}

/// Whether each `get` counts all additions that returned before it, none that began after it, and of each thread's
/// concurrent ones a prefix. `threads` has each thread's calls in its own order.
pub(crate) fn counts_what_it_may(threads: &[Vec<Call<Count>>]) -> bool {
    let all = || threads.iter().flatten();
    all().all(|call| match call.op {
        Count::Get(result) => possible_counts(threads, call).contains(&result),
        Count::Add(_) => true,
        Count::Take(_) => panic!("no rule for a take here"),
    })
}

fn possible_counts(threads: &[Vec<Call<Count>>], get: &Call<Count>) -> BTreeSet<i64> {
    let mut possible = BTreeSet::from([0]);
    for calls in threads {
        let mut sum = 0;
        let mut of_thread = BTreeSet::from([0]);
        for call in calls {
            let Count::Add(n) = call.op else { continue };
            if call.called > get.returned {
                break;
            }
            sum += n;
            if call.returned < get.called {
                of_thread.clear();
            }
            of_thread.insert(sum);
        }
        let sums = |a| of_thread.iter().map(move |b| a + b);
        possible = possible.iter().flat_map(|&a| sums(a)).collect();
    }
    possible
}

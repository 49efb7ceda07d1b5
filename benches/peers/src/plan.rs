//! The settings of one run of `measure`, and what every round can use.

use crate::background::Background;
use crate::entry::{Role, Row, Runner};
use crate::go::Go;
use crate::window::Span;
use crate::work::Calibration;
use std::time::Duration;

/// Length of a window beside busy threads, in ordinary windows: threads alternate by time slices of
/// milliseconds there.
const BUSY: u32 = 4;
/// Length of a window for single waits, in ordinary windows. A wait may last for milliseconds, and
/// beside busy threads for tens of them.
const LONGER: u32 = 6;
const BUSY_LONGER: u32 = 12;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    quick: bool,
    /// Rounds of each row that count.
    pub rounds: usize,
    /// Passes that may be added to replace noisy ones.
    pub extra_passes: usize,
    /// The same two for rows with busy threads beside them, which take longer.
    busy_rounds: usize,
    busy_extra_passes: usize,
    pub span: Span,
    /// Thread counts for the rows that have them.
    pub threads: Vec<usize>,
    /// Samples a latency row takes in one round.
    pub samples: usize,
    /// Time a row of batches spends on one contender in one round.
    pub batch_budget: Duration,
    /// Parts of contenders' names to keep; all if empty.
    pub only: Vec<String>,
    /// Part of a row's label to keep.
    pub rows: Option<String>,
}

impl Plan {
    /// A plan with the thread counts that were asked for. By default those are 1, 2, 4, … up to 4 times
    /// the number of cores, and 16 times; in a quick plan 1, the number of cores, and 4 times that.
    pub fn new(quick: bool, rounds: Option<usize>, threads: Option<Vec<usize>>) -> Self {
        let cores = cores();
        let threads = threads.unwrap_or_else(|| thread_counts(cores, quick));
        let ms = Duration::from_millis;
        let busy_rounds = rounds.unwrap_or(if quick { 2 } else { 9 }).max(1);
        let rounds = rounds.unwrap_or(if quick { 5 } else { 9 }).max(1);
        Self {
            quick,
            rounds,
            extra_passes: if quick { 1 } else { rounds },
            busy_rounds,
            busy_extra_passes: if quick { 0 } else { busy_rounds },
            span: Span {
                warm: ms(if quick { 1 } else { 3 }),
                window: ms(if quick { 12 } else { 40 }),
            },
            threads,
            samples: if quick { 200 } else { 500 },
            batch_budget: ms(if quick { 20 } else { 80 }),
            only: Vec::new(),
            rows: None,
        }
    }

    /// The rounds of a row that count, and its passes at most.
    pub fn passes(&self, background: Background) -> (usize, usize) {
        if background.is_none() {
            (self.rounds, self.rounds + self.extra_passes)
        } else {
            (self.busy_rounds, self.busy_rounds + self.busy_extra_passes)
        }
    }

    /// The backgrounds of rows that have one; in a quick plan the busiest alone.
    pub fn backgrounds(&self) -> &'static [Background] {
        if self.quick { &[Background::TWO] } else { &[Background::ONE, Background::TWO] }
    }

    /// Whether the contender was asked for.
    pub fn keeps(&self, runner: &Runner) -> bool {
        let named = |part: &String| runner.name.contains(part.as_str());
        self.only.is_empty() || runner.role == Role::Limit || self.only.iter().any(named)
    }

    /// Whether the row was asked for.
    pub fn keeps_row(&self, row: &Row) -> bool {
        let label = row.label();
        self.rows.as_ref().is_none_or(|part| label.contains(part))
    }

    /// The thread counts up to the number of cores, or all if none is that small.
    pub fn threads_on_cores(&self) -> Vec<usize> {
        let fits = |n: &usize| *n <= cores();
        let fitting: Vec<_> = self.threads.iter().copied().filter(fits).collect();
        if fitting.is_empty() {
            return self.threads.clone();
        }
        fitting
    }

    /// The thread count for rows with a single one: the number of cores, or the nearest that was asked
    /// for.
    pub fn all_threads(&self) -> usize {
        self.threads_on_cores().into_iter().max().unwrap_or(1)
    }
}

/// What a round may use besides its task.
pub struct Context {
    pub plan: Plan,
    pub calibration: Calibration,
    /// The busy threads beside the round.
    pub background: Background,
    /// The Go co-process, if there is Go.
    pub go: Option<Go>,
}

impl Context {
    /// How long a round runs.
    pub fn span(&self) -> Span {
        self.span_of(1, BUSY)
    }

    /// How long a round of single waits runs.
    pub fn long_span(&self) -> Span {
        self.span_of(LONGER, BUSY_LONGER)
    }

    fn span_of(&self, idle: u32, busy: u32) -> Span {
        let span = self.plan.span;
        let factor = if self.background.is_none() { idle } else { busy };
        Span { window: span.window * factor, ..span }
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

fn thread_counts(cores: usize, quick: bool) -> Vec<usize> {
    let mut counts: Vec<usize> = if quick {
        vec![1, cores, 4 * cores]
    } else {
        let powers = std::iter::successors(Some(1), |n| Some(n * 2));
        let within = powers.take_while(|&n| n < 4 * cores);
        within.chain([cores, 4 * cores, 16 * cores]).collect()
    };
    counts.sort_unstable();
    counts.dedup();
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_counts_double_up_to_the_cores_and_go_beyond() {
        assert_eq!(thread_counts(2, false), [1, 2, 4, 8, 32]);
        assert_eq!(thread_counts(6, false), [1, 2, 4, 6, 8, 16, 24, 96]);
        assert_eq!(thread_counts(4, true), [1, 4, 16]);
    }

    #[test]
    fn one_core_is_listed_once() {
        assert_eq!(thread_counts(1, true), [1, 4]);
    }
}

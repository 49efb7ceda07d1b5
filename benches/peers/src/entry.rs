//! Contenders, tasks and rows: what a group measures.
//!
//! A group has a task type (what one row measures) and a list of [`Entry`]s. An entry names a contender
//! and points to the group's measuring function, compiled for that contender's adapter. So a contender
//! is chosen by one indirect call a round, outside the measured loop.

use crate::background::Background;
use crate::plan::{Context, cores};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// What a contender is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Ours,
    Peer,
    /// The same work without synchronisation: no contender can be faster.
    Limit,
}

/// What one contender did in one round.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Figures by name, in the row's unit; a row with one figure names it "".
    pub figures: Vec<(&'static str, f64)>,
    /// Single durations in nanoseconds, or other numbers, by name; tables show their quantiles. A row
    /// with one kind of samples names it "".
    pub samples: Vec<(&'static str, Vec<u32>)>,
}

impl Outcome {
    /// A row's only figure.
    pub fn one(value: f64) -> Self {
        Self::figures(vec![("", value)])
    }

    pub fn figures(figures: Vec<(&'static str, f64)>) -> Self {
        Self { figures, samples: Vec::new() }
    }

    /// A row's only samples.
    pub fn latencies(nanos: Vec<u32>) -> Self {
        Self::samples(vec![("", nanos)])
    }

    pub fn samples(samples: Vec<(&'static str, Vec<u32>)>) -> Self {
        Self { figures: Vec::new(), samples }
    }
}

/// The name of samples that count acquisitions by others during a wait.
pub const TURNS: &str = "turns";

/// Why a round has no figure: a wrong answer, or a co-process that failed.
pub type Failure = String;

/// Runs one round of a task.
pub type Round<T> = fn(&T, &mut Context) -> Result<Outcome, Failure>;

/// A contender of a group.
pub struct Entry<T> {
    pub name: &'static str,
    role: Role,
    takes: Vec<fn(&T) -> bool>,
    round: Round<T>,
}

impl<T> Entry<T> {
    pub fn new(name: &'static str, role: Role, round: Round<T>) -> Self {
        Self { name, role, takes: Vec::new(), round }
    }

    /// Leaves the contender out of the tasks for which `takes` returns false.
    pub fn only(mut self, takes: fn(&T) -> bool) -> Self {
        self.takes.push(takes);
        self
    }

    fn takes(&self, task: &T) -> bool {
        self.takes.iter().all(|takes| takes(task))
    }
}

/// A contender bound to a row's task.
pub struct Runner {
    pub name: &'static str,
    pub role: Role,
    pub round: BoundRound,
}

/// A round with its task.
type BoundRound = Box<dyn Fn(&mut Context) -> Result<Outcome, Failure>>;

/// A row's parameters: a table's leading columns, and a chart's axes.
pub type Params = Vec<(String, String)>;

/// One row of a table, ready to be run.
pub struct Row {
    /// The table within the group.
    pub section: &'static str,
    pub params: Params,
    /// What a figure counts, such as "ns per lock + unlock".
    pub unit: &'static str,
    /// The busy threads beside it.
    pub background: Background,
    pub runners: Vec<Runner>,
}

impl Row {
    /// Binds every entry that takes the task. `threads` is how many threads a contender uses;
    /// the row's label says so.
    pub fn new<T: 'static>(
        section: &'static str,
        unit: &'static str,
        params: Params,
        threads: usize,
        task: T,
        entries: Vec<Entry<T>>,
    ) -> Self {
        let task = Rc::new(task);
        let bind = |entry: Entry<T>| {
            let task = Rc::clone(&task);
            let round = entry.round;
            Runner {
                name: entry.name,
                role: entry.role,
                round: Box::new(move |context| round(&task, context)),
            }
        };
        let taking = entries.into_iter().filter(|entry| entry.takes(&task));
        let runners = taking.map(bind).collect();
        let background = Background::NONE;
        let mut row = Self { section, params, unit, background, runners };
        row.params.push(("threads".to_owned(), threads.to_string()));
        row.params.push(("cores".to_owned(), cores().to_string()));
        row.params.push((BACKGROUND.to_owned(), background.label()));
        row
    }

    /// The same row beside busy threads.
    pub fn beside(mut self, background: Background) -> Self {
        self.background = background;
        self.params.retain(|(name, _)| name != BACKGROUND);
        self.params.push((BACKGROUND.to_owned(), background.label()));
        self
    }

    /// The row's name in messages, such as "Lock and unlock, threads 4".
    pub fn label(&self) -> String {
        label(self.section, &self.params)
    }
}

/// The parameter that names the busy threads beside a row.
pub const BACKGROUND: &str = "background";

/// A row's name, from its section and its parameters.
pub fn label(section: &str, params: &Params) -> String {
    let words = params.iter().map(|(k, v)| format!(", {k} {v}"));
    format!("{section}{}", words.collect::<String>())
}

/// A row's parameters, in column order.
pub fn params<const N: usize>(pairs: [(&str, String); N]) -> Params {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

/// A group of rows.
pub struct Group {
    pub name: &'static str,
    pub title: &'static str,
    /// Cores that the group is measured on at most; METHOD.md says why.
    pub most_cores: usize,
    pub rows: fn(&crate::plan::Plan) -> Vec<Row>,
}

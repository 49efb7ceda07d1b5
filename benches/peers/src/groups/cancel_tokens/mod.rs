//! Cancel tokens: asking whether one is cancelled, cancelling a tree of a million, and children that come and go.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Params, Role, Row, params};
use crate::plan::{Context, Plan};
use crate::{groups::check, window};
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

pub const GROUP: Group =
    Group { name: "cancel_tokens", title: "Cancel tokens", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: u64 = 64;

/// Nodes of a tree.
const NODES: usize = 1_000_000;

/// A flag that can be asked.
pub trait Flag: Sync + Send {
    fn new() -> Self;
    fn is_cancelled(&self) -> bool;
}

/// A token of a tree.
pub trait Token: Flag {
    fn child(&self) -> Self;
    fn cancel(&self);
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `is_cancelled` of one token.
    Ask,
    /// A child of one token is made and dropped.
    Child,
    /// The root of a tree is cancelled; each node has so many children.
    Cancel(usize),
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let ask = plan.threads.iter().map(|&threads| {
        let task = Task { kind: Kind::Ask, threads };
        Row::new("Asking", "ns per is_cancelled", params([]), threads, task, contenders::flags())
    });
    let child = plan.threads.iter().map(|&threads| {
        let name = ("A child made and dropped", "ns per child");
        row(name, params([]), Kind::Child, threads)
    });
    let cancel = [NODES, 10, 2].map(|children| {
        let shape = if children == NODES { "all".to_owned() } else { children.to_string() };
        let name = ("Cancelling a tree of 1,000,000", "ns per node");
        row(name, params([("children of a node", shape)]), Kind::Cancel(children), 1)
    });
    ask.chain(child).chain(cancel).collect()
}

fn row(
    (section, unit): (&'static str, &'static str),
    params: Params,
    kind: Kind,
    threads: usize,
) -> Row {
    Row::new(section, unit, params, threads, Task { kind, threads }, contenders::tokens())
}

fn ask<F: Flag>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let flag = CachePadded::new(F::new());
    let (totals, rate) = window::run(task.threads, context.span(), |worker| {
        let mut cancelled = 0;
        while worker.more() {
            for _ in 0..BATCH {
                cancelled += u64::from(black_box(&*flag).is_cancelled());
            }
            worker.did(BATCH);
        }
        cancelled
    });
    check("cancelled", totals.iter().sum(), 0)?;
    Ok(Outcome::one(rate.ns_per_op()))
}

fn round<T: Token>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let root = T::new();
    match task.kind {
        Kind::Ask => ask::<T>(task, context),
        Kind::Child => {
            let (_, rate) = window::run(task.threads, context.span(), |worker| {
                while worker.more() {
                    for _ in 0..BATCH {
                        drop(black_box(root.child()));
                    }
                    worker.did(BATCH);
                }
            });
            Ok(Outcome::one(rate.ns_per_op()))
        }
        Kind::Cancel(children) => {
            let mut nodes: Vec<T> = vec![root];
            for node in 1..NODES {
                let child = nodes[(node - 1) / children].child();
                nodes.push(child);
            }
            let start = Instant::now();
            nodes[0].cancel();
            let took = start.elapsed();
            let cancelled = nodes.iter().filter(|node| node.is_cancelled()).count();
            check("cancelled", cancelled as u64, NODES as u64)?;
            Ok(Outcome::one(took.as_nanos() as f64 / NODES as f64))
        }
    }
}

fn flag<F: Flag>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, ask::<F>)
}

fn token<T: Token>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<T>)
}

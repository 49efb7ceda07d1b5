//! Values that are made once: reading one, and making one.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::groups::check;
use crate::plan::{Context, Plan};
use crate::window;
use crossbeam_utils::CachePadded;
use serde::Serialize;
use std::hint::black_box;

pub const GROUP: Group =
    Group { name: "onces", title: "Values made once", most_cores: usize::MAX, rows };

/// Operations between two checks of the stop flag.
const BATCH: u64 = 256;

/// A value that is made once.
pub trait OnceCell: Sync + Sized {
    fn new() -> Self;
    fn get(&self) -> Option<&u64>;
    fn get_or_init(&self, value: u64) -> &u64;
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `get` of a value that is there.
    Get,
    /// `get_or_init` of a value that is there.
    GetOrInit,
    /// A new lock, its value made, and both dropped.
    Make,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    threads: usize,
}

fn rows(plan: &Plan) -> Vec<Row> {
    let row = |section, unit, kind, threads| {
        Row::new(section, unit, params([]), threads, Task { kind, threads }, contenders::all())
    };
    let get = plan.threads.iter().map(|&n| row("Get", "ns per get", Kind::Get, n));
    let or_init =
        plan.threads.iter().map(|&n| row("Get or init, made", "ns per call", Kind::GetOrInit, n));
    let make = [row("Make", "ns per value", Kind::Make, 1)];
    get.chain(or_init).chain(make).collect()
}

fn round<O: OnceCell>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let once = CachePadded::new(O::new());
    once.get_or_init(1);
    let (sums, rate) = window::run(task.threads, context.span(), |worker| {
        let mut sum = 0;
        while worker.more() {
            for _ in 0..BATCH {
                let once = black_box(&*once);
                sum += match task.kind {
                    Kind::Get => *once.get().expect("made above"),
                    Kind::GetOrInit => *once.get_or_init(2),
                    Kind::Make => *black_box(O::new()).get_or_init(1),
                };
            }
            worker.did(BATCH);
        }
        worker.total() - sum
    });
    check("difference", sums.iter().sum(), 0)?;
    Ok(Outcome::one(rate.ns_per_op()))
}

fn entry<O: OnceCell>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<O>)
}

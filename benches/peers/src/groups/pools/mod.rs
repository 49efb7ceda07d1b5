//! Pools of three: run a batch of tasks, return the results in order.

mod contenders;
mod limit;
pub mod load;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::go;
use crate::groups::pause::spin_for;
use crate::noise::other_threads_time;
use crate::plan::{Context, Plan};
use crate::stats::median;
use load::{Load, Task as Function};
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

pub const GROUP: Group =
    Group { name: "pools", title: "Pools of three", most_cores: usize::MAX, rows };

/// Threads that a pool may use at a time.
pub const SEATS: usize = 3;

/// How long an idle pool has had nothing to do.
const IDLE: Duration = Duration::from_micros(200);

/// Processor time that can't be told from none, in µs per second.
const NOTHING: f64 = 50.0;

/// A pool of [`SEATS`].
pub trait Pool {
    fn new() -> Self;
    /// Runs a task per item; returns the results of `f` in the items' order.
    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64>;
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Time per task of long batches.
    Batch,
    /// Time of single batches, without a pause between them.
    Hot,
    /// Time of single batches, with a pause of 200 µs before each.
    Idle,
    /// Time to create the pool, run a batch and drop the pool.
    Create,
    /// Processor time that a pool with nothing to do uses.
    Asleep,
}

#[derive(Serialize)]
pub struct Task {
    kind: Kind,
    load: Load,
    tasks: usize,
}

const FIVE_TINY: (&str, Load, usize) = ("five tiny", Load::Tiny, 5);

fn rows(_: &Plan) -> Vec<Row> {
    let even = ("Many tasks of one size", "ns per task");
    let uneven = ("Many tasks of uneven sizes", "ns per task");
    let few = ("A few tasks", "ns per batch");
    let create = ("Create, run five tiny tasks, drop", "ns");
    let asleep = ("Nothing to do", "µs of processor time per second");
    let mut rows = vec![
        row(even, "2·x", Kind::Batch, (Load::Tiny, 1_000_000)),
        row(even, "10 ns", Kind::Batch, (Load::Even(10), 300_000)),
        row(even, "100 ns", Kind::Batch, (Load::Even(100), 300_000)),
        row(even, "1 µs", Kind::Batch, (Load::Even(1_000), 30_000)),
        row(even, "10 µs", Kind::Batch, (Load::Even(10_000), 3_000)),
        row(uneven, "20 ns to 2 µs, hashed", Kind::Batch, (Load::Hashed, 30_000)),
        row(uneven, "50 ns, the last tenth 5 µs", Kind::Batch, (Load::Tail, 50_000)),
    ];
    let five_long = ("five of 20 µs", Load::Even(20_000), 5);
    for (name, load, tasks) in [("one tiny", Load::Tiny, 1), FIVE_TINY, five_long] {
        for (when, kind) in [("hot", Kind::Hot), ("idle for 200 µs", Kind::Idle)] {
            let name = format!("{name}, {when}");
            rows.push(row(few, &name, kind, (load, tasks)));
        }
    }
    let (name, load, tasks) = FIVE_TINY;
    rows.push(row(create, name, Kind::Create, (load, tasks)));
    rows.push(row(asleep, "none", Kind::Asleep, (load, tasks)));
    rows
}

fn row(
    (section, unit): (&'static str, &'static str),
    name: &str,
    kind: Kind,
    (load, tasks): (Load, usize),
) -> Row {
    let task = Task { kind, load, tasks };
    let names = params([("tasks", name.to_owned())]);
    Row::new(section, unit, names, SEATS, task, contenders::all())
}

fn round<P: Pool>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let calibration = context.calibration;
    let budget = context.plan.batch_budget;
    let samples = context.plan.samples;
    let measure = Measure { task, budget, samples, pool: std::marker::PhantomData::<P> };
    task.load.with(calibration, task.tasks, measure)
}

/// A round, generic over the tasks' function.
struct Measure<'a, P> {
    task: &'a Task,
    budget: Duration,
    samples: usize,
    pool: std::marker::PhantomData<P>,
}

impl<P: Pool> load::User for Measure<'_, P> {
    type Output = Result<Outcome, Failure>;

    fn call<F: Function>(self, f: F) -> Self::Output {
        let items: Vec<u64> = (0..self.task.tasks as u64).collect();
        match self.task.kind {
            Kind::Batch => batches(&mut P::new(), &items, f, self.budget),
            Kind::Hot => single(&mut P::new(), &items, f, self.samples * 4, Duration::ZERO),
            Kind::Idle => single(&mut P::new(), &items, f, self.samples, IDLE),
            Kind::Create => create::<P, F>(&items, f, self.samples),
            Kind::Asleep => asleep(&mut P::new(), &items, f),
        }
    }
}

/// Checks that every result is twice its item.
fn check(results: &[u64], items: &[u64]) -> Result<(), Failure> {
    let right = |(&result, &item): (&u64, &u64)| result == 2 * item;
    if results.len() == items.len() && results.iter().zip(items).all(right) {
        Ok(())
    } else {
        Err("wrong answer: results are missing or out of order".to_owned())
    }
}

/// Runs long batches until the budget is used up. The first one warms up; it is a tenth of a batch if a
/// whole one would use up the budget.
fn batches<P: Pool, F: Function>(
    pool: &mut P,
    items: &[u64],
    f: F,
    budget: Duration,
) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let part = &items[..items.len() / 10];
    check(&pool.map(part, f), part)?;
    if began.elapsed() < budget / 10 {
        check(&pool.map(items, f), items)?;
    }
    let began = Instant::now();
    let mut each = Vec::new();
    while each.is_empty() || began.elapsed() < budget {
        let start = Instant::now();
        let results = black_box(pool.map(black_box(items), f));
        each.push(start.elapsed().as_nanos() as f64 / items.len() as f64);
        check(&results, items)?;
    }
    Ok(Outcome::one(median(&each)))
}

/// Runs single batches, each after a pause in which the caller stays awake, so that only the pool has gone
/// to sleep.
fn single<P: Pool, F: Function>(
    pool: &mut P,
    items: &[u64],
    f: F,
    samples: usize,
    pause: Duration,
) -> Result<Outcome, Failure> {
    let warm = samples / 10 + 1;
    let mut took = Vec::with_capacity(samples);
    for at in 0..samples + warm {
        spin_for(pause);
        let start = Instant::now();
        let results = black_box(pool.map(black_box(items), f));
        let nanos = start.elapsed().as_nanos() as u32;
        check(&results, items)?;
        if at >= warm {
            took.push(nanos);
        }
    }
    Ok(Outcome::latencies(took))
}

fn create<P: Pool, F: Function>(items: &[u64], f: F, samples: usize) -> Result<Outcome, Failure> {
    let mut took = Vec::with_capacity(samples);
    for at in 0..=samples {
        let start = Instant::now();
        let mut pool = P::new();
        let results = black_box(pool.map(black_box(items), f));
        drop(pool);
        let nanos = start.elapsed().as_nanos() as u32;
        check(&results, items)?;
        if at > 0 {
            took.push(nanos);
        }
    }
    Ok(Outcome::latencies(took))
}

/// Measures the processor time of all other threads while there is nothing to do.
fn asleep<P: Pool, F: Function>(pool: &mut P, items: &[u64], f: F) -> Result<Outcome, Failure> {
    check(&pool.map(items, f), items)?;
    // Other rows contain what a pool does right after a batch, such as spinning for the next one.
    std::thread::sleep(Duration::from_millis(10));
    let (start, used) = (Instant::now(), other_threads_time());
    std::thread::sleep(Duration::from_millis(100));
    let used = other_threads_time().saturating_sub(used);
    let share = used.as_secs_f64() / start.elapsed().as_secs_f64();
    Ok(Outcome::one((share * 1e6).max(NOTHING)))
}

fn peer<P: Pool>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Peer, round::<P>)
}

fn ours<P: Pool>(name: &'static str) -> Entry<Task> {
    Entry::new(name, Role::Ours, round::<P>)
}

fn in_go() -> Entry<Task> {
    go::entry("Go", |task, context| go::round(GROUP.name, task, context))
}

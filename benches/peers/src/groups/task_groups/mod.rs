//! Groups of tasks: starting so many that do next to nothing, and waiting for all.

mod contenders;

use crate::entry::{Entry, Failure, Group, Outcome, Role, Row, params};
use crate::groups::check;
use crate::plan::{Context, Plan};
use serde::Serialize;
use std::time::Instant;

pub const GROUP: Group =
    Group { name: "task_groups", title: "Groups of tasks", most_cores: usize::MAX, rows };

/// Runs tasks on threads of their own.
pub trait Tasks {
    /// Has `n` tasks return their numbers, and returns the sum.
    fn sum(n: u64) -> u64;
}

#[derive(Serialize)]
pub struct Task {
    tasks: u64,
}

fn rows(_: &Plan) -> Vec<Row> {
    let row = |tasks: u64| {
        let params = params([("tasks", tasks.to_string())]);
        let threads = usize::try_from(tasks).expect("few");
        Row::new(
            "Start and wait",
            "ns per task",
            params,
            threads,
            Task { tasks },
            contenders::all(),
        )
    };
    [1, 4, 16, 64].map(row).into()
}

fn round<G: Tasks>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let (start, mut groups) = (Instant::now(), 0);
    while start.elapsed() < context.plan.batch_budget {
        check("sum", G::sum(task.tasks), task.tasks * (task.tasks - 1) / 2)?;
        groups += 1;
    }
    Ok(Outcome::one(start.elapsed().as_nanos() as f64 / (groups * task.tasks) as f64))
}

fn entry<G: Tasks>(name: &'static str, role: Role) -> Entry<Task> {
    Entry::new(name, role, round::<G>)
}

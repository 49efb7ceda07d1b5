//! The ways to run tasks that are compared.

use super::{Task, Tasks, entry};
use crate::entry::{Entry, Role};
use std::convert::Infallible;
use std::hint::black_box;

pub fn all() -> Vec<Entry<Task>> {
    vec![
        entry::<Group>("phalanx", Role::Ours),
        entry::<Limited>("phalanx, limited", Role::Ours).only(|task| task.tasks > 4),
        entry::<Scope>("std thread::scope", Role::Peer),
        entry::<ScopedThreads>("crossbeam scope", Role::Peer),
    ]
}

struct Group;

impl Tasks for Group {
    fn sum(n: u64) -> u64 {
        let numbers = phalanx::task_group(|group| {
            for i in 0..n {
                group.go(move || Ok::<_, Infallible>(black_box(i)));
            }
        });
        numbers.into_iter().flatten().sum()
    }
}

/// At most four at a time, which no peer can.
struct Limited;

impl Tasks for Limited {
    fn sum(n: u64) -> u64 {
        let numbers = phalanx::task_group(|group| {
            group.limit(4);
            for i in 0..n {
                group.go(move || Ok::<_, Infallible>(black_box(i)));
            }
        });
        numbers.into_iter().flatten().sum()
    }
}

struct Scope;

impl Tasks for Scope {
    fn sum(n: u64) -> u64 {
        std::thread::scope(|scope| {
            let tasks: Vec<_> =
                (0..n).map(|i| scope.spawn(move || Ok::<_, Infallible>(black_box(i)))).collect();
            tasks.into_iter().map(|task| task.join().expect("no panic").unwrap_or(0)).sum()
        })
    }
}

struct ScopedThreads;

impl Tasks for ScopedThreads {
    fn sum(n: u64) -> u64 {
        let sum = crossbeam_utils::thread::scope(|scope| {
            let tasks: Vec<_> = (0..n).map(|i| scope.spawn(move |_| black_box(i))).collect();
            tasks.into_iter().map(|task| task.join().expect("no panic")).sum()
        });
        sum.expect("no panic")
    }
}

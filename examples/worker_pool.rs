//! A pool of 3 runs tasks 1 to 5 and returns their results in order.
//!
//! `cargo run --release --example worker_pool`

use phalanx::WorkerPool;

fn main() {
    let results = WorkerPool::new(3).run((1..=5).map(|task| {
        move || {
            println!("task {task} is being worked on");
            task * 2
        }
    }));
    for (task, result) in (1..).zip(&results) {
        println!("task {task} doubled is {result}");
    }
    assert_eq!(results, [2, 4, 6, 8, 10]);
}

//! A worker pool of channels: three workers take tasks from one channel and send results into another, which is closed
//! when a wait group says that all workers are done.
//!
//! [`WorkerPool`](phalanx::WorkerPool) does the same in a line; see the example `worker_pool`.
//!
//! `cargo run --release --example worker_pool_channels`

use phalanx::{WaitGroup, channel};
use std::thread;

const TASKS: u32 = 5;

fn main() {
    let (tasks, incoming) = channel::bounded(TASKS as usize);
    let (results, outgoing) = channel::bounded(TASKS as usize);

    let workers = WaitGroup::new();
    for (id, tasks) in (1..).zip(channel::fan_out(incoming, 3)) {
        let results = results.clone();
        workers.go(move || {
            for task in tasks {
                println!("worker {id} works on task {task}");
                results.send((task, task * 2)).unwrap();
            }
        });
    }

    for task in 1..=TASKS {
        tasks.send(task).unwrap();
    }
    // No more tasks: each worker's loop ends when the channel is empty.
    tasks.close();

    thread::spawn(move || {
        workers.wait();
        results.close();
    });

    let mut received = Vec::new();
    for (task, result) in outgoing {
        println!("task {task} doubled is {result}");
        received.push((task, result));
    }
    received.sort();
    assert_eq!(received, [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10)]);
}

//! Waiting for tasks: two named tasks, and a line that comes after both.
//!
//! `cargo run --release --example wait_group`

use phalanx::WaitGroup;
use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

fn main() {
    let group = WaitGroup::new();
    let completed = Arc::new(AtomicUsize::new(0));
    for name in ["Task 1", "Task 2"] {
        let completed = completed.clone();
        group.go(move || {
            println!("{name} completed");
            completed.fetch_add(1, Relaxed);
        });
    }
    group.wait();
    // Relaxed is enough: the end of a task happens before the return of the wait.
    assert_eq!(completed.load(Relaxed), 2);
    println!("All tasks completed");
}

//! Two threads add to one counter, a thousand times each, and nothing is lost.
//!
//! `cargo run --release --example safe_counter`

use phalanx::{SafeCounter, WaitGroup};
use std::sync::Arc;

fn main() {
    let counter = Arc::new(SafeCounter::new());
    let group = WaitGroup::new();
    for _ in 0..2 {
        let counter = counter.clone();
        group.go(move || {
            for _ in 0..1000 {
                counter.increment();
            }
        });
    }
    group.wait();
    println!("Final count: {counter}");
    assert_eq!(counter.get(), 2000);
}

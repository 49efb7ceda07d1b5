//! A post whose views many threads count at once, losing none.
//!
//! `cargo run --release --example post_views`
//!
//! In Go, a hundred goroutines that share a struct and do `post.views++` are a data race: it compiles,
//! and loses a view now and then. In Rust that version doesn't compile; the two below do. A lock holds
//! what it protects, so the views are reached only through the lock.
//!
//! The compiler can't check code with `unsafe`, such as a cell that several threads share by a protocol
//! of your own. Make it a `phalanx::cell::UnsafeCell`, and use it in a `phalanx::model`, which explores
//! the schedules and fails on a race. The crate's docs have the command; `tests/downstream` has a post
//! whose race is found in this way.

use phalanx::{Mutex, RwMutex, WaitGroup, WorkerPool};
use std::sync::Arc;

#[derive(Debug)]
struct Post {
    title: &'static str,
    views: u32,
}

impl Post {
    fn new() -> Self {
        Post { title: "Share by communicating", views: 0 }
    }

    fn view(&mut self) {
        self.views += 1;
    }
}

fn main() {
    count_with_mutex();
    read_beside_counting();
}

/// One thread at a time, whether it reads or writes: the first choice for short critical sections.
fn count_with_mutex() {
    let post = Arc::new(Mutex::new(Post::new()));
    let group = WaitGroup::new();
    for _ in 0..100 {
        let post = post.clone();
        group.go(move || post.lock().view());
    }
    group.wait();
    assert_eq!(post.lock().views, 100);
    println!("Mutex: {:?}", post.lock());
}

/// Readers side by side, writers alone: for frequent reads that hold the lock for a while.
///
/// `cargo bench --bench mutex_vs_rw_mutex` shows when that is faster.
fn read_beside_counting() {
    const WRITERS: u32 = 2;
    const READERS: u32 = 8;
    const VIEWS: u32 = 50;
    const READS: u32 = 1_000;

    let post = &RwMutex::new(Post::new());
    let pool = WorkerPool::new((WRITERS + READERS) as usize);
    // Tasks of a pool may borrow. Each returns the views that it read last.
    let seen = pool.run((0..WRITERS + READERS).map(|task| {
        move || {
            if task < WRITERS {
                for _ in 0..VIEWS {
                    post.write().view();
                }
            }
            let mut last = 0;
            for _ in 0..READS {
                let post = post.read();
                assert_eq!(post.title, "Share by communicating");
                assert!(post.views >= last, "views never become fewer");
                last = post.views;
            }
            last
        }
    }));

    let post = post.read();
    assert_eq!(post.views, WRITERS * VIEWS);
    assert!(seen.iter().all(|&views| views <= post.views));
    // A writer sees what it wrote itself.
    assert!(seen[..WRITERS as usize].iter().all(|&views| views >= VIEWS));
    println!("RwMutex: {post:?}, after {} reads", (WRITERS + READERS) * READS);
}

//! A post whose views many threads count at once, without losing one.
//!
//! `cargo run --release --example post_views`
//!
//! In Go this starts as a struct that a hundred goroutines share, each of them doing
//! `post.views++`: a data race that compiles, and loses views now and then. Here that version
//! doesn't compile; the two below are the ones that do. A lock holds what it protects, so there is
//! no way to the views but through it.
//!
//! What the compiler can't check is code with `unsafe`: a cell that several threads share, guarded
//! by a protocol of your own. Make it a `phalanx::cell::UnsafeCell` and run it in a
//! `phalanx::model`: built with the gate, that goes through the schedules and fails on a race. The
//! crate's docs have the command, `tests/downstream` a post whose racing views are found that way.

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

/// One thread at a time, whatever it wants: the first choice while a lock is held for short.
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
/// `cargo bench --bench mutex_vs_rw_mutex` tells from where on that is faster.
fn read_beside_counting() {
    const WRITERS: u32 = 2;
    const READERS: u32 = 8;
    const VIEWS: u32 = 50;
    const READS: u32 = 1_000;

    let post = &RwMutex::new(Post::new());
    let pool = WorkerPool::new((WRITERS + READERS) as usize);
    // Tasks of a pool may borrow. Each hands back the views that it saw last.
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

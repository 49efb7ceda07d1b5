//! The wait group beside crossbeam-utils' and what std offers. `cargo bench --bench wait_group`
//!
//! For a quick check of a change; the comparison for claims is in `benches/peers`. Ids are
//! `wait_group/WORK/THREADS/LIBRARY`.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use phalanx::WaitGroup;
use std::hint::black_box;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A wait group made of std's parts: a count under a mutex, and a condition variable.
#[derive(Default)]
struct StdGroup {
    count: Mutex<usize>,
    zero: Condvar,
}

impl StdGroup {
    fn add(&self, n: usize) {
        *self.count.lock().unwrap() += n;
    }

    fn done(&self) {
        let mut count = self.count.lock().unwrap();
        *count -= 1;
        if *count == 0 {
            self.zero.notify_all();
        }
    }

    fn wait(&self) {
        let mut count = self.count.lock().unwrap();
        while *count > 0 {
            count = self.zero.wait(count).unwrap();
        }
    }
}

fn count_one(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("wait_group/count_one/1t");
    let group = WaitGroup::new();
    bench.bench_function("phalanx_add_done", |b| {
        b.iter(|| {
            group.add(1);
            group.done();
        });
    });
    let guard = group.guard();
    bench.bench_function("phalanx_guard_clone_drop", |b| b.iter(|| drop(black_box(guard.clone()))));
    let peer = crossbeam_utils::sync::WaitGroup::new();
    bench.bench_function("crossbeam_clone_drop", |b| b.iter(|| drop(black_box(peer.clone()))));
    let peer = StdGroup::default();
    bench.bench_function("std_mutex_condvar", |b| {
        b.iter(|| {
            peer.add(1);
            peer.done();
        });
    });
    bench.finish();
}

/// Returns the time that `threads` threads take for `iterations` of `work` each.
fn together(threads: usize, iterations: u64, work: impl Fn() + Sync) -> Duration {
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..iterations {
                        work();
                    }
                })
            })
            .collect();
        start.wait();
        let clock = Instant::now();
        for thread in running {
            thread.join().unwrap();
        }
        clock.elapsed()
    })
}

fn count_together(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("wait_group/count_together");
    for threads in [2, 4] {
        bench.bench_function(BenchmarkId::new(format!("{threads}t"), "phalanx"), |b| {
            let group = WaitGroup::new();
            b.iter_custom(|iterations| {
                together(threads, iterations, || {
                    group.add(1);
                    group.done();
                })
            });
        });
        bench.bench_function(BenchmarkId::new(format!("{threads}t"), "crossbeam"), |b| {
            let group = crossbeam_utils::sync::WaitGroup::new();
            b.iter_custom(|iterations| together(threads, iterations, || drop(group.clone())));
        });
        bench.bench_function(BenchmarkId::new(format!("{threads}t"), "std_mutex_condvar"), |b| {
            let group = StdGroup::default();
            b.iter_custom(|iterations| {
                together(threads, iterations, || {
                    group.add(1);
                    group.done();
                })
            });
        });
    }
    bench.finish();
}

/// Starts three threads, and waits until they have called `done`.
fn fork_join(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("wait_group/fork_join/3t");
    bench.bench_function("phalanx", |b| {
        b.iter(|| {
            let group = WaitGroup::new();
            for _ in 0..3 {
                let guard = group.guard();
                thread::spawn(move || drop(guard));
            }
            group.wait();
        });
    });
    bench.bench_function("crossbeam", |b| {
        b.iter(|| {
            let group = crossbeam_utils::sync::WaitGroup::new();
            for _ in 0..3 {
                let clone = group.clone();
                thread::spawn(move || drop(clone));
            }
            group.wait();
        });
    });
    bench.bench_function("std_mutex_condvar", |b| {
        b.iter(|| {
            let group = Arc::new(StdGroup::default());
            group.add(3);
            for _ in 0..3 {
                let group = group.clone();
                thread::spawn(move || group.done());
            }
            group.wait();
        });
    });
    bench.bench_function("std_scope", |b| {
        b.iter(|| {
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| ());
                }
            });
        });
    });
    bench.finish();
}

criterion_group!(benches, count_one, count_together, fork_join);
criterion_main!(benches);

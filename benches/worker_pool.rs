//! A pool of 3 compared with std's and crossbeam-utils' scoped threads. `cargo bench --bench worker_pool`
//!
//! For a quick comparison on this machine; ids are `worker_pool/WORK/CONTENDER`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phalanx::WorkerPool;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

const WORKERS: usize = 3;

/// A dependent chain of multiplications: some 2 ns each.
fn busy(steps: u32) -> u64 {
    let mut x = u64::from(steps);
    for _ in 0..steps {
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    x
}

/// Each of three scoped std threads takes a third, as one would write by hand.
fn std_thirds<T: Send>(items: &[u64], f: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let (f, chunk) = (&f, items.len().div_ceil(WORKERS).max(1));
    thread::scope(|scope| {
        let thirds: Vec<_> = items
            .chunks(chunk)
            .map(|third| scope.spawn(move || third.iter().map(|&n| f(n)).collect::<Vec<T>>()))
            .collect();
        thirds.into_iter().flat_map(|third| third.join().unwrap()).collect()
    })
}

/// The same with crossbeam-utils' scope.
fn crossbeam_thirds<T: Send>(items: &[u64], f: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let (f, chunk) = (&f, items.len().div_ceil(WORKERS).max(1));
    crossbeam_utils::thread::scope(|scope| {
        let thirds: Vec<_> = items
            .chunks(chunk)
            .map(|third| scope.spawn(move |_| third.iter().map(|&n| f(n)).collect::<Vec<T>>()))
            .collect();
        thirds.into_iter().flat_map(|third| third.join().unwrap()).collect()
    })
    .unwrap()
}

fn batches(criterion: &mut Criterion) {
    for (name, len, steps) in
        [("five_tiny", 5, 0), ("thousand_100ns", 1_000, 50), ("million_tiny", 1_000_000, 0)]
    {
        let items: Vec<u64> = (0..len).collect();
        let mut bench = criterion.benchmark_group(format!("worker_pool/{name}"));
        bench.throughput(Throughput::Elements(len));
        if len > 1_000 {
            bench.sample_size(20);
        }
        let work = |n: u64| n * 2 + busy(steps);
        let pool = WorkerPool::new(WORKERS);
        bench.bench_function("phalanx_map", |b| {
            b.iter(|| pool.map(items.iter().copied(), work));
        });
        bench.bench_function("phalanx_run", |b| {
            b.iter(|| pool.run(items.iter().map(|&n| move || work(n))));
        });
        bench.bench_function("std_scope", |b| b.iter(|| std_thirds(&items, work)));
        bench.bench_function("crossbeam_scope", |b| b.iter(|| crossbeam_thirds(&items, work)));
        bench.bench_function("limit_one_thread", |b| {
            b.iter(|| items.iter().map(|&n| work(n)).collect::<Vec<u64>>());
        });
        bench.finish();
    }
}

/// Times the pool's creation and drop too, as in the one line `WorkerPool::new(3).run(tasks)`.
fn one_line(criterion: &mut Criterion) {
    let items = [1, 2, 3, 4, 5];
    let mut bench = criterion.benchmark_group("worker_pool/one_line_five_tiny");
    bench.bench_function("phalanx_run", |b| {
        b.iter(|| WorkerPool::new(WORKERS).run(items.map(|n| move || n * 2)));
    });
    bench.bench_function("phalanx_map", |b| {
        b.iter(|| WorkerPool::new(WORKERS).map(items, |n| n * 2));
    });
    bench.bench_function("std_scope", |b| b.iter(|| std_thirds(&items, |n| n * 2)));
    bench.finish();
}

/// Times the batch alone, after the helpers have gone to sleep.
fn asleep(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("worker_pool/five_tiny_idle_200us");
    bench.measurement_time(Duration::from_secs(3));
    let pool = WorkerPool::new(WORKERS);
    let idle = |batch: &dyn Fn()| {
        let clock = Instant::now();
        while clock.elapsed() < Duration::from_micros(200) {
            std::hint::spin_loop();
        }
        let clock = Instant::now();
        batch();
        clock.elapsed()
    };
    bench.bench_function("phalanx_map", |b| {
        b.iter_custom(|n| (0..n).map(|_| idle(&|| drop(pool.map(0..5, |n| n * 2)))).sum());
    });
    bench.bench_function("phalanx_run", |b| {
        let batch = || drop(pool.run((0..5).map(|n| move || n * 2)));
        b.iter_custom(|n| (0..n).map(|_| idle(&batch)).sum());
    });
    bench.finish();
}

criterion_group!(benches, batches, one_line, asleep);
criterion_main!(benches);

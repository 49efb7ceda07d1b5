//! The counter beside an atomic and locks. `cargo bench --bench safe_counter`
//!
//! Ids are `safe_counter/WORK/THREADS/TYPE`. Compare figures of one run only.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use phalanx::SafeCounter;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

trait Counter: Sync + Default {
    const NAME: &str;
    fn add_one(&self);
    fn read(&self) -> i64;
}

impl Counter for SafeCounter {
    const NAME: &str = "phalanx";

    fn add_one(&self) {
        self.increment();
    }

    fn read(&self) -> i64 {
        self.get()
    }
}

impl Counter for AtomicI64 {
    const NAME: &str = "AtomicI64";

    fn add_one(&self) {
        // ORDERING: Relaxed: a count and nothing else.
        self.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> i64 {
        // ORDERING: Relaxed: as above.
        self.load(Ordering::Relaxed)
    }
}

impl Counter for Mutex<i64> {
    const NAME: &str = "std_mutex";

    fn add_one(&self) {
        *self.lock().unwrap() += 1;
    }

    fn read(&self) -> i64 {
        *self.lock().unwrap()
    }
}

impl Counter for parking_lot::Mutex<i64> {
    const NAME: &str = "parking_lot_mutex";

    fn add_one(&self) {
        *self.lock() += 1;
    }

    fn read(&self) -> i64 {
        *self.lock()
    }
}

/// The time that `threads` threads take for `iterations` additions each.
fn together<C: Counter>(threads: usize, iterations: u64) -> Duration {
    let (counter, start) = (C::default(), Barrier::new(threads + 1));
    let elapsed = thread::scope(|scope| {
        let adds = || {
            start.wait();
            (0..iterations).for_each(|_| counter.add_one());
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(adds)).collect();
        start.wait();
        let clock = Instant::now();
        running.into_iter().for_each(|it| it.join().unwrap());
        clock.elapsed()
    });
    assert_eq!(counter.read(), threads as i64 * iterations as i64);
    elapsed
}

/// The time that `iterations` reads take while three threads add.
fn reading<C: Counter>(iterations: u64) -> Duration {
    let (counter, start, stop) = (C::default(), Barrier::new(4), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                start.wait();
                // ORDERING: Relaxed: a flag and nothing else.
                while !stop.load(Ordering::Relaxed) {
                    (0..64).for_each(|_| counter.add_one());
                }
            });
        }
        start.wait();
        let clock = Instant::now();
        for _ in 0..iterations {
            black_box(counter.read());
        }
        let elapsed = clock.elapsed();
        // ORDERING: Relaxed: as above.
        stop.store(true, Ordering::Relaxed);
        elapsed
    })
}

fn measure<C: Counter>(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("safe_counter");
    for threads in [1, 2, 4, 8] {
        bench.bench_function(BenchmarkId::new(format!("add/{threads}t"), C::NAME), |b| {
            b.iter_custom(|iterations| together::<C>(threads, iterations));
        });
    }
    bench.bench_function(BenchmarkId::new("read_beside_3_that_add/1t", C::NAME), |b| {
        b.iter_custom(reading::<C>);
    });
    bench.finish();
}

criterion_group!(
    benches,
    measure::<SafeCounter>,
    measure::<AtomicI64>,
    measure::<Mutex<i64>>,
    measure::<parking_lot::Mutex<i64>>
);
criterion_main!(benches);

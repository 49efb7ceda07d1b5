//! The store beside a map behind a lock. `cargo bench --bench store`
//!
//! A quick comparison on this machine; ids are `store/KEYS/READS/THREADS/WHOSE`. `benches/peers` measures it beside other
//! libraries' maps.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use phalanx::Store;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Barrier, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const KEYS: u64 = 100_000;

trait Map: Sync {
    const NAME: &str;
    fn full() -> Self;
    fn get(&self, key: u64) -> Option<u64>;
    fn put(&self, key: u64, value: u64);
}

fn entries() -> impl Iterator<Item = (u64, u64)> {
    (0..KEYS).map(|key| (key, key))
}

impl Map for Store<u64, u64> {
    const NAME: &str = "phalanx";

    fn full() -> Self {
        entries().collect()
    }

    fn get(&self, key: u64) -> Option<u64> {
        Store::get(self, &key)
    }

    fn put(&self, key: u64, value: u64) {
        self.insert(key, value);
    }
}

impl Map for RwLock<HashMap<u64, u64>> {
    const NAME: &str = "std_rw_lock";

    fn full() -> Self {
        RwLock::new(entries().collect())
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.read().unwrap().get(&key).copied()
    }

    fn put(&self, key: u64, value: u64) {
        self.write().unwrap().insert(key, value);
    }
}

impl Map for parking_lot::RwLock<HashMap<u64, u64>> {
    const NAME: &str = "parking_lot_rw_lock";

    fn full() -> Self {
        parking_lot::RwLock::new(entries().collect())
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.read().get(&key).copied()
    }

    fn put(&self, key: u64, value: u64) {
        self.write().insert(key, value);
    }
}

/// Pseudo-random numbers, the same in each run (xorshift64).
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The time for `iterations` calls by each of `threads`, of which `reads` per cent are reads.
fn together<M: Map>(map: &M, threads: usize, reads: u64, iterations: u64) -> Duration {
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let running: Vec<_> = (1..=threads as u64)
            .map(|seed| {
                let start = &start;
                scope.spawn(move || {
                    let mut choices = Choices(seed << 32 | 42);
                    start.wait();
                    for _ in 0..iterations {
                        let (key, what) = (choices.next() % KEYS, choices.next() % 100);
                        if what < reads {
                            assert!(black_box(map.get(key)).is_some());
                        } else {
                            map.put(key, what);
                        }
                    }
                })
            })
            .collect();
        start.wait();
        let clock = Instant::now();
        running.into_iter().for_each(|it| it.join().unwrap());
        clock.elapsed()
    })
}

fn of<M: Map>(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("store");
    let map = M::full();
    for reads in [100, 95, 50] {
        for threads in [1, 4] {
            let id = format!("100k/{reads}_reads/{threads}t");
            bench.bench_function(BenchmarkId::new(id, M::NAME), |b| {
                b.iter_custom(|iterations| together(&map, threads, reads, iterations));
            });
        }
    }
    bench.finish();
}

criterion_group!(
    benches,
    of::<Store<u64, u64>>,
    of::<parking_lot::RwLock<HashMap<u64, u64>>>,
    of::<RwLock<HashMap<u64, u64>>>
);
criterion_main!(benches);

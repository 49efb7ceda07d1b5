//! A cache that computes each value once, however many threads need it at the same time.
//!
//! `cargo run --release --example safe_cache`

use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use phalanx::{RwMutex, RwMutexUpgradableReadGuard, WorkerPool};
use std::collections::HashMap;

#[derive(Default)]
struct Cache {
    /// Protects every value computed so far.
    values: RwMutex<HashMap<u64, u64>>,
}

impl Cache {
    /// Returns the value of `key` if it is known. Readers run side by side.
    fn get(&self, key: u64) -> Option<u64> {
        self.values.read().get(&key).copied()
    }

    /// Returns the value of `key`, and calls `f` to compute it if it isn't known.
    fn get_or_insert_with(&self, key: u64, f: impl FnOnce(u64) -> u64) -> u64 {
        // One thread at a time holds this guard; `read`s run beside it.
        let values = self.values.upgradable_read();
        if let Some(&value) = values.get(&key) {
            return value;
        }
        let value = f(key);
        // No other thread writes between the look-up and the upgrade, so one look-up is enough.
        RwMutexUpgradableReadGuard::upgrade(values).insert(key, value);
        value
    }
}

fn main() {
    let (cache, computed) = (Cache::default(), AtomicUsize::new(0));
    let factorial = |n| {
        computed.fetch_add(1, Relaxed);
        (1..=n).product()
    };

    // A hundred requests for ten numbers, four at a time.
    let answers = WorkerPool::new(4).run((0..100).map(|request| {
        let (cache, n) = (&cache, request % 10);
        move || cache.get(n).unwrap_or_else(|| cache.get_or_insert_with(n, factorial))
    }));

    let (first, computed) = (&answers[..10], computed.load(Relaxed));
    assert_eq!(first, [1, 1, 2, 6, 24, 120, 720, 5_040, 40_320, 362_880]);
    assert!(answers.chunks(10).all(|ten| ten == first));
    assert_eq!(computed, 10);
    println!("{} answers, {computed} of them computed: {first:?}", answers.len());
}

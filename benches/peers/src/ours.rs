//! phalanx's own types as contenders. Its locks need no adapter of their own: see `groups::locked`.

use crate::groups::pools::{Pool, SEATS, load::Task as Function};
use crate::groups::stores::{Hasher, Store, hasher};
use crate::groups::wait_groups::{Guarded, WaitGroup};

impl WaitGroup for phalanx::WaitGroup {
    type Token = ();

    fn start(n: usize) -> (Self, Vec<()>) {
        let group = phalanx::WaitGroup::new();
        group.add(n);
        (group, vec![(); n])
    }

    #[inline]
    fn done(&self, (): ()) {
        phalanx::WaitGroup::done(self);
    }

    #[inline]
    fn wait(&self) {
        phalanx::WaitGroup::wait(self);
    }

    #[inline]
    fn add_done(&self) {
        self.add(1);
        phalanx::WaitGroup::done(self);
    }
}

impl Guarded for phalanx::WaitGroup {
    type Guard = phalanx::WaitGuard;

    /// The group itself may be dropped: a guard keeps its count alive.
    fn guard() -> Self::Guard {
        phalanx::WaitGroup::new().guard()
    }
}

/// `WorkerPool::run`: one closure per task.
pub struct Run(phalanx::WorkerPool);

impl Pool for Run {
    fn new() -> Self {
        Self(phalanx::WorkerPool::new(SEATS))
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        self.0.run(items.iter().map(|&item| move || f(item)))
    }
}

/// `WorkerPool::map_slice`: one function for all items.
pub struct Map(phalanx::WorkerPool);

impl Pool for Map {
    fn new() -> Self {
        Self(phalanx::WorkerPool::new(SEATS))
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        self.0.map_slice(items, |&item| f(item))
    }
}

impl crate::groups::counters::Counter for phalanx::SafeCounter {
    fn new(_: usize) -> Self {
        Self::new()
    }

    #[inline]
    fn add(&self, _: usize) {
        self.increment();
    }

    #[inline]
    fn get(&self) -> u64 {
        phalanx::SafeCounter::get(self) as u64
    }
}

impl Store for phalanx::Store<u64, u64, Hasher> {
    fn new(keys: usize) -> Self {
        Self::with_capacity_and_hasher(keys, hasher())
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        phalanx::Store::get(self, &key)
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.insert(key, value);
    }
}

impl crate::groups::cancel_tokens::Flag for phalanx::CancelToken {
    fn new() -> Self {
        phalanx::CancelToken::new()
    }

    #[inline]
    fn is_cancelled(&self) -> bool {
        phalanx::CancelToken::is_cancelled(self)
    }
}

impl crate::groups::cancel_tokens::Token for phalanx::CancelToken {
    fn child(&self) -> Self {
        phalanx::CancelToken::child(self)
    }

    fn cancel(&self) {
        phalanx::CancelToken::cancel(self);
    }
}

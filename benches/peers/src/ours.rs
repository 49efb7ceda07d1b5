//! phalanx's own primitives, as contenders.

use crate::groups::pools::{Pool, SEATS, load::Task as Function};
use crate::groups::rwlocks::Data;
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

    /// The group itself may go: a guard keeps alive what it counts in.
    fn guard() -> Self::Guard {
        phalanx::WaitGroup::new().guard()
    }
}

/// `WorkerPool::run`: a closure for each task, and any three at once.
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

impl crate::groups::mutexes::Lock for phalanx::Mutex<u64> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock())
    }
}

impl crate::groups::rwlocks::RwLock for phalanx::RwMutex<Data> {
    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&Data) -> R) -> R {
        f(&phalanx::RwMutex::read(self))
    }

    #[inline]
    fn write(&self, f: impl Fn(&mut Data)) {
        f(&mut phalanx::RwMutex::write(self));
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

/// phalanx's condition variable with phalanx's mutex.
pub struct Condvars;

impl crate::groups::condvars::Kit for Condvars {
    type Mutex<T: Send> = phalanx::Mutex<T>;
    type Guard<'a, T: Send + 'a> = phalanx::MutexGuard<'a, T>;
    type Condvar = phalanx::Condvar;

    fn mutex<T: Send>(value: T) -> Self::Mutex<T> {
        phalanx::Mutex::new(value)
    }

    #[inline]
    fn lock<T: Send>(mutex: &Self::Mutex<T>) -> Self::Guard<'_, T> {
        mutex.lock()
    }

    fn condvar() -> Self::Condvar {
        phalanx::Condvar::new()
    }

    #[inline]
    fn wait<'a, T: Send>(
        condvar: &Self::Condvar,
        mut guard: Self::Guard<'a, T>,
    ) -> Self::Guard<'a, T> {
        condvar.wait(&mut guard);
        guard
    }

    #[inline]
    fn notify_one(condvar: &Self::Condvar) {
        condvar.notify_one();
    }

    #[inline]
    fn notify_all(condvar: &Self::Condvar) {
        condvar.notify_all();
    }
}

//! The pools that are compared, and their adapters.
//!
//! Each is used as its documentation advises: data-parallel libraries get the batch as a parallel iterator,
//! job pools a job per task.

use super::load::Task as Function;
use super::{Kind, Pool, SEATS, Task, in_go, limit, ours, peer};
use crate::entry::Entry;
use paralight::prelude::*;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

pub fn all() -> Vec<Entry<Task>> {
    vec![
        peer::<Rayon>("rayon"),
        peer::<Paralight<false>>("paralight fixed"),
        peer::<Paralight<true>>("paralight stealing"),
        peer::<Chili>("chili"),
        peer::<threadpool::ThreadPool>("threadpool"),
        peer::<rusty_pool::ThreadPool>("rusty_pool"),
        peer::<Standing>("crossbeam channels"),
        peer::<Scoped>("std::thread::scope").only(|task| task.kind == Kind::Create),
        in_go(),
        ours::<crate::ours::Run>("phalanx run"),
        ours::<crate::ours::Map>("phalanx map_slice"),
        limit::entry(),
    ]
}

/// A pool of three threads; the caller waits.
struct Rayon(rayon::ThreadPool);

impl Pool for Rayon {
    fn new() -> Self {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(SEATS);
        Self(builder.build().expect("rayon starts three threads"))
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
        self.0.install(|| {
            let items = IntoParallelRefIterator::par_iter(items);
            ParallelIterator::map(items, |&item| f(item)).collect()
        })
    }
}

/// paralight divides a batch in one of two ways, chosen for the whole pool: fixed ranges, which its
/// documentation advises for even tasks, or work stealing.
struct Paralight<const STEALING: bool>(ThreadPool);

impl<const STEALING: bool> Pool for Paralight<STEALING> {
    fn new() -> Self {
        let builder = ThreadPoolBuilder {
            num_threads: ThreadCount::Count(NonZero::new(SEATS).expect("three is not zero")),
            range_strategy: if STEALING {
                RangeStrategy::WorkStealing
            } else {
                RangeStrategy::Fixed
            },
            cpu_pinning: CpuPinningPolicy::No,
        };
        Self(builder.build())
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        items.par_iter().map(|&item| f(item)).with_thread_pool(&mut self.0).collect()
    }
}

/// Fork and join by halves. chili counts the caller as one of its threads.
struct Chili(chili::ThreadPool);

/// Leaves of chili's tree at most, since a fork costs something.
const LEAVES: usize = 4096;

impl Pool for Chili {
    fn new() -> Self {
        Self(chili::ThreadPool::with_config(chili::Config {
            thread_count: NonZero::new(SEATS),
            ..chili::Config::default()
        }))
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        let mut results = vec![0; items.len()];
        let leaf = items.len().div_ceil(LEAVES);
        halve(&mut self.0.scope(), items, &mut results, leaf, f);
        results
    }
}

fn halve<F: Function>(
    scope: &mut chili::Scope<'_>,
    items: &[u64],
    results: &mut [u64],
    leaf: usize,
    f: F,
) {
    if items.len() <= leaf {
        for (item, result) in items.iter().zip(results) {
            *result = f(*item);
        }
        return;
    }
    let (left, right) = items.split_at(items.len() / 2);
    let (left_results, right_results) = results.split_at_mut(left.len());
    scope.join(
        |scope| halve(scope, left, left_results, leaf, f),
        |scope| halve(scope, right, right_results, leaf, f),
    );
}

/// A job per task. Results are sent over a channel and put in order.
impl Pool for threadpool::ThreadPool {
    fn new() -> Self {
        threadpool::ThreadPool::new(SEATS)
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        let (sender, receiver) = mpsc::channel();
        for (at, &item) in items.iter().enumerate() {
            let sender = sender.clone();
            self.execute(move || sender.send((at, f(item))).expect("the caller waits"));
        }
        drop(sender);
        let mut results = vec![0; items.len()];
        receiver.iter().for_each(|(at, result)| results[at] = result);
        results
    }
}

/// A job and a handle per task.
impl Pool for rusty_pool::ThreadPool {
    fn new() -> Self {
        let builder = rusty_pool::Builder::new();
        builder.core_size(SEATS).max_size(SEATS).build()
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        let evaluate = |&item| self.evaluate(move || f(item));
        let handles: Vec<_> = items.iter().map(evaluate).collect();
        handles.into_iter().map(|h| h.await_complete()).collect()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Three threads that take jobs from a crossbeam channel: a pool written by hand.
struct Standing {
    jobs: Option<crossbeam_channel::Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool for Standing {
    fn new() -> Self {
        let (jobs, queue) = crossbeam_channel::unbounded::<Job>();
        let work = |_| {
            let queue = queue.clone();
            std::thread::spawn(move || queue.iter().for_each(|job| job()))
        };
        Self { jobs: Some(jobs), workers: (0..SEATS).map(work).collect() }
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let jobs = self.jobs.as_ref().expect("open until dropped");
        for (at, &item) in items.iter().enumerate() {
            let sender = sender.clone();
            let job = move || sender.send((at, f(item))).expect("the caller waits");
            jobs.send(Box::new(job)).expect("the workers wait");
        }
        drop(sender);
        let mut results = vec![0; items.len()];
        receiver.iter().for_each(|(at, result)| results[at] = result);
        results
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        // Closing the channel ends the workers.
        self.jobs = None;
        for worker in self.workers.drain(..) {
            worker.join().expect("a worker only runs jobs");
        }
    }
}

/// Three threads started for the batch, which claim tasks by an index: no pool.
struct Scoped;

impl Pool for Scoped {
    fn new() -> Self {
        Self
    }

    fn map<F: Function>(&mut self, items: &[u64], f: F) -> Vec<u64> {
        let next = AtomicUsize::new(0);
        let claim = || {
            let mut own = Vec::new();
            // ORDERING: Relaxed: claims an index; join publishes the results.
            while let at = next.fetch_add(1, Ordering::Relaxed)
                && at < items.len()
            {
                own.push((at, f(items[at])));
            }
            own
        };
        let mut results = vec![0; items.len()];
        std::thread::scope(|scope| {
            let threads = [(); SEATS].map(|()| scope.spawn(claim));
            for thread in threads {
                for (at, result) in thread.join().expect("a thread only runs tasks") {
                    results[at] = result;
                }
            }
        });
        results
    }
}

//! "Mutex or RwMutex?", on your machine. `cargo bench --bench mutex_vs_rw_mutex`
//!
//! An `RwMutex` lets readers in side by side, and each reader pays for being counted. Which of the two
//! is faster depends on the share of reads, on how long the lock is held, and on how many threads
//! contend for it. So the run, of some two minutes, ends in a table with a row for each such case and
//! the faster lock in its last column. To measure a single row:
//!
//! ```text
//! cargo bench --bench mutex_vs_rw_mutex -- 99_reads/long/4t
//! ```
//!
//! Ids are `rw_mutex/READS/SECTION/THREADS/LOCK`, with the reads in per cent. A short section reads or
//! writes four words; a long one holds the lock for some 500 ns more. std's and parking_lot's locks are
//! measured too.
//!
//! A figure is wall time over the operations of all threads, counted between two readings while all
//! of them run. With a fixed number of operations, a lock that lets one thread run ahead would finish
//! its last thread alone, and look faster than it is. criterion measures one lock after the other; the
//! table has medians of rounds in which the locks take turns. With more threads than free cores, a row
//! measures the scheduler too.

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use crossbeam_utils::CachePadded;
use phalanx::lock_api;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Per cent.
const READS: [usize; 4] = [100, 99, 90, 50];

/// Names of sections, and steps of [`work`] while the lock is held.
const SECTIONS: [(&str, usize); 2] = [("short", 0), ("long", 480)];

const THREADS: [usize; 3] = [1, 2, 4];

const SAMPLES: usize = 10;
const ROUNDS: usize = 31;
const WINDOW: Duration = Duration::from_millis(10);

/// The window of a test run.
const TINY: Duration = Duration::from_micros(200);

/// Operations between two checks of the stop flag.
const BATCH: usize = 16;

/// What the locks protect: four words that are equal, except while they are written.
type Words = [u64; 4];

struct Row {
    reads: usize,
    section: &'static str,
    steps: usize,
    threads: usize,
}

type Measure = fn(&Row, Duration) -> f64;

/// Ours come first: the table's last column names the faster of them.
const CONTENDERS: [(&str, Measure); 6] = [
    ("phalanx_Mutex", measure::<phalanx::Mutex<Words>>),
    ("phalanx_RwMutex", measure::<phalanx::RwMutex<Words>>),
    ("std_Mutex", measure::<std::sync::Mutex<Words>>),
    ("std_RwLock", measure::<std::sync::RwLock<Words>>),
    ("parking_lot_Mutex", measure::<parking_lot::Mutex<Words>>),
    ("parking_lot_RwLock", measure::<parking_lot::RwLock<Words>>),
];

trait Lock: Default + Sync {
    fn read_with<T>(&self, f: impl FnOnce(&Words) -> T) -> T;
    fn write_with<T>(&self, f: impl FnOnce(&mut Words) -> T) -> T;
}

/// phalanx's and parking_lot's.
impl<R: lock_api::RawMutex + Sync> Lock for lock_api::Mutex<R, Words> {
    fn read_with<T>(&self, f: impl FnOnce(&Words) -> T) -> T {
        f(&self.lock())
    }
    fn write_with<T>(&self, f: impl FnOnce(&mut Words) -> T) -> T {
        f(&mut self.lock())
    }
}

/// phalanx's and parking_lot's.
impl<R: lock_api::RawRwLock + Sync> Lock for lock_api::RwLock<R, Words> {
    fn read_with<T>(&self, f: impl FnOnce(&Words) -> T) -> T {
        f(&self.read())
    }
    fn write_with<T>(&self, f: impl FnOnce(&mut Words) -> T) -> T {
        f(&mut self.write())
    }
}

impl Lock for std::sync::Mutex<Words> {
    fn read_with<T>(&self, f: impl FnOnce(&Words) -> T) -> T {
        f(&self.lock().unwrap())
    }
    fn write_with<T>(&self, f: impl FnOnce(&mut Words) -> T) -> T {
        f(&mut self.lock().unwrap())
    }
}

impl Lock for std::sync::RwLock<Words> {
    fn read_with<T>(&self, f: impl FnOnce(&Words) -> T) -> T {
        f(&self.read().unwrap())
    }
    fn write_with<T>(&self, f: impl FnOnce(&mut Words) -> T) -> T {
        f(&mut self.write().unwrap())
    }
}

/// A dependent chain over the words, of about 1 ns a step.
#[inline]
fn work(words: &Words, steps: usize) {
    let mut x = words[0];
    for step in 0..steps {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(words[step % 4]);
    }
    black_box(x);
}

/// What a thread does, again and again: `true` is a write. The share of reads is exact.
fn script(reads: usize, mut seed: u64) -> Vec<bool> {
    let mut script: Vec<bool> = (0..200 * BATCH).map(|n| n % 100 >= reads).collect();
    for last in (1..script.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        script.swap(last, (seed >> 33) as usize % (last + 1));
    }
    script
}

/// One thread's part: repeats its script until it is told to stop. Returns the number of its writes.
fn run<L: Lock>(lock: &L, row: &Row, seed: u64, stop: &AtomicBool, count: &AtomicU64) -> u64 {
    let mut writes = 0;
    for batch in script(row.reads, seed).chunks_exact(BATCH).cycle() {
        // ORDERING: Relaxed: only a flag; join publishes the results.
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for &write in batch {
            if write {
                writes += 1;
                lock.write_with(|words| {
                    work(words, row.steps);
                    *words = words.map(|word| word + 1);
                });
            } else {
                let seen = lock.read_with(|words| {
                    work(words, row.steps);
                    *words
                });
                assert!(seen == [seen[0]; 4], "a torn read: {seen:?}");
            }
        }
        // ORDERING: Relaxed: only a number, and this thread is its only writer.
        count.store(count.load(Ordering::Relaxed) + BATCH as u64, Ordering::Relaxed);
    }
    writes
}

/// Wall nanoseconds per operation over all threads, within a window in the middle of a run.
fn measure<L: Lock>(row: &Row, window: Duration) -> f64 {
    let lock = CachePadded::new(L::default());
    let counts: Vec<_> = (0..row.threads).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
    let stop = CachePadded::new(AtomicBool::new(false));
    let start = Barrier::new(row.threads + 1);
    // ORDERING: Relaxed: only numbers.
    let read = || counts.iter().map(|count| count.load(Ordering::Relaxed));

    thread::scope(|scope| {
        let (lock, stop, start) = (&*lock, &*stop, &start);
        let begin = |(count, seed)| {
            scope.spawn(move || {
                start.wait();
                run(lock, row, seed, stop, count)
            })
        };
        let threads: Vec<_> = counts.iter().map(|count| &**count).zip(1..).map(begin).collect();

        start.wait();
        // Every thread has done something before the window opens, unless one panics.
        let patience = Instant::now() + Duration::from_secs(1);
        while read().any(|count| count == 0) && Instant::now() < patience {
            thread::sleep(Duration::from_micros(50));
        }
        thread::sleep(window / 8);
        let (opened, before) = (Instant::now(), read().sum::<u64>());
        thread::sleep(window);
        let (closed, after) = (Instant::now(), read().sum::<u64>());
        // ORDERING: Relaxed: only a flag.
        stop.store(true, Ordering::Relaxed);

        let writes: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(lock.read_with(|words| *words), [writes; 4], "writes were lost");
        (closed - opened).as_nanos() as f64 / (after - before).max(1) as f64
    })
}

/// Each contender's median over rounds in which the contenders take turns.
fn medians(row: &Row) -> [f64; CONTENDERS.len()] {
    let mut rounds = CONTENDERS.map(|_| Vec::with_capacity(ROUNDS));
    for round in 0..ROUNDS {
        for turn in 0..CONTENDERS.len() {
            let whose = (round + turn) % CONTENDERS.len();
            rounds[whose].push(CONTENDERS[whose].1(row, WINDOW));
        }
    }
    rounds.map(|mut ns| {
        ns.sort_unstable_by(f64::total_cmp);
        ns[ROUNDS / 2]
    })
}

/// A line of the table.
fn line(row: &Row) -> String {
    let ns = medians(row);
    let best = ns.into_iter().fold(f64::INFINITY, f64::min);
    let (mutex, rw_mutex) = (ns[0], ns[1]);
    let take = match rw_mutex / mutex {
        ratio if ratio > 1.1 => "Mutex",
        ratio if ratio < 1.0 / 1.1 => "RwMutex",
        _ => "either",
    };
    let mut line = format!("| {:7} | {:7} | {:7} |", row.reads, row.section, row.threads);
    for ((name, _), ns) in CONTENDERS.iter().zip(ns) {
        let shown = if ns == best { format!("**{ns:.1}**") } else { format!("{ns:.1}") };
        line += &format!(" {shown:>0$} |", name.len());
    }
    line + &format!(" {take} |")
}

fn print(lines: &[String]) {
    println!("ns per operation over all threads, medians of {ROUNDS} rounds, the best in bold;");
    println!("take: the one of ours that is faster by more than 10 %, or either.\n");
    let names = CONTENDERS.map(|(name, _)| name);
    println!("| % reads | section | threads | {} | take |", names.join(" | "));
    println!("| ---: | --- | ---: |{} --- |", " ---: |".repeat(names.len()));
    for line in lines {
        println!("{line}");
    }
    println!();
}

fn rw_mutex(criterion: &mut Criterion) {
    let mut lines = Vec::new();
    for reads in READS {
        for (section, steps) in SECTIONS {
            for threads in THREADS {
                let row = Row { reads, section, steps, threads };
                let id = format!("rw_mutex/{reads}_reads/{section}/{threads}t");
                let mut bench = criterion.benchmark_group(id);
                bench.sampling_mode(SamplingMode::Flat);
                let mut measured = false;
                for (name, measure) in CONTENDERS {
                    bench.bench_function(name, |b| {
                        b.iter_custom(|iterations| {
                            // A test asks for a single iteration, once. A warm-up begins with one.
                            measured |= iterations > 1;
                            let ns = measure(&row, if iterations > 1 { WINDOW } else { TINY });
                            Duration::from_secs_f64(ns * iterations as f64 / 1e9)
                        });
                    });
                }
                bench.finish();
                // The table leaves out filtered rows, and in a test all rows.
                if measured {
                    lines.push(line(&row));
                }
            }
        }
    }
    if !lines.is_empty() {
        print(&lines);
    }
}

criterion_group! {
    name = benches;
    // The window's length doesn't depend on the number of iterations.
    config = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(120))
        .measurement_time(WINDOW * SAMPLES as u32)
        .without_plots();
    targets = rw_mutex
}
criterion_main!(benches);

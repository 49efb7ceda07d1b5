//! Threads count the words of files in one store of counters, and print the ten most frequent.
//!
//! `cargo run --release --example page_views -- FILE...`, or without files for this crate's own pages.
//! A file that can't be read is named on standard error, and the exit code is 1 then.
//!
//! All threads share the counters, as a server would count the views of its pages. Counting a known word
//! takes a look-up for reading, and an addition to a cell of the thread's own.

use phalanx::{SafeCounter, Store, WorkerPool};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// What is read if no file is named.
const PAGES: [&str; 4] = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "src/lib.rs"];

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        files.extend(PAGES.map(|page| Path::new(env!("CARGO_MANIFEST_DIR")).join(page)));
    }

    let views: Store<String, SafeCounter> = Store::new();
    let total = SafeCounter::new();
    // One thread per core, and each claims the next lines: all of them count a single long file.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = WorkerPool::new(threads);
    let mut failed = 0;
    for file in &files {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("can't read {}: {error}", file.display());
                failed += 1;
                continue;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let counted = pool.map_slice(&lines, |line| {
            let words = line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.map(|word| view(&views, &total, &word.to_lowercase())).count()
        });
        println!("{:8}  words in {}", counted.iter().sum::<usize>(), file.display());
    }

    let mut ranking: Vec<(String, i64)> = Vec::new();
    views.for_each(|word, count| ranking.push((word.clone(), count.get())));
    ranking.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    assert_eq!(ranking.iter().map(|(_, n)| n).sum::<i64>(), total.get());
    println!("{total:8}  words in total, {} different ones; the most frequent:", views.len());
    for (word, n) in ranking.iter().take(10) {
        println!("{n:8}  {word}");
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        eprintln!("{failed} of {} files couldn't be read", files.len());
        ExitCode::FAILURE
    }
}

/// Counts one view of a word. Only the first view needs the key as a `String`, and the lock for writing.
fn view(views: &Store<String, SafeCounter>, total: &SafeCounter, word: &str) {
    if views.with(word, SafeCounter::increment).is_none() {
        views.entry(word.to_owned(), |entry| entry.or_default().increment());
    }
    total.increment();
}

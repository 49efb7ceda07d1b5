//! Counts the words of files on a pool, and prints the ten most frequent.
//!
//! `cargo run --release --example words -- FILE...`, or without files for this crate's sources.
//! A file that can't be read is named on standard error, and the exit code is 1 then.

use phalanx::WorkerPool;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

type Counts = HashMap<String, usize>;

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        if let Err(error) = find_sources(&sources, &mut files) {
            eprintln!("can't list {}: {error}", sources.display());
            return ExitCode::FAILURE;
        }
    }

    // One item per file: `map` keeps their order, and wakes helpers if the work is worth it.
    let counted = WorkerPool::new(3).map(&files, |file| fs::read(file).map(|text| count(&text)));

    let (mut total, mut failed) = (Counts::new(), 0);
    for (file, counts) in files.iter().zip(counted) {
        match counts {
            Ok(counts) => {
                for (word, n) in counts {
                    *total.entry(word).or_default() += n;
                }
            }
            Err(error) => {
                eprintln!("can't read {}: {error}", file.display());
                failed += 1;
            }
        }
    }

    let mut ranking: Vec<(String, usize)> = total.into_iter().collect();
    ranking.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    assert!(ranking.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    println!(
        "{} words, {} of them different",
        ranking.iter().map(|(_, n)| n).sum::<usize>(),
        ranking.len()
    );
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

/// Adds every Rust file below `folder` to `files`.
fn find_sources(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Counts how often each word occurs. Invalid UTF-8 separates words.
fn count(text: &[u8]) -> Counts {
    let mut counts = Counts::new();
    for chunk in text.utf8_chunks() {
        for word in chunk.valid().split(|c: char| !c.is_alphanumeric()) {
            if !word.is_empty() {
                *counts.entry(word.to_lowercase()).or_default() += 1;
            }
        }
    }
    counts
}

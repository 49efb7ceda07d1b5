//! A pipeline: a producer names files, three workers count their lines and words, and one loop prints what comes from
//! all of them.
//!
//! `cargo run --release --example pipeline -- FILE...`, or without files for this example's own source.
//! A file that can't be read is named on standard error, and the exit code is 1 then.

use phalanx::channel::{self, Receiver, Sender};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io, thread};

/// What a worker found in a file.
struct Counted {
    file: PathBuf,
    counts: io::Result<Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    lines: usize,
    words: usize,
}

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let shows_itself = files.is_empty();
    if shows_itself {
        files.push([env!("CARGO_MANIFEST_DIR"), "examples", "pipeline.rs"].iter().collect());
    }
    let wanted = files.len();

    // The stages are joined by channels, and each ends when the one before it has ended.
    let names = produce(files);
    let results = channel::fan_out(names, 3).into_iter().map(work);
    let results = channel::fan_in(results);

    let (mut total, mut failed) = (Counts::default(), 0);
    for Counted { file, counts } in results {
        match counts {
            Ok(Counts { lines, words }) => {
                println!("{lines:7} {words:7}  {}", file.display());
                total.lines += lines;
                total.words += words;
            }
            Err(error) => {
                eprintln!("can't read {}: {error}", file.display());
                failed += 1;
            }
        }
    }
    println!("{:7} {:7}  in {} of {wanted} files", total.lines, total.words, wanted - failed);

    if shows_itself && failed == 0 {
        assert_eq!(total, count(include_bytes!("pipeline.rs")));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sends the files' names from a thread. A send waits while two names are on their way, and fails when nobody wants more.
fn produce(files: Vec<PathBuf>) -> Receiver<PathBuf> {
    let (sender, receiver) = channel::bounded(2);
    thread::spawn(move || files.into_iter().try_for_each(|file| sender.send(file)));
    receiver
}

/// Starts a worker, and returns what it will have counted.
fn work(files: Receiver<PathBuf>) -> Receiver<Counted> {
    let (sender, receiver) = channel::bounded(1);
    thread::spawn(move || count_all(&files, &sender));
    receiver
}

fn count_all(files: &Receiver<PathBuf>, results: &Sender<Counted>) {
    for file in files {
        let counts = fs::read(&file).map(|text| count(&text));
        if results.send(Counted { file, counts }).is_err() {
            return;
        }
    }
}

/// Counts lines and words as `wc` does: a line ends with a line feed, a word is what stands between white space.
fn count(text: &[u8]) -> Counts {
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
    Counts { lines, words }
}

//! Downloads: at most three files are read at a time, and the first error stops the rest.
//!
//! `cargo run --release --example downloads -- FILE...`, or without files for this example's own source.
//! The error is printed with its file on standard error, and the exit code is 1 then.

use phalanx::{CancelToken, task_group};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{env, fmt};

/// How many files are read at a time.
const AT_A_TIME: usize = 3;

/// A file that can't be read.
#[derive(Debug)]
struct Failure {
    file: PathBuf,
    error: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't read {}: {}", self.file.display(), self.error)
    }
}

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let shows_itself = files.is_empty();
    if shows_itself {
        let own: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "examples", "downloads.rs"].iter().collect();
        files.resize(10, own);
    }

    let sizes = match download_all(&files) {
        Ok(sizes) => sizes,
        Err(failure) => {
            eprintln!("{failure}");
            return ExitCode::FAILURE;
        }
    };
    for (file, size) in files.iter().zip(&sizes) {
        println!("{size:9}  {}", file.display());
    }
    if shows_itself {
        assert_eq!(sizes, [include_bytes!("downloads.rs").len() as u64; 10]);
    }
    ExitCode::SUCCESS
}

/// Returns the files' sizes in their order, or the first failure.
fn download_all(files: &[PathBuf]) -> Result<Vec<u64>, Failure> {
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let sizes = task_group(|group| {
        group.limit(AT_A_TIME);
        for file in files {
            let (token, running, most) = (group.token().clone(), &running, &most);
            // This waits while three are being read. After a failure it starts nothing.
            group.go(move || {
                most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                let size = download(file, &token);
                running.fetch_sub(1, Relaxed);
                size.map_err(|error| Failure { file: file.clone(), error })
            });
        }
    });
    assert!(most.into_inner() <= AT_A_TIME);
    sizes
}

/// Reads a file piece by piece, and stops in the middle if another one has failed.
fn download(file: &Path, token: &CancelToken) -> io::Result<u64> {
    let mut file = File::open(file)?;
    let mut piece = vec![0; 1 << 16];
    let mut size = 0;
    while !token.is_cancelled() {
        match file.read(&mut piece)? {
            0 => return Ok(size),
            n => size += n as u64,
        }
    }
    Err(io::Error::other("stopped, since another file failed"))
}

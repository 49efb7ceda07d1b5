//! Writes down the versions of the measured libraries, from the lock file beside this package or, in a
//! workspace, above it.

use std::path::{Path, PathBuf};

/// The libraries that appear as contenders.
const MEASURED: &[&str] = &[
    "arc-swap",
    "chili",
    "contatori",
    "crossbeam-channel",
    "crossbeam-utils",
    "crossfire",
    "dashmap",
    "fast-counter",
    "flume",
    "kanal",
    "moka",
    "papaya",
    "paralight",
    "parking_lot",
    "phalanx",
    "rapidfire",
    "rayon",
    "rusty_pool",
    "scc",
    "threadpool",
    "usync",
    "wg",
];

fn main() {
    let lock = find_lock();
    let mut found = Vec::new();
    if let Some(lock) = &lock {
        println!("cargo::rerun-if-changed={}", lock.display());
        let text = std::fs::read_to_string(lock).expect("the lock file can be read");
        for entry in text.split("[[package]]") {
            if let (Some(name), Some(version)) = (field(entry, "name"), field(entry, "version"))
                && MEASURED.contains(&name)
            {
                found.push((name.to_owned(), version.to_owned()));
            }
        }
    }
    // Other packages may depend on an older version of a library; this one depends on the newest.
    found.sort_by(|a, b| (&a.0, numbers(&a.1)).cmp(&(&b.0, numbers(&b.1))));
    found.reverse();
    found.dedup_by(|a, b| a.0 == b.0);
    found.reverse();
    let lines: Vec<_> = found.iter().map(|(n, v)| format!("{n} {v}\n")).collect();
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("versions"), lines.concat()).expect("OUT_DIR is writable");
}

fn find_lock() -> Option<PathBuf> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").ok()?);
    here.ancestors().map(|folder| folder.join("Cargo.lock")).find(|lock| lock.is_file())
}

/// The value of `key = "value"` in a lock entry.
fn field<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    let line = entry
        .lines()
        .find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = ")))?;
    line.split('"').nth(1)
}

/// "0.12.5" as numbers, so that 0.9 sorts below 0.13.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(['.', '-', '+']);
    parts.map(|part| part.parse().unwrap_or(0)).collect()
}

//! Holds the floors: a file uses only what stands below it, and only the ground floor touches
//! the machine.
//!
//! The floors are told in `CONTRIBUTING.md`. This reads the sources as text: paths that begin with
//! `crate::`, and the names of what only `src/sys/` may mention.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room of `src/`, and its floor. A room is a file, or a folder with all that is in it.
const ROOMS: [(&str, u32); 10] = [
    ("sys", 0),
    ("error", 0),
    ("latch", 1),
    ("mutex", 1),
    ("rw_mutex", 1),
    ("condvar", 1),
    ("safe_counter", 1),
    ("wait_group", 2),
    ("store", 3),
    ("worker_pool", 4),
];

/// What only the ground floor's `sys` may mention.
const MACHINE: [&str; 5] = ["std::sync", "std::thread", "parking_lot", "loom", "core::sync"];

fn floor(room: &str) -> Option<u32> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|&(_, floor)| floor)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The code of a line: what stands before a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap()
}

/// The names right behind each `crate::` of a line, and those of a group in braces there.
fn crate_paths(line: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices("crate::")
        .flat_map(|(at, prefix)| {
            let rest = &line[at + prefix.len()..];
            let group = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
            match group {
                Some(group) => group.split(',').map(str::trim).collect(),
                None => vec![rest],
            }
        })
        .map(|path| path.split(|c| !is_name(c)).next().unwrap())
        .filter(|name| !name.is_empty())
        .collect()
}

/// What is wrong with a line of `room`.
fn fault(room: &str, line: &str) -> Option<String> {
    let code = code(line);
    let own = floor(room).unwrap_or_else(|| panic!("`{room}` has no floor: give it one"));
    for used in crate_paths(code).into_iter().filter(|&used| used != room) {
        // A name that is no room is the crate's face: the roof.
        let below = floor(used).is_some_and(|floor| floor < own);
        if !below {
            return Some(format!("`{room}` on floor {own} uses `{used}`, which isn't below it"));
        }
    }
    if room != "sys" {
        let grouped = |module| {
            code.contains("std::{")
                && code.split(|c: char| !c.is_alphanumeric()).any(|w| w == module)
        };
        if let Some(name) = MACHINE.iter().find(|&&name| code.contains(name)) {
            return Some(format!("`{room}` mentions `{name}`, which is for `sys` alone"));
        }
        if grouped("sync") || grouped("thread") {
            return Some(format!("`{room}` mentions std's threads, which are for `sys` alone"));
        }
        if code.contains("cfg") && code.contains("phalanx_loom") {
            return Some(format!("`{room}` asks for the model build, which only `sys` may"));
        }
    }
    None
}

#[test]
fn every_file_uses_only_floors_below_its_own() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    sources(&src, &mut files);
    assert!(files.len() > 10, "the sources are in {}", src.display());
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            if let Some(fault) = fault(room, line) {
                faults.push(format!("src/{}:{}: {fault}", inside.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_upward_a_sideways_and_a_machine_import_are_seen() {
    assert!(fault("latch", "use crate::wait_group::WaitGroup;").is_some());
    assert!(fault("error", "use crate::sys::Mutex;").is_some());
    assert!(
        fault("wait_group", "use crate::{error::WaitTimeout, worker_pool::WorkerPool};").is_some()
    );
    assert!(fault("latch", "    let x = crate::WaitGroup::new();").is_some());
    assert!(fault("wait_group", "use std::sync::Arc;").is_some());
    assert!(fault("wait_group", "use std::{fmt, thread};").is_some());
    assert!(fault("worker_pool", "use parking_lot::Mutex;").is_some());
    assert!(fault("worker_pool", "#[cfg(phalanx_loom)]").is_some());
    assert!(fault("worker_pool", "use crate::sys::{Arc, thread};").is_none());
    assert!(fault("sys", "use std::sync::Arc;").is_none());
    assert!(fault("latch", "//! [`WaitGroup`](crate::WaitGroup)").is_none());
}

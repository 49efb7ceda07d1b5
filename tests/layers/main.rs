//! Holds the layers: a file uses only what stands below it, and only the lowest layer touches the machine.
//!
//! `CONTRIBUTING.md` describes the layers. This test reads the paths that each file names, in `use` trees, in code
//! and in macros' braces, and resolves them to modules.

mod paths;

use paths::{Named, named_in};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each top-level module of `src/`, and its layer.
const LAYERS: [(&str, u32); 12] = [
    ("sys", 0),
    ("error", 0),
    ("support", 1),
    ("mutex", 2),
    ("rw_mutex", 2),
    ("condvar", 3),
    ("safe_counter", 2),
    ("wait_group", 3),
    ("store", 4),
    ("worker_pool", 5),
    ("model", 6),
    ("testing", 6),
];

/// What only `sys` may name: the first one or two segments of a path.
const MACHINE: [&str; 8] = [
    "std::sync",
    "std::thread",
    "core::sync",
    "alloc::sync",
    "parking_lot",
    "parking_lot_core",
    "loom",
    "libc",
];

/// Modules whose files still import one another in a circle.
const CIRCLES: [&str; 4] = ["rw_mutex", "store", "wait_group", "worker_pool"];

/// A module's path from the crate's root: empty for `lib.rs`.
type Module = Vec<String>;

fn layer(module: &str) -> Option<u32> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|&(_, layer)| layer)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The module that a file is, by its path below `src/`.
fn module_of(inside: &Path) -> Module {
    let mut module: Module =
        inside.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// The path from the crate's root of what `named` names in `module`; `None` if that is another crate's or a local
/// name.
fn resolve(module: &Module, named: &Named) -> Option<Module> {
    let mut base: Module = module.iter().chain(&named.inside).cloned().collect();
    let mut rest = named.segments.as_slice();
    match rest[0].as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            while let [first, after @ ..] = rest
                && first == "super"
            {
                base.pop();
                rest = after;
            }
            return Some([base.as_slice(), rest].concat());
        }
        _ => return None,
    }
    Some([base.as_slice(), &rest[1..]].concat())
}

/// Whether code is a test's: a module of that name, or one inside it. Tests stand above everything.
fn is_test(module: &str) -> bool {
    ["tests", "models", "testing"].contains(&module)
}

/// What is wrong with a path that a file of `module` names.
fn fault(module: &Module, named: &Named) -> Option<String> {
    let top = module[0].as_str();
    let own = layer(top).unwrap_or_else(|| panic!("`{top}` has no layer: give it one"));
    if let Some(target) = resolve(module, named) {
        let used = target.first()?;
        if module.iter().chain(&named.inside).any(|module| is_test(module)) {
            return None;
        }
        // A name that is no module is the crate's face, which stands above all of them.
        if used != top && layer(used).is_none_or(|below| below >= own) {
            return Some(format!("`{top}` on layer {own} uses `{used}`, which isn't below it"));
        }
        return None;
    }
    let path = named.segments.join("::");
    let is_machine = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    match MACHINE.iter().find(|name| is_machine(name)) {
        // Tests may ask the system for what the crate itself must not.
        Some(name) if top != "sys" && !named.inside.iter().any(|module| module == "tests") => {
            Some(format!("`{top}` names `{name}`, which is for `sys` alone"))
        }
        _ => None,
    }
}

fn all_files() -> Vec<(PathBuf, Module, Vec<Named>)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 10, "the sources are in {}", src.display());
    let read = |file: PathBuf| {
        let named = named_in(&fs::read_to_string(&file).unwrap());
        let module = module_of(file.strip_prefix(&src).unwrap());
        (file, module, named)
    };
    files.into_iter().map(read).filter(|(_, module, _)| !module.is_empty()).collect()
}

#[test]
fn every_file_uses_only_layers_below_its_own() {
    let mut faults = Vec::new();
    for (file, module, named) in all_files() {
        for path in &named {
            if let Some(fault) = fault(&module, path) {
                faults.push(format!("{}:{}: {fault}", file.display(), path.line));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Which file of a top-level module uses which other one. A parent that lists its children is above them; a child
/// that uses its parent's names closes a circle.
fn uses_inside(top: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let files = all_files();
    let modules: BTreeSet<&Module> = files.iter().map(|(_, module, _)| module).collect();
    let mut uses: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (_, module, named) in files.iter().filter(|(_, module, _)| module[0] == top) {
        for path in named {
            // A path without a prefix may begin with a child's name.
            let below =
                || [module.as_slice(), path.inside.as_slice(), path.segments.as_slice()].concat();
            let target = resolve(module, path).unwrap_or_else(below);
            let found = (1..=target.len())
                .rev()
                .map(|n| target[..n].to_vec())
                .find(|m| modules.contains(m));
            if let Some(found) = found
                && found[0] == top
                && found != *module
                && !module.iter().chain(&path.inside).any(|module| is_test(module))
            {
                uses.entry(module.clone()).or_default().insert(found);
            }
        }
    }
    uses
}

/// A circle in `uses`, if there is one.
fn circle(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    fn visit(
        at: &Module,
        uses: &BTreeMap<Module, BTreeSet<Module>>,
        way: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> Option<Vec<Module>> {
        if let Some(start) = way.iter().position(|module| module == at) {
            return Some(way[start..].to_vec());
        }
        if !done.insert(at.clone()) {
            return None;
        }
        way.push(at.clone());
        let found =
            uses.get(at).into_iter().flatten().find_map(|next| visit(next, uses, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| visit(module, uses, &mut Vec::new(), &mut done))
}

#[test]
fn no_files_of_a_module_use_each_other_in_a_circle() {
    for (top, _) in LAYERS {
        let found = circle(&uses_inside(top));
        if CIRCLES.contains(&top) {
            assert!(found.is_some(), "`{top}` has no circle any more: take it off the list");
        } else {
            let names = |way: Vec<Module>| {
                way.iter().map(|m| m.join("::")).collect::<Vec<_>>().join(" -> ")
            };
            assert_eq!(found.map(names), None, "a circle in `{top}`");
        }
    }
}

fn faults(module: &str, source: &str) -> usize {
    let module = module.split("::").map(str::to_owned).collect();
    named_in(source).iter().filter(|named| fault(&module, named).is_some()).count()
}

#[test]
fn an_upward_a_sideways_and_a_machine_import_are_seen() {
    assert_eq!(faults("support", "use crate::wait_group::WaitGroup;"), 1);
    assert_eq!(faults("error", "use crate::sys::Mutex;"), 1);
    assert_eq!(
        faults("wait_group", "use crate::{error::WaitTimeout, worker_pool::WorkerPool};"),
        1
    );
    assert_eq!(
        faults(
            "wait_group",
            "use crate::{\n    error::WaitTimeout,\n    worker_pool::{self, WorkerPool},\n};"
        ),
        2
    );
    assert_eq!(faults("store::table", "use super::super::worker_pool::WorkerPool;"), 1);
    assert_eq!(
        faults("store::table", "mod inner { use super::super::super::worker_pool::WorkerPool; }"),
        1
    );
    assert_eq!(faults("store::table", "mod tests { use crate::worker_pool::WorkerPool; }"), 0);
    assert_eq!(faults("mutex::models", "use crate::{Model, model, testing::spawn};"), 0);
    assert_eq!(faults("support", "fn f() { let x = crate::WaitGroup::new(); }"), 1);
    assert_eq!(faults("mutex", "by_build! { machine { use crate::store::Store; } }"), 1);
    assert_eq!(faults("wait_group", "use std::sync::Arc;"), 1);
    assert_eq!(faults("wait_group", "use std::{fmt, thread};"), 1);
    assert_eq!(faults("wait_group", "fn f() { std::thread::yield_now() }"), 1);
    assert_eq!(faults("worker_pool", "use parking_lot::Mutex;"), 1);
    assert_eq!(faults("worker_pool", "use crate::sys::{Arc, thread};"), 0);
    assert_eq!(faults("sys", "use std::sync::Arc;"), 0);
    assert_eq!(faults("support", "//! [`WaitGroup`](crate::WaitGroup)"), 0);
    assert_eq!(faults("store::table", "use super::shards::Shards; use super::super::sys::Arc;"), 0);
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry(module(from)).or_default().insert(module(to));
        }
        uses
    };
    assert_eq!(circle(&uses(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
    assert!(circle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
}

/// A model build is the seam's own affair: elsewhere one or two plain lines choose a specification.
#[test]
fn only_the_seam_asks_for_the_model_build() {
    for (file, module, _) in all_files() {
        let text = fs::read_to_string(&file).unwrap();
        let asks = text
            .lines()
            .filter(|line| line.contains("cfg") && line.contains("phalanx_loom"))
            .count();
        let may = match module[0].as_str() {
            "sys" => usize::MAX,
            "model" | "mutex" | "rw_mutex" | "support" => 2,
            _ => 0,
        };
        assert!(asks <= may, "{} asks for the model build {asks} times", file.display());
    }
}

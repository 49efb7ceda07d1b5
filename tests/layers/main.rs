//! Checks the layers: a file uses only what stands below it, and only the lowest layer touches the machine. Checks the
//! sizes of files and functions too.
//!
//! `CONTRIBUTING.md` describes the layers. These tests read the paths that each file names, in `use` trees, in code
//! and in macros' braces, and resolve them to modules. Each exception is listed by name, and fails when it no longer
//! applies.

mod paths;
mod sizes;
mod source;
mod spans;

use paths::{Named, named_in};
use source::{Module, Source, all, is_test};
use std::collections::{BTreeMap, BTreeSet};

/// Each top-level module of `src/`, and its layer. Test modules have none: they stand above everything.
const LAYERS: [(&str, u32); 19] = [
    ("sys", 0),
    ("error", 0),
    ("support", 1),
    ("cancel", 2),
    ("mutex", 2),
    ("rw_mutex", 2),
    ("once", 2),
    ("semaphore", 2),
    ("barrier", 2),
    ("condvar", 3),
    ("safe_counter", 2),
    ("wait_group", 3),
    ("channel", 4),
    ("store", 4),
    ("task_group", 4),
    ("worker_pool", 5),
    ("model", 6),
    // What an exported macro expands to, named from the root; `macros` has it.
    ("__phalanx_select", 5),
    ("macros", 6),
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

/// Modules whose files still use one another in a circle.
const CIRCLES: [&str; 0] = [];

/// The files of a module from the lowest up, where an order is promised: each uses only those before it.
const ORDERS: &[(&str, &[&str])] = &[
    ("cancel", &["reason", "callback", "node", "tree", "token", "registration", "future"]),
    ("mutex", &["state", "core", "raw", "spec"]),
    ("once", &["inside", "word", "lock", "future", "lazy", "traits"]),
    ("task_group", &["error", "shared", "group"]),
    ("wait_group", &["word", "shared", "guard", "group", "go", "future"]),
    ("semaphore", &["error", "core", "guard", "future", "api"]),
    ("barrier", &["error", "result", "core", "future", "api"]),
    ("wait_group", &["word", "shared", "guard", "group", "go", "future"]),
    (
        "rw_mutex",
        &[
            "state", "core", "readers", "policy", "control", "slow", "unfenced", "bias", "raw",
            "external", "api", "spec",
        ],
    ),
    (
        "channel",
        &[
            "error",
            "core",
            "end",
            "stalled",
            "storage",
            "ring",
            "block",
            "blocks",
            "buffered",
            "rendezvous",
            "timer",
            "blocking",
            "flavor",
            "shared",
            "task",
            "case",
            "cancelled",
            "choose",
            "sender",
            "receiver",
            "iter",
            "many",
            "future",
            "stream",
            "construct",
            "fan",
            "arms",
            "select",
        ],
    ),
    (
        "store",
        &[
            "error",
            "table",
            "prefetch_hint",
            "access_ratio",
            "reentrancy",
            "completion",
            "flight",
            "shards",
            "map",
            "keyed",
            "entry",
            "entry_ref",
            "nonblocking",
            "many",
            "single_flight",
            "bulk",
            "capacity",
            "equality",
            "construct",
            "serde",
        ],
    ),
    (
        "worker_pool",
        &[
            "chunks",
            "buffers",
            "nesting",
            "job",
            "batch",
            "parkers",
            "scheduler",
            "shared",
            "run_batch",
            "pool",
            "builder",
        ],
    ),
];

/// Where a lock chooses its specification, in so many `#[cfg(phalanx_loom)]` lines at most.
const CHOOSING: [&str; 4] = ["mutex/mod.rs", "rw_mutex/mod.rs", "support/mod.rs", "model.rs"];
const CHOOSING_LINES: usize = 2;

/// Files that still hide `mod` lines in a macro.
const HIDING: [&str; 0] = [];

fn layer(module: &str) -> Option<u32> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|&(_, layer)| layer)
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

/// Whether a path stands in test code.
fn in_test(module: &Module, named: &Named) -> bool {
    named.in_test || is_test(module) || is_test(&named.inside)
}

/// What is wrong with a path that a file of `module` names.
fn fault(module: &Module, named: &Named) -> Option<String> {
    let top = module[0].as_str();
    let is_test = in_test(module, named);
    if let Some(target) = resolve(module, named) {
        if is_test {
            return None;
        }
        if source::is_test(&target) {
            return Some(format!("`{}` is for tests alone", target.join("::")));
        }
        let own = layer(top).unwrap_or_else(|| panic!("`{top}` has no layer: give it one"));
        let used = target.first()?;
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
    // `tests` may ask the system for what the crate itself must not; models run on the seam.
    let may = top == "sys" || named.inside.iter().chain(module).any(|module| module == "tests");
    let machine = MACHINE.iter().find(|name| is_machine(name)).filter(|_| !may)?;
    Some(format!("`{top}` names `{machine}`, which is for `sys` alone"))
}

#[test]
fn every_file_uses_only_layers_below_its_own() {
    let mut faults = Vec::new();
    for source in all().iter().filter(|source| !source.module.is_empty()) {
        for path in &source.named {
            if let Some(fault) = fault(&source.module, path) {
                faults.push(format!("src/{}:{}: {fault}", source.path, path.line));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Which file uses which other one, without test code. A parent that lists its children is above them; a child
/// that uses its parent's names closes a circle.
type Uses = BTreeMap<Module, BTreeSet<Module>>;

fn uses_inside(top: &str, sources: &[Source]) -> Uses {
    let modules: BTreeSet<&Module> = sources.iter().map(|source| &source.module).collect();
    let mut uses = Uses::new();
    for Source { module, named, .. } in sources {
        if module.first().is_none_or(|first| first != top) {
            continue;
        }
        for path in named.iter().filter(|path| !in_test(module, path)) {
            // A path without a prefix may begin with a child's name.
            let below = || [module, path.inside.as_slice(), path.segments.as_slice()].concat();
            let target = resolve(module, path).unwrap_or_else(below);
            let mut prefixes = (1..=target.len()).rev().map(|n| target[..n].to_vec());
            if let Some(found) = prefixes.find(|prefix| modules.contains(prefix))
                && found[0] == top
                && found != *module
            {
                uses.entry(module.clone()).or_default().insert(found);
            }
        }
    }
    uses
}

/// A circle in `uses`, if there is one.
fn circle(uses: &Uses) -> Option<Vec<Module>> {
    fn visit(
        at: &Module,
        uses: &Uses,
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
        let found = circle(&uses_inside(top, all()));
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

/// What is wrong with the files of a module whose order is promised.
fn order_faults(top: &str, order: &[&str], sources: &[Source]) -> Vec<String> {
    let rank = |module: &Module| order.iter().position(|name| module[1..] == [*name]);
    let files = sources
        .iter()
        .map(|source| &source.module)
        .filter(|module| module.len() > 1 && module[0] == top && !is_test(module));
    let (files, mut faults): (BTreeSet<&Module>, Vec<String>) = (files.collect(), Vec::new());
    for file in &files {
        if rank(file).is_none() {
            faults.push(format!("`{}` has no place in the order", file.join("::")));
        }
    }
    for name in order {
        if !files.iter().any(|file| file[1..] == [*name]) {
            faults.push(format!("`{top}::{name}` is in the order, and no file"));
        }
    }
    for (file, used) in uses_inside(top, sources) {
        for used in used.iter().filter(|used| rank(&file).is_some() && rank(used) >= rank(&file)) {
            faults.push(format!("`{}` uses `{}`", file.join("::"), used.join("::")));
        }
        let above: Vec<_> = used.iter().filter(|used| used.len() == 1).collect();
        if rank(&file).is_some() && !above.is_empty() {
            faults.push(format!("`{}` uses `{top}`", file.join("::")));
        }
    }
    faults
}

#[test]
fn files_whose_order_is_promised_keep_it() {
    for (top, order) in ORDERS {
        assert_eq!(order_faults(top, order, all()), [""; 0]);
    }
}

/// A model build is the seam's own affair: elsewhere plain lines choose a specification.
#[test]
fn only_the_seam_asks_for_the_model_build() {
    for source in all().iter().filter(|source| source.module.first().is_none_or(|top| top != "sys"))
    {
        let may = if CHOOSING.contains(&source.path.as_str()) { CHOOSING_LINES } else { 0 };
        let (path, seam) = (&source.path, &source.seam);
        let asks = [seam.plain.as_slice(), &seam.other].concat();
        assert!(asks.len() <= may, "src/{path} asks for the model build: {asks:?}");
    }
}

#[test]
fn no_macro_hides_modules_from_rustfmt() {
    let hiding = all().iter().filter(|source| !source.seam.hidden_modules.is_empty());
    let hiding: Vec<&str> = hiding.map(|source| source.path.as_str()).collect();
    assert_eq!(hiding, HIDING, "`mod` lines in a macro, and the list of them");
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
fn tests_stand_above_everything_and_nothing_else_uses_them() {
    assert_eq!(faults("support::models", "use crate::wait_group::WaitGroup;"), 0);
    assert_eq!(faults("support", "#[cfg(test)]\nmod tests { use crate::WaitGroup; }"), 0);
    assert_eq!(faults("mutex", "#[cfg(test)]\nfn f() -> models::X { crate::testing::x() }"), 0);
    assert_eq!(faults("mutex", "fn f() { #[cfg(test)] use crate::testing::X; }"), 0);
    assert_eq!(faults("mutex", "fn f() { crate::testing::x(); }"), 1);
    assert_eq!(faults("mutex", "use super::condvar::models::X;"), 1);
    // What is under the attribute ends with its item.
    assert_eq!(faults("mutex", "#[cfg(test)] mod models; use crate::store::Store;"), 1);
    assert_eq!(faults("mutex", "#[cfg(test)] fn f() {} fn g() { crate::store::f() }"), 1);
    assert_eq!(faults("mutex", "#[cfg(not(test))] use crate::store::Store;"), 1);
    // Models see the machine through the seam, unit tests may ask it.
    assert_eq!(faults("mutex::models", "use std::sync::Mutex;"), 1);
    assert_eq!(faults("mutex::tests", "use std::sync::Mutex;"), 0);
    assert_eq!(faults("mutex", "#[cfg(test)]\nmod tests { use std::sync::Mutex; }"), 0);
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses = Uses::new();
        for (from, to) in pairs {
            uses.entry(module(from)).or_default().insert(module(to));
        }
        uses
    };
    assert_eq!(circle(&uses(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
    assert!(circle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
    let sources = [
        Source::new("lock/mod.rs", "mod raw; use raw::Raw; pub struct Policy;"),
        Source::new("lock/raw.rs", "use super::Policy;"),
    ];
    assert!(circle(&uses_inside("lock", &sources)).is_some());
    let sources = [
        Source::new("lock/mod.rs", "mod raw; use raw::Raw; #[cfg(test)] pub struct Policy;"),
        Source::new("lock/raw.rs", "#[cfg(test)] use super::Policy;"),
    ];
    assert_eq!(circle(&uses_inside("lock", &sources)), None);
}

#[test]
fn a_file_out_of_its_order_is_seen() {
    let faults = |state: &str, raw: &str| {
        let sources = [
            Source::new("lock/mod.rs", "mod raw; mod state; use raw::Raw;"),
            Source::new("lock/models.rs", "use super::*; use super::raw::Raw;"),
            Source::new("lock/state.rs", state),
            Source::new("lock/raw.rs", raw),
        ];
        order_faults("lock", &["state", "raw"], &sources).len()
    };
    assert_eq!(faults("use crate::sys::Arc;", "use super::state::{A, B};"), 0);
    assert_eq!(faults("use super::raw::Raw;", ""), 1);
    assert_ne!(faults("use super::{sys, Face};", ""), 0);
    let sources = [Source::new("lock/raw.rs", "")];
    assert_eq!(order_faults("lock", &["state"], &sources).len(), 2);
}

//! The sources of the crate, read once.

use crate::paths::{Named, named_in};
use crate::spans::{Function, Seam, functions_in, seam_in};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A module's path from the crate's root: empty for `lib.rs`.
pub(crate) type Module = Vec<String>;

/// What the checks ask of a file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path below `src/`.
    pub(crate) path: String,
    pub(crate) module: Module,
    pub(crate) lines: usize,
    pub(crate) named: Vec<Named>,
    pub(crate) functions: Vec<Function>,
    pub(crate) seam: Seam,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Source {
            module: module_of(Path::new(path)),
            path: path.to_owned(),
            lines: text.lines().count(),
            named: named_in(text),
            functions: functions_in(text),
            seam: seam_in(text),
        }
    }
}

/// Every file of `src/`.
pub(crate) fn all() -> &'static [Source] {
    static ALL: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        files_in(&src, &mut files);
        assert!(files.len() > 10, "the sources are in {}", src.display());
        files.sort();
        let read = |file: PathBuf| {
            let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
            Source::new(&path, &fs::read_to_string(&file).unwrap())
        };
        files.into_iter().map(read).collect()
    });
    &ALL
}

fn files_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_in(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The module that a file is, by its path below `src/`.
fn module_of(path: &Path) -> Module {
    let parts = path.with_extension("");
    let mut module: Module = parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// Whether a module holds tests: it stands above everything, and nothing but tests uses it.
pub(crate) fn is_test(module: &[String]) -> bool {
    module.iter().any(|part| matches!(part.as_str(), "models" | "tests" | "testing"))
}

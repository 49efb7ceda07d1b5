//! No file and no function is too long to be read at one go.

use crate::source::{Source, all};
use std::collections::BTreeSet;

const FILE_LINES: usize = 450;
const FUNCTION_LINES: usize = 60;

/// Files that are longer today.
const LONG_FILES: [&str; 0] = [];

/// Functions that are longer today.
const LONG_FUNCTIONS: [&str; 0] = [];

fn long_files(sources: &[Source]) -> BTreeSet<String> {
    let long = sources.iter().filter(|source| source.lines > FILE_LINES);
    long.map(|source| source.path.clone()).collect()
}

fn long_functions(sources: &[Source]) -> BTreeSet<String> {
    let functions = sources.iter().flat_map(|source| {
        let long = source.functions.iter().filter(|function| function.lines > FUNCTION_LINES);
        long.map(|function| format!("{}: {}", source.path, function.name))
    });
    functions.collect()
}

/// Fails unless what is too long is exactly what is listed.
#[track_caller]
fn are_those_listed(found: &BTreeSet<String>, listed: &[&str], limit: usize) {
    let listed: BTreeSet<String> = listed.iter().map(|&name| name.to_owned()).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    assert!(new.is_empty(), "longer than {limit} lines: {new:#?}");
    let stale: Vec<_> = listed.difference(found).collect();
    assert!(stale.is_empty(), "no longer than {limit} lines: take them off the list: {stale:#?}");
}

#[test]
fn no_file_is_too_long() {
    are_those_listed(&long_files(all()), &LONG_FILES, FILE_LINES);
}

#[test]
fn no_function_is_too_long() {
    are_those_listed(&long_functions(all()), &LONG_FUNCTIONS, FUNCTION_LINES);
}

#[test]
fn what_is_too_long_is_seen() {
    let body = |lines| "    f();\n".repeat(lines);
    let source =
        |lines: usize| Source::new("a/b.rs", &format!("fn f() {{\n{}}}\n", body(lines - 2)));
    assert!(long_files(&[source(FILE_LINES)]).is_empty());
    assert_eq!(long_files(&[source(FILE_LINES + 1)]).len(), 1);
    assert!(long_functions(&[source(FUNCTION_LINES)]).is_empty());
    let long = long_functions(&[source(FUNCTION_LINES + 1)]);
    assert_eq!(long.into_iter().collect::<Vec<_>>(), ["a/b.rs: f"]);
}

#[test]
#[should_panic(expected = "take them off the list")]
fn an_exception_that_no_longer_applies_is_seen() {
    are_those_listed(&BTreeSet::new(), &["a.rs"], FILE_LINES);
}

#[test]
#[should_panic(expected = "longer than 450 lines")]
fn an_exception_that_is_not_listed_is_seen() {
    are_those_listed(&BTreeSet::from(["b.rs".to_owned()]), &[], FILE_LINES);
}

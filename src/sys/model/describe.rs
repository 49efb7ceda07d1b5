//! What the threads of a failed model wait for, and which of them hold it, in words.
//!
//! A wait has the line of the user's that called. The call's name stands in that line, at the location's column:
//! it is read from the source when there is a verdict to tell.

use super::run::is_ours;
use super::waiting::{List, Site, Waiting};
use loom::thread::ThreadId;
use std::fmt::Write;
use std::panic::Location;
use std::path::PathBuf;
use std::{env, fs};

/// The threads that wait.
pub(super) struct Described {
    /// A line for each of them.
    pub(super) lines: String,
    /// A line for each that waits for a lock that it holds itself.
    pub(super) cause: String,
}

/// Describes the threads that wait, in the order of their numbers. A scope's end comes before what its thread waits for
/// inside.
pub(super) fn describe(mut list: List) -> Described {
    list.waiting.sort_by_key(|waiting| (number(waiting.thread), waiting.ticket));
    let (mut text, mut cause) = (String::new(), String::new());
    for waiting in &list.waiting {
        let (at, call) = call_of(waiting);
        let who = thread(&list, waiting.thread);
        let _ = write!(text, "\n  {who} waits in {call} at {at}");
        if let Some(line) = source(at) {
            let _ = write!(text, "\n      {}", line.trim());
        }
        holders(&mut text, &list, waiting);
        own_lock(&mut cause, &list, waiting);
    }
    Described { lines: text, cause }
}

/// Adds the holders of the lock that a thread waits for.
fn holders(text: &mut String, list: &List, waiting: &Waiting) {
    for holder in list.holders.iter().filter(|holder| holder.lock == waiting.address) {
        let is_same = holder.thread == waiting.thread;
        let who = if is_same { "this thread".to_owned() } else { thread(list, holder.thread) };
        let _ = match holder.is_pending {
            true if is_same => Ok(()),
            true => write!(text, "\n    behind {who}, a writer that waits for readers"),
            false => write!(text, "\n    held by {who} since {}", holder.at),
        };
    }
}

/// Says so if a thread waits for a lock that it holds.
fn own_lock(text: &mut String, list: &List, waiting: &Waiting) {
    let holders = || list.holders.iter().filter(|holder| holder.lock == waiting.address);
    if !holders().any(|holder| holder.thread == waiting.thread && !holder.is_pending) {
        return;
    }
    let who = thread(list, waiting.thread);
    let _ = if holders().any(|holder| holder.thread != waiting.thread && holder.is_pending) {
        write!(
            text,
            "\n  {who} locks again what it reads, behind a writer that waits for it to unlock: a recursive read may \
             deadlock"
        )
    } else {
        write!(text, "\n  {who} locks what it holds already: a lock isn't reentrant")
    };
}

/// Names a thread by its number, and by its name if it has one.
fn thread(list: &List, id: ThreadId) -> String {
    let number = number(id);
    match list.names.iter().find(|(named, _)| *named == id) {
        Some((_, name)) => format!("thread {number} `{name}`"),
        None if number == 0 => "thread 0 (the closure's own)".to_owned(),
        None => format!("thread {number}"),
    }
}

/// Returns the line that called, and the name of the call.
fn call_of(waiting: &Waiting) -> (&'static Location<'static>, String) {
    let (at, is_ours) = match waiting.called {
        Some(called) if is_ours(waiting.at) => (called, false),
        _ => (waiting.at, is_ours(waiting.at)),
    };
    if is_ours && at.file().contains("worker_pool") {
        return (at, "a WorkerPool, as a worker without a task,".to_owned());
    }
    let word = source(at).and_then(|line| word_at(&line, at.column()));
    (at, name_of(waiting.site, word.as_deref()))
}

fn number(id: ThreadId) -> usize {
    // Its `Debug` is all there is of it: `ThreadId(1)`.
    let text = format!("{id:?}");
    text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(usize::MAX)
}

/// Returns the line of the source, if the file is still where it was built.
fn source(at: &Location<'_>) -> Option<String> {
    // A path is relative to the workspace, whose root is the package's folder or above it.
    let here = env::current_dir().unwrap_or_default();
    let file: PathBuf =
        here.ancestors().map(|folder| folder.join(at.file())).find(|file| file.is_file())?;
    let text = fs::read_to_string(file).ok()?;
    text.lines().nth(at.line() as usize - 1).map(str::to_owned)
}

/// Returns the last name of the path that begins at a column: `park` of `thread::park()`, `select!` of a macro.
fn word_at(line: &str, column: u32) -> Option<String> {
    let rest = line.chars().skip(column as usize - 1);
    let mut is_over = false;
    let path: String = rest
        .take_while(|&c| {
            let is_in = !is_over && (c.is_alphanumeric() || matches!(c, '_' | ':' | '!'));
            is_over = c == '!';
            is_in
        })
        .collect();
    path.rsplit(':').next().filter(|word| !word.is_empty()).map(str::to_owned)
}

/// The calls that wait, by type. Where a name stands twice, the site decides.
const CALLS: [(&str, &[&str]); 11] = [
    ("WaitGroup", &["wait", "wait_timeout", "wait_deadline"]),
    ("WorkerPool", &["run", "map", "map_slice"]),
    (
        "Condvar",
        &[
            "wait",
            "wait_while",
            "wait_for",
            "wait_until",
            "wait_while_for",
            "wait_while_until",
            "wait_timeout",
            "wait_deadline",
        ],
    ),
    ("Mutex", &["lock", "lock_arc", "try_lock_for", "try_lock_until"]),
    (
        "RwMutex",
        &[
            "read",
            "write",
            "upgradable_read",
            "upgrade",
            "read_arc",
            "write_arc",
            "try_read_for",
            "try_read_until",
            "try_write_for",
            "try_write_until",
        ],
    ),
    (
        "Store",
        &[
            "get",
            "get_key_value",
            "with",
            "with_key_value",
            "contains_key",
            "update",
            "insert",
            "insert_if_absent",
            "remove",
            "remove_entry",
            "remove_if",
            "try_remove_if",
            "entry",
            "entry_by_ref",
            "upsert",
            "upsert_with",
            "upsert_by_ref",
            "get_or_insert_with",
            "get_or_compute",
            "try_get_or_compute",
            "get_or_compute_by_ref",
            "try_get_or_compute_by_ref",
            "with_many",
            "with_many_slice",
            "len",
            "is_empty",
            "clear",
            "for_each",
            "try_for_each",
            "keys",
            "values",
            "snapshot",
            "retain",
            "drain",
            "capacity",
            "reserve",
            "try_reserve",
            "shrink_to_fit",
            "clone",
            "extend",
            "eq",
        ],
    ),
    ("Sender", &["send", "send_timeout", "send_deadline", "send_many"]),
    ("Receiver", &["recv", "recv_timeout", "recv_deadline", "recv_many", "iter", "into_iter"]),
    (
        "Select",
        &[
            "select",
            "select_timeout",
            "select_deadline",
            "ready",
            "ready_timeout",
            "ready_deadline",
        ],
    ),
    ("JoinHandle", &["join"]),
    ("thread", &["park", "scope"]),
];

/// Returns the types whose calls wait at this site; the first is the site's own.
fn types(site: Site) -> &'static [&'static str] {
    let module = match site {
        Site::Thread => return &["JoinHandle", "thread"],
        Site::Scope => return &["thread"],
        Site::Internal => return &[],
        Site::Code(name) => name,
    };
    if module.starts_with("phalanx::channel::") {
        &["a channel", "Sender", "Receiver", "Select"]
    } else if module.contains("::store::") {
        &["Store"]
    } else if module.contains("::rw_mutex::") {
        &["RwMutex"]
    } else if module.contains("::mutex::") {
        &["Mutex", "Condvar"]
    } else if module.contains("::waiters::") {
        &["a channel or a Condvar", "Sender", "Receiver", "Select", "Condvar"]
    } else if module.contains("::thread::") {
        &["thread"]
    } else if module.contains("::latch::") {
        &["WaitGroup", "WorkerPool", "Store"]
    } else {
        &[]
    }
}

fn name_of(site: Site, call: Option<&str>) -> String {
    let types = types(site);
    let Some(call) = call else {
        return types.first().map_or("a call".to_owned(), |first| format!("a call of {first}"));
    };
    match call {
        "select!" => return call.to_owned(),
        // Channels have the only iterators that wait.
        "for" => return "a `for` loop over a Receiver".to_owned(),
        _ => {}
    }
    let has_it =
        |name: &&&str| CALLS.iter().any(|(of, calls)| of == *name && calls.contains(&call));
    match types.iter().find(has_it) {
        Some(name) => format!("{name}::{call}"),
        // A call of the user's that is `#[track_caller]` too.
        None => match types.first() {
            Some(first) => format!("`{call}` (in {first})"),
            None => format!("`{call}`"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_call_is_read_at_its_column() {
        assert_eq!(word_at("    group.wait();", 11).as_deref(), Some("wait"));
        assert_eq!(word_at("    thread::park();", 5).as_deref(), Some("park"));
        assert_eq!(word_at("    (f)();", 5), None);
        assert_eq!(word_at("short", 40), None);
        assert_eq!(word_at("let n = phalanx::select! {", 9).as_deref(), Some("select!"));
        assert_eq!(word_at("if !a.b()", 7).as_deref(), Some("b"));
    }

    #[test]
    fn a_call_is_named_with_its_type() {
        const MUTEX: Site = Site::Code("phalanx::mutex::spec");
        const RW_MUTEX: Site = Site::Code("phalanx::rw_mutex::spec");
        const STORE: Site = Site::Code("phalanx::store::shards");
        let latch = Site::Code("phalanx::latch::Latch::wait_contended::{{closure}}");
        assert_eq!(name_of(latch, Some("wait")), "WaitGroup::wait");
        assert_eq!(name_of(latch, Some("run")), "WorkerPool::run");
        assert_eq!(name_of(MUTEX, Some("wait_while")), "Condvar::wait_while");
        assert_eq!(name_of(MUTEX, Some("lock")), "Mutex::lock");
        assert_eq!(name_of(STORE, Some("get")), "Store::get");
        assert_eq!(name_of(latch, Some("get_or_compute")), "Store::get_or_compute");
        let waiters = Site::Code("phalanx::support::waiters::signal::Signal::sleep::{{closure}}");
        assert_eq!(name_of(waiters, Some("recv_timeout")), "Receiver::recv_timeout");
        assert_eq!(name_of(waiters, Some("send")), "Sender::send");
        assert_eq!(name_of(waiters, Some("wait_while")), "Condvar::wait_while");
        assert_eq!(name_of(waiters, Some("select!")), "select!");
        assert_eq!(name_of(waiters, Some("for")), "a `for` loop over a Receiver");
        assert_eq!(name_of(waiters, Some("pick")), "`pick` (in a channel or a Condvar)");
        assert_eq!(name_of(RW_MUTEX, Some("get")), "`get` (in RwMutex)");
        assert_eq!(name_of(Site::Thread, None), "a call of JoinHandle");
    }
}

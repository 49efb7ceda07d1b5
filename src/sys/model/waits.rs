//! Which thread of a model waits in which call, for a verdict to say.
//!
//! A thread is in the list while it waits. The list is the model's thread's own, and holds copies: when loom
//! has found a deadlock, the stacks that they came from may be gone.
//!
//! The seam knows the *room* a thread waits in, and the line of the user's that called. The call's name stands
//! in that line, at the location's column: it is read from the source when there is a verdict to tell.

use super::thread::{self, Thread};
use super::{guard, local};
use loom::thread::ThreadId;
use std::any::type_name;
use std::cell::RefCell;
use std::fmt::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What a thread waits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Mutex,
    RwMutex,
    /// A thread's end.
    Thread,
    /// Those of a scope.
    Scope,
    /// A short lock of phalanx's own.
    Inside,
    /// A [`park`](super::park) with a closure of this type, whose name holds its module.
    Of(&'static str),
}

impl Room {
    /// The room of a [`park`](super::park)'s validation.
    pub(super) fn of<V>(_: &V) -> Self {
        Room::Of(type_name::<V>())
    }
}

struct Waiting {
    ticket: u64,
    id: ThreadId,
    thread: Option<Thread>,
    room: Room,
    at: &'static Location<'static>,
    /// Where this crate was called, if the thread said so: see [`calling`].
    called: Option<&'static Location<'static>>,
}

#[derive(Default)]
struct List {
    execution: u64,
    next_ticket: u64,
    waiting: Vec<Waiting>,
}

std::thread_local! {
    static LIST: RefCell<List> = RefCell::default();
}

/// Keeps a thread in the list.
pub(super) struct Waits(u64);

/// Puts the calling thread of the model in the list, as waiting at the caller's line.
#[track_caller]
pub(super) fn waits(room: Room) -> Waits {
    let (id, thread, at) = (super::objects::current().id(), thread::known(), Location::caller());
    let called = CALLED.try_with(|called| called.borrow().last().copied()).ok().flatten();
    LIST.with_borrow_mut(|list| {
        if list.execution != guard::execution() {
            *list = List { execution: guard::execution(), ..List::default() };
        }
        let ticket = list.next_ticket;
        list.next_ticket += 1;
        list.waiting.push(Waiting { ticket, id, thread, room, at, called });
        Waits(ticket)
    })
}

local! {
    /// The calls of this crate that the thread is in, and that have said so.
    static CALLED: RefCell<Vec<&'static Location<'static>>> = RefCell::new(Vec::new());
}

/// Notes where the calling thread called this crate, for what waits where the place doesn't come: in a
/// destructor.
#[track_caller]
pub(crate) fn calling() -> Calling {
    let at = Location::caller();
    let _ = CALLED.try_with(|called| called.borrow_mut().push(at));
    Calling
}

/// As long as it lives the call goes on.
pub(crate) struct Calling;

impl Drop for Calling {
    fn drop(&mut self) {
        let _ = CALLED.try_with(|called| called.borrow_mut().pop());
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        LIST.with_borrow_mut(|list| list.waiting.retain(|waiting| waiting.ticket != self.0));
    }
}

/// A line for each thread that waits; in the order of their numbers, and a scope's end before what
/// its thread waits for inside.
pub(super) fn describe() -> String {
    LIST.with_borrow_mut(|list| {
        if list.execution != guard::execution() {
            return String::new();
        }
        list.waiting.sort_by_key(|waiting| (number(waiting.id), waiting.ticket));
        let mut text = String::new();
        for waiting in &list.waiting {
            let name = match waiting.thread.as_ref().and_then(Thread::name) {
                Some(name) => format!(" `{name}`"),
                None if number(waiting.id) == 0 => " (the closure's own)".to_owned(),
                None => String::new(),
            };
            let (at, is_ours) = match waiting.called {
                Some(called) if is_ours(waiting.at) => (called, false),
                _ => (waiting.at, is_ours(waiting.at)),
            };
            let source = source(at);
            let call = source.as_ref().and_then(|line| word_at(line, at.column()));
            let call = if is_ours && at.file().contains("worker_pool") {
                "a WorkerPool, as a worker without a task,".to_owned()
            } else {
                name_of(waiting.room, call.as_deref())
            };
            let _ = write!(text, "\n  thread {}{name} waits in {call} at {at}", number(waiting.id));
            if let Some(line) = source {
                let _ = write!(text, "\n      {}", line.trim());
            }
        }
        text
    })
}

fn number(id: ThreadId) -> usize {
    // Its `Debug` is all there is of it: `ThreadId(1)`.
    let text = format!("{id:?}");
    text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(usize::MAX)
}

/// The line of the source, if the source is still where it was when it was built.
fn source(at: &Location<'_>) -> Option<String> {
    // A path is relative to the workspace, whose root is the package's folder or above it.
    let here = env::current_dir().unwrap_or_default();
    let file: PathBuf =
        here.ancestors().map(|folder| folder.join(at.file())).find(|file| file.is_file())?;
    let text = fs::read_to_string(file).ok()?;
    text.lines().nth(at.line() as usize - 1).map(str::to_owned)
}

/// The last name of the path that begins at a column: `park` of `thread::park()`.
fn word_at(line: &str, column: u32) -> Option<String> {
    let rest = line.chars().skip(column as usize - 1);
    let path: String = rest.take_while(|&c| c.is_alphanumeric() || c == '_' || c == ':').collect();
    path.rsplit(':').next().filter(|word| !word.is_empty()).map(str::to_owned)
}

/// The calls that wait, by type. Where a name stands twice the room decides.
const CALLS: [(&str, &[&str]); 7] = [
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
    ("JoinHandle", &["join"]),
    ("thread", &["park", "scope"]),
];

/// The types that have a room of this kind below them; the first is its own.
fn types(room: Room) -> &'static [&'static str] {
    let module = match room {
        Room::Mutex => "::mutex::",
        Room::RwMutex => "::rw_mutex::",
        Room::Thread => return &["JoinHandle", "thread"],
        Room::Scope => return &["thread"],
        Room::Inside => return &[],
        Room::Of(name) => name,
    };
    if module.contains("::rw_mutex::") {
        &["RwMutex"]
    } else if module.contains("::mutex::") {
        &["Mutex", "Condvar"]
    } else if module.contains("::condvar::") {
        &["Condvar"]
    } else if module.contains("::thread::") {
        &["thread"]
    } else if module.contains("::latch::") {
        &["WaitGroup", "WorkerPool"]
    } else {
        &[]
    }
}

fn name_of(room: Room, call: Option<&str>) -> String {
    let types = types(room);
    let Some(call) = call else {
        return types.first().map_or("a call".to_owned(), |first| format!("a call of {first}"));
    };
    let known =
        |of: &&&str| CALLS.iter().any(|(of_it, calls)| of_it == *of && calls.contains(&call));
    match types.iter().find(known) {
        Some(of) => format!("{of}::{call}"),
        // Behind a call that isn't the room's own: a store's, a pool's, or one of the user's that is
        // `#[track_caller]` too.
        None => match types.first() {
            Some(first) => format!("`{call}` (in {first})"),
            None => format!("`{call}`"),
        },
    }
}

/// Whether a place is in this package rather than in the user's.
fn is_ours(at: &Location<'_>) -> bool {
    let ours = Path::new(file!()).parent().and_then(Path::parent).and_then(Path::parent);
    ours.is_some_and(|ours| Path::new(at.file()).starts_with(ours))
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
    }

    #[test]
    fn a_call_is_told_with_its_type() {
        let latch = Room::Of("phalanx::latch::Latch::wait_contended::{{closure}}");
        assert_eq!(name_of(latch, Some("wait")), "WaitGroup::wait");
        assert_eq!(name_of(latch, Some("run")), "WorkerPool::run");
        assert_eq!(name_of(Room::Mutex, Some("wait_while")), "Condvar::wait_while");
        assert_eq!(name_of(Room::Mutex, Some("lock")), "Mutex::lock");
        assert_eq!(name_of(Room::RwMutex, Some("get")), "`get` (in RwMutex)");
        assert_eq!(name_of(Room::Thread, None), "a call of JoinHandle");
    }
}

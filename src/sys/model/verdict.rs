//! Verdicts, in words that name the fault, the lines, and what to do.

use super::describe::{Described, describe};
use super::run::{Fault, Place, Run, is_in_lock_api, is_users};
use super::waiting::List;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// Returns what the test says of a fault.
pub(super) fn tell(fault: Fault, waiting: List, run: &Run) -> String {
    let mut text = match fault {
        Fault::Loom { at, said, unwinding } => {
            let text = translate(said.as_deref(), at, run, &describe(waiting));
            match unwinding {
                Some(first) => format!("{first}\nand while that panic unwinds: {text}"),
                None => text,
            }
        }
        Fault::Foreign(at) => format!(
            "a value made in another execution, or in another model, is used{}.\n  \
             Atomics, cells and phalanx's types belong to one execution of the closure: make them inside it, not \
             in a `static` or a `LazyLock`",
            place(Some(at))
        ),
        Fault::Shared(at) => format!(
            "a lock used{} is in use by another model that runs at the same time.\n  Make it inside the closure rather \
             than in a `static`, or run these tests with `--test-threads=1`",
            place(Some(at))
        ),
    };
    found_in(&mut text, run);
    text
}

/// Translates what loom said in the call at `at`.
fn translate(said: Option<&str>, at: Option<Place>, run: &Run, waiting: &Described) -> String {
    match said {
        Some(said) => explain(said, at, run, waiting),
        None if waiting.lines.is_empty() => format!(
            "the model found a fault{}. A panic hook set by the test keeps what loom says of it away",
            place(at)
        ),
        None => format!(
            "deadlock, or another fault{}. Threads that wait:{}{}",
            place(at),
            waiting.lines,
            waiting.cause
        ),
    }
}

fn found_in(text: &mut String, run: &Run) {
    // ORDERING: Relaxed: a count; the report came after it.
    let execution = run.executions.load(Ordering::Relaxed);
    let loads = if run.rmw_loads { "rmw" } else { "plain" };
    let _ = write!(text, "\n  (found in execution {execution}, with PHALANX_MODEL_LOADS={loads})");
}

/// Names a line, unless it is `lock_api`'s.
fn place(at: Option<Place>) -> String {
    at.filter(|at| !is_in_lock_api(at)).map_or(String::new(), |at| format!(" at {at}"))
}

fn explain(said: &str, at: Option<Place>, run: &Run, waiting: &Described) -> String {
    let said = said.trim();
    let has = |words: &str| said.contains(words);
    if has("deadlock; threads") {
        deadlock(waiting)
    } else if has("Causality violation") {
        race(said)
    } else if has("currently writing to cell") || has("currently reading from cell") {
        format!(
            "data race: an UnsafeCell is accessed{} while an access of it is under way ({said})",
            place(at)
        )
    } else if has("exceeded maximum number of branches") {
        too_long(at, run)
    } else if has("self.threads.len() < self.max") || has("threads.len() < self.max_threads") {
        format!("too many threads{}: a model has at most 5, the closure's own included", place(at))
    } else if has("leaked.") {
        leak(said)
    } else if ["fully deterministic", "unexpected object stored at reference", "exploring state"]
        .into_iter()
        .any(has)
    {
        format!(
            "the closure isn't deterministic{} (loom: {said}).\n  Given the same schedule it must do the same: no \
             clock, no random numbers, no iteration over a `HashMap`, no values kept from one execution to the next",
            place(at)
        )
    } else if has("index out of bounds") || has("cannot access Loom execution state") {
        format!(
            "a value made in another execution, or in another model, is used{} (loom: {said}).\n  Make it \
             inside the closure",
            place(at)
        )
    } else {
        format!("the model found a fault{}: {said}", place(at))
    }
}

fn deadlock(waiting: &Described) -> String {
    let cause = if waiting.cause.is_empty() {
        "\n  Either they wait for one another, or for a wake-up that came too early or never comes"
    } else {
        &waiting.cause
    };
    format!("deadlock: every thread that hasn't ended waits{}{cause}", waiting.lines)
}

/// loom's lines are `key: thread #1 @ path:line:column`.
fn race(said: &str) -> String {
    let mut lines = said.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let first = first.trim_start_matches("Causality violation: ").trim_end_matches('.');
    let mut text =
        format!("data race: {} that nothing orders", first.replace("Concurrent", "concurrent"));
    for line in lines.filter(|line| !line.is_empty()) {
        let (key, rest) = line.split_once(": ").unwrap_or(("", line));
        let _ = match (key, rest.strip_prefix("thread #").and_then(|it| it.split_once(" @ "))) {
            (_, Some((thread, place))) => write!(text, "\n  {key} by thread {thread} at {place}"),
            ("created", None) => write!(text, "\n  of a value made at {rest}"),
            _ => write!(text, "\n  {line}"),
        };
    }
    // loom says so of an atomic whose creation isn't ordered before another thread's use.
    if said.contains("and mut accesses") {
        text.push_str(
            "\n  Did an atomic, or a value that holds one, reach another thread in a way that orders nothing: by a `static`, \
             a `LazyLock`, or a lock of std's? Make it inside the closure, and move it, or a clone of its `Arc`, into \
             the thread",
        );
    }
    text
}

fn too_long(at: Option<Place>, run: &Run) -> String {
    let most = run.settings.max_branches;
    format!(
        "an execution passed more than {most} points of choice. The last one was{}.\n  Usually a loop there waits for \
         another thread without a call of `phalanx::thread::yield_now` in each round. If the closure really takes \
         so many steps, raise `Model::max_branches`",
        match (at, run.last_place()) {
            (None, _) => " the end of a thread".to_owned(),
            (Some(at), Some(last)) if !is_users(at) => place(Some(last)),
            (at, _) => place(at),
        }
    )
}

fn leak(said: &str) -> String {
    let made = said.lines().find_map(|line| line.trim().strip_prefix("Allocated: "));
    let made = made.map_or(String::new(), |made| format!(", made at {made},"));
    format!(
        "leak: a value{made} was never dropped, or still counts a task. Was a guard forgotten, does an `Arc` hold \
         itself, or is it a value in a `static`?"
    )
}

#[cfg(test)]
mod tests {
    use super::race;

    #[test]
    fn a_race_names_both_accesses() {
        let said = "Causality violation: Concurrent read and write accesses.\n    created: src/a.rs:1:2\n       \
                    read: thread #1 @ src/b.rs:3:4\n      write: thread #0 @ src/c.rs:5:6";
        let text = race(said);
        assert!(text.contains("\n  read by thread 1 at src/b.rs:3:4\n"), "{text}");
        assert!(text.contains("\n  write by thread 0 at src/c.rs:5:6"), "{text}");
        assert!(text.contains("of a value made at src/a.rs:1:2"), "{text}");
        assert!(
            text.starts_with("data race: concurrent read and write accesses that nothing orders\n"),
            "{text}"
        );
    }
}

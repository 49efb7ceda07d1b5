//! Checks in a forked child.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Forks. Returns `None` in the child, which is killed if it hangs.
pub(crate) fn fork() -> Option<libc::pid_t> {
    // SAFETY: no arguments. What the child does afterwards is what is tested.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "the system refuses a process");
    if child == 0 {
        // SAFETY: takes a number.
        unsafe { libc::alarm(60) };
    }
    (child > 0).then_some(child)
}

/// Ends the child.
pub(crate) fn end(succeeded: bool) -> ! {
    // SAFETY: takes a number, and runs nothing that belongs to the parent's threads.
    unsafe { libc::_exit(if succeeded { 0 } else { 1 }) }
}

/// Waits for a child. Returns its exit code, or `Err` with the signal that killed it.
pub(crate) fn outcome(child: libc::pid_t) -> Result<i32, i32> {
    let mut status = 0;
    // SAFETY: `status` is there to be written.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(ended, child);
    if libc::WIFEXITED(status) {
        Ok(libc::WEXITSTATUS(status))
    } else {
        Err(libc::WTERMSIG(status))
    }
}

/// Runs `check` in a forked child; fails if it panics or hangs there.
#[track_caller]
pub(crate) fn in_child(check: impl FnOnce()) {
    let Some(child) = fork() else { end(catch_unwind(AssertUnwindSafe(check)).is_ok()) };
    assert_eq!(outcome(child), Ok(0));
}

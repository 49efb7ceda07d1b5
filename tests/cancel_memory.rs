//! The memory of tokens, as the allocator sees it in this thread, and the timer's thread: a single test, so that no other
//! sets a deadline.

mod common;

use common::channels::until;
use common::watchdog;
use phalanx::{CancelToken, channel, select};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

struct Counting;

thread_local! {
    /// Bytes that this thread has allocated and not freed. Has no destructor, and isn't allocated.
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator. What is counted beside it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get().wrapping_add(layout.size()));
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; `alloc` got it from there.
        unsafe { System.dealloc(memory, layout) };
        LIVE.set(LIVE.get().wrapping_sub(layout.size()));
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HOUR: Duration = Duration::from_secs(3_600);

/// Calls `f` often, and fails if more is allocated afterwards than after the first call.
#[track_caller]
fn leaves_nothing(rounds: u32, mut f: impl FnMut(u32)) {
    f(0);
    let before = LIVE.get();
    (1..rounds).for_each(&mut f);
    assert_eq!(LIVE.get().wrapping_sub(before).cast_signed(), 0, "bytes more than before");
}

#[cfg(all(target_os = "linux", not(miri)))]
fn has_timer() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.into_iter().any(|name| name.trim() == "phalanx-timer")
}

#[test]
fn nothing_is_left_of_what_has_gone() {
    watchdog(|| {
        children_that_come_and_go_leave_nothing();
        registrations_that_come_and_go_leave_nothing();
        #[cfg(all(target_os = "linux", not(miri)))]
        assert!(!has_timer(), "no deadline was set");
        deadlines_that_were_given_up_leave_nothing();
        #[cfg(all(target_os = "linux", not(miri)))]
        {
            assert!(has_timer(), "it is there for a while");
            until(|| !has_timer());
            let start = Instant::now();
            CancelToken::new().with_timeout(Duration::from_millis(1)).wait();
            assert!(start.elapsed() < HOUR, "it is started again");
        }
    });
}

fn children_that_come_and_go_leave_nothing() {
    let root = CancelToken::new();
    let kept = root.child();
    leaves_nothing(1_000_000, |_| drop(root.child()));
    leaves_nothing(1_000, |_| {
        let children: Vec<_> = (0..10).map(|_| root.child().child()).collect();
        assert_eq!(children.iter().filter(|child| child.is_cancelled()).count(), 0);
    });
    leaves_nothing(1_000, |_| {
        let subtree = root.child();
        let leaves = [(); 3].map(|()| subtree.child().child());
        subtree.cancel();
        assert!(leaves.iter().all(CancelToken::is_cancelled));
    });
    // A token that was dropped by all frees its subtree, and so does one that was cancelled.
    leaves_nothing(100, |_| {
        let token = CancelToken::new();
        let child = token.child();
        drop(token);
        let grandchild = child.child();
        drop(child);
        drop(grandchild);
    });
    root.cancel();
    assert!(kept.is_cancelled());
    leaves_nothing(1_000, |_| drop(root.child()));
}

fn registrations_that_come_and_go_leave_nothing() {
    let token = CancelToken::new();
    leaves_nothing(100_000, |n| drop(token.on_cancel(move || assert_ne!(n, u32::MAX))));
    let (_sender, receiver) = channel::bounded::<u32>(1);
    leaves_nothing(10_000, |_| {
        select! {
            recv(receiver) -> _ => unreachable!("nothing was sent"),
            cancelled(token) => unreachable!("it is not"),
            default(Duration::ZERO) => {}
        }
    });
}

fn deadlines_that_were_given_up_leave_nothing() {
    let root = CancelToken::new();
    leaves_nothing(100_000, |_| drop(root.with_timeout(HOUR)));
    leaves_nothing(10_000, |_| {
        let token = root.with_timeout(HOUR);
        token.cancel();
    });
}

//! A stranger's code on phalanx, with no cfg in it: two features, each right once and wrong once.
//!
//! The wrong versions have bugs of the kind that tests on real threads pass for years. Under
//! `--cfg phalanx_loom` the models in `tests/models.rs` find them in seconds.

use phalanx::atomic::{AtomicUsize, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::{WaitGroup, WaitGuard, WorkerPool};

/// A post whose view count is a plain number, to be written by one thread at a time.
#[derive(Default)]
pub struct Post {
    views: UnsafeCell<u64>,
}

// SAFETY: the callers below promise to order their uses. `publish_too_early` and
// `view_from_two_tasks` break that promise.
unsafe impl Sync for Post {}
// SAFETY: a number.
unsafe impl Send for Post {}

impl Post {
    /// Views so far.
    pub fn views(&self) -> u64 {
        // SAFETY: see `Sync`.
        self.views.with(|views| unsafe { *views })
    }

    fn view(&self) {
        // SAFETY: see `Sync`.
        self.views.with_mut(|views| unsafe { *views += 1 });
    }
}

/// Counts a view, then reports that it is done.
pub fn publish(post: &Post, guard: WaitGuard) {
    post.view();
    drop(guard);
}

/// Race: reports that it is done, then counts the view.
pub fn publish_too_early(post: &Post, guard: WaitGuard) {
    drop(guard);
    post.view();
}

/// One task views each post; the sum is of what they return.
pub fn view_each(pool: &WorkerPool, posts: &[Post; 2]) -> u64 {
    let views = pool.run(posts.each_ref().map(|post| {
        move || {
            post.view();
            post.views()
        }
    }));
    views.iter().sum()
}

/// Race: two tasks of a batch view the same post.
pub fn view_from_two_tasks(pool: &WorkerPool, post: &Post) -> u64 {
    pool.run([post, post].map(|post| || post.view()));
    post.views()
}

const READY: usize = 1;
const WAITING: usize = 2;

/// A door that one thread opens and one waits at: it sleeps only if the door isn't open yet.
pub struct Door {
    state: AtomicUsize,
    opened: WaitGroup,
}

impl Default for Door {
    fn default() -> Self {
        let door = Door { state: AtomicUsize::new(0), opened: WaitGroup::new() };
        door.opened.add(1);
        door
    }
}

impl Door {
    /// Opens the door, and wakes the other side if it waits.
    pub fn open(&self) {
        if self.state.fetch_or(READY, Ordering::AcqRel) & WAITING != 0 {
            self.opened.done();
        }
    }

    /// Waits for the door: says so and looks in one step.
    pub fn pass(&self) {
        if self.state.fetch_or(WAITING, Ordering::AcqRel) & READY == 0 {
            self.opened.wait();
        }
    }

    /// Lost wake-up: looks, and says only afterwards that it waits.
    pub fn pass_carelessly(&self) {
        if self.state.load(Ordering::Acquire) & READY == 0 {
            self.state.fetch_or(WAITING, Ordering::AcqRel);
            self.opened.wait();
        }
    }
}

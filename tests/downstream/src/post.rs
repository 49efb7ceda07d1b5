//! A plain number, and what orders its uses: a wait group, a pool, a lock.

use phalanx::cell::UnsafeCell;
use phalanx::{Mutex, RwMutex, WaitGuard, WorkerPool};
use std::time::Duration;

/// A post whose view count is a plain number that one thread at a time may write.
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
    /// Returns the views so far.
    pub fn views(&self) -> u64 {
        // SAFETY: see `Sync`.
        self.views.with(|views| unsafe { *views })
    }

    fn view(&self) {
        // SAFETY: see `Sync`.
        self.views.with_mut(|views| unsafe { *views += 1 });
    }
}

/// Counts a view, then drops the guard.
pub fn publish(post: &Post, guard: WaitGuard) {
    post.view();
    drop(guard);
}

/// Race: drops the guard, then counts the view.
pub fn publish_too_early(post: &Post, guard: WaitGuard) {
    drop(guard);
    post.view();
}

/// Views each post in a task of its own. Returns the sum of the tasks' results.
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

/// A post that is read under one side of a lock and viewed under the other.
#[derive(Default)]
pub struct LockedPost {
    /// Orders all uses of the post that keep to it.
    pub lock: RwMutex<()>,
    /// A lock that has nothing to do with the post.
    pub other: Mutex<()>,
    post: Post,
}

impl LockedPost {
    /// Returns the views so far, as a reader.
    pub fn read(&self) -> u64 {
        let _inside = self.lock.read();
        self.post.views()
    }

    /// Counts a view, as a writer.
    pub fn view(&self) {
        let _inside = self.lock.write();
        self.post.view();
    }

    /// Counts a view. Returns `false` if that takes too long.
    pub fn view_in_time(&self) -> bool {
        let inside = self.lock.try_write_for(Duration::from_millis(5));
        if inside.is_some() {
            self.post.view();
        }
        inside.is_some()
    }

    /// Race: counts a view as a reader, beside other readers.
    pub fn view_as_a_reader(&self) {
        let _inside = self.lock.read();
        self.post.view();
    }

    /// Race: counts a view under the wrong lock.
    pub fn view_under_the_other_lock(&self) {
        let _inside = self.other.lock();
        self.post.view();
    }

    /// Reads again while it reads.
    pub fn read_recursively(&self) -> u64 {
        let _inside = self.lock.read();
        self.read()
    }
}

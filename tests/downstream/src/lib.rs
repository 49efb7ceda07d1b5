//! A stranger's code on phalanx, with no cfg in it: some features, each right once and wrong once.
//!
//! The wrong versions have bugs of the kind that tests on real threads pass for years. Under
//! `--cfg phalanx_loom` the models in `tests/models.rs` find them in seconds.

use phalanx::atomic::{AtomicUsize, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::{Condvar, Mutex, RwMutex, SafeCounter, Store, WaitGroup, WaitGuard, WorkerPool};
use std::time::Duration;

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

/// A post that is read under one side of a lock and viewed under the other.
#[derive(Default)]
pub struct LockedPost {
    /// Orders all uses of the post, if everyone keeps to it.
    pub lock: RwMutex<()>,
    /// A lock that has nothing to do with the post.
    pub other: Mutex<()>,
    post: Post,
}

impl LockedPost {
    /// Views so far, as a reader.
    pub fn read(&self) -> u64 {
        let _inside = self.lock.read();
        self.post.views()
    }

    /// Counts a view, as a writer.
    pub fn view(&self) {
        let _inside = self.lock.write();
        self.post.view();
    }

    /// Counts a view unless that takes too long: `false` then.
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

    /// Reads, and reads again before it has left.
    pub fn read_recursively(&self) -> u64 {
        let _inside = self.lock.read();
        self.read()
    }
}

/// A letter box for one letter.
#[derive(Default)]
pub struct LetterBox {
    letter: Mutex<Option<u32>>,
    came: Condvar,
}

impl LetterBox {
    /// Puts a letter in.
    pub fn put(&self, letter: u32) {
        *self.letter.lock() = Some(letter);
        self.came.notify_one();
    }

    /// Waits for the letter.
    pub fn take(&self) -> u32 {
        let mut letter = self.letter.lock();
        self.came.wait_while(&mut letter, |letter| letter.is_none());
        letter.take().unwrap()
    }

    /// Lost wake-up: looks, lets go of the lock, and then waits for what may have come meanwhile.
    pub fn take_carelessly(&self) -> u32 {
        if let Some(letter) = self.letter.lock().take() {
            return letter;
        }
        let mut letter = self.letter.lock();
        self.came.wait(&mut letter);
        letter.take().unwrap()
    }
}

/// Views of pages, by name.
#[derive(Default)]
pub struct Pages {
    views: Store<&'static str, u64>,
    total: SafeCounter,
}

impl Pages {
    /// Counts a view of a page.
    pub fn view(&self, page: &'static str) {
        self.views.upsert(page, || 1, |views| *views += 1);
        self.total.increment();
    }

    /// Lost update: looks, and writes what was there a moment ago plus one.
    pub fn view_in_two_steps(&self, page: &'static str) {
        let views = self.views.get(page).unwrap_or(0);
        self.views.insert(page, views + 1);
        self.total.increment();
    }

    /// How many views of all pages there are, by the pages and by the total.
    pub fn views(&self) -> (u64, i64) {
        (self.views.values().iter().sum(), self.total.get())
    }
}

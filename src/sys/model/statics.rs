//! A word that a `const` can make, for types that stand in a `static`: made anew in each execution.
//!
//! loom's objects belong to the thread that makes them until others have synchronized with it. A word in a `static`
//! has no such maker, so the words of an execution are made before its closure starts, and given out at their first
//! use.

use super::atomic::AtomicU8;
use super::execution::PerExecution;
use super::heap::Tracked;
use std::cell::Cell;
use std::fmt;

/// Words for the types of one execution that can stand in a `static`.
const WORDS: usize = 12;

#[derive(Debug)]
pub(crate) struct Words {
    all: [Guarding; WORDS],
    given: Cell<usize>,
}

/// A word, and what stands for the memory that it guards.
#[derive(Debug)]
struct Guarding {
    word: AtomicU8,
    guarded: Tracked,
}

/// Returns the execution's words. `explore` makes them before the closure starts.
#[track_caller]
pub(super) fn words() -> &'static Words {
    std::thread_local! {
        static ALL: PerExecution<Words> = const { PerExecution::new() };
    }
    let one = |_| Guarding { word: AtomicU8::new(0), guarded: Tracked::new() };
    ALL.with(|all| all.get(|| Words { all: std::array::from_fn(one), given: Cell::new(0) }))
}

/// A word that is 0 at first, and the tracking of what it guards.
pub(crate) struct StaticWord(PerExecution<&'static Guarding>);

// SAFETY: a model runs one thread at a time, all on one OS thread.
unsafe impl Sync for StaticWord {}
// SAFETY: as for `Sync`.
unsafe impl Send for StaticWord {}

impl StaticWord {
    pub(crate) const fn new() -> Self {
        StaticWord(PerExecution::new())
    }

    #[track_caller]
    fn own(&self) -> &'static Guarding {
        self.0.get(|| {
            let words = words();
            let given = words.given.replace(words.given.get() + 1);
            assert!(
                given < WORDS,
                "phalanx: an execution of a model can use at most {WORDS} of `OnceLock` and `LazyLock`"
            );
            &words.all[given]
        })
    }

    #[track_caller]
    pub(crate) fn word(&self) -> &AtomicU8 {
        &self.own().word
    }

    /// Returns what is tracked in place of the guarded memory.
    #[track_caller]
    pub(crate) fn guarded(&self) -> &Tracked {
        &self.own().guarded
    }
}

impl fmt::Debug for StaticWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticWord { .. }")
    }
}

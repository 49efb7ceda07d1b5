//! Atomics: loom chooses which write a step reads; the values that were written are kept here.
//!
//! Each write of an [`Atomic`] has a number, and loom's atomic holds numbers. So the newest value is known without a
//! step, a pointer keeps its provenance, and a step can be made to read the newest write: it is a compare-exchange
//! of loom's that expects a number which no write has. It fails with the newest number, and writes nothing.
//!
//! # The order of the writes
//!
//! A store reads the newest write first, and both are one step: no other thread runs in between. loom orders a store
//! only after the writes that its thread knows of. Without the read, a store and another thread's read-modify-write
//! would have no order, and later loads could return either; no machine does that. So here every write of an atomic
//! comes after the writes that ran before it. It is still a store: it continues no release sequence.
//!
//! # Two modes of loads
//!
//! loom keeps one last access per atomic, so for `load; compare_exchange` against another thread's
//! load it explores one order only. It explores both if loads are read-modify-writes too, but those are never stale.
//! So every model runs in both modes:
//!
//! | | plain | rmw |
//! | --- | --- | --- |
//! | a load returns | any write that the thread may still see | the newest |
//! | orders of a load and another thread's load, then a write | one | both |
//! | a store breaks a release sequence | yes | yes |
//!
//! The plain mode finds bugs that need a stale read: a missing fence, a Relaxed load of a flag. The
//! rmw mode finds bugs that need an order which the plain mode leaves out. A bug that needs both at once is
//! found by neither.
//!
//! # SeqCst accesses
//!
//! To loom they are AcqRel. Here a SeqCst load may return an older write only if some order of all SeqCst accesses
//! allows it, see [`seq_cst`]. If no order allows loom's choice, the load is repeated and returns the newest write. Such
//! an execution repeats a legal one; its thread knows of more writes, and nothing goes unchecked.
//!
//! Two simpler ways are wrong, and hide bugs:
//!
//! - A fence on each side of the access: loom lets each `fence(SeqCst)` happen before all later ones, so two SeqCst
//!   accesses of different atomics would order the data around them.
//! - Never reading a write older than the newest SeqCst write: a thread that learnt of that write by a Relaxed load
//!   may still read an older one.
//!
//! # What this can't see, and what it gets wrong
//!
//! - Two atomics whose writes end in an order that no schedule has (each thread writes both, and
//!   of each the other thread's first write is the last). C++ allows it without SeqCst.
//! - A store counts as a Relaxed read of what it overwrites. It orders nothing by itself, but a
//!   `fence(Acquire)` after it orders its thread after a Release store that it overwrote.
//! - Writes older than the last seven: loom keeps no more of an atomic, so no load is staler than that.
//! - A `fence(SeqCst)` of one thread against SeqCst accesses of another: the access may be stale where C++ forbids it,
//!   which is a false alarm. So are the orders that [`seq_cst`] leaves out.

mod fetch;
mod modes;
mod seq_cst;

use self::modes::{SameStep, rmw_load};
use self::seq_cst::Accesses;
use super::objects::Number as Numbers;
use std::cell::RefCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(test)]
pub(super) use self::modes::all_loads_are_rmw;
pub(super) use self::modes::{with_newest, with_rmw_loads};
pub use super::objects::fence;
pub use std::sync::atomic::{Ordering, compiler_fence};

mod sealed {
    pub trait Sealed {}
}

/// The values of an [`Atomic`]: integers, `bool` and raw pointers.
pub trait Value: Copy + PartialEq + fmt::Debug + sealed::Sealed {}

/// An atomic of the model. The public names are its aliases, such as [`AtomicUsize`].
pub struct Atomic<T: Value> {
    /// The writes' numbers, as loom orders and reads them.
    numbers: Numbers,
    /// Never borrowed across a step.
    history: RefCell<History<T>>,
}

/// The writes of one atomic, in the order in which they ran.
struct History<T> {
    /// By number. A write has its number before it has run, since another thread may run before its step.
    writes: Vec<Write<T>>,
    /// The number of the newest.
    newest: usize,
    /// How many writes have run.
    count: usize,
    seq_cst: Accesses,
}

impl<T> History<T> {
    fn may_read_seq_cst(&self, number: usize) -> bool {
        self.seq_cst.may_read(self.writes[number].rank)
    }
}

struct Write<T> {
    value: T,
    /// How many writes ran before it.
    rank: usize,
}

/// The number of no write.
const NEVER: usize = usize::MAX;

// SAFETY: a model runs one thread at a time, all on one thread of the system, and a `Value` is an
// integer, a `bool` or a pointer that is a mere value, as in std's `AtomicPtr`.
unsafe impl<T: Value> Send for Atomic<T> {}
// SAFETY: as above; no borrow of the history is held where another thread may run.
unsafe impl<T: Value> Sync for Atomic<T> {}

impl<T: Value> UnwindSafe for Atomic<T> {}
impl<T: Value> RefUnwindSafe for Atomic<T> {}

impl<T: Value> Atomic<T> {
    /// Wraps `value`. Not `const` in a model: an atomic belongs to one execution.
    #[track_caller]
    pub fn new(value: T) -> Self {
        let first = Write { value, rank: 0 };
        let history =
            History { writes: vec![first], newest: 0, count: 0, seq_cst: Accesses::default() };
        Atomic { numbers: Numbers::new(0), history: RefCell::new(history) }
    }

    /// As std's.
    ///
    /// # Panics
    /// If `order` is Release or AcqRel.
    #[track_caller]
    pub fn load(&self, order: Ordering) -> T {
        match order {
            Ordering::Release => panic!("there is no such thing as a release load"),
            Ordering::AcqRel => panic!("there is no such thing as an acquire-release load"),
            _ => {}
        }
        if rmw_load() {
            let newest = self.read_newest(order);
            return self.read(newest, order);
        }
        let mut read = self.numbers.load(order);
        if order == Ordering::SeqCst && !self.history.borrow().may_read_seq_cst(read) {
            let _same = SameStep::begin();
            read = self.read_newest(order);
        }
        self.read(read, order)
    }

    /// As std's.
    ///
    /// # Panics
    /// If `order` is Acquire or AcqRel.
    #[track_caller]
    pub fn store(&self, value: T, order: Ordering) {
        match order {
            Ordering::Acquire => panic!("there is no such thing as an acquire store"),
            Ordering::AcqRel => panic!("there is no such thing as an acquire-release store"),
            _ => {}
        }
        let number = self.reserve(value);
        // ORDERING: Relaxed: puts the store after every write so far, and acquires nothing.
        self.read_newest(Ordering::Relaxed);
        let _same = SameStep::begin();
        self.numbers.store(number, order);
        self.wrote(number, order);
    }

    /// As std's.
    #[track_caller]
    pub fn swap(&self, value: T, order: Ordering) -> T {
        self.fetch(order, |_| value)
    }

    /// As std's.
    ///
    /// # Errors
    /// The value that was there, if it isn't `current`.
    ///
    /// # Panics
    /// If `failure` is Release or AcqRel.
    #[track_caller]
    pub fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        match failure {
            Ordering::Release => panic!("there is no such thing as a release failure ordering"),
            Ordering::AcqRel => {
                panic!("there is no such thing as an acquire-release failure ordering")
            }
            _ => {}
        }
        let number = self.reserve(new);
        let newest = self.history.borrow().newest;
        let expected = if self.value(newest) == current { newest } else { NEVER };
        // ORDERING: Relaxed on failure: only below is it known whether the exchange fails.
        match self.numbers.compare_exchange(expected, number, success, Ordering::Relaxed) {
            Ok(_) => self.wrote(number, success),
            Err(found) if self.value(found) == current => {
                let _same = SameStep::begin();
                self.numbers.swap(number, success);
                self.wrote(number, success);
            }
            Err(found) => {
                if failure != Ordering::Relaxed {
                    let _same = SameStep::begin();
                    self.read_newest(failure);
                }
                return Err(self.read(found, failure));
            }
        }
        Ok(current)
    }

    /// As std's, but it never fails spuriously.
    ///
    /// # Errors
    /// As [`compare_exchange`](Atomic::compare_exchange).
    #[track_caller]
    pub fn compare_exchange_weak(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        self.compare_exchange(current, new, success, failure)
    }

    /// As std's.
    ///
    /// # Errors
    /// The value for which `f` returned `None`.
    #[track_caller]
    pub fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        f: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        self.try_update(set_order, fetch_order, f)
    }

    /// As std's.
    ///
    /// # Errors
    /// The value for which `f` returned `None`.
    #[track_caller]
    pub fn try_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        mut f: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        let mut seen = self.load(fetch_order);
        while let Some(next) = f(seen) {
            match self.compare_exchange(seen, next, set_order, fetch_order) {
                Ok(before) => return Ok(before),
                Err(now) => seen = now,
            }
        }
        Err(seen)
    }

    /// As std's.
    #[track_caller]
    pub fn update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        mut f: impl FnMut(T) -> T,
    ) -> T {
        match self.try_update(set_order, fetch_order, |seen| Some(f(seen))) {
            Ok(before) | Err(before) => before,
        }
    }

    /// As std's. No step of the model: no other thread can reach the atomic.
    pub fn get_mut(&mut self) -> &mut T {
        let history = self.history.get_mut();
        &mut history.writes[history.newest].value
    }

    /// As std's. No step of the model, as [`get_mut`](Atomic::get_mut).
    pub fn into_inner(mut self) -> T {
        *self.get_mut()
    }
}

/// The parts of the steps. Orderings are the caller's unless a line says otherwise.
impl<T: Value> Atomic<T> {
    /// Replaces the newest value by `f`'s result for it, and returns the value before.
    #[track_caller]
    fn fetch(&self, order: Ordering, f: impl FnOnce(T) -> T) -> T {
        let number = self.reserve(self.newest());
        let before = self.value(self.numbers.swap(number, order));
        self.history.borrow_mut().writes[number].value = f(before);
        self.wrote(number, order);
        before
    }

    /// Reads the newest write, and writes nothing.
    #[track_caller]
    fn read_newest(&self, order: Ordering) -> usize {
        // ORDERING: Relaxed on success, which never comes: no write has that number.
        match self.numbers.compare_exchange(NEVER, NEVER, Ordering::Relaxed, order) {
            Ok(number) | Err(number) => number,
        }
    }

    /// Returns a number for a write that is about to run.
    fn reserve(&self, value: T) -> usize {
        let mut history = self.history.borrow_mut();
        history.writes.push(Write { value, rank: 0 });
        history.writes.len() - 1
    }

    /// Notes that a write has run, right after it.
    fn wrote(&self, number: usize, order: Ordering) {
        let history = &mut *self.history.borrow_mut();
        history.count += 1;
        history.newest = number;
        history.writes[number].rank = history.count;
        if order == Ordering::SeqCst {
            history.seq_cst.wrote(history.count);
        }
    }

    /// Notes that a write has been read and nothing written, right after it. Returns its value.
    fn read(&self, number: usize, order: Ordering) -> T {
        let history = &mut *self.history.borrow_mut();
        let Write { value, rank } = history.writes[number];
        if order == Ordering::SeqCst {
            history.seq_cst.read(rank);
        }
        value
    }

    fn value(&self, number: usize) -> T {
        self.history.borrow().writes[number].value
    }

    /// Returns the newest value, without a step.
    fn newest(&self) -> T {
        self.value(self.history.borrow().newest)
    }
}

impl<T: Value> From<T> for Atomic<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Atomic::new(value)
    }
}

/// Prints the newest value. No step of the model, so that printing changes no execution.
impl<T: Value> fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.newest().fmt(f)
    }
}

macro_rules! aliases {
    ($($name:ident: $t:ty,)*) => { $(
        #[doc = concat!("The model's `", stringify!($name), "`.")]
        pub type $name = Atomic<$t>;

        impl sealed::Sealed for $t {}
        impl Value for $t {}

        impl Default for $name {
            #[track_caller]
            fn default() -> Self {
                Atomic::new(<$t>::default())
            }
        }
    )* };
}

aliases! {
    AtomicBool: bool,
    AtomicI8: i8,
    AtomicI16: i16,
    AtomicI32: i32,
    AtomicI64: i64,
    AtomicIsize: isize,
    AtomicU8: u8,
    AtomicU16: u16,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
}

/// The model's `AtomicPtr`.
pub type AtomicPtr<P> = Atomic<*mut P>;

impl<P> sealed::Sealed for *mut P {}
impl<P> Value for *mut P {}

/// Null, as std's.
impl<P> Default for AtomicPtr<P> {
    #[track_caller]
    fn default() -> Self {
        Atomic::new(std::ptr::null_mut())
    }
}

impl<P> fmt::Pointer for AtomicPtr<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.newest().fmt(f)
    }
}

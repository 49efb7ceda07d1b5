//! Which stores this thread is inside of, running somebody's code under a lock of theirs.
//!
//! Closures, but also a key's `Hash` and `Eq` and a `Clone`, may call anything, the same store
//! included; that call would wait for the lock that its own thread holds. So it is refused.
//!
//! A read past a lock's word needs no mark here, as it has left one in a slot of its thread: it asks only
//! whether there is any mark here, and everyone else looks at the slots too. And where it is known that what
//! runs under a lock calls nothing, as with numbers and strings, nobody can come to ask, so there is none
//! either: see [`is_plain`].
//!
//! The destructors of thread-locals may call stores, and nest them. What is recorded here has no destructor itself,
//! and so is there until the last of those has run.

use crate::rw_mutex::RawRwMutex;
use crate::sys::local;
use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::ops::Range;

/// What tells a store from all others, as long as it lives: its first lock's address, and the ids of its
/// locks.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) address: usize,
    pub(super) ids: Range<u64>,
}

local! {
    /// The store that this thread is inside of, the innermost if it is several; 0 if there is none.
    static INNERMOST: Cell<usize> = Cell::new(0);
}
local! {
    /// The others, from the outermost on.
    static OUTER: RefCell<Outer> = RefCell::new(Outer::new());
}

/// How many outer stores need no memory.
const FEW: usize = 4;

/// Stores by their addresses, as a stack. Frees its memory with the last one that needs it, and so needs no
/// destructor.
#[derive(Debug)]
struct Outer {
    few: [usize; FEW],
    len: usize,
    more: ManuallyDrop<Vec<usize>>,
}

impl Outer {
    const fn new() -> Self {
        Outer { few: [0; FEW], len: 0, more: ManuallyDrop::new(Vec::new()) }
    }

    fn push(&mut self, store: usize) {
        match self.few.get_mut(self.len) {
            Some(place) => *place = store,
            None => self.more.push(store),
        }
        self.len += 1;
    }

    fn pop(&mut self) {
        self.len -= 1;
        if self.len == FEW {
            *self.more = Vec::new();
        } else {
            self.more.pop();
        }
    }

    fn contains(&self, store: usize) -> bool {
        let few = &self.few[..self.len.min(FEW)];
        few.contains(&store) || self.more.contains(&store)
    }
}

/// This thread is inside the store, until this is dropped.
#[derive(Debug)]
pub(super) struct Inside {
    outer: usize,
}

impl Inside {
    /// # Panics
    /// If the thread is inside that store already.
    #[inline]
    #[track_caller]
    pub(super) fn enter(store: &Identity) -> Self {
        // In a model a thread that is ending can't be told any more, and is let in.
        let outer = INNERMOST.try_with(|innermost| innermost.replace(store.address)).unwrap_or(0);
        let inside = Inside { outer };
        let again = outer != 0 && inside.nests(store.address);
        if again || RawRwMutex::reads_one_of(&store.ids) {
            refuse();
        }
        inside
    }

    /// [`enter`](Inside::enter), or `None` if the thread is inside that store already.
    pub(super) fn try_enter(store: &Identity) -> Option<Self> {
        (!is_inside(store)).then(|| Inside::enter(store))
    }

    /// The mark, if one `is_needed`: if anything of a user's may run under the lock. Else only the look whether
    /// the thread is inside already.
    ///
    /// # Panics
    /// If it is.
    #[inline]
    #[track_caller]
    pub(super) fn enter_if(is_needed: bool, store: &Identity) -> Option<Self> {
        if is_needed {
            return Some(Inside::enter(store));
        }
        if (!is_nowhere() || RawRwMutex::reads_any_at_once()) && is_inside(store) {
            refuse();
        }
        None
    }

    /// The mark, if there is none yet. Only for a thread that has a lock of the store.
    pub(super) fn ensure(store: &Identity) -> Option<Self> {
        let innermost = INNERMOST.try_with(Cell::get).unwrap_or(0);
        (innermost != store.address).then(|| Inside::enter(store))
    }

    /// Keeps the outer store in mind; whether it, or one around it, is this one.
    #[cold]
    fn nests(&self, store: usize) -> bool {
        let again = OUTER.try_with(|others| {
            let mut others = others.borrow_mut();
            others.push(self.outer);
            others.contains(store)
        });
        again.unwrap_or(false)
    }
}

#[cold]
#[track_caller]
fn refuse() -> ! {
    panic!(
        "Store: called from inside the same store: its closures, and the Hash, Eq and Clone of what is in it, \
         run under its lock"
    )
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        let _ = INNERMOST.try_with(|innermost| innermost.set(self.outer));
        if self.outer != 0 {
            let _ = OUTER.try_with(|others| others.borrow_mut().pop());
        }
    }
}

/// Whether this thread has no mark here, and so at most reads past a lock's word.
#[inline]
pub(super) fn is_nowhere() -> bool {
    INNERMOST.try_with(Cell::get).unwrap_or(0) == 0
}

/// Whether cloning, comparing and dropping a `T` runs nobody's code but the standard library's. Known when the
/// code is compiled.
#[inline]
pub(super) fn is_plain<T: ?Sized>() -> bool {
    macro_rules! is_one_of {
        ($($plain:ty),*) => { [$(TypeId::of::<$plain>()),*].contains(&typeid::of::<T>()) };
    }
    is_one_of!(
        (),
        bool,
        char,
        i8,
        i16,
        i32,
        i64,
        i128,
        isize,
        u8,
        u16,
        u32,
        u64,
        u128,
        usize,
        f32,
        f64,
        str,
        String,
        &str,
        Box<str>
    )
}

/// Whether this thread is inside that store.
#[cold]
pub(super) fn is_inside(store: &Identity) -> bool {
    INNERMOST.try_with(|innermost| innermost.get() == store.address).unwrap_or(false)
        || OUTER.try_with(|others| others.borrow().contains(store.address)).unwrap_or(false)
        || RawRwMutex::reads_one_of(&store.ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::needs_drop;
    use std::panic::catch_unwind;

    #[test]
    fn a_store_is_entered_once_at_a_time() {
        let [first, second, third] = [8, 16, 24].map(|address| Identity { address, ids: 0..0 });
        assert!(is_nowhere());
        let inside = Inside::enter(&first);
        let nested = Inside::enter(&second);
        assert!(is_inside(&first) && is_inside(&second) && !is_inside(&third) && !is_nowhere());
        for store in [&first, &second] {
            assert!(catch_unwind(|| Inside::enter(store)).is_err());
        }
        drop(nested);
        assert!(is_inside(&first) && !is_inside(&second));
        drop(Inside::enter(&second));
        drop(inside);
        assert!(!is_inside(&first) && is_nowhere());
        drop(Inside::enter(&first));
    }

    #[test]
    fn the_record_of_stores_has_no_destructor() {
        assert!(!needs_drop::<RefCell<Outer>>() && !needs_drop::<Cell<usize>>());
    }

    #[test]
    fn any_number_of_stores_nest_and_leave_nothing() {
        let stores = [(); 3 * FEW].map(|()| Box::new(0_u64));
        let identities: Vec<_> = (stores.iter())
            .map(|it| Identity { address: std::ptr::from_ref(&**it).addr(), ids: 0..0 })
            .collect();
        let mut inside = Vec::new();
        for (depth, store) in identities.iter().enumerate() {
            inside.push(Inside::enter(store));
            for (other, store) in identities.iter().enumerate() {
                assert_eq!(is_inside(store), other <= depth);
                assert_eq!(Inside::try_enter(store).is_none(), other <= depth);
            }
        }
        for store in &identities {
            assert!(catch_unwind(|| Inside::enter(store)).is_err());
        }
        while inside.pop().is_some() {
            let left = inside.len();
            assert!(identities.iter().enumerate().all(|(at, it)| is_inside(it) == (at < left)));
        }
        OUTER.with(|outer| {
            let outer = outer.borrow();
            assert_eq!((outer.len, outer.more.capacity()), (0, 0));
        });
    }
}

//! A value that the first thread to need it makes, and that stays until its owner is dropped.
//!
//! std's `OnceLock` blocks other threads while one makes the value. Here no thread waits: two may make one, and the
//! slower drops its own.
//!
//! ```text
//! null => value   get_or_make        value => freed   drop, which has exclusive access
//! ```

use crate::sys::atomic::{AtomicPtr, Ordering};
use crate::sys::const_fn;
use std::marker::PhantomData;
use std::ptr;

#[derive(Debug)]
pub(super) struct Lazy<T> {
    /// Null, or from `Box::into_raw`. Changes once.
    value: AtomicPtr<T>,
    owns: PhantomData<T>,
}

impl<T> Lazy<T> {
    const_fn! {
        pub(super) fn new() -> Self {
            Lazy { value: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
        }
    }

    /// Returns the value, if it has been made.
    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire: pairs with the Release in `get_or_make`: the value is initialized.
        let made = self.value.load(Ordering::Acquire);
        // SAFETY: null, or a box's pointer, which only `drop` frees; until then there are shared references alone.
        unsafe { made.as_ref() }
    }

    #[cold]
    pub(super) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(made) = self.get() {
            return made;
        }
        let new = Box::into_raw(Box::new(make()));
        // ORDERING: Release: pairs with the Acquire in `get`: publishes the value. Acquire on failure: pairs with
        // the other thread's Release: its value is initialized.
        let (release, acquire) = (Ordering::Release, Ordering::Acquire);
        let made = match self.value.compare_exchange(ptr::null_mut(), new, release, acquire) {
            Ok(_) => new,
            Err(others) => {
                // SAFETY: from `Box::into_raw` above, and never published.
                drop(unsafe { Box::from_raw(new) });
                others
            }
        };
        // SAFETY: as in `get`.
        unsafe { &*made }
    }
}

impl<T> Drop for Lazy<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed: exclusive access comes after every use.
        let made = self.value.load(Ordering::Relaxed);
        if !made.is_null() {
            // SAFETY: from `Box::into_raw`, and no other thread can reach it any more.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}

// SAFETY: it owns a `T`, as a box does.
unsafe impl<T: Send> Send for Lazy<T> {}
// SAFETY: it hands out shared references to a `T`, and accepts a `T` from any thread that shares it.
unsafe impl<T: Send + Sync> Sync for Lazy<T> {}

#[cfg(test)]
mod models {
    use super::*;
    use crate::model;
    use crate::sys::Arc;
    use crate::testing::{Plain, spawn};

    /// Owns `alive`, whose owners are counted, and memory that must be initialized.
    struct Value {
        alive: Arc<()>,
        text: Plain,
    }

    #[test]
    fn two_makers_get_one_value_whole_and_leave_none_behind() {
        model(|| {
            let alive = Arc::new(());
            let lazy = Arc::new(Lazy::new());
            let owner = alive.clone();
            let use_it = move |lazy: &Lazy<Value>| {
                let value = lazy.get_or_make(|| {
                    let value = Value { alive: owner.clone(), text: Plain::new() };
                    value.text.add(7);
                    value
                });
                assert_eq!(value.text.get(), 7);
                assert!(Arc::strong_count(&value.alive) > 1);
                ptr::from_ref(value).addr()
            };
            let other = spawn(&lazy, use_it.clone());
            let mine = use_it(&lazy);
            assert_eq!(other.join(), mine);
            drop((lazy, use_it));
            assert_eq!(Arc::strong_count(&alive), 1, "one was never dropped");
        });
    }
}

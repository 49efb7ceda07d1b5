//! Values made anew in each execution.

use super::guard::outside;
use super::run::{Fault, current_run, execution, is_running};
use std::cell::RefCell;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value made anew in each execution, and kept until the next one starts.
///
/// Not loom's `lazy_static`, which is gone when the closure returns: threads may run on after it.
///
/// One in a `static` is for one exploration at a time, its `owner`.
pub(crate) struct PerExecution<T> {
    owner: AtomicU64,
    value: RefCell<Option<(u64, Box<T>)>>,
}

impl<T> PerExecution<T> {
    pub(crate) const fn new() -> Self {
        PerExecution { owner: AtomicU64::new(0), value: RefCell::new(None) }
    }

    /// Returns this execution's value, made by `make` in the first call. `'static` stands for "until the next
    /// execution".
    #[track_caller]
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        self.own();
        let execution = execution();
        let mut value = self.value.borrow_mut();
        if value.as_ref().is_none_or(|(made_in, _)| *made_in != execution) {
            *value = Some((execution, Box::new(make())));
        }
        let value: *const T = &*value.as_ref().expect("made above").1;
        // SAFETY: the box stays where it is until the next execution, when every thread of this one
        // has ended; the model runs on one OS thread, and no other model may use it meanwhile.
        unsafe { &*value }
    }

    /// Makes sure that no other exploration uses it.
    #[track_caller]
    fn own(&self) {
        let Some(run) = current_run() else { outside() };
        // ORDERING: Acquire: pairs with the Release of the exchange below, whose thread had ended when
        // `is_running` was asked, which takes a lock.
        let mut owner = self.owner.load(Ordering::Acquire);
        while owner != run.id {
            if owner != 0 && is_running(owner) {
                run.fail(Fault::Shared(Location::caller()));
            }
            let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
            // ORDERING: AcqRel, and Acquire on failure: as above.
            match self.owner.compare_exchange(owner, run.id, success, failure) {
                Ok(_) => return,
                Err(now) => owner = now,
            }
        }
    }
}

/// An array of the whole execution.
///
/// `prepare` in `src/model.rs` touches each before the model's closure starts: an array made by the first
/// thread to come would hand that thread's history to all later ones.
macro_rules! global_array {
    ($vis:vis $name:ident: [$t:ty; $n:expr] = $init:expr) => {
        $vis fn $name() -> &'static [$t; $n] {
            std::thread_local! {
                static TABLE: $crate::sys::model::execution::PerExecution<[$t; $n]> =
                    const { $crate::sys::model::execution::PerExecution::new() };
            }
            TABLE.with(|table| table.get(|| std::array::from_fn(|_| $init)))
        }
    };
}
pub(crate) use global_array;

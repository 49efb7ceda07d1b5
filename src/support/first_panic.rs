//! The first of several panics, kept for the thread that resumes it.
//!
//! Tasks of one call may panic in several threads, but a call resumes one panic. The first is kept; each later
//! payload is dropped, after the lock is released: the drop is user code, and may panic in turn.

use crate::sys::{Mutex, discard};
use std::any::Any;

/// A panic's value.
pub(crate) type Payload = Box<dyn Any + Send>;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct FirstPanic {
    /// Protects the payload, and whatever the callers' closures change together with it.
    first: Mutex<Option<Payload>>,
}

impl FirstPanic {
    #[track_caller]
    pub(crate) fn new() -> Self {
        FirstPanic { first: Mutex::new(None) }
    }

    /// Keeps `payload` if none is kept, and calls `on_first` under the lock. Drops it otherwise.
    pub(crate) fn keep(&self, payload: Payload, on_first: impl FnOnce()) {
        let surplus = {
            let mut first = self.first.lock();
            if first.is_none() {
                *first = Some(payload);
                on_first();
                None
            } else {
                Some(payload)
            }
        };
        if let Some(payload) = surplus {
            discard(payload);
        }
    }

    /// Removes the kept payload and returns it. Calls `on_take` under the lock in any case.
    pub(crate) fn take(&self, on_take: impl FnOnce()) -> Option<Payload> {
        let mut first = self.first.lock();
        on_take();
        first.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Arc;
    use std::cell::Cell;

    #[test]
    fn the_first_panic_is_kept_and_later_ones_are_dropped() {
        let (panics, firsts) = (FirstPanic::new(), Cell::new(0));
        let token = Arc::new(());
        for _ in 0..3 {
            panics.keep(Box::new(token.clone()), || firsts.set(firsts.get() + 1));
        }
        assert_eq!((firsts.get(), Arc::strong_count(&token)), (1, 2));
        let kept = panics.take(|| ()).and_then(|payload| payload.downcast().ok());
        assert!(kept.is_some_and(|kept: Box<Arc<()>>| Arc::ptr_eq(&kept, &token)));
        assert!(panics.take(|| ()).is_none());
    }

    #[test]
    fn a_later_payload_whose_drop_panics_disturbs_nothing() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("dropped a bomb"));
            }
        }
        let panics = FirstPanic::new();
        panics.keep(Box::new(1), || ());
        panics.keep(Box::new(Bomb), || ());
        assert!(panics.take(|| ()).is_some_and(|payload| payload.is::<i32>()));
    }

    #[test]
    fn a_later_payload_is_dropped_without_the_lock() {
        struct Reentrant(Arc<FirstPanic>);
        impl Drop for Reentrant {
            fn drop(&mut self) {
                self.0.keep(Box::new(2), || unreachable!("the first panic is kept"));
            }
        }
        let panics = Arc::new(FirstPanic::new());
        panics.keep(Box::new(1), || ());
        panics.keep(Box::new(Reentrant(panics.clone())), || ());
        assert!(panics.take(|| ()).is_some());
    }
}

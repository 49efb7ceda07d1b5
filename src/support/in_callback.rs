//! Whether the calling thread is in a callback that another call runs, where it must not wait for other threads.

use crate::sys::local;
use std::cell::Cell;

local! {
    /// How many callbacks deep the thread is.
    static DEPTH: Cell<u32> = Cell::new(0);
}

/// Runs `f` as a callback.
pub(crate) fn run<R>(f: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.with(|depth| depth.set(depth.get() - 1));
        }
    }
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let leave = Leave;
    let result = f();
    drop(leave);
    result
}

/// Refuses a call that waits for other threads.
///
/// # Panics
/// If the thread is in a callback.
#[inline]
#[track_caller]
pub(crate) fn refuse(call: &str) {
    if DEPTH.with(Cell::get) > 0 {
        refused(call);
    }
}

#[cold]
#[track_caller]
fn refused(call: &str) -> ! {
    panic!(
        "{call} in a callback of `CancelToken::on_cancel`: it would hold up the thread that cancels, \
         and all callbacks after it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::catch;

    #[test]
    fn a_wait_is_refused_in_a_callback_alone() {
        refuse("Barrier::wait");
        let refused = run(|| catch(|| refuse("Barrier::wait")).is_err());
        assert!(refused);
        assert!(catch(|| run(|| panic!("of a callback"))).is_err());
        refuse("Barrier::wait");
    }
}

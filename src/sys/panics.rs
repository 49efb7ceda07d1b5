//! Panics as values.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::Result;

/// Runs `f`, and returns its panic as a value. A model's verdict isn't a panic and doesn't come this way.
#[inline]
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Drops the payload of a panic that goes no further.
///
/// A payload is user code's value, so its drop may panic in turn. The payload of *that* panic is leaked
/// rather than dropped, since each drop could panic again.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch(|| drop(payload)) {
        mem::forget(second);
    }
}

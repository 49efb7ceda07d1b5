//! What a once and a lazy value share with std's types of these names.

use super::lazy::LazyLock;
use super::lock::OnceLock;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T> Default for OnceLock<T> {
    /// Returns an empty lock.
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    /// Returns a lock that has this value.
    #[track_caller]
    fn from(value: T) -> Self {
        let lock = OnceLock::new();
        let is_set = lock.set(value).is_ok();
        debug_assert!(is_set, "a new lock is empty");
        lock
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    /// Returns a lock with a clone of the value, if there is one.
    #[track_caller]
    fn clone(&self) -> Self {
        self.get().map_or_else(OnceLock::new, |value| OnceLock::from(value.clone()))
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    /// Whether both have equal values, or none.
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_value("OnceLock", self.get(), "<uninit>", f)
    }
}

impl<T: Default> Default for LazyLock<T> {
    /// Returns a lock whose value is `T`'s default.
    fn default() -> Self {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without = if self.lock.once.is_poisoned() { "<poisoned>" } else { "<uninit>" };
        fmt_value("LazyLock", LazyLock::get(self), without, f)
    }
}

fn fmt_value<T: fmt::Debug>(
    name: &str,
    value: Option<&T>,
    without: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let mut tuple = f.debug_tuple(name);
    match value {
        Some(value) => tuple.field(value),
        None => tuple.field(&format_args!("{without}")),
    };
    tuple.finish()
}

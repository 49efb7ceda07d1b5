//! Thread-locals of the model's threads.

use super::guard::outside;
use super::run::current_run;
use loom::thread::{AccessError, LocalKey};
use std::fmt;

/// A thread-local of the model's threads.
pub(crate) struct Local<T: 'static>(pub(crate) &'static LocalKey<T>);

impl<T: 'static> Local<T> {
    #[track_caller]
    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(_) => panic!("a thread-local is used after the end of its thread"),
        }
    }

    #[track_caller]
    pub(crate) fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        if current_run().is_none() {
            outside();
        }
        self.0.try_with(f)
    }
}

impl<T: 'static> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local { .. }")
    }
}

/// A thread-local that needs no destructor.
macro_rules! local {
    ($(#[$attr:meta])* static $name:ident: $t:ty = $init:expr;) => {
        $(#[$attr])* static $name: $crate::sys::model::locals::Local<$t> = {
            loom::thread_local! { static KEY: $t = $init; }
            $crate::sys::model::locals::Local(&KEY)
        };
    };
}
pub(crate) use local;

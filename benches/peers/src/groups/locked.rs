//! A value behind a lock: the one adapter that all groups with locks share.
//!
//! phalanx's and parking_lot's locks are `lock_api`'s types, so one implementation serves both.
//! usync's are those of an older `lock_api`.

use phalanx::lock_api;

/// A value of type `T` behind a lock. A mutex takes part as a lock whose reads exclude each other.
pub trait Lock<T>: Sync {
    fn of(value: T) -> Self;
    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R;
    fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

impl<L: lock_api::RawMutex + Sync, T: Send> Lock<T> for lock_api::Mutex<L, T> {
    fn of(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.lock())
    }

    #[inline]
    fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock())
    }
}

impl<L: lock_api::RawRwLock + Sync, T: Send + Sync> Lock<T> for lock_api::RwLock<L, T> {
    fn of(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&lock_api::RwLock::read(self))
    }

    #[inline]
    fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut lock_api::RwLock::write(self))
    }
}

/// Implements [`Lock`] for a library's own type, by the expressions that lock it.
macro_rules! lock {
    ($lock:ty, $($bound:ident)+, |$own:ident| $read:expr, $write:expr) => {
        impl<T: $($bound +)+> Lock<T> for $lock {
            fn of(value: T) -> Self {
                Self::new(value)
            }

            #[inline]
            fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
                let $own = self;
                f(&$read)
            }

            #[inline]
            fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
                let $own = self;
                f(&mut $write)
            }
        }
    };
}

lock!(std::sync::Mutex<T>, Send, |own| own.lock().unwrap(), own.lock().unwrap());
lock!(usync::Mutex<T>, Send, |own| own.lock(), own.lock());
lock!(std::sync::RwLock<T>, Send Sync, |own| own.read().unwrap(), own.write().unwrap());
lock!(usync::RwLock<T>, Send Sync, |own| own.read(), own.write());
lock!(
    crossbeam_utils::sync::ShardedLock<T>, Send Sync,
    |own| own.read().unwrap(), own.write().unwrap()
);

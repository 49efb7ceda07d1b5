//! The condition variables that are compared, and their adapters.

use super::{Kit, Task, entry, in_go};
use crate::entry::{Entry, Role};

pub fn all() -> Vec<Entry<Task>> {
    vec![
        entry::<Phalanx>("phalanx", Role::Ours),
        entry::<Std>("std", Role::Peer),
        entry::<ParkingLot>("parking_lot", Role::Peer),
        entry::<Usync>("usync", Role::Peer),
        in_go(),
    ]
}

struct Phalanx;
struct ParkingLot;
struct Usync;
struct Std;

/// Implements [`Kit`] for a library's `Mutex`, `MutexGuard` and `Condvar`. They differ only in how
/// a mutex is locked, and in whether a wait borrows the guard or consumes it.
macro_rules! kit {
    ($kit:ty, $library:ident $(:: $module:ident)?, |$mutex:ident| $lock:expr,
     |$condvar:ident, $guard:pat_param| $wait:expr) => {
        impl Kit for $kit {
            type Mutex<T: Send> = $library$(::$module)?::Mutex<T>;
            type Guard<'a, T: Send + 'a> = $library$(::$module)?::MutexGuard<'a, T>;
            type Condvar = $library$(::$module)?::Condvar;

            fn mutex<T: Send>(value: T) -> Self::Mutex<T> {
                Self::Mutex::new(value)
            }

            #[inline]
            fn lock<T: Send>($mutex: &Self::Mutex<T>) -> Self::Guard<'_, T> {
                $lock
            }

            fn condvar() -> Self::Condvar {
                Self::Condvar::new()
            }

            #[inline]
            fn wait<'a, T: Send>(
                $condvar: &Self::Condvar,
                guard: Self::Guard<'a, T>,
            ) -> Self::Guard<'a, T> {
                let $guard = guard;
                $wait
            }

            #[inline]
            fn notify_one(condvar: &Self::Condvar) {
                condvar.notify_one();
            }

            #[inline]
            fn notify_all(condvar: &Self::Condvar) {
                condvar.notify_all();
            }
        }
    };
}

/// Waits by borrowing the guard, as all but std do.
macro_rules! borrowing {
    ($kit:ty, $library:ident) => {
        kit!($kit, $library, |mutex| mutex.lock(), |condvar, mut guard| {
            condvar.wait(&mut guard);
            guard
        });
    };
}

borrowing!(Phalanx, phalanx);
borrowing!(ParkingLot, parking_lot);
borrowing!(Usync, usync);
kit!(Std, std::sync, |mutex| mutex.lock().unwrap(), |condvar, guard| condvar.wait(guard).unwrap());

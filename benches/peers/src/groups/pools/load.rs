//! What the tasks do: a function of an item for each load.
//!
//! Each load is a closure with a type of its own, so that a pool's loop is compiled for it.

use crate::keys::Rng;
use crate::work::{Calibration, work};
use serde::Serialize;
use std::hint::black_box;

/// A task's function. `'static`, because some pools take no borrows.
pub trait Task: Fn(u64) -> u64 + Copy + Send + Sync + 'static {}

impl<F: Fn(u64) -> u64 + Copy + Send + Sync + 'static> Task for F {}

/// What every task of a batch does before it returns twice its item.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Nothing.
    Tiny,
    /// This many nanoseconds of work.
    Even(u64),
    /// 20 ns to 2 µs, by a hash of the item.
    Hashed,
    /// 50 ns; the last tenth of the items 5 µs.
    Tail,
}

/// Is called with a load's function, of any type.
pub trait User {
    type Output;
    fn call<F: Task>(self, f: F) -> Self::Output;
}

impl Load {
    pub fn with<U: User>(self, calibration: Calibration, items: usize, user: U) -> U::Output {
        match self {
            Self::Tiny => user.call(|x| 2 * x),
            Self::Even(ns) => {
                let steps = calibration.steps(ns);
                user.call(move |x| {
                    black_box(work(steps, x));
                    2 * x
                })
            }
            Self::Hashed => user.call(move |x| {
                let ns = 20 + Rng::new(x).next() % 1981;
                black_box(work(calibration.steps(ns), x));
                2 * x
            }),
            Self::Tail => {
                let (short, long) = (calibration.steps(50), calibration.steps(5_000));
                let first_long = (items - items / 10) as u64;
                user.call(move |x| {
                    let steps = if x < first_long { short } else { long };
                    black_box(work(steps, x));
                    2 * x
                })
            }
        }
    }
}

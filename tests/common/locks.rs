//! What the tests of the locks share: values that show a torn access, and readers that overlap.

use phalanx::lock_api::{RawRwLock, RwLock};
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Barrier;
use std::thread;

/// A number kept in several words, written one by one. It is torn if a lock lets another thread read or write
/// beside a writer.
#[derive(Debug)]
pub(crate) struct Words([u64; 8]);

impl Words {
    pub(crate) const fn new() -> Self {
        Words([0; 8])
    }

    /// Returns the number; panics if it is torn.
    #[track_caller]
    pub(crate) fn get(&self) -> u64 {
        let first = black_box(self.0[0]);
        for word in &self.0 {
            assert_eq!(black_box(*word), first, "torn: {:?}", self.0);
        }
        first
    }

    /// Adds one; panics if the number was torn.
    #[track_caller]
    pub(crate) fn add(&mut self) -> u64 {
        let next = self.get() + 1;
        for word in &mut self.0 {
            *black_box(word) = next;
        }
        next
    }
}

/// Pseudo-random numbers, the same in every run (xorshift).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Returns a number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % sides
    }
}

/// In `threads` threads, holds a read lock in all of them at once, then reads `reads` times in each: enough for a lock
/// to become biased. No other thread may write meanwhile.
pub(crate) fn read_together<R, T>(lock: &RwLock<R, T>, threads: usize, reads: usize)
where
    R: RawRwLock + Sync,
    T: Send + Sync,
{
    let all_inside = Barrier::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let guard = lock.read();
                all_inside.wait();
                drop(guard);
                for _ in 0..reads {
                    drop(lock.read());
                }
            });
        }
    });
}

/// Whether a type is `Send` and `Sync`: where their bounds hold, the inherent constants shadow the trait's.
#[derive(Debug)]
pub(crate) struct Goes<T: ?Sized>(PhantomData<T>);

pub(crate) trait StaysHere {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T: ?Sized> StaysHere for Goes<T> {}

impl<T: Send + ?Sized> Goes<T> {
    pub(crate) const SEND: bool = true;
}

impl<T: Sync + ?Sized> Goes<T> {
    pub(crate) const SYNC: bool = true;
}

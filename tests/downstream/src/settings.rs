//! A value that the first thread makes that needs it, and one that needs another.

use phalanx::atomic::{AtomicU64, Ordering};
use phalanx::{LazyLock, OnceLock};

/// A number that is different each time that it is made, and is to be the same for all.
#[derive(Default)]
pub struct Settings {
    number: OnceLock<u64>,
    made: AtomicU64,
}

impl Settings {
    /// Returns the number.
    pub fn number(&self) -> u64 {
        *self.number.get_or_init(|| self.make())
    }

    /// Wrong result: a thread that was second uses its own number.
    pub fn number_in_two_steps(&self) -> u64 {
        if let Some(number) = self.number.get() {
            return *number;
        }
        let number = self.make();
        // Whether it was the first isn't asked.
        let _ = self.number.set(number);
        number
    }

    fn make(&self) -> u64 {
        // ORDERING: Relaxed: the numbers only have to differ.
        self.made.fetch_add(1, Ordering::Relaxed)
    }
}

/// Lazy values in statics.
static HOST: LazyLock<u64> = LazyLock::new(|| 1);
static ADDRESS: LazyLock<u64> = LazyLock::new(|| *HOST + 1);

/// Returns the address, which needs the host.
pub fn address() -> u64 {
    *ADDRESS
}

/// Returns the host.
pub fn host() -> u64 {
    *HOST
}

static LEFT: OnceLock<u64> = OnceLock::new();
static RIGHT: OnceLock<u64> = OnceLock::new();

/// Deadlock: beside [`right`], which needs this one.
pub fn left() -> u64 {
    *LEFT.get_or_init(|| *RIGHT.wait())
}

/// Deadlock: beside [`left`], which needs this one.
pub fn right() -> u64 {
    *RIGHT.get_or_init(|| *LEFT.wait())
}

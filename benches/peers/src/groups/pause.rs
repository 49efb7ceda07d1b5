//! How long a thread is left to wait before it is measured.

use std::time::{Duration, Instant};

/// Time after which a waiter has just arrived: it is inside the blocking call by then.
pub const ARRIVED: Duration = Duration::from_micros(1);

/// Time after which a waiter is asleep.
pub const ASLEEP: Duration = Duration::from_micros(100);

/// Stays awake for so long.
pub fn spin_for(time: Duration) {
    let since = Instant::now();
    while since.elapsed() < time {
        std::hint::spin_loop();
    }
}

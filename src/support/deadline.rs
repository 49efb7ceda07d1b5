//! Timeouts, as points in time.

use std::time::{Duration, Instant};

/// Returns the time at which a wait that starts now and may take `timeout` gives up.
///
/// `None` if that time is too far away to represent: the wait has no deadline then.
pub(crate) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_ends_no_earlier_than_it_says() {
        for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(3_600)] {
            let before = Instant::now();
            let deadline = after(timeout).expect("near enough to represent");
            assert!(deadline >= before + timeout);
            assert!(deadline <= Instant::now() + timeout);
        }
    }

    #[test]
    fn a_timeout_too_long_to_represent_has_no_deadline() {
        assert_eq!(after(Duration::MAX), None);
    }
}

//! Models of the latch alone; those of the wait group are in `tests/models_wait_group.rs`. In a plain build each runs
//! once, on real threads.

use super::{FIRST_BIT, Latch, MARKS};
use crate::model;
use crate::support::backoff::Spin;
use crate::sys::Arc;
use crate::testing::spawn;
use std::time::Instant;

const ONE: u64 = 1 << FIRST_BIT;
const BUSY: u64 = !MARKS;

/// The deadline may pass just as the word drains.
#[test]
fn a_wait_that_times_out_returns_a_busy_word() {
    model(|| {
        let latch = Arc::new(Latch::new(ONE));
        let leaving = spawn(&latch, |latch| {
            latch.leave(ONE, BUSY);
        });
        if let Err(word) = latch.wait(BUSY, Spin::Brief, Some(Instant::now())) {
            assert_ne!(word & BUSY, 0, "drained is not timed out");
        }
        leaving.join();
    });
}

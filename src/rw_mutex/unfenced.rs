//! Marks without a fence, where nobody writes: a reader pays two stores to its own line.
//!
//! That no reader is overlooked rests on R2: mark, fence, load the word; become pending, fence, scan the slots.
//! Most of the time of a read under a bias is that fence. So in a lock that nobody has written for
//! [`QUIET_TIME`], readers mark *unfenced*, and the first writer makes one heavy fence for all
//! ([`Slot`](crate::sys::Slot) says what it promises). That takes 10 to 30 µs and interrupts the readers, which
//! is little beside the time without a write; a lock that is written more often never pays it.
//!
//! ```text
//! BIAS => BIAS, UNFENCED                                 a reader that found the lock quiet
//! BIAS, UNFENCED => WRITER, REVOKING, UNFENCED           a writer becomes pending; for a try, TRY in place of WRITER
//! REVOKING, UNFENCED => REVOKING                         after its heavy fence
//! ```
//!
//! - U1. A reader stays with an unfenced mark only if it has seen `BIAS` and `UNFENCED` after it. While
//!   `UNFENCED` is set, or before the writer that saw it has made its heavy fence, such marks may be invisible. So
//!   the bit stays, also when a writer times out, until a heavy fence has come after a step that cleared `BIAS`.
//!
//! Without the feature `membarrier` the bit is never set.

use super::core::Core;
use super::readers;
use super::state::*;
use crate::sys::atomic::Ordering;
use crate::sys::{MAY_BE_UNFENCED, has_heavy_fence, heavy_fence, local, prepare_heavy_fence};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long nobody must have written.
const QUIET_TIME: Duration = Duration::from_millis(10);

/// The lock that this thread has found quiet, by its id and its writers' entries, and since when.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quiet {
    id: u64,
    writes: u32,
    since: Instant,
}

local! {
    static QUIET: Cell<Option<Quiet>> = Cell::new(None);
}

/// Whether a reader that has loaded this word marks its slot with a fence.
#[inline]
pub(super) fn is_fenced(word: u64) -> bool {
    !MAY_BE_UNFENCED || word & UNFENCED == 0
}

/// Whether the lock has been quiet for long enough, as far as this thread knows: it has read the lock a round
/// number of times in a row. Loads the clock. If it returns `true` it has asked the kernel for heavy fences,
/// which takes that some milliseconds the first time: not for a thread that is inside.
#[cold]
pub(super) fn is_worth_it(core: &Core, id: u64) -> bool {
    // ORDERING: Relaxed: a hint.
    let writes = write_entries(core.word.load(Ordering::Relaxed));
    let now = Instant::now();
    let was = QUIET.try_with(Cell::get).ok().flatten();
    match was {
        Some(quiet) if (quiet.id, quiet.writes) == (id, writes) => {
            let is_worth_it = now - quiet.since >= QUIET_TIME;
            if is_worth_it {
                prepare_heavy_fence();
            }
            is_worth_it
        }
        _ => {
            let _ = QUIET.try_with(|quiet| quiet.set(Some(Quiet { id, writes, since: now })));
            false
        }
    }
}

/// Lets readers mark unfenced from now on, where there are heavy fences.
pub(super) fn engage(core: &Core) {
    // ORDERING: Relaxed: the exchange decides.
    let word = core.word.load(Ordering::Relaxed);
    if has_heavy_fence() && word & (BIAS | UNFENCED) == BIAS {
        // ORDERING: Relaxed: publishes nothing.
        let _ = core.change(word, word | UNFENCED, Ordering::Relaxed);
    }
}

/// Makes every reader still inside visible to this thread, which has cleared the bias or found it cleared, and
/// made a fence since: `word` is what it found.
#[inline]
pub(super) fn make_marks_visible(core: &Core, word: u64) {
    if !is_fenced(word) {
        heavy_fence(readers::first_slots());
        // ORDERING: Release: another writer or try that finds the bit cleared relies on this fence (U1). A
        // writer loads the word with Acquire, a try makes a fence after it has loaded it.
        core.word.fetch_and(!UNFENCED, Ordering::Release);
    }
}

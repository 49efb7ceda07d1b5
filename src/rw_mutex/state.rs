//! The state word of a reader-writer lock: its bits, and the transitions between them.
//!
//! | bits | name | meaning | set by | cleared by |
//! | --- | --- | --- | --- | --- |
//! | 0 | `WRITER` | a writer is pending or inside: it holds the lock, or waits for those inside to leave | a writer, an upgrade | the same |
//! | 1 | `UPGRADABLE` | one upgradable reader is inside | it | it |
//! | 2 | `BIAS` | readers may enter by a slot instead of the word | a reader inside, a writer that leaves | a writer, as it becomes pending |
//! | 3 | `REVOKING` | the bias was set when the writer became pending: slots may be marked | that step | the writer |
//! | 4 | `READERS_PARKED` | readers may be asleep | one about to sleep | the step that wakes them all |
//! | 5 | `WRITERS_PARKED` | writers or upgradable readers may be asleep | one about to sleep | a wake-up that finds the queue empty |
//! | 6 | `WOKEN` | one of those was woken and is on its way: wake no other | the step that wakes it | that one, as it enters or sleeps again |
//! | 7 | `STARVING` | a waiter claims the lock: no other writer or upgradable reader enters | the *claimant* | the claimant |
//! | 8 | `DRAINING` | the pending writer may be asleep until those inside have left | the pending writer | the same |
//! | 9 | `UNFENCED` | readers mark their slots without a fence: see `unfenced.rs` | a reader, under `BIAS` | the writer, after a heavy fence |
//! | 10..32 | readers | how many are inside by the word | each | each |
//! | 32..38 | tries | how many calls check the slots before they take the lock or fail: see `bias.rs` | each | each |
//! | 38..48, 48.. | entry counters | entries of readers, modulo 2^10, and of writers, modulo 2^16 | each, as it enters | |
//!
//! The entry counters decide nothing: they tell a waiter that loads the word twice whether others were busy
//! in between.
//!
//! `DRAINING` implies `WRITER`; `REVOKING` implies `WRITER` or tries; tries and `REVOKING` each exclude
//! `BIAS`; `WRITER` excludes `BIAS` and `UPGRADABLE`; `UNFENCED` implies `BIAS` or `REVOKING`.

/// See the [module](self) for these.
pub(super) const WRITER: u64 = 1;
pub(super) const UPGRADABLE: u64 = 1 << 1;
pub(super) const BIAS: u64 = 1 << 2;
pub(super) const REVOKING: u64 = 1 << 3;
pub(super) const READERS_PARKED: u64 = 1 << 4;
pub(super) const WRITERS_PARKED: u64 = 1 << 5;
pub(super) const WOKEN: u64 = 1 << 6;
pub(super) const STARVING: u64 = 1 << 7;
pub(super) const DRAINING: u64 = 1 << 8;
pub(super) const UNFENCED: u64 = 1 << 9;
/// One reader.
pub(super) const READER: u64 = 1 << 10;
/// All of them.
pub(super) const READERS: u64 = (1 << 32) - READER;
/// One try.
pub(super) const TRY: u64 = 1 << 32;
/// All of them.
pub(super) const TRIES: u64 = READ_ENTRY - TRY;
/// An entry of a reader. An overflow counts as a writer's entry, which does no harm.
const READ_ENTRY: u64 = 1 << 38;
/// An entry of a writer. An overflow is lost.
const WRITE_ENTRY: u64 = 1 << 48;

/// What a writer that leaves may find set without having to do anything about it.
pub(super) const QUIET: u64 = WRITER | WOKEN | !(READ_ENTRY - 1);

/// Somebody is inside, or a writer is pending.
pub(super) const TAKEN: u64 = WRITER | UPGRADABLE | READERS;

/// What keeps a writer from entering at once, or from becoming pending with only the slots left to wait for.
pub(super) const BARS_WRITER: u64 = TAKEN | STARVING | REVOKING;

/// What a waiter wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reader,
    Writer,
    Upgradable,
}

impl Kind {
    /// What keeps a claimant of this kind outside. Readers inside keep no writer from becoming pending.
    pub(super) fn claimant_bars(self) -> u64 {
        match self {
            Kind::Reader => WRITER,
            Kind::Writer | Kind::Upgradable => WRITER | UPGRADABLE,
        }
    }

    /// What keeps everyone else of this kind outside.
    ///
    /// A claim doesn't keep readers out: they starve no one, since a writer becomes pending past them, and
    /// a waiter behind an upgradable reader must not hold them up (parking_lot#101).
    pub(super) fn bars(self) -> u64 {
        match self {
            Kind::Reader => WRITER,
            Kind::Writer | Kind::Upgradable => WRITER | UPGRADABLE | STARVING,
        }
    }

    /// The bit that says that waiters of this kind may be asleep.
    pub(super) fn parked(self) -> u64 {
        match self {
            Kind::Reader => READERS_PARKED,
            Kind::Writer | Kind::Upgradable => WRITERS_PARKED,
        }
    }

    /// The step by which it enters, or becomes pending; `None` if the word can't count another reader.
    ///
    /// There is room for one more than that: an upgradable reader can always become a plain one.
    pub(super) fn enter(self, word: u64) -> Option<u64> {
        match self {
            Kind::Reader if word & READERS >= READERS - READER => None,
            Kind::Reader => Some(add_reader(word)),
            Kind::Upgradable => Some((word | UPGRADABLE).wrapping_add(READ_ENTRY)),
            Kind::Writer => Some(set_writer_pending(word)),
        }
    }
}

/// readers => readers + 1, where there is room for one.
#[inline]
pub(super) fn add_reader(word: u64) -> u64 {
    word.wrapping_add(READER | READ_ENTRY)
}

/// The step of a writer that becomes pending: BIAS => WRITER, REVOKING, or 0 => WRITER.
#[inline]
pub(super) fn set_writer_pending(word: u64) -> u64 {
    let revoking = if word & BIAS != 0 { REVOKING } else { 0 };
    set_writer_unbiased(word & !BIAS) | revoking
}

/// The same step on a word without a bias: 0 => WRITER.
#[inline]
pub(super) fn set_writer_unbiased(word: u64) -> u64 {
    (word | WRITER).wrapping_add(WRITE_ENTRY)
}

/// How many writers have entered, modulo 2^16.
pub(super) fn write_entries(word: u64) -> u32 {
    (word / WRITE_ENTRY) as u32
}

/// Whether no writer entered between two loads of the word, as far as the counters tell.
pub(super) fn no_writes_between(before: u64, now: u64) -> bool {
    (before ^ now) < WRITE_ENTRY
}

/// The step of a writer that leaves: WRITER => 0, or WRITER, REVOKING => BIAS. If tries are under way, the
/// last of them restores the bias.
pub(super) fn clear_writer(word: u64) -> u64 {
    restore_bias(word & !(WRITER | DRAINING))
}

/// REVOKING => BIAS, once nobody needs the bias to stay away.
fn restore_bias(word: u64) -> u64 {
    let restores = word & REVOKING != 0 && word & (WRITER | TRIES) == 0;
    if restores { word & !REVOKING | BIAS } else { word }
}

/// The step of a try that is about to check the slots: tries + 1; `None` if the word can't count another.
pub(super) fn begin_try(word: u64) -> Option<u64> {
    let revoking = if word & BIAS != 0 { REVOKING } else { 0 };
    (word & TRIES != TRIES).then(|| (word & !BIAS | revoking) + TRY)
}

/// The step of a try that succeeds, on a lock that nobody is inside of: tries - 1, WRITER.
pub(super) fn complete_try(word: u64) -> u64 {
    set_writer_unbiased(word - TRY)
}

/// The step of a try that fails: tries - 1.
pub(super) fn abandon_try(word: u64) -> u64 {
    restore_bias(word - TRY)
}

/// Whether a step to `word` must wake a writer (invariant R5 in `raw.rs`).
pub(super) fn owes_writer(word: u64) -> bool {
    word & (WRITER | UPGRADABLE | STARVING) == 0
        && word & (WRITERS_PARKED | WOKEN) == WRITERS_PARKED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_too_many_is_turned_away_with_room_for_a_downgrade() {
        assert_eq!(Kind::Reader.enter(READERS - READER), None);
        assert_eq!(Kind::Reader.enter(READERS - 2 * READER), Some(READERS - READER + READ_ENTRY));
    }

    #[test]
    fn a_claim_bars_all_but_readers_and_the_claimant() {
        assert_eq!(Kind::Reader.bars() & STARVING, 0);
        for kind in [Kind::Writer, Kind::Upgradable] {
            assert_ne!(kind.bars() & STARVING, 0);
            assert_eq!(kind.claimant_bars() & STARVING, 0);
        }
    }

    #[test]
    fn entry_counters_overflow_into_nothing_else() {
        assert_eq!(add_reader(!0 << 38), READER);
        assert_eq!(set_writer_pending(!0 << 48), WRITER);
        assert!(no_writes_between(0, add_reader(0)));
        assert!(!no_writes_between(0, set_writer_pending(0)));
    }

    #[test]
    fn a_writer_revokes_the_bias_and_restores_it() {
        let inside = set_writer_pending(BIAS | READERS_PARKED);
        assert_eq!(inside, WRITE_ENTRY | WRITER | REVOKING | READERS_PARKED);
        assert_eq!(clear_writer(inside | DRAINING), WRITE_ENTRY | BIAS | READERS_PARKED);
        assert_eq!(clear_writer(set_writer_pending(0)), WRITE_ENTRY);
        // Not while a try counts on its absence.
        let tried = begin_try(clear_writer(inside)).expect("room for one");
        assert_eq!(tried & (BIAS | REVOKING), REVOKING);
        let left = clear_writer(set_writer_pending(tried));
        assert_eq!(left & (BIAS | REVOKING | WRITER), REVOKING);
        assert_eq!(abandon_try(set_writer_pending(tried)) & (BIAS | REVOKING), REVOKING);
        let both = begin_try(tried).expect("room for two");
        assert_eq!(abandon_try(both), tried);
        assert_eq!(abandon_try(tried), clear_writer(inside));
        assert_eq!(begin_try(TRIES), None);
        // That marks may be unfenced is not forgotten on the way.
        let unfenced = clear_writer(set_writer_pending(BIAS | UNFENCED));
        assert_eq!(unfenced, WRITE_ENTRY | BIAS | UNFENCED);
    }
}

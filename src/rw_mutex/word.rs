//! The bits of a reader-writer lock's word, and the steps between them.
//!
//! | bits | name | meaning | set by | cleared by |
//! | --- | --- | --- | --- | --- |
//! | 0 | `WRITER` | a writer has the *door*: it holds the lock, or waits for those inside to leave | a writer, an upgrade | the same |
//! | 1 | `UPGRADABLE` | one upgradable reader is inside | it | it |
//! | 2 | `BIAS` | readers may enter by a slot instead of the word | a reader inside, a writer that leaves | a writer, as it takes the door |
//! | 3 | `SUSPENDED` | the bias was set when the door was taken: slots may be marked | the step that takes the door | the writer |
//! | 4 | `READERS_PARKED` | readers may be asleep | one about to sleep | the step that wakes them all |
//! | 5 | `WRITERS_PARKED` | writers or upgradable readers may be asleep | one about to sleep | a wake-up that finds the queue empty |
//! | 6 | `WOKEN` | one of those was woken and is on its way: wake no other | the step that wakes it | that one, as it enters or sleeps again |
//! | 7 | `STARVING` | a waiter claims the lock: no writer and no upgradable reader enters but it | the *claimant* | the claimant |
//! | 8 | `DRAINING` | whoever waits for those inside may be asleep | the writer at the door | the same |
//! | 9 | `LIGHT` | readers mark their slots without a fence: see `light.rs` | a reader, under `BIAS` | the writer at the door, after a heavy fence |
//! | 10..32 | readers | how many are inside by the word | each | each |
//! | 32..38 | triers | how many look at the slots before they take the door, or don't: see `bias.rs` | each | each |
//! | 38..48, 48.. | turns | entries of readers, modulo 2^10, and of writers, modulo 2^16 | each, as it enters | |
//!
//! Turns steer and decide nothing: they tell one who looks twice whether others were busy meanwhile.
//!
//! `DRAINING` implies `WRITER`, and `SUSPENDED` implies `WRITER` or triers; triers and `SUSPENDED` each
//! exclude `BIAS`; `WRITER` excludes `BIAS` and `UPGRADABLE`; `LIGHT` implies
//! `BIAS` or `SUSPENDED`.

/// See the [module](self) for these.
pub(super) const WRITER: u64 = 1;
pub(super) const UPGRADABLE: u64 = 1 << 1;
pub(super) const BIAS: u64 = 1 << 2;
pub(super) const SUSPENDED: u64 = 1 << 3;
pub(super) const READERS_PARKED: u64 = 1 << 4;
pub(super) const WRITERS_PARKED: u64 = 1 << 5;
pub(super) const WOKEN: u64 = 1 << 6;
pub(super) const STARVING: u64 = 1 << 7;
pub(super) const DRAINING: u64 = 1 << 8;
pub(super) const LIGHT: u64 = 1 << 9;
/// One reader.
pub(super) const READER: u64 = 1 << 10;
/// All of them.
pub(super) const READERS: u64 = (1 << 32) - READER;
/// One trier.
pub(super) const TRIER: u64 = 1 << 32;
/// All of them.
pub(super) const TRIERS: u64 = READ_TURN - TRIER;
/// A turn of a reader. What overflows goes to the writers' turns, which does no harm.
const READ_TURN: u64 = 1 << 38;
/// A turn of a writer. What overflows is gone.
const WRITE_TURN: u64 = 1 << 48;

/// What a writer that leaves may find besides, and have nothing to do about.
pub(super) const QUIET: u64 = WRITER | WOKEN | !(READ_TURN - 1);

/// Somebody is inside, or at the door.
pub(super) const TAKEN: u64 = WRITER | UPGRADABLE | READERS;

/// What a waiter wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reader,
    Writer,
    Upgradable,
}

impl Kind {
    /// What keeps a claimant of this kind outside. Readers inside keep nobody from the door.
    pub(super) fn claimant_bars(self) -> u64 {
        match self {
            Kind::Reader => WRITER,
            Kind::Writer | Kind::Upgradable => WRITER | UPGRADABLE,
        }
    }

    /// What keeps anyone else of this kind outside.
    ///
    /// A claim doesn't keep readers out: they starve no one, since a writer takes the door past
    /// them, and one that waits behind an upgradable reader must not hold them up
    /// (parking_lot#101).
    pub(super) fn bars(self) -> u64 {
        match self {
            Kind::Reader => WRITER,
            Kind::Writer | Kind::Upgradable => WRITER | UPGRADABLE | STARVING,
        }
    }

    /// The mark of its sleepers.
    pub(super) fn parked(self) -> u64 {
        match self {
            Kind::Reader => READERS_PARKED,
            Kind::Writer | Kind::Upgradable => WRITERS_PARKED,
        }
    }

    /// The step inside, or to the door; `None` if the word can't count another reader.
    ///
    /// It could count one more: an upgradable reader that becomes a plain one always fits.
    pub(super) fn enter(self, word: u64) -> Option<u64> {
        match self {
            Kind::Reader if word & READERS >= READERS - READER => None,
            Kind::Reader => Some(enter_to_read(word)),
            Kind::Upgradable => Some((word | UPGRADABLE).wrapping_add(READ_TURN)),
            Kind::Writer => Some(take_door(word)),
        }
    }
}

/// The step of a reader inside, where there is room for one.
#[inline]
pub(super) fn enter_to_read(word: u64) -> u64 {
    word.wrapping_add(READER | READ_TURN)
}

/// The step of a writer to the door, which suspends a bias.
pub(super) fn take_door(word: u64) -> u64 {
    let suspended = if word & BIAS != 0 { SUSPENDED } else { 0 };
    take_unbiased_door(word & !BIAS) | suspended
}

/// The step of a writer to the door of a lock without a bias.
#[inline]
pub(super) fn take_unbiased_door(word: u64) -> u64 {
    (word | WRITER).wrapping_add(WRITE_TURN)
}

/// How many writers have entered, modulo 2^16.
pub(super) fn write_turns(word: u64) -> u32 {
    (word / WRITE_TURN) as u32
}

/// Whether no writer took the door between two looks, as far as the turns tell.
pub(super) fn no_writes_between(before: u64, now: u64) -> bool {
    (before ^ now) < WRITE_TURN
}

/// The step of a writer that leaves: the bias comes back, unless the writer has ended it. If there are
/// triers, the last of them brings it back.
pub(super) fn leave_door(word: u64) -> u64 {
    resume_bias(word & !(WRITER | DRAINING))
}

/// The bias comes back, if nobody is there for whom it was suspended.
fn resume_bias(word: u64) -> u64 {
    let resumes = word & SUSPENDED != 0 && word & (WRITER | TRIERS) == 0;
    if resumes { word & !SUSPENDED | BIAS } else { word }
}

/// The step of one that is about to look at the slots; `None` if the word can't count another.
pub(super) fn start_trying(word: u64) -> Option<u64> {
    let suspended = if word & BIAS != 0 { SUSPENDED } else { 0 };
    (word & TRIERS != TRIERS).then(|| (word & !BIAS | suspended) + TRIER)
}

/// The step of a trier to the door of a lock that nobody is inside of.
pub(super) fn take_tried_door(word: u64) -> u64 {
    take_unbiased_door(word - TRIER)
}

/// The step of a trier that goes without the door.
pub(super) fn stop_trying(word: u64) -> u64 {
    resume_bias(word - TRIER)
}

/// Whether a step to `word` must wake a writer (see the invariants in `raw.rs`).
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
        assert_eq!(Kind::Reader.enter(READERS - 2 * READER), Some(READERS - READER + READ_TURN));
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
    fn turns_overflow_into_nothing_else() {
        assert_eq!(enter_to_read(!0 << 38), READER);
        assert_eq!(take_door(!0 << 48), WRITER);
        assert!(no_writes_between(0, enter_to_read(0)) && !no_writes_between(0, take_door(0)));
    }

    #[test]
    fn a_writer_suspends_the_bias_and_brings_it_back() {
        let inside = take_door(BIAS | READERS_PARKED);
        assert_eq!(inside, WRITE_TURN | WRITER | SUSPENDED | READERS_PARKED);
        assert_eq!(leave_door(inside | DRAINING), WRITE_TURN | BIAS | READERS_PARKED);
        assert_eq!(leave_door(take_door(0)), WRITE_TURN);
        // Not while a trier counts on it.
        let tried = start_trying(leave_door(inside)).expect("room for one");
        assert_eq!(tried & (BIAS | SUSPENDED), SUSPENDED);
        assert_eq!(leave_door(take_door(tried)) & (BIAS | SUSPENDED | WRITER), SUSPENDED);
        assert_eq!(stop_trying(take_door(tried)) & (BIAS | SUSPENDED), SUSPENDED);
        let both = start_trying(tried).expect("room for two");
        assert_eq!(stop_trying(both), tried);
        assert_eq!(stop_trying(tried), leave_door(inside));
        assert_eq!(start_trying(TRIERS), None);
        // What light marks there may be is not forgotten on the way.
        assert_eq!(leave_door(take_door(BIAS | LIGHT)), WRITE_TURN | BIAS | LIGHT);
    }
}

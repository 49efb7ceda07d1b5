//! When a bias pays, and when a waiter enters: plain values without atomics, fed with what was seen.
//!
//! [`BiasPolicy`] is what a lock has learnt. The bias is engaged by a reader that had to wait for others and
//! found the lock calm: no writer entered during a few checks in a row, half a microsecond. Each writer that
//! revokes it reports how much was read by slots since the last one did: [`READS_PER_WRITE`] are worth the
//! trouble, fewer wear down a credit, and without credit the bias ends. Each bias that ended so *inhibits* the
//! next, by checks that take twice as long, until one has paid: otherwise a lock with a tenth of writes would be
//! slowed down by biases until it seemed to be mostly read. There is no clock in it, and a wrong count
//! does no harm.
//!
//! [`Approach`] is one waiter's way to the lock.
//!
//! **Politeness.** In a lock that is read *and* written much, the readers of one word take its line from one
//! another: each entry costs ten times what it would cost the thread that has the line. So readers that see
//! others come and go (the entry counters tell) stay away for a moment, as if those were writers. In
//! measurement this is what takes a lock with 10 to 50 % of writes from behind the best mutex to ahead of it.
//! A writer stays away once. Then it becomes pending, whatever others do: each further pause would be a
//! bet that the lock is free and its line at rest at one instant, which readers without a pause win for the
//! whole backoff.
//!
//! **Long sections.** Where sections take half a microsecond or more, politeness makes readers come one after
//! another for nothing. A waiter that sees nobody come or go between two checks notes that with the lock: from
//! then on all waiters join those inside at once, take a free lock at once, and watch for the end of what bars
//! them. The note goes when such a step fails, since somebody came or went in no time.

use super::state::*;

/// Reads by slots that make up for what a writer pays for the bias.
pub(super) const READS_PER_WRITE: u32 = 40;
/// The most that a bias can have saved up.
const MAX_CREDIT: u32 = 4 * READS_PER_WRITE;
/// The most checks that inhibition adds.
const MAX_INHIBITION: u32 = 4;
/// Checks without a write in between, half a microsecond at least, after which a reader that still has
/// to wait for others concludes that the lock is mostly read.
const CALM_CHECKS: u32 = 2;

/// What a lock has learnt from its biases and its waiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BiasPolicy {
    /// What this bias has earned, in reads.
    credit: u32,
    /// How many have ended without paying since the last that paid.
    inhibition: u32,
    /// Whether the last waiter saw a section that takes long.
    pub(super) has_long_sections: bool,
}

/// Where `has_long_sections` is in the number.
const LONG: u32 = 1 << 31;

impl BiasPolicy {
    /// From what [`number`](Self::number) returned; 0 is a lock that has learnt nothing.
    pub(super) fn from(number: u32) -> Self {
        BiasPolicy {
            credit: number & 0xffff,
            inhibition: (number & !LONG) >> 16,
            has_long_sections: number & LONG != 0,
        }
    }

    pub(super) fn number(self) -> u32 {
        (if self.has_long_sections { LONG } else { 0 }) | self.inhibition << 16 | self.credit
    }

    /// A bias has been engaged. It is worth its first write.
    pub(super) fn engage(&mut self) {
        self.credit = READS_PER_WRITE;
    }

    /// A writer has revoked the bias after so many reads. Returns whether the bias stays.
    pub(super) fn charge(&mut self, reads: u32) -> bool {
        let Some(credit) = self.credit.saturating_add(reads).checked_sub(READS_PER_WRITE) else {
            self.credit = 0;
            // Waiters find out anew, and with it whether a bias pays now.
            self.has_long_sections = false;
            self.inhibition = (self.inhibition + 1).min(MAX_INHIBITION);
            return false;
        };
        self.credit = credit.min(MAX_CREDIT);
        if self.credit == MAX_CREDIT {
            self.inhibition = 0;
        }
        true
    }
}

/// The reads since the last writer asked, of what the rows remember now and remembered then.
pub(super) fn reads_between(then: u32, now: u32) -> u32 {
    let reads = now.wrapping_sub(then);
    // Rows that have been at other locks since remember less than before.
    if reads > MAX_CREDIT * 1000 { 0 } else { reads }
}

/// What a waiter sees when it checks the lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) word: u64,
    /// Whether the waiter hasn't paused yet, and is going to.
    pub(super) is_new: bool,
    /// Whether it is better to sleep than to check again.
    pub(super) is_over: bool,
}

/// What a waiter does after a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Pause a few times first: others are busy.
    GiveWay,
    /// Read by a slot.
    UseSlot,
    /// Enter. `calm` tells that no writer entered for a while: the bias may be engaged.
    Enter {
        calm: bool,
    },
    /// Enter if the word is still the same after a moment.
    EnterIfUnchanged,
    Wait,
    Sleep,
}

/// How one waiter comes to the lock, from its first check or its last sleep on.
#[derive(Debug)]
pub(super) struct Approach {
    kind: Kind,
    may_mark: bool,
    /// Whether users of the lock meet often enough to be polite, and to look for calm.
    is_social: bool,
    calm_checks: u32,
    was_long: bool,
    is_long: bool,
    checks: u32,
    first: u64,
    before: Option<u64>,
}

impl Approach {
    /// `policy` is `None` for one of many locks, whose users hardly ever meet: what bars the waiter is over in
    /// a moment, and somebody else decides on the bias. A reader that `may_mark` reads by a slot if it can.
    pub(super) fn new(kind: Kind, may_mark: bool, policy: Option<BiasPolicy>) -> Self {
        let is_long = policy.is_some_and(|policy| policy.has_long_sections);
        Approach {
            kind,
            may_mark,
            is_social: policy.is_some(),
            calm_checks: CALM_CHECKS + policy.map_or(0, |policy| policy.inhibition),
            was_long: is_long,
            is_long,
            checks: 0,
            first: 0,
            before: None,
        }
    }

    /// Whether sections take long, as far as this waiter knows.
    pub(super) fn has_long_sections(&self) -> bool {
        self.is_long
    }

    /// What to do about what a check saw.
    pub(super) fn advise(&mut self, Sight { word, is_new, is_over }: Sight) -> Advice {
        if self.checks == 0 {
            self.first = word;
        }
        self.checks += 1;
        let before = self.before.replace(word);
        let is_polite = self.is_social && !self.is_long;
        if is_polite && self.checks == 1 && is_new && word & (BIAS | REVOKING) == 0 {
            return Advice::GiveWay;
        }
        if is_polite && word & TAKEN != 0 && before == Some(word) {
            self.is_long = true;
        }
        if word & self.kind.bars() != 0 {
            // Where the writer sleeps itself it is better to sleep too, and leave the core to those inside.
            let sleeps = is_over || word & DRAINING != 0;
            return if sleeps { Advice::Sleep } else { Advice::Wait };
        }
        let reads = self.kind == Kind::Reader;
        let biased = word & BIAS != 0;
        if biased && reads && self.may_mark {
            return Advice::UseSlot;
        }
        let has_waited = self.checks > self.calm_checks;
        let calm = self.is_social && reads && has_waited && no_writes_between(self.first, word);
        // A reader that finds out about long sections waits until it may be calm: it is the one to engage
        // the bias.
        let joins = self.is_long && (self.was_long || !reads || has_waited);
        // Others that come and go without a pause must not keep a writer from becoming pending.
        let insists = self.kind == Kind::Writer && self.checks > 1;
        if biased || !self.is_social || calm || joins || insists || is_over {
            return Advice::Enter { calm };
        }
        if word & TAKEN == 0 { Advice::EnterIfUnchanged } else { Advice::Wait }
    }

    /// The step that was advised has failed: somebody came or went in no time.
    pub(super) fn has_failed(&mut self) {
        self.is_long = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: BiasPolicy = BiasPolicy { credit: 0, inhibition: 0, has_long_sections: false };

    #[test]
    fn a_bias_without_enough_reads_ends_and_inhibits_the_next() {
        let mut policy = FRESH;
        policy.engage();
        assert!(policy.charge(0), "one write is forgiven");
        assert!(!policy.charge(READS_PER_WRITE - 1));
        assert_eq!((policy.credit, policy.inhibition), (0, 1));
        for _ in 0..10 {
            assert!(!policy.charge(9));
        }
        assert_eq!(policy.inhibition, MAX_INHIBITION);
        assert_eq!(BiasPolicy::from(policy.number()), policy);
    }

    #[test]
    fn a_bias_that_pays_stays_and_ends_the_inhibition() {
        let mut policy = BiasPolicy { inhibition: 3, has_long_sections: true, ..FRESH };
        policy.engage();
        for _ in 0..3 {
            assert!(policy.charge(99));
        }
        assert_eq!((policy.credit, policy.inhibition), (MAX_CREDIT, 0));
        assert!(BiasPolicy::from(policy.number()).has_long_sections);
        // The others make up for a write that comes early.
        assert!(policy.charge(1));
    }

    #[test]
    fn rows_that_forgot_reads_count_as_none() {
        assert_eq!(reads_between(10, 25), 15);
        assert_eq!(reads_between(25, 10), 0);
        assert_eq!(reads_between(u32::MAX, 1), 2);
    }

    /// What a waiter is advised at each of these words, with pauses left throughout.
    fn approach<const N: usize>(
        kind: Kind,
        policy: Option<BiasPolicy>,
        words: [u64; N],
    ) -> [Advice; N] {
        let mut approach = Approach::new(kind, true, policy);
        let mut is_new = true;
        words.map(|word| {
            approach.advise(Sight { word, is_new: std::mem::take(&mut is_new), is_over: false })
        })
    }

    #[test]
    fn a_reader_that_sees_others_come_and_go_without_a_writer_finds_the_lock_calm() {
        let others = [1, 2, 3].map(|n| (0..n).fold(0, |word, _| add_reader(word)));
        let advice = approach(Kind::Reader, Some(FRESH), others);
        assert_eq!(advice, [Advice::GiveWay, Advice::Wait, Advice::Enter { calm: true }]);
        let inhibited = BiasPolicy { inhibition: 1, ..FRESH };
        assert_eq!(approach(Kind::Reader, Some(inhibited), others)[2], Advice::Wait);
    }

    #[test]
    fn a_reader_that_sees_a_write_finds_no_calm() {
        let written = clear_writer(set_writer_pending(0));
        let words = [add_reader(0), add_reader(written), add_reader(add_reader(written))];
        assert_eq!(
            approach(Kind::Reader, Some(FRESH), words),
            [Advice::GiveWay, Advice::Wait, Advice::Wait]
        );
    }

    #[test]
    fn a_reader_enters_a_free_lock_only_if_nobody_comes_back_to_it() {
        for kind in [Kind::Reader, Kind::Upgradable] {
            let advice = approach(kind, Some(FRESH), [WRITER, 0]);
            assert_eq!(advice, [Advice::GiveWay, Advice::EnterIfUnchanged]);
        }
    }

    #[test]
    fn a_waiter_sleeps_once_it_has_paused_enough() {
        for (word, advice) in [(WRITER, Advice::Sleep), (READER, Advice::Enter { calm: false })] {
            let mut approach = Approach::new(Kind::Reader, true, Some(FRESH));
            assert_eq!(approach.advise(Sight { word, is_new: false, is_over: true }), advice);
        }
    }

    #[test]
    fn a_writer_gives_way_once_and_then_becomes_pending() {
        for then in [2 * READER, 0] {
            let advice = approach(Kind::Writer, Some(FRESH), [READER, then]);
            assert_eq!(advice, [Advice::GiveWay, Advice::Enter { calm: false }]);
        }
    }

    #[test]
    fn a_waiter_sleeps_at_once_behind_a_writer_that_sleeps() {
        let words = [WRITER, WRITER | DRAINING];
        assert_eq!(approach(Kind::Reader, Some(FRESH), words), [Advice::GiveWay, Advice::Sleep]);
    }

    #[test]
    fn waiters_join_at_once_where_sections_take_long_until_a_step_fails() {
        let (inside, long) = (add_reader(0), BiasPolicy::from(LONG));
        assert_eq!(approach(Kind::Reader, Some(long), [inside])[0], Advice::Enter { calm: false });
        let mut waiter = Approach::new(Kind::Reader, true, Some(FRESH));
        let sight = Sight { word: inside, is_new: true, is_over: false };
        assert_eq!(waiter.advise(sight), Advice::GiveWay);
        assert_eq!(waiter.advise(sight), Advice::Wait);
        assert!(waiter.has_long_sections(), "nobody came or went");
        waiter.has_failed();
        assert!(!waiter.has_long_sections());
    }

    #[test]
    fn readers_use_slots_under_a_bias_and_others_enter() {
        for policy in [None, Some(FRESH)] {
            assert_eq!(approach(Kind::Reader, policy, [BIAS])[0], Advice::UseSlot);
            assert_eq!(approach(Kind::Writer, policy, [BIAS])[0], Advice::Enter { calm: false });
        }
    }

    #[test]
    fn one_of_many_locks_is_entered_at_once_and_never_calm() {
        let words = [READER, 2 * READER, 3 * READER, 4 * READER];
        assert_eq!(approach(Kind::Reader, None, words), [Advice::Enter { calm: false }; 4]);
        assert_eq!(approach(Kind::Writer, None, [WRITER])[0], Advice::Wait);
    }
}

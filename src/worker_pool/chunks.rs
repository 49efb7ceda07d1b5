//! How many items of a `map` one claim takes, as plain numbers.
//!
//! A `map` begins as a *trial*: its caller works alone until it knows that help is worth a wake-up. The trial's claims
//! grow, because the clock is read after each, and tiny items cost less than that. But none takes more than one
//! participant's part of what is left. So wherever the heavy items are, the caller ends those of its claim no later
//! than the others could have ended theirs.
//!
//! After the trial a claim takes a share of what is left, but no more than what takes [`CLAIM_NS`], at the pace of the
//! participant's last claim. Between two claims a participant can yield to a call that waits, so this bounds how long
//! that call waits for it.

/// How long a batch runs before `map` judges it: shorter than a wake-up, and far longer than reading the clock.
const TRIAL_NS: u128 = 2_000;

/// What must be left of a batch for a wake-up to pay.
const WORTH_HELP_NS: u128 = 20_000;

/// How long a claim of several items should take at most. Claiming costs less than a thousandth of it.
const CLAIM_NS: u64 = 100_000;

/// Returns the most items that one claim takes of those `left`: half of an even division among the participants, so
/// that the last claims are small and all end at about the same time.
#[inline]
pub(super) fn share(left: usize, participants: usize) -> usize {
    (left / participants.saturating_mul(2)).max(1)
}

/// Returns how many items take [`CLAIM_NS`] if `items` took `ns` nanoseconds; at least 1.
#[inline]
fn fitting(items: usize, ns: u128) -> usize {
    let ns = u64::try_from(ns).unwrap_or(u64::MAX).max(1);
    let fitting = (items as u64).saturating_mul(CLAIM_NS) / ns;
    usize::try_from(fitting).unwrap_or(usize::MAX).max(1)
}

/// How many items a participant claims at once, by how long its last claim took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    limit: usize,
    until_ns: u128,
}

impl Pace {
    /// For a participant whose first claim takes at most `limit` items.
    pub(super) fn new(limit: usize) -> Self {
        Pace { limit, until_ns: 0 }
    }

    /// Returns the most items that the next claim should take.
    #[inline]
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Notes a claim of `claimed` items that ended `spent_ns` nanoseconds after the start. Every claim must be noted
    /// until the limit is no longer asked for.
    #[inline]
    pub(super) fn note(&mut self, claimed: usize, spent_ns: u128) {
        self.limit = fitting(claimed, spent_ns.saturating_sub(self.until_ns));
        self.until_ns = spent_ns;
    }
}

/// A batch that its caller has run alone so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    participants: usize,
    claim: usize,
    done: usize,
    spent_ns: u128,
    limit: usize,
}

impl Trial {
    /// For a batch that may have so many `participants`, its caller among them.
    pub(super) fn new(participants: usize) -> Self {
        Trial { participants, claim: 1, done: 0, spent_ns: 0, limit: 1 }
    }

    /// Returns how many items to claim next. The first claim is of one.
    #[inline]
    pub(super) fn claim(&self) -> usize {
        self.claim
    }

    /// Returns the most items that the first claim after the trial should take.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns whether to call for help, after a claim of `claimed` items that ended `spent_ns` nanoseconds after the
    /// start, with some items `left`.
    #[inline]
    pub(super) fn wants_help(&mut self, claimed: usize, spent_ns: u128, left: usize) -> bool {
        self.done += claimed;
        if spent_ns >= TRIAL_NS {
            // At the mean pace of all, or at that of the last claim, if the items grow heavier.
            let last_ns = spent_ns - self.spent_ns;
            let (all, last) = (self.done as u128, claimed as u128);
            let left_ns = (spent_ns * left as u128 / all).max(last_ns * left as u128 / last);
            if left_ns >= WORTH_HELP_NS && left > 1 {
                self.limit = fitting(self.done, spent_ns).min(fitting(claimed, last_ns));
                return true;
            }
        }
        // Not yet, or too little is left for help.
        self.spent_ns = spent_ns;
        // One of the last two is the caller's anyway, and the other isn't worth a wake-up by then.
        let part = if left == 2 { 2 } else { left.div_ceil(self.participants) };
        self.claim = part.min(self.claim * 2);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_half_of_what_would_be_each_participants() {
        let table = [
            ((0, 1), 1),
            ((1, 1), 1),
            ((4, 1), 2),
            ((5, 3), 1),
            ((12, 3), 2),
            ((1_000, 8), 62),
            ((usize::MAX, 1), usize::MAX / 2),
            ((usize::MAX, usize::MAX), 1),
        ];
        for ((left, participants), expected) in table {
            assert_eq!(share(left, participants), expected, "of {left} for {participants}");
        }
    }

    /// The claims of a trial whose first `light` items take no time and the others 10 ms each,
    /// until it calls for help.
    fn claims(len: usize, light: usize, participants: usize) -> Vec<usize> {
        let (mut trial, mut claims, mut done) = (Trial::new(participants), Vec::new(), 0);
        while done < len {
            let claim = trial.claim().min(len - done);
            claims.push(claim);
            done += claim;
            let spent = done.saturating_sub(light) as u128 * 10_000_000;
            if done < len && trial.wants_help(claim, spent, len - done) {
                break;
            }
        }
        claims
    }

    #[test]
    fn the_claims_of_a_trial_grow_up_to_one_part_of_what_is_left() {
        assert_eq!(claims(5, 5, 3), [1, 2, 2]);
        assert_eq!(claims(5, 5, 8), [1, 1, 1, 2]);
        assert_eq!(claims(20, 20, 2), [1, 2, 4, 7, 3, 2, 1]);
        assert_eq!(claims(1_000, 1_000, 8)[..9], [1, 2, 4, 8, 16, 32, 64, 110, 96]);
    }

    #[test]
    fn a_trial_swallows_few_of_the_heavy_items_wherever_they_begin() {
        for participants in [2, 3, 8, 64] {
            for light in 0..1_000 {
                let claims = claims(1_000, light, participants);
                let done: usize = claims.iter().sum();
                // One part of them, and the last item of all, which is the caller's anyway.
                let swallowed = done.saturating_sub(light);
                assert!(swallowed <= 1 + (1_000_usize - light).div_ceil(participants));
            }
        }
    }

    #[test]
    fn a_trial_calls_for_help_once_it_is_worth_a_wake_up() {
        let table = [
            // Not before it has run for two microseconds, whatever is left.
            ((1_999, 1, 1_000_000), false),
            ((2_000, 1, 1_000_000), true),
            // What is left takes 19 µs, 20 µs.
            ((2_000, 2, 19), false),
            ((2_000, 2, 20), true),
            // The last item is the caller's.
            ((100_000_000, 1, 1), false),
        ];
        for ((spent, done, left), expected) in table {
            let wants = Trial::new(3).wants_help(done, spent, left);
            assert_eq!(wants, expected, "{spent} ns, {done} done, {left} left");
        }
    }

    #[test]
    fn a_claim_of_several_items_takes_a_tenth_of_a_millisecond_by_the_last_ones_pace() {
        let mut pace = Pace::new(4);
        assert_eq!(pace.limit(), 4);
        let table = [
            // 10 ns an item, then 10 µs, 200 µs, and none at all.
            ((100, 1_000), 10_000),
            ((10, 101_000), 10),
            ((10, 2_101_000), 1),
            ((1, 2_101_000), 100_000),
        ];
        for ((claimed, spent), expected) in table {
            pace.note(claimed, spent);
            assert_eq!(pace.limit(), expected, "{claimed} by {spent} ns");
        }
    }

    #[test]
    fn a_trial_limits_the_first_claims_by_the_slower_of_its_paces() {
        let mut steady = Trial::new(2);
        assert!(steady.wants_help(1, 50_000, 999));
        assert_eq!(steady.limit(), 2);
        let mut grown = Trial::new(2);
        assert!(!grown.wants_help(100, 1_000, 900));
        assert!(grown.wants_help(100, 1_001_000, 800));
        assert_eq!(grown.limit(), 10);
    }

    #[test]
    fn items_that_grow_at_the_end_are_noticed() {
        let mut trial = Trial::new(3);
        assert!(!trial.wants_help(990, 1_000, 10));
        assert!(trial.wants_help(1, 11_000, 9));
    }
}

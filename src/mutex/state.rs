//! The bits of a mutex's word, and the transitions of an unlock and of a notification.
//!
//! | bits | name | meaning | set by | cleared by |
//! | --- | --- | --- | --- | --- |
//! | 0 | `LOCKED` | held, or being handed over | the thread that acquires it | the holder |
//! | 1 | `PARKED` | threads may be asleep in the queue | a thread about to sleep, a notification that moves one there | an unlock that finds the queue empty |
//! | 2 | `WOKEN` | the *woken* thread is on its way: wake no other | the unlock or notification that wakes it | that thread, as it acquires, claims, sleeps again or times out |
//! | 3 | `CLAIMED` | an awake waiter, the *claimant*, polls for the lock | the claimant | the claimant, or the unlock that hands over |
//! | 4 | `HANDED` | the lock is the claimant's | an unlock | the claimant |
//! | 5 | `STARVING` | the woken thread must be next, and may be asleep until then | the woken thread | the woken thread |
//! | 6 | `GRANTED` | the lock is the woken thread's | an unlock | the woken thread |
//! | 7..14 | passes | unlocks since the woken thread was woken | every unlock | the next wake-up, an unlock without `WOKEN` |
//! | 14..32 | since | when the woken thread was woken, in ticks of about 16 µs | the unlock or notification that wakes it | the same |
//!
//! `CLAIMED`, `HANDED`, `STARVING` and `GRANTED` imply `LOCKED`. `HANDED` and `GRANTED` exclude each other, and the
//! holder of the lock sees neither.

use crate::support::tuning::Grace;

// The module's table describes these.
pub(super) const LOCKED: u32 = 1;
pub(super) const PARKED: u32 = 1 << 1;
pub(super) const WOKEN: u32 = 1 << 2;
pub(super) const CLAIMED: u32 = 1 << 3;
pub(super) const HANDED: u32 = 1 << 4;
pub(super) const STARVING: u32 = 1 << 5;
pub(super) const GRANTED: u32 = 1 << 6;
/// All flags.
const FLAGS: u32 = (1 << 7) - 1;
const PASS: u32 = 1 << 7;
const PASSES: u32 = SINCE - PASS;
const SINCE: u32 = 1 << 14;

/// How many passes lie between two readings of the clock once there have been many.
const PASSES_PER_READING: u32 = 64;

/// Whether an unlock must wake a thread that is asleep in the queue. A claim doesn't put this off.
pub(super) fn owes_wake_up(word: u32) -> bool {
    word & (PARKED | WOKEN | STARVING) == PARKED
}

/// Whether an unlock must hand the lock to the woken thread. A `fair` one always does.
pub(super) fn must_grant(word: u32, fair: bool) -> bool {
    let is_late = || ((word & PASSES) / PASS).is_power_of_two() && Grace::is_over(word / SINCE);
    word & STARVING != 0 || word & WOKEN != 0 && (fair || is_late())
}

/// The word after an unlock that wakes no thread.
pub(super) fn unlocked(word: u32, fair: bool) -> u32 {
    if must_grant(word, fair) { word & FLAGS | GRANTED } else { count_pass(release(word)) }
}

/// The word after an unlock that has dequeued a thread, if there was one (`found`), and hands it the lock or not
/// (`hands`). `more` says whether other threads are still in the queue.
pub(super) fn unlocked_waking(word: u32, found: bool, hands: bool, more: bool, now: u32) -> u32 {
    let next = match () {
        () if hands => word,
        // Only where two threads are woken: after a spurious wake-up, or an `unlock_to_sleep`.
        () if word & STARVING != 0 => word | GRANTED,
        () => release(word),
    };
    let next = if found && !hands { with_woken(next, now) } else { count_pass(next) };
    if more { next } else { next & !PARKED }
}

/// The word of the mutex that a notified waiter wants, and whether that waiter may be moved to the queue asleep.
/// Otherwise it must be woken, as the woken thread.
pub(super) fn admitted(word: u32, now: u32) -> (u32, bool) {
    let moves = word & (LOCKED | WOKEN) != 0;
    (if moves { word | PARKED } else { with_woken(word, now) }, moves)
}

fn with_woken(word: u32, now: u32) -> u32 {
    word & FLAGS | WOKEN | now.wrapping_mul(SINCE)
}

/// LOCKED => free, or LOCKED CLAIMED => LOCKED HANDED.
fn release(word: u32) -> u32 {
    if word & CLAIMED != 0 { word & !CLAIMED | HANDED } else { word & !LOCKED }
}

/// Counts a pass of the woken thread, if there is one.
fn count_pass(word: u32) -> u32 {
    if word & WOKEN == 0 {
        return word & FLAGS;
    }
    let passes = word & PASSES;
    // Wraps to one reading's worth, never to 0: the early, more frequent readings come once per wake-up.
    let next = if passes == PASSES { PASSES_PER_READING * PASS } else { passes + PASS };
    word & !PASSES | next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::IS_MODEL;

    /// Calls `check` for each set of flags that a holder may find, with the woken thread just woken.
    fn each_held_word(mut check: impl FnMut(u32)) {
        for flags in (0..=FLAGS).filter(|flags| flags & LOCKED != 0) {
            if flags & (HANDED | GRANTED) == 0 {
                check(flags | Grace::now().wrapping_mul(SINCE));
            }
        }
    }

    /// Calls `check` with the outcome of every kind of unlock of `word`.
    fn each_unlock(word: u32, mut check: impl FnMut(u32)) {
        for fair in [false, true] {
            check(unlocked(word, fair));
            for (found, more) in [(false, false), (true, false), (true, true)] {
                check(unlocked_waking(word, found, fair && found, more, Grace::now()));
            }
        }
    }

    #[test]
    fn an_unlock_releases_the_lock_or_hands_it_to_exactly_one_thread() {
        each_held_word(|word| {
            each_unlock(word, |next| {
                assert_ne!(next & (HANDED | GRANTED), HANDED | GRANTED, "{word:b} to {next:b}");
                assert!(
                    next & (HANDED | GRANTED) == 0 || next & LOCKED != 0,
                    "{word:b} to {next:b}"
                );
                assert!(
                    next & GRANTED == 0 || next & (WOKEN | STARVING) != 0,
                    "{word:b} to {next:b}"
                );
                // Only a claimant can be handed the lock.
                assert!(next & HANDED == 0 || word & CLAIMED != 0, "{word:b} to {next:b}");
                // No unlock clears the mark of the starving thread, or forgets a claim.
                let marks = (word | word << 1) & (HANDED | STARVING | CLAIMED);
                assert_eq!(next & STARVING, word & STARVING, "{word:b} to {next:b}");
                assert_eq!(next & !(marks | LOCKED | PARKED | WOKEN | GRANTED) & FLAGS, 0);
                assert_eq!(next & (CLAIMED | HANDED) != 0, word & CLAIMED != 0);
            });
        });
    }

    #[test]
    fn an_unlock_that_wakes_no_thread_leaves_the_sleepers_bit_and_no_claim_without_a_holder() {
        each_held_word(|word| {
            for fair in [false, true] {
                let next = unlocked(word, fair);
                assert_eq!(next & PARKED, word & PARKED, "{word:b} to {next:b}");
                let handed_over = CLAIMED | HANDED | STARVING | GRANTED;
                assert!(next & LOCKED != 0 || next & handed_over == 0, "{word:b} to {next:b}");
            }
        });
    }

    #[test]
    fn a_wake_up_marks_the_woken_thread_and_the_time() {
        each_held_word(|word| {
            for more in [false, true] {
                let next = unlocked_waking(word, true, false, more, 77);
                assert_eq!((next & WOKEN, next / SINCE, next & PASSES), (WOKEN, 77, 0));
                assert_eq!(next & PARKED, if more { word & PARKED } else { 0 });
            }
        });
    }

    #[test]
    fn an_unlock_that_finds_an_empty_queue_keeps_the_time_of_the_wake_up() {
        let word = LOCKED | PARKED | WOKEN | (5 * PASS) | (7 * SINCE);
        let next = unlocked_waking(word, false, false, false, 99);
        assert_eq!(next, WOKEN | (6 * PASS) | (7 * SINCE));
        assert_eq!(unlocked_waking(word & !WOKEN, false, false, false, 99), 0);
    }

    #[test]
    fn a_fair_unlock_hands_the_lock_to_the_dequeued_thread() {
        each_held_word(|word| {
            let next = unlocked_waking(word | PARKED, true, true, true, 77);
            assert_eq!(next & FLAGS, word & FLAGS | PARKED);
        });
    }

    #[test]
    fn a_notified_waiter_is_moved_asleep_only_if_an_unlock_or_a_woken_thread_follows() {
        for word in (0..=FLAGS).filter(|word| word & LOCKED != 0 || *word & !(PARKED | WOKEN) == 0)
        {
            let (next, moves) = admitted(word, 77);
            if word & (LOCKED | WOKEN) != 0 {
                assert_eq!((next, moves), (word | PARKED, true));
            } else {
                assert_eq!((next, moves), (word | WOKEN | (77 * SINCE), false));
                // The next waiter that is notified can follow this one.
                assert_eq!(admitted(next, 78), (next | PARKED, true));
            }
        }
    }

    #[test]
    fn a_claim_does_not_put_off_a_wake_up() {
        assert!(owes_wake_up(LOCKED | PARKED) && owes_wake_up(LOCKED | PARKED | CLAIMED));
        assert!(!owes_wake_up(LOCKED | PARKED | WOKEN) && !owes_wake_up(LOCKED | CLAIMED));
    }

    #[test]
    fn an_unlock_grants_the_lock_to_a_starving_thread_past_a_claim() {
        assert!(must_grant(LOCKED | WOKEN | STARVING | CLAIMED, false));
        // Also after another thread has cleared `WOKEN`.
        assert!(must_grant(LOCKED | STARVING, false));
        each_held_word(|word| {
            if word & STARVING != 0 {
                each_unlock(word & !PARKED, |next| assert_ne!(next & (GRANTED | LOCKED), 0));
                assert_ne!(unlocked(word, false) & GRANTED, 0);
                assert_ne!(unlocked_waking(word, true, false, true, 77) & GRANTED, 0);
            }
        });
    }

    #[test]
    fn a_fair_unlock_grants_the_lock_to_the_woken_thread_and_a_plain_one_does_not_at_once() {
        let word = LOCKED | PARKED | WOKEN | Grace::now().wrapping_mul(SINCE);
        assert!(must_grant(word, true) && !must_grant(word, false));
        assert!(!must_grant(LOCKED | CLAIMED, true));
    }

    #[test]
    fn a_late_thread_is_granted_the_lock_however_often_it_was_passed() {
        let long_ago = if IS_MODEL { 0 } else { Grace::now().wrapping_sub(1 << 10) };
        let mut word = LOCKED | WOKEN | long_ago.wrapping_mul(SINCE);
        let mut since_granted = 0;
        for passes in 0..1000 {
            since_granted = if must_grant(word, false) { 0 } else { since_granted + 1 };
            assert!(since_granted <= PASSES_PER_READING, "not after {passes} passes");
            word = count_pass(word);
            assert_eq!(word & FLAGS, LOCKED | WOKEN);
            assert_eq!(word / SINCE, long_ago.wrapping_mul(SINCE) / SINCE);
        }
    }

    #[test]
    fn an_unlock_without_a_woken_thread_clears_passes_and_time() {
        assert_eq!(count_pass(PARKED | (5 * PASS) | (7 * SINCE)), PARKED);
    }
}

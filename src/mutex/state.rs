//! The bits of a mutex's word, and what an unlock makes of them.
//!
//! | bits | name | meaning | set by | cleared by |
//! | --- | --- | --- | --- | --- |
//! | 0 | `LOCKED` | held, or being handed over | whoever takes it | the holder |
//! | 1 | `PARKED` | threads may be asleep in the queue | one about to sleep, a notification that moves one there | an unlock that finds the queue empty |
//! | 2 | `WOKEN` | the *woken* thread is on its way: wake no other | the unlock that wakes it, a notification that wakes it | that one, as it takes the lock, claims it, sleeps again or gives up |
//! | 3 | `CLAIMED` | an awake waiter, the *claimant*, polls for the lock | it | the unlock that hands over, or the claimant |
//! | 4 | `HANDED` | the lock is the claimant's | the unlock that hands over | the claimant |
//! | 5 | `STARVING` | the woken thread must be next, and may be asleep until then | it | it |
//! | 6 | `GIVEN` | the lock is the woken thread's | the unlock that gives it | the woken thread |
//! | 7..14 | passes | unlocks since the woken thread was woken | each | the next wake-up, an unlock without `WOKEN` |
//! | 14..32 | since | when the woken thread was woken, in ticks of some 16 µs | what wakes it | the same |
//!
//! `CLAIMED`, `HANDED`, `STARVING` and `GIVEN` imply `LOCKED`; `HANDED` and `GIVEN` exclude one another. A
//! holder sees neither of those two.

use crate::sys::Grace;

/// See the [module](self) for these.
pub(super) const LOCKED: u32 = 1;
pub(super) const PARKED: u32 = 1 << 1;
pub(super) const WOKEN: u32 = 1 << 2;
pub(super) const CLAIMED: u32 = 1 << 3;
pub(super) const HANDED: u32 = 1 << 4;
pub(super) const STARVING: u32 = 1 << 5;
pub(super) const GIVEN: u32 = 1 << 6;
/// All of them.
const FLAGS: u32 = (1 << 7) - 1;
/// One pass.
const PASS: u32 = 1 << 7;
const PASSES: u32 = SINCE - PASS;
/// One tick.
const SINCE: u32 = 1 << 14;

/// Passes between two looks at the clock, where sections are short.
const PASSES_PER_LOOK: u32 = 64;

/// Whether an unlock is to wake a thread that is asleep in the queue. A claim doesn't put it off.
pub(super) fn owes_wake_up(word: u32) -> bool {
    word & (PARKED | WOKEN | STARVING) == PARKED
}

/// Whether an unlock is to give the lock to the woken thread. `fair` does so in any case.
pub(super) fn gives(word: u32, fair: bool) -> bool {
    let is_late = || ((word & PASSES) / PASS).is_power_of_two() && Grace::is_over(word / SINCE);
    word & STARVING != 0 || word & WOKEN != 0 && (fair || is_late())
}

/// What an unlock that wakes nobody makes of the word.
pub(super) fn unlocked(word: u32, fair: bool) -> u32 {
    if gives(word, fair) { word & FLAGS | GIVEN } else { count_pass(let_go(word)) }
}

/// What an unlock that has looked into the queue makes of the word: whether it took a thread out
/// (`found`), leaves it the lock (`hands`), and whether there are `more`.
pub(super) fn unlocked_waking(word: u32, found: bool, hands: bool, more: bool, now: u32) -> u32 {
    let next = match () {
        () if hands => word,
        // Only after a spurious wake-up, or by a holder that goes to sleep.
        () if word & STARVING != 0 => word | GIVEN,
        () => let_go(word),
    };
    let next = if found && !hands { with_woken(next, now) } else { count_pass(next) };
    if more { next } else { next & !PARKED }
}

/// What a notification makes of the word of the mutex that its waiter wants, and whether the waiter
/// may sleep on in the queue. Otherwise it is the woken thread.
pub(super) fn admitted(word: u32, now: u32) -> (u32, bool) {
    let moves = word & (LOCKED | WOKEN) != 0;
    (if moves { word | PARKED } else { with_woken(word, now) }, moves)
}

fn with_woken(word: u32, now: u32) -> u32 {
    word & FLAGS | WOKEN | now.wrapping_mul(SINCE)
}

/// LOCKED => free, or LOCKED CLAIMED => LOCKED HANDED.
fn let_go(word: u32) -> u32 {
    if word & CLAIMED != 0 { word & !CLAIMED | HANDED } else { word & !LOCKED }
}

/// Notes that the woken thread is passed, if there is one.
fn count_pass(word: u32) -> u32 {
    if word & WOKEN == 0 {
        return word & FLAGS;
    }
    let passes = word & PASSES;
    // Counted modulo as many as lie between two looks at the clock, but never back to 0.
    let next = if passes == PASSES { PASSES_PER_LOOK * PASS } else { passes + PASS };
    word & !PASSES | next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::IS_MODEL;

    /// Calls `check` for each set of flags that a holder may find, with a woken thread just woken.
    fn each_held_word(mut check: impl FnMut(u32)) {
        for flags in (0..=FLAGS).filter(|flags| flags & LOCKED != 0) {
            if flags & (HANDED | GIVEN) == 0 {
                check(flags | Grace::now().wrapping_mul(SINCE));
            }
        }
    }

    /// Each unlock that there is, of `word`.
    fn each_unlock(word: u32, mut check: impl FnMut(u32)) {
        for fair in [false, true] {
            check(unlocked(word, fair));
            for (found, more) in [(false, false), (true, false), (true, true)] {
                check(unlocked_waking(word, found, fair && found, more, Grace::now()));
            }
        }
    }

    #[test]
    fn an_unlock_lets_go_or_leaves_the_lock_to_exactly_one() {
        each_held_word(|word| {
            each_unlock(word, |next| {
                assert_ne!(next & (HANDED | GIVEN), HANDED | GIVEN, "{word:b} to {next:b}");
                assert!(next & (HANDED | GIVEN) == 0 || next & LOCKED != 0, "{word:b} to {next:b}");
                assert!(
                    next & GIVEN == 0 || next & (WOKEN | STARVING) != 0,
                    "{word:b} to {next:b}"
                );
                // Only who claims can be handed the lock.
                assert!(next & HANDED == 0 || word & CLAIMED != 0, "{word:b} to {next:b}");
                // Nobody but the claimant and the starving thread takes their marks away.
                let marks = (word | word << 1) & (HANDED | STARVING | CLAIMED);
                assert_eq!(next & STARVING, word & STARVING, "{word:b} to {next:b}");
                assert_eq!(next & !(marks | LOCKED | PARKED | WOKEN | GIVEN) & FLAGS, 0);
                assert_eq!(next & (CLAIMED | HANDED) != 0, word & CLAIMED != 0);
            });
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
    fn an_unlock_that_finds_nobody_to_wake_leaves_the_woken_thread_its_time() {
        let word = LOCKED | PARKED | WOKEN | (5 * PASS) | (7 * SINCE);
        let next = unlocked_waking(word, false, false, false, 99);
        assert_eq!(next, WOKEN | (6 * PASS) | (7 * SINCE));
        assert_eq!(unlocked_waking(word & !WOKEN, false, false, false, 99), 0);
    }

    #[test]
    fn a_fair_unlock_leaves_the_lock_to_the_thread_it_took_out_of_the_queue() {
        each_held_word(|word| {
            let next = unlocked_waking(word | PARKED, true, true, true, 77);
            assert_eq!(next & FLAGS, word & FLAGS | PARKED);
        });
    }

    #[test]
    fn a_notified_waiter_sleeps_on_only_if_an_unlock_or_the_woken_thread_is_to_come() {
        for word in (0..=FLAGS).filter(|word| word & LOCKED != 0 || *word & !(PARKED | WOKEN) == 0)
        {
            let (next, moves) = admitted(word, 77);
            if word & (LOCKED | WOKEN) != 0 {
                assert_eq!((next, moves), (word | PARKED, true));
            } else {
                assert_eq!((next, moves), (word | WOKEN | (77 * SINCE), false));
                // The next one of a crowd has this one to follow.
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
    fn an_unlock_gives_to_a_starving_thread_past_a_claim() {
        assert!(gives(LOCKED | WOKEN | STARVING | CLAIMED, false));
        // Also after another has cleared its bit.
        assert!(gives(LOCKED | STARVING, false));
        each_held_word(|word| {
            if word & STARVING != 0 {
                each_unlock(word & !PARKED, |next| assert_ne!(next & (GIVEN | LOCKED), 0));
                assert_ne!(unlocked(word, false) & GIVEN, 0);
                assert_ne!(unlocked_waking(word, true, false, true, 77) & GIVEN, 0);
            }
        });
    }

    #[test]
    fn a_fair_unlock_gives_to_the_woken_thread_and_a_plain_one_not_at_once() {
        let word = LOCKED | PARKED | WOKEN | Grace::now().wrapping_mul(SINCE);
        assert!(gives(word, true) && !gives(word, false));
        assert!(!gives(LOCKED | CLAIMED, true));
    }

    #[test]
    fn a_late_thread_is_given_the_lock_however_often_it_was_passed() {
        let long_ago = if IS_MODEL { 0 } else { Grace::now().wrapping_sub(1 << 10) };
        let mut word = LOCKED | WOKEN | long_ago.wrapping_mul(SINCE);
        let mut since_given = 0;
        for passes in 0..1000 {
            since_given = if gives(word, false) { 0 } else { since_given + 1 };
            assert!(since_given <= PASSES_PER_LOOK, "not after {passes} passes");
            word = count_pass(word);
            assert_eq!(word & FLAGS, LOCKED | WOKEN);
            assert_eq!(word / SINCE, long_ago.wrapping_mul(SINCE) / SINCE);
        }
    }

    #[test]
    fn an_unlock_without_a_woken_thread_leaves_no_trace_of_one() {
        assert_eq!(count_pass(PARKED | (5 * PASS) | (7 * SINCE)), PARKED);
    }
}

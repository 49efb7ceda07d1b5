//! A word in which one thread says what it is doing, for others to find.
//!
//! A thread that marks a slot loads something else afterwards; a thread that scans slots has changed that
//! before. If neither is to miss the other, a full fence must stand between the two steps on both sides
//! (store buffering). Either each side has its own, or the scanning side makes everybody's:
//!
//! | the mark | costs its thread | and the scanning thread |
//! | --- | --- | --- |
//! | [`mark`](Slot::mark) | a full fence, some 5 ns | a `fence(SeqCst)` |
//! | [`mark_unfenced`](Slot::mark_unfenced) | nothing: the compiler keeps the order | a [heavy fence](super::heavy_fence), 10 to 30 µs |

use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};

#[derive(Debug)]
pub(crate) struct Slot(AtomicU64);

impl Slot {
    pub(crate) const fn new() -> Self {
        Slot(AtomicU64::new(0))
    }

    /// Returns what it is marked with, or 0. For a thread that scans.
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// The same for the thread that marks it, which sees its own unfenced marks at once.
    #[inline]
    pub(crate) fn load_own(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// Removes the mark.
    #[inline]
    pub(crate) fn clear(&self, order: Ordering) {
        self.0.store(0, order);
    }

    /// Marks it before every later load, with respect to a `fence(SeqCst)` of the scanning thread.
    #[inline]
    pub(crate) fn mark(&self, value: u64) {
        if cfg!(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri))) {
            // ORDERING: SeqCst: an exchange is a full barrier on x86, and cheaper than a store and a
            // fence (crossbeam-epoch pins its threads this way). The pair is the scanning thread's fence. The
            // compiler may not move loads before it either.
            self.0.swap(value, Ordering::SeqCst);
            compiler_fence(Ordering::SeqCst);
        } else {
            // ORDERING: Release: a thread that sees the mark sees what its thread did before.
            self.0.store(value, Ordering::Release);
            // ORDERING: SeqCst: store buffering; the pair is the fence of the scanning thread.
            fence(Ordering::SeqCst);
        }
    }

    /// Marks it before every later load, with respect to a [heavy fence](super::heavy_fence) of the scanning
    /// thread.
    #[inline]
    pub(crate) fn mark_unfenced(&self, value: u64) {
        // ORDERING: Release: as in `mark`.
        self.0.store(value, Ordering::Release);
        // ORDERING: SeqCst: the compiler's part of the fence; the processor's is the heavy one's.
        compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
pub(super) mod litmus {
    //! Store buffering, on the processor that the tests run on.

    use super::*;
    use std::hint::spin_loop;
    use std::thread;
    use std::time::{Duration, Instant};

    /// How often the control must have been overlooked before a test ends.
    const ENOUGH: usize = 40;
    /// When a test ends without. On one core nothing is ever overlooked, on a busy machine little.
    const LIMIT: Duration = Duration::from_secs(5);

    /// What the scanning thread writes, in one line: the marking thread has it in its cache, with the flag as it
    /// was, when a round starts.
    #[repr(align(128))]
    struct Scanning {
        started: AtomicU64,
        flag: AtomicU64,
    }

    /// What the marking thread writes but for the mark.
    #[repr(align(128))]
    struct Marking {
        ended: AtomicU64,
        saw: AtomicU64,
    }

    #[repr(align(128))]
    struct Line(Slot);

    fn wait_for(round: u64, it: &AtomicU64) -> u64 {
        for check in 1_u32.. {
            let now = it.load(Ordering::Acquire);
            if now >= round {
                return now;
            }
            if check.is_multiple_of(1 << 12) { thread::yield_now() } else { spin_loop() }
        }
        unreachable!("a round ends before 2^32 checks")
    }

    /// One thread marks a slot and loads a flag, another sets the flag, fences and loads the slot. Returns how often
    /// neither saw the other.
    ///
    /// Every other round is a control, with a mark that has no fence. The test runs until the processor has shown store
    /// buffering there: a mark that were no better would have been overlooked as often.
    pub(in super::super) fn overlooked(mark: fn(&Slot), heavy_fence: fn(&Slot)) -> usize {
        const OVER: u64 = u64::MAX;
        let Line(slot) = &Line(Slot::new());
        let scanning = &Scanning { started: AtomicU64::new(0), flag: AtomicU64::new(0) };
        let marking = &Marking { ended: AtomicU64::new(0), saw: AtomicU64::new(0) };
        let is_control = |round: u64| round.is_multiple_of(2);
        thread::scope(|scope| {
            scope.spawn(move || {
                for round in 1.. {
                    if wait_for(round, &scanning.started) == OVER {
                        return;
                    }
                    if is_control(round) {
                        slot.mark_unfenced(1);
                    } else {
                        mark(slot);
                    }
                    let saw = scanning.flag.load(Ordering::Relaxed);
                    marking.saw.store(saw, Ordering::Relaxed);
                    marking.ended.store(round, Ordering::Release);
                }
            });
            // Of the subject, and of the control.
            let (mut overlooked, start) = ([0, 0], Instant::now());
            for round in 1.. {
                if overlooked[1] >= ENOUGH || start.elapsed() > LIMIT {
                    break;
                }
                slot.clear(Ordering::Relaxed);
                scanning.flag.store(0, Ordering::Relaxed);
                scanning.started.store(round, Ordering::Release);
                for _ in 0..round / 2 % 64 {
                    std::hint::black_box(round);
                }
                scanning.flag.store(1, Ordering::Relaxed);
                if is_control(round) {
                    fence(Ordering::SeqCst);
                } else {
                    heavy_fence(slot);
                }
                let saw = slot.load(Ordering::Relaxed);
                wait_for(round, &marking.ended);
                overlooked[usize::from(is_control(round))] +=
                    usize::from(saw == 0 && marking.saw.load(Ordering::Relaxed) == 0);
            }
            scanning.started.store(OVER, Ordering::Release);
            eprintln!("the control was overlooked {} times", overlooked[1]);
            overlooked[0]
        })
    }

    #[test]
    fn a_mark_comes_before_later_loads() {
        assert_eq!(overlooked(|slot| slot.mark(1), |_| fence(Ordering::SeqCst)), 0);
    }
}

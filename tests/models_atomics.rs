//! The atomics of `phalanx::atomic` do what std's do, in a model too.

use phalanx::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};
use phalanx::atomic::{self, AtomicBool, AtomicPtr, AtomicU64, compiler_fence, fence};
use phalanx::cell::UnsafeCell;
use phalanx::{hint, model, thread};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic as std_atomic;
use std::sync::{Arc, Mutex};

/// Calls each method on both, with some arguments, and compares results and values.
macro_rules! compare {
    ($name:ident, $values:expr, $($method:ident)*) => {{
        for first in $values {
            for second in $values {
                let mut ours = atomic::$name::new(first);
                let mut theirs = std_atomic::$name::new(first);
                $(
                    let (a, b) = (ours.$method(second, SeqCst), theirs.$method(second, SeqCst));
                    assert_eq!(a, b, "{}::{}", stringify!($name), stringify!($method));
                    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
                )*
                assert_eq!(ours.swap(first, AcqRel), theirs.swap(first, AcqRel));
                for new in $values {
                    assert_eq!(
                        ours.compare_exchange(second, new, AcqRel, Acquire),
                        theirs.compare_exchange(second, new, AcqRel, Acquire),
                    );
                }
                assert_eq!(ours.update(Release, Relaxed, |_| first), theirs.swap(first, Relaxed));
                let refuse = |value| (value == second).then_some(first);
                assert_eq!(
                    ours.try_update(Relaxed, Relaxed, refuse),
                    theirs.try_update(Relaxed, Relaxed, refuse)
                );
                ours.store(second, Relaxed);
                theirs.store(second, Relaxed);
                assert_eq!(ours.load(Acquire), theirs.load(Acquire));
                *ours.get_mut() = first;
                *theirs.get_mut() = first;
                assert_eq!(ours.load(SeqCst), theirs.load(SeqCst));
                assert_eq!(ours.into_inner(), theirs.into_inner());
            }
        }
        let default = (atomic::$name::default(), std_atomic::$name::default());
        assert_eq!(default.0.into_inner(), default.1.into_inner());
    }};
}

#[test]
fn numbers_are_counted_as_std_counts_them() {
    macro_rules! integers {
        ($($name:ident: $t:ty)*) => { $(
            compare!($name, [<$t>::MIN, 5, <$t>::MAX], fetch_add fetch_sub fetch_and fetch_nand
                fetch_or fetch_xor fetch_max fetch_min);
        )* };
    }
    model(|| {
        integers! {
            AtomicI8: i8 AtomicI16: i16 AtomicI32: i32 AtomicI64: i64 AtomicIsize: isize
        }
    });
    model(|| {
        integers! {
            AtomicU8: u8 AtomicU16: u16 AtomicU32: u32 AtomicU64: u64 AtomicUsize: usize
        }
    });
}

#[test]
fn bools_are_switched_as_std_switches_them() {
    model(|| {
        compare!(AtomicBool, [false, true], fetch_and fetch_nand fetch_or fetch_xor);
        let flag = AtomicBool::from(true);
        assert!(flag.fetch_not(Relaxed));
        assert!(!flag.load(Relaxed));
    });
}

#[test]
fn pointers_are_moved_as_std_moves_them() {
    model(|| {
        let mut array = [1_u32, 2, 3, 4];
        let start = array.as_mut_ptr();
        let (ours, theirs) = (AtomicPtr::new(start), std_atomic::AtomicPtr::new(start));
        assert_eq!(ours.fetch_ptr_add(3, Relaxed), theirs.fetch_ptr_add(3, Relaxed));
        assert_eq!(ours.fetch_ptr_sub(1, Relaxed), theirs.fetch_ptr_sub(1, Relaxed));
        assert_eq!(ours.fetch_byte_sub(4, Relaxed), theirs.fetch_byte_sub(4, Relaxed));
        assert_eq!(ours.fetch_byte_add(8, Relaxed), theirs.fetch_byte_add(8, Relaxed));
        assert_eq!(ours.fetch_or(1, Relaxed), theirs.fetch_or(1, Relaxed));
        assert_eq!(ours.fetch_xor(3, Relaxed), theirs.fetch_xor(3, Relaxed));
        assert_eq!(ours.fetch_and(!3, Relaxed), theirs.fetch_and(!3, Relaxed));
        assert_eq!(format!("{ours:?} {ours:p}"), format!("{theirs:?} {theirs:p}"));
        assert_eq!(ours.load(Relaxed), theirs.load(Relaxed));
        // SAFETY: inside of `array`, whose provenance the pointer kept.
        assert!(array.contains(unsafe { &*ours.load(Relaxed) }));
        assert!(AtomicPtr::<u32>::default().into_inner().is_null());
    });
}

#[test]
fn invalid_orderings_are_refused() {
    fn refuses(f: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(f)).is_err()
    }
    model(|| {
        let word = AtomicU64::new(1);
        // Variables, since rustc refuses the constants.
        for order in [Release, AcqRel] {
            assert!(refuses(|| _ = word.load(order)), "{order:?}");
            assert!(refuses(|| _ = word.compare_exchange(1, 1, Relaxed, order)), "{order:?}");
        }
        for order in [Acquire, AcqRel] {
            assert!(refuses(|| word.store(2, order)), "{order:?}");
        }
        assert_eq!(word.into_inner(), 1);
    });
}

#[test]
fn an_atomic_is_send_sync_and_unwind_safe_as_std_s_is() {
    fn is_shareable<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    is_shareable::<AtomicU64>();
    is_shareable::<AtomicBool>();
    is_shareable::<AtomicPtr<u8>>();
    compiler_fence(SeqCst);
    model(|| {
        fence(SeqCst);
        hint::spin_loop();
    });
}

/// Every outcome of `threads` that some execution has.
fn outcomes<const N: usize>(run: fn() -> [u64; N]) -> HashSet<[u64; N]> {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let all = seen.clone();
    model(move || {
        let outcome = run();
        all.lock().unwrap().insert(outcome);
    });
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// Two threads write and then read the other's word.
fn buffer(store: Ordering, load: Ordering) -> [u64; 2] {
    let words = [AtomicU64::new(0), AtomicU64::new(0)];
    let step = |me: usize| {
        words[me].store(1, store);
        words[1 - me].load(load)
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| step(0));
        let mine = step(1);
        [other.join().unwrap(), mine]
    })
}

#[test]
fn stores_are_buffered_unless_store_and_load_are_seq_cst() {
    // Natively each runs once.
    if !cfg!(all(phalanx_loom, feature = "loom")) {
        return;
    }
    let weak = HashSet::from([[0, 0], [0, 1], [1, 0], [1, 1]]);
    assert_eq!(outcomes(|| buffer(Relaxed, Relaxed)), weak);
    assert_eq!(outcomes(|| buffer(SeqCst, Acquire)), weak);
    assert_eq!(outcomes(|| buffer(Release, SeqCst)), weak);
    let strong = HashSet::from([[0, 1], [1, 0], [1, 1]]);
    assert_eq!(outcomes(|| buffer(SeqCst, SeqCst)), strong);
}

#[test]
fn a_store_and_an_exchange_come_in_either_order_and_in_no_other() {
    if !cfg!(all(phalanx_loom, feature = "loom")) {
        return;
    }
    let seen = outcomes(|| {
        let word = AtomicU64::new(0);
        let before = thread::scope(|scope| {
            scope.spawn(|| word.store(5, Relaxed));
            word.fetch_add(1, Relaxed)
        });
        [before, word.load(Relaxed)]
    });
    assert_eq!(seen, HashSet::from([[0, 5], [5, 6]]));
}

/// One thread stores a word and then a flag, another loads the flag and then the word.
fn pass_a_message(store: Ordering, load: Ordering) -> [u64; 2] {
    let (word, flag) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            word.store(1, SeqCst);
            flag.store(1, store);
        });
        [flag.load(load), word.load(SeqCst)]
    })
}

#[test]
fn a_seq_cst_load_may_be_stale_after_a_relaxed_message_of_the_store() {
    if !cfg!(all(phalanx_loom, feature = "loom")) {
        return;
    }
    let ordered = HashSet::from([[0, 0], [0, 1], [1, 1]]);
    let all = HashSet::from([[0, 0], [0, 1], [1, 0], [1, 1]]);
    assert_eq!(outcomes(|| pass_a_message(Relaxed, Relaxed)), all);
    assert_eq!(outcomes(|| pass_a_message(SeqCst, Relaxed)), all);
    assert_eq!(outcomes(|| pass_a_message(Release, Acquire)), ordered);
    assert_eq!(outcomes(|| pass_a_message(SeqCst, SeqCst)), ordered);
}

#[test]
fn threads_may_read_two_words_in_different_orders_unless_all_is_seq_cst() {
    if !cfg!(all(phalanx_loom, feature = "loom")) {
        return;
    }
    fn read(order: Ordering, store: Ordering) -> [u64; 4] {
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let read = |first: usize| (words[first].load(order), words[1 - first].load(order));
        thread::scope(|scope| {
            scope.spawn(|| words[0].store(1, store));
            scope.spawn(|| words[1].store(1, store));
            let other = scope.spawn(|| read(0));
            let (c, d) = read(1);
            let (a, b) = other.join().unwrap();
            [a, b, c, d]
        })
    }
    assert!(outcomes(|| read(Acquire, Release)).contains(&[1, 0, 1, 0]));
    assert!(!outcomes(|| read(SeqCst, SeqCst)).contains(&[1, 0, 1, 0]));
}

/// Two threads say that they have unparked a third one, which parks once after both.
#[test]
fn a_park_happens_after_all_unparks_before_it() {
    struct Plain([UnsafeCell<u32>; 2]);
    // SAFETY: each cell has one writer, and the reader reads after the park.
    unsafe impl Sync for Plain {}
    if !cfg!(all(phalanx_loom, feature = "loom")) {
        return;
    }
    model(|| {
        let (values, count) = (Plain([UnsafeCell::new(0), UnsafeCell::new(0)]), AtomicU64::new(0));
        let (values, count) = (&values, &count);
        let me = &thread::current();
        thread::scope(|scope| {
            for writer in 0..2 {
                scope.spawn(move || {
                    // SAFETY: see `Sync`.
                    values.0[writer].with_mut(|value| unsafe { *value = 1 });
                    me.unpark();
                    count.fetch_add(1, Relaxed);
                });
            }
            while count.load(Relaxed) < 2 {
                thread::yield_now();
            }
            thread::park();
            for value in &values.0 {
                // SAFETY: see `Sync`.
                assert_eq!(value.with(|value| unsafe { *value }), 1);
            }
        });
    });
}

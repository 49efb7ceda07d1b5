//! Histories of calls on real threads, checked against what the documentation promises. `models_safe_counter.rs` and
//! `models_store.rs` check histories of models in the same way.

mod common;

use common::counts::Count::{self, Add, Get, Take};
use common::counts::{Total, counts_what_it_may, in_two_steps};
use common::history::{Call, Clock, Sequential, is_linearizable};
use common::pipes::{self, Pipe, What};
use common::stress::for_about_a_second;
use common::watchdog;
use phalanx::store::Entry;
use phalanx::{SafeCounter, Store, channel};
use std::sync::Barrier;
use std::thread;

const THREADS: usize = 4;
const CALLS: usize = 5;

/// Pseudo-random numbers, the same in each run (SplitMix64).
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ z >> 27) % n
    }
}

/// For about a second, makes an object, has each thread call it, and checks the threads' histories.
fn recorded<T: Sync, O: Send>(
    new: impl Fn() -> T,
    call: impl Fn(&T, &Clock, &mut Choices) -> Call<O> + Sync,
    mut check: impl FnMut(Vec<Vec<Call<O>>>),
) {
    for_about_a_second(|round| {
        let (object, clock, start) = (new(), Clock::new(), Barrier::new(THREADS));
        let (object, clock, start, call) = (&object, &clock, &start, &call);
        let histories = thread::scope(|s| {
            let threads = (0..THREADS).map(|thread| {
                s.spawn(move || {
                    let mut choices = Choices(round << 8 | thread as u64);
                    start.wait();
                    (0..CALLS).map(|_| call(object, clock, &mut choices)).collect()
                })
            });
            let threads: Vec<_> = threads.collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        check(histories);
    });
}

fn count(counter: &SafeCounter, clock: &Clock, what: Count) -> Call<Count> {
    match what {
        Add(n) => clock.record(|| counter.add(n), |()| Add(n)),
        Get(_) => clock.record(|| counter.get(), Get),
        Take(_) => clock.record(|| counter.take(), Take),
    }
}

/// A counter, which has its cells already every other time.
fn counter() -> SafeCounter {
    thread_local! {
        static TURN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    let counter = SafeCounter::new();
    if TURN.replace(!TURN.get()) {
        counter.increment();
        thread::scope(|s| {
            s.spawn(|| (0..100).for_each(|_| counter.add(0)));
        });
        counter.decrement();
    }
    counter
}

#[test]
fn a_counter_s_additions_of_one_are_linearizable() {
    watchdog(|| {
        let call = |it: &_, clock: &_, choices: &mut Choices| {
            count(it, clock, [Add(1), Get(0)][choices.below(2) as usize])
        };
        recorded(counter, call, |histories| {
            let history = histories.concat();
            assert!(is_linearizable(Total::default(), &history), "{history:#?}");
        });
    });
}

#[test]
fn a_counter_s_reads_count_the_first_so_many_of_each_thread() {
    watchdog(|| {
        let call = |it: &_, clock: &_, choices: &mut Choices| match choices.below(3) {
            0 => count(it, clock, Get(0)),
            // Each sum is another one.
            sign => {
                let n = 1 << choices.below(40);
                count(it, clock, Add(if sign == 1 { n } else { -n }))
            }
        };
        recorded(counter, call, |histories| {
            assert!(counts_what_it_may(&histories), "{histories:#?}");
        });
    });
}

#[test]
fn a_counter_s_takes_against_additions_are_linearizable() {
    watchdog(|| {
        let call = |it: &_, clock: &_, choices: &mut Choices| {
            count(it, clock, [Add(1), Add(1), Take(0)][choices.below(3) as usize])
        };
        recorded(counter, call, |histories| {
            let history = histories.concat();
            assert!(is_linearizable(Total::default(), &history), "{history:#?}");
        });
    });
}

#[test]
fn a_counter_s_takes_beside_reads_are_a_read_and_a_subtraction() {
    watchdog(|| {
        let call = |it: &_, clock: &_, choices: &mut Choices| {
            count(it, clock, [Add(1), Add(1), Take(0), Get(0)][choices.below(4) as usize])
        };
        recorded(counter, call, |histories| {
            let history = in_two_steps(&histories.concat());
            assert!(is_linearizable(Total::default(), &history), "{history:#?}");
        });
    });
}

/// A call on one key, and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OnKey {
    Get(Option<u32>),
    Insert(u32, Option<u32>),
    Remove(Option<u32>),
    /// Adds one; the value before.
    Update(Option<u32>),
    Upsert(u32),
    InsertIfAbsent(u32, bool),
    /// Removes an even value.
    RemoveEven(Option<u32>),
    EntryTake(Option<u32>),
    WithMany(Option<u32>),
}

/// What a store is for one thread, as far as one key goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Slot(Option<u32>);

impl Sequential for Slot {
    type Op = OnKey;

    fn allows(&mut self, op: &OnKey) -> bool {
        let now = self.0;
        let even = now.filter(|value| value % 2 == 0);
        let (next, expected) = match *op {
            OnKey::Get(result) => (now, result == now),
            OnKey::Insert(value, result) => (Some(value), result == now),
            OnKey::Remove(result) | OnKey::EntryTake(result) => (None, result == now),
            OnKey::Update(result) | OnKey::WithMany(result) => {
                (now.map(|it| it + 1), result == now)
            }
            OnKey::Upsert(value) => (Some(now.map_or(value, |it| it + 1)), true),
            OnKey::InsertIfAbsent(value, done) => (now.or(Some(value)), done == now.is_none()),
            OnKey::RemoveEven(result) => (now.filter(|_| even.is_none()), result == even),
        };
        self.0 = next;
        expected
    }
}

#[test]
fn a_store_s_calls_on_a_key_are_linearizable() {
    let add_one = |it: &mut u32| std::mem::replace(it, *it + 1);
    watchdog(move || {
        let turn = std::cell::Cell::new(0);
        let new = || {
            turn.set(turn.get() + 1);
            let store = Store::<u32, u32>::with_shards(2);
            if turn.get() % 2 == 0 {
                // Reads bypass the lock from here on.
                (0..4000).for_each(|key| assert_eq!(store.get(&(key % 64)), None));
            }
            store
        };
        let call = |it: &Store<u32, u32>, clock: &Clock, choices: &mut Choices| {
            let value = choices.below(100) as u32;
            match choices.below(12) {
                0..4 => clock.record(|| it.get(&7), OnKey::Get),
                4 => clock.record(|| it.insert(7, value), |old| OnKey::Insert(value, old)),
                5 => clock.record(|| it.remove(&7), OnKey::Remove),
                6 => clock.record(|| it.update(&7, add_one), OnKey::Update),
                7 => clock
                    .record(|| it.upsert(7, || value, |it| *it += 1), |()| OnKey::Upsert(value)),
                8 => clock.record(
                    || it.insert_if_absent(7, value),
                    |done| OnKey::InsertIfAbsent(value, done.is_ok()),
                ),
                9 => clock.record(|| it.remove_if(&7, |it| it % 2 == 0), OnKey::RemoveEven),
                10 => clock.record(
                    || {
                        it.entry(7, |entry| match entry {
                            Entry::Occupied(entry) => Some(entry.remove()),
                            Entry::Vacant(_) => None,
                        })
                    },
                    OnKey::EntryTake,
                ),
                _ => clock
                    .record(|| it.with_many([&1, &7], |[_, it]| it.map(add_one)), OnKey::WithMany),
            }
        };
        recorded(new, call, |histories| {
            let history = histories.concat();
            assert!(is_linearizable(Slot::default(), &history), "{history:#?}");
        });
    });
}

/// The check can fail: it rejects what no order explains.
#[test]
fn histories_are_told_apart() {
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Register(u32);
    enum Op {
        Write(u32),
        Read(u32),
    }
    use Op::*;
    impl Sequential for Register {
        type Op = Op;
        fn allows(&mut self, op: &Op) -> bool {
            match *op {
                Write(value) => {
                    self.0 = value;
                    true
                }
                Read(value) => self.0 == value,
            }
        }
    }
    let call = |op, called, returned| Call { op, called, returned };
    let holds = |history: &[Call<Op>]| is_linearizable(Register(0), history);
    assert!(holds(&[call(Write(1), 0, 5), call(Read(0), 1, 2), call(Read(1), 3, 4)]));
    assert!(!holds(&[call(Write(1), 0, 5), call(Read(1), 1, 2), call(Read(0), 3, 4)]));
    assert!(!holds(&[call(Write(1), 0, 1), call(Read(0), 2, 3)]));
    assert!(holds(&[call(Write(1), 0, 3), call(Write(2), 1, 2), call(Read(1), 4, 5)]));
    assert!(!holds(&[call(Write(1), 0, 1), call(Write(2), 2, 3), call(Read(1), 4, 5)]));
}

#[test]
fn a_channel_s_tries_lengths_and_closes_are_linearizable() {
    watchdog(|| {
        for capacity in [Some(1), Some(3), None] {
            let new = || capacity.map_or_else(channel::unbounded, channel::bounded);
            let call = |ends: &_, clock: &_, choices: &mut Choices| {
                let what = match choices.below(20) {
                    0 => What::Close,
                    1..4 => What::Len,
                    4..12 => What::Recv,
                    _ => What::Send(choices.below(1 << 30) as u32),
                };
                pipes::call(ends, clock, what)
            };
            recorded(new, call, |histories| {
                let history = histories.concat();
                assert!(is_linearizable(Pipe::new(capacity), &history), "{history:#?}");
            });
        }
    });
}

//! The mutex beside parking_lot's: random sequences of calls that don't block, made by one thread or by several in
//! turn, must have the same results with both.

#[path = "../../common/mod.rs"]
mod common;

use common::watchdog;
use phalanx::lock_api::{MappedMutexGuard, Mutex, MutexGuard, RawMutexFair, RawMutexTimed};
use proptest::collection::vec;
use proptest::prop_assert_eq;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::mem::forget;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A raw lock with all operations of a mutex.
trait Raw: RawMutexFair + RawMutexTimed<Duration = Duration, Instant = Instant> + Sync {}

impl<R> Raw for R where
    R: RawMutexFair + RawMutexTimed<Duration = Duration, Instant = Instant> + Sync
{
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Try,
    /// Locks, if a try says that it won't block.
    Wait,
    /// With a timeout of zero.
    For,
    Until,
    // The following use the guard, if there is one.
    Set,
    Map,
    Bump,
    Unlocked,
    UnlockedFair,
    Release,
    ReleaseFair,
    /// Rare, as it locks the mutex for good.
    Forget,
}

const OPS: [Op; 15] = [
    Op::Try,
    Op::Try,
    Op::Wait,
    Op::Wait,
    Op::For,
    Op::Until,
    Op::Set,
    Op::Map,
    Op::Bump,
    Op::Unlocked,
    Op::UnlockedFair,
    Op::Release,
    Op::Release,
    Op::ReleaseFair,
    Op::Forget,
];

type Pair = (u64, u64);

enum Held<'a, R: Raw> {
    Whole(MutexGuard<'a, R, Pair>),
    Mapped(MappedMutexGuard<'a, R, u64>),
}

/// The visible results of one step.
#[derive(Debug, PartialEq)]
struct Seen {
    /// The result; `None` if the call failed or there was no guard.
    did: Option<u64>,
    locked: bool,
    text: String,
}

/// Whether a try returned a guard, which is dropped before this returns.
fn got<G>(tried: Option<G>) -> bool {
    tried.is_some()
}

/// A user of the lock, and the guard it may hold.
struct Player<'a, R: Raw> {
    lock: &'a Mutex<R, Pair>,
    held: Option<Held<'a, R>>,
}

impl<R: Raw> Player<'_, R> {
    fn play(&mut self, op: Op, pick: u64) -> Seen {
        let did = match op {
            Op::Try | Op::Wait | Op::For | Op::Until => self.lock(op),
            _ => self.change(op, pick),
        };
        Seen { did, locked: self.lock.is_locked(), text: format!("{:?}", self.lock) }
    }

    fn lock(&mut self, op: Op) -> Option<u64> {
        let mut guard = match op {
            Op::Wait => got(self.lock.try_lock()).then(|| self.lock.lock()),
            Op::For => self.lock.try_lock_for(Duration::ZERO),
            Op::Until => self.lock.try_lock_until(Instant::now()),
            _ => self.lock.try_lock(),
        }?;
        guard.1 += 1;
        let value = guard.1;
        self.held = Some(Held::Whole(guard));
        Some(value)
    }

    fn change(&mut self, op: Op, pick: u64) -> Option<u64> {
        let visit = || u64::from(got(self.lock.try_lock()));
        let (kept, did) = match (op, self.held.take()?) {
            (Op::Set, Held::Whole(mut guard)) => {
                guard.0 = 31 * (guard.0 % 1_000) + pick;
                let value = guard.0;
                (Held::Whole(guard), value)
            }
            (Op::Set, Held::Mapped(mut guard)) => {
                *guard += pick;
                let value = *guard;
                (Held::Mapped(guard), value)
            }
            (Op::Map, Held::Whole(guard)) => {
                (Held::Mapped(MutexGuard::map(guard, |pair| &mut pair.1)), 1)
            }
            (Op::Map, Held::Mapped(guard)) => {
                match MappedMutexGuard::try_map(guard, |value| (*value > 3).then_some(value)) {
                    Ok(guard) => (Held::Mapped(guard), 1),
                    Err(guard) => (Held::Mapped(guard), 0),
                }
            }
            (Op::Bump, Held::Whole(mut guard)) => {
                MutexGuard::bump(&mut guard);
                (Held::Whole(guard), 1)
            }
            (Op::Unlocked, Held::Whole(mut guard)) => {
                let did = MutexGuard::unlocked(&mut guard, visit);
                (Held::Whole(guard), did)
            }
            (Op::UnlockedFair, Held::Whole(mut guard)) => {
                let did = MutexGuard::unlocked_fair(&mut guard, visit);
                (Held::Whole(guard), did)
            }
            (Op::Release, guard) => {
                drop(guard);
                return Some(visit());
            }
            (Op::ReleaseFair, Held::Whole(guard)) => {
                MutexGuard::unlock_fair(guard);
                return Some(visit());
            }
            (Op::ReleaseFair, Held::Mapped(guard)) => {
                MappedMutexGuard::unlock_fair(guard);
                return Some(visit());
            }
            (Op::Forget, guard) if pick == 0 => {
                forget(guard);
                return Some(visit());
            }
            (_, guard) => (guard, 0),
        };
        self.held = Some(kept);
        Some(did)
    }
}

/// The player, the operation, and a number for it.
type Step = (usize, Op, u64);

/// Operations for a player in another thread, and its results.
type Hand = (Sender<(Op, u64)>, Receiver<Seen>);

/// Takes the steps with `players` threads in turn; returns all visible results.
fn outcome<R: Raw>(players: usize, steps: &[Step]) -> (Vec<Seen>, bool, Pair) {
    let lock = Mutex::<R, Pair>::new((1, 2));
    let mut seen = Vec::new();
    if players == 1 {
        let mut player = Player { lock: &lock, held: None };
        seen.extend(steps.iter().map(|&(_, op, pick)| player.play(op, pick)));
    } else {
        thread::scope(|scope| {
            let hands: Vec<Hand> = (0..players)
                .map(|_| {
                    let ((order, orders), (tell, told)) = (channel(), channel());
                    let lock = &lock;
                    scope.spawn(move || {
                        let mut player = Player { lock, held: None };
                        for (op, pick) in orders {
                            tell.send(player.play(op, pick)).unwrap();
                        }
                    });
                    (order, told)
                })
                .collect();
            for &(player, op, pick) in steps {
                let (order, told) = &hands[player % players];
                order.send((op, pick)).unwrap();
                seen.push(told.recv().unwrap());
            }
        });
    }
    (seen, lock.is_locked(), lock.into_inner())
}

/// Compares many random sequences.
fn compare(cases: u32, players: usize) {
    let steps = vec((0..players, select(&OPS), 0..16_u64), 1..60);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps, |steps| {
        let ours = outcome::<phalanx::RawMutex>(players, &steps);
        let theirs = outcome::<parking_lot::RawMutex>(players, &steps);
        for (at, (ours, theirs)) in ours.0.iter().zip(&theirs.0).enumerate() {
            prop_assert_eq!(ours, theirs, "at step {}: {:?}", at, &steps[at]);
        }
        prop_assert_eq!(ours, theirs);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn one_thread_sees_the_same_with_both() {
    watchdog(|| compare(1_000, 1));
}

#[test]
fn threads_in_turn_see_the_same_with_both() {
    watchdog(|| {
        compare(100, 2);
        compare(50, 3);
    });
}

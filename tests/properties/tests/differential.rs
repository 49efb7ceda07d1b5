//! The reader-writer mutex beside parking_lot's: random sequences of what never blocks, on one
//! thread or handed to several in turn, must show the same with both.
//!
//! The mutex has the same in `differential_mutex.rs`.

#[path = "../../common/mod.rs"]
mod common;

use common::locks::read_together;
use common::watchdog;
use phalanx::lock_api::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, RawRwLockTimed, RawRwLockUpgradeDowngrade,
    RawRwLockUpgradeFair, RawRwLockUpgradeTimed, RwLock, RwLockReadGuard,
    RwLockUpgradableReadGuard, RwLockWriteGuard,
};
use proptest::collection::vec;
use proptest::prop_assert_eq;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::mem::forget;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// All that a raw lock of this kind can do.
trait Raw:
    RawRwLockUpgradeDowngrade
    + RawRwLockUpgradeFair
    + RawRwLockTimed<Duration = Duration, Instant = Instant>
    + RawRwLockUpgradeTimed
    + Sync
{
}

impl<R> Raw for R where
    R: RawRwLockUpgradeDowngrade
        + RawRwLockUpgradeFair
        + RawRwLockTimed<Duration = Duration, Instant = Instant>
        + RawRwLockUpgradeTimed
        + Sync
{
}

#[derive(Clone, Copy, Debug)]
enum How {
    Try,
    /// Waits, if a try tells that there is no need to.
    Wait,
    /// With a limit that is over at once.
    For,
    Until,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Read(How),
    Write(How),
    UpgradableRead(How),
    // What follows is done with one of the guards that are held, if it can be done with it.
    Look,
    Set,
    Upgrade(How),
    WithUpgraded(How),
    Downgrade,
    DowngradeToUpgradable,
    Map,
    Bump,
    Unlocked,
    Release,
    ReleaseFair,
    /// Rarely done: it marks the lock for good.
    Forget,
    /// Other threads read in company, if they can.
    Company,
}

const OPS: [Op; 34] = [
    Op::Read(How::Try),
    Op::Read(How::Try),
    Op::Read(How::Wait),
    Op::Read(How::Wait),
    Op::Read(How::For),
    Op::Read(How::Until),
    Op::Write(How::Try),
    Op::Write(How::Wait),
    Op::Write(How::For),
    Op::Write(How::Until),
    Op::UpgradableRead(How::Try),
    Op::UpgradableRead(How::Wait),
    Op::UpgradableRead(How::For),
    Op::UpgradableRead(How::Until),
    Op::Look,
    Op::Set,
    Op::Set,
    Op::Upgrade(How::Try),
    Op::Upgrade(How::Wait),
    Op::Upgrade(How::For),
    Op::Upgrade(How::Until),
    Op::WithUpgraded(How::Try),
    Op::WithUpgraded(How::Wait),
    Op::WithUpgraded(How::For),
    Op::WithUpgraded(How::Until),
    Op::Downgrade,
    Op::DowngradeToUpgradable,
    Op::Map,
    Op::Bump,
    Op::Unlocked,
    Op::Release,
    Op::Release,
    Op::ReleaseFair,
    Op::Forget,
];

type Pair = (u64, u64);

enum Held<'a, R: Raw> {
    Read(RwLockReadGuard<'a, R, Pair>),
    Write(RwLockWriteGuard<'a, R, Pair>),
    Upgradable(RwLockUpgradableReadGuard<'a, R, Pair>),
    MappedRead(MappedRwLockReadGuard<'a, R, u64>),
    MappedWrite(MappedRwLockWriteGuard<'a, R, u64>),
}

/// What can be seen of one step.
#[derive(Debug, PartialEq)]
struct Seen {
    /// What came of it; nothing if it was refused, or there was nothing to do it with.
    did: Option<u64>,
    held: usize,
    locked: bool,
    exclusive: bool,
    text: String,
}

/// Whether a try got a guard, which is released before this returns.
fn got<G>(tried: Option<G>) -> bool {
    tried.is_some()
}

/// A user of the lock, and the guards that it holds.
struct Player<'a, R: Raw> {
    lock: &'a RwLock<R, Pair>,
    held: Vec<Held<'a, R>>,
}

impl<R: Raw> Player<'_, R> {
    fn play(&mut self, op: Op, pick: usize) -> Seen {
        let did = match op {
            Op::Read(how) => self.read(how),
            Op::Write(how) => self.write(how),
            Op::UpgradableRead(how) => self.upgradable_read(how),
            Op::Company => got(self.lock.try_read()).then(|| {
                read_together(self.lock, 3, 100);
                0
            }),
            _ if self.held.is_empty() => None,
            _ => {
                let guard = self.held.swap_remove(pick % self.held.len());
                let (kept, did) = change(self.lock, op, pick, guard);
                self.held.extend(kept);
                did
            }
        };
        Seen {
            did,
            held: self.held.len(),
            locked: self.lock.is_locked(),
            exclusive: self.lock.is_locked_exclusive(),
            text: format!("{:?}", self.lock),
        }
    }

    fn read(&mut self, how: How) -> Option<u64> {
        let guard = match how {
            How::Try => self.lock.try_read(),
            How::Wait => got(self.lock.try_read()).then(|| self.lock.read()),
            How::For => self.lock.try_read_for(Duration::ZERO),
            How::Until => self.lock.try_read_until(Instant::now()),
        }?;
        let value = guard.0 + guard.1;
        self.held.push(Held::Read(guard));
        Some(value)
    }

    fn write(&mut self, how: How) -> Option<u64> {
        let mut guard = match how {
            How::Try => self.lock.try_write(),
            How::Wait => got(self.lock.try_write()).then(|| self.lock.write()),
            How::For => self.lock.try_write_for(Duration::ZERO),
            How::Until => self.lock.try_write_until(Instant::now()),
        }?;
        guard.1 += 1;
        let value = guard.1;
        self.held.push(Held::Write(guard));
        Some(value)
    }

    fn upgradable_read(&mut self, how: How) -> Option<u64> {
        let lock = self.lock;
        let guard = match how {
            How::Try => lock.try_upgradable_read(),
            How::Wait => got(lock.try_upgradable_read()).then(|| lock.upgradable_read()),
            How::For => lock.try_upgradable_read_for(Duration::ZERO),
            How::Until => lock.try_upgradable_read_until(Instant::now()),
        }?;
        let value = guard.0 + guard.1;
        self.held.push(Held::Upgradable(guard));
        Some(value)
    }
}

/// Does `op` with `guard`: what is held then, and what came of it.
fn change<'a, R: Raw>(
    lock: &RwLock<R, Pair>,
    op: Op,
    pick: usize,
    guard: Held<'a, R>,
) -> (Option<Held<'a, R>>, Option<u64>) {
    use Held::{MappedRead, MappedWrite, Read, Upgradable, Write};
    // What the lock lets in while a guard is set aside.
    let visit = || {
        let read = u64::from(lock.try_read().is_some());
        let upgradable = u64::from(lock.try_upgradable_read().is_some());
        4 * u64::from(lock.try_write().is_some()) + 2 * upgradable + read
    };
    let (kept, did) = match (op, guard) {
        (Op::Look, Read(guard)) => (Read(guard), Some(visit())),
        (Op::Look, Upgradable(guard)) => (Upgradable(guard), Some(visit())),
        (Op::Look, guard) => (guard, Some(visit())),
        (Op::Set, Write(mut guard)) => {
            guard.0 = 31 * (guard.0 % 1_000) + pick as u64;
            let value = guard.0;
            (Write(guard), Some(value))
        }
        (Op::Set, MappedWrite(mut guard)) => {
            *guard += pick as u64;
            let value = *guard;
            (MappedWrite(guard), Some(value))
        }
        (Op::Set, Read(guard)) => {
            let value = guard.0;
            (Read(guard), Some(value))
        }
        (Op::Upgrade(how), Upgradable(guard)) => match upgrade(guard, how) {
            Ok(guard) => (Write(guard), Some(1)),
            Err(guard) => (Upgradable(guard), None),
        },
        (Op::WithUpgraded(how), Upgradable(mut guard)) => {
            let did = with_upgraded(&mut guard, how);
            (Upgradable(guard), did)
        }
        (Op::Downgrade, Write(guard)) => (Read(RwLockWriteGuard::downgrade(guard)), Some(1)),
        (Op::Downgrade, Upgradable(guard)) => {
            (Read(RwLockUpgradableReadGuard::downgrade(guard)), Some(2))
        }
        (Op::DowngradeToUpgradable, Write(guard)) => {
            (Upgradable(RwLockWriteGuard::downgrade_to_upgradable(guard)), Some(1))
        }
        (Op::Map, Read(guard)) => (MappedRead(RwLockReadGuard::map(guard, |p| &p.0)), Some(1)),
        (Op::Map, Write(guard)) => {
            (MappedWrite(RwLockWriteGuard::map(guard, |pair| &mut pair.1)), Some(1))
        }
        (Op::Map, MappedRead(guard)) => {
            let value = *guard;
            (MappedRead(MappedRwLockReadGuard::map(guard, |value| value)), Some(value))
        }
        (Op::Map, MappedWrite(guard)) => {
            match MappedRwLockWriteGuard::try_map(guard, |value| (*value > 3).then_some(value)) {
                Ok(guard) => (MappedWrite(guard), Some(1)),
                Err(guard) => (MappedWrite(guard), None),
            }
        }
        (Op::Bump, mut guard) => {
            match &mut guard {
                Read(guard) => RwLockReadGuard::bump(guard),
                Write(guard) => RwLockWriteGuard::bump(guard),
                Upgradable(guard) => RwLockUpgradableReadGuard::bump(guard),
                MappedRead(_) | MappedWrite(_) => {}
            }
            (guard, Some(0))
        }
        (Op::Unlocked, mut guard) => {
            let did = match &mut guard {
                Read(guard) if pick.is_multiple_of(2) => RwLockReadGuard::unlocked(guard, visit),
                Write(guard) if pick.is_multiple_of(2) => RwLockWriteGuard::unlocked(guard, visit),
                Read(guard) => RwLockReadGuard::unlocked_fair(guard, visit),
                Write(guard) => RwLockWriteGuard::unlocked_fair(guard, visit),
                Upgradable(guard) => RwLockUpgradableReadGuard::unlocked(guard, visit),
                MappedRead(_) | MappedWrite(_) => visit(),
            };
            (guard, Some(did))
        }
        (Op::ReleaseFair, guard) => {
            match guard {
                Read(guard) => RwLockReadGuard::unlock_fair(guard),
                Write(guard) => RwLockWriteGuard::unlock_fair(guard),
                Upgradable(guard) => RwLockUpgradableReadGuard::unlock_fair(guard),
                MappedRead(guard) => MappedRwLockReadGuard::unlock_fair(guard),
                MappedWrite(guard) => MappedRwLockWriteGuard::unlock_fair(guard),
            }
            return (None, Some(visit()));
        }
        (Op::Release, guard) => {
            drop(guard);
            return (None, Some(visit()));
        }
        (Op::Forget, guard) if pick == 0 => {
            forget(guard);
            return (None, Some(visit()));
        }
        (_, guard) => (guard, None),
    };
    (Some(kept), did)
}

fn upgrade<'a, R: Raw>(
    mut guard: RwLockUpgradableReadGuard<'a, R, Pair>,
    how: How,
) -> Result<RwLockWriteGuard<'a, R, Pair>, RwLockUpgradableReadGuard<'a, R, Pair>> {
    match how {
        How::Try => RwLockUpgradableReadGuard::try_upgrade(guard),
        How::Wait if guard.try_with_upgraded(|_| ()).is_some() => {
            Ok(RwLockUpgradableReadGuard::upgrade(guard))
        }
        How::Wait => Err(guard),
        How::For => RwLockUpgradableReadGuard::try_upgrade_for(guard, Duration::ZERO),
        How::Until => RwLockUpgradableReadGuard::try_upgrade_until(guard, Instant::now()),
    }
}

fn with_upgraded<R: Raw>(
    guard: &mut RwLockUpgradableReadGuard<'_, R, Pair>,
    how: How,
) -> Option<u64> {
    let add = |pair: &mut Pair| {
        pair.1 += 1;
        pair.1
    };
    match how {
        How::Try => guard.try_with_upgraded(add),
        How::Wait => guard.try_with_upgraded(|_| ()).map(|()| guard.with_upgraded(add)),
        How::For => guard.try_with_upgraded_for(Duration::ZERO, add),
        How::Until => guard.try_with_upgraded_until(Instant::now(), add),
    }
}

/// Whose turn it is, what to do, and with which guard.
type Step = (usize, Op, usize);

/// Orders to a player in another thread, and what it has seen.
type Hand = (Sender<(Op, usize)>, Receiver<Seen>);

/// All that can be seen when `players` threads take the steps in turn.
fn outcome<R: Raw>(players: usize, company: bool, steps: &[Step]) -> (Vec<Seen>, bool, Pair) {
    let lock = RwLock::<R, Pair>::new((1, 2));
    if company {
        read_together(&lock, 3, 10_000);
    }
    let mut seen = Vec::new();
    if players == 1 {
        let mut player = Player { lock: &lock, held: Vec::new() };
        seen.extend(steps.iter().map(|&(_, op, pick)| player.play(op, pick)));
    } else {
        thread::scope(|scope| {
            let hands: Vec<Hand> = (0..players)
                .map(|_| {
                    let ((order, orders), (tell, told)) = (channel(), channel());
                    let lock = &lock;
                    scope.spawn(move || {
                        let mut player = Player { lock, held: Vec::new() };
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

/// Compares many sequences; of those with company, other threads read first, and in between.
fn compare(cases: u32, players: usize, company: bool) {
    let mut ops = OPS.to_vec();
    if company {
        ops.push(Op::Company);
    }
    let steps = vec((0..players, select(ops), 0..8_usize), 1..80);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&steps, |steps| {
        let ours = outcome::<phalanx::RawRwMutex>(players, company, &steps);
        let theirs = outcome::<parking_lot::RawRwLock>(players, company, &steps);
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
    watchdog(|| compare(1_500, 1, false));
}

#[test]
fn one_thread_sees_the_same_with_both_after_and_amid_readers_in_company() {
    watchdog(|| compare(60, 1, true));
}

#[test]
fn threads_in_turn_see_the_same_with_both() {
    watchdog(|| {
        compare(100, 2, false);
        compare(50, 3, false);
    });
}

#[test]
fn threads_in_turn_see_the_same_with_both_after_and_amid_readers_in_company() {
    watchdog(|| {
        compare(30, 2, true);
        compare(30, 3, true);
    });
}

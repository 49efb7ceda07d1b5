//! Readers of the reader-writer mutex in numbers: many threads, many locks, many guards, and
//! threads and locks that come and go. A lock may note its readers per thread, and its mode isn't
//! to be seen from here: most tests provoke it by reading in company first.
//!
//! Bugs that other locks had, and what would find each here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | golang#76653 | forgotten guards overflow the count of readers | `read_guards_forgotten_by_the_thousand_keep_the_lock_locked`, and in `rw_mutex_upgrade.rs` `downgraded_guards_forgotten_by_the_million_are_refused_before_the_count_overflows` |
//! | parking_lot#114, parking_lot#203 | locking in a thread-local's destructor fails | `a_thread_locals_destructor_may_read_and_write` |
//! | rust#123458 | a new thread is mistaken for an ended one at the same address | `threads_that_come_later_release_nothing_of_those_that_ended` |
//! | | a new lock is mistaken for a dropped one at the same address | `a_new_lock_knows_nothing_of_one_that_was_there_before` |

mod common;

use common::locks::{Dice, Words, read_together};
use common::stress::for_about_a_second;
use common::watchdog;
use phalanx::{RwMutex, RwMutexUpgradableReadGuard, RwMutexWriteGuard};
use std::cell::Cell;
use std::mem::{forget, replace};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// Writes in one of the ways that wait.
fn write(lock: &RwMutex<Words>, dice: &mut Dice) {
    match dice.roll(4) {
        0 => lock.try_write_for(Duration::MAX).unwrap().add(),
        1 => lock.upgradable_read().with_upgraded(Words::add),
        2 => RwMutexUpgradableReadGuard::upgrade(lock.upgradable_read()).add(),
        _ => lock.write().add(),
    };
}

#[test]
fn the_first_writer_after_readers_in_company_excludes_them() {
    watchdog(|| {
        let mut dice = Dice::new(0);
        for_about_a_second(|_| {
            let lock = RwMutex::new(Words::new());
            let (over, reading) = (AtomicBool::new(false), Barrier::new(4));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        reading.wait();
                        while !over.load(SeqCst) {
                            let guard = lock.read();
                            assert_eq!(guard.get(), guard.get());
                        }
                    });
                }
                reading.wait();
                for _ in 0..dice.roll(2_000) {
                    lock.read().get();
                }
                for _ in 0..3 {
                    write(&lock, &mut dice);
                }
                over.store(true, SeqCst);
            });
            assert_eq!(lock.try_write().expect("nobody is left").get(), 3);
        });
    });
}

#[test]
fn readers_in_company_and_writers_take_turns() {
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        let mut dice = Dice::new(0);
        for round in 1..=200 {
            read_together(&lock, 3, 300);
            // Nobody reads: any way to write succeeds at once.
            match round % 3 {
                0 => lock.try_write().unwrap().add(),
                1 => lock.try_upgradable_read().unwrap().try_with_upgraded(Words::add).unwrap(),
                _ => lock.try_write_for(Duration::ZERO).unwrap().add(),
            };
            write(&lock, &mut dice);
            assert_eq!(lock.read().get(), 2 * round);
        }
    });
}

#[test]
fn readers_of_one_lock_hold_up_no_writer_of_another() {
    watchdog(|| {
        let locks = [(); 2].map(|()| RwMutex::new(Words::new()));
        for_about_a_second(|_| {
            for lock in &locks {
                read_together(lock, 3, 100);
            }
            let [held, other] = &locks;
            let guard = held.read();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _guard = held.read();
                    other.write().add();
                    assert!(other.try_write().is_some());
                });
            });
            assert!(held.try_write().is_none());
            assert!(other.try_write().is_some());
            drop(guard);
            assert!(held.try_write().is_some());
        });
    });
}

#[test]
fn a_thread_may_read_many_locks_at_once() {
    watchdog(|| {
        let locks = [(); 20].map(|()| RwMutex::new(0));
        for round in 0..4 {
            for lock in &locks {
                read_together(lock, 3, 300);
            }
            let mut guards: Vec<_> = locks.iter().map(|lock| (lock, lock.read())).collect();
            assert!(locks.iter().all(|lock| lock.is_locked() && lock.try_write().is_none()));
            // Released from either end or as it comes, each sets its own lock free and no other.
            let mut dice = Dice::new(round);
            while !guards.is_empty() {
                let last = guards.len() - 1;
                let (lock, guard) = match round {
                    0 => guards.remove(0),
                    1 => guards.remove(last),
                    _ => guards.swap_remove(dice.roll(guards.len() as u64) as usize),
                };
                assert!(lock.try_write().is_none());
                drop(guard);
                assert!(lock.try_write().is_some());
                assert!(guards.iter().all(|(lock, _)| lock.try_write().is_none()));
            }
        }
    });
}

#[test]
fn a_thread_may_read_one_lock_many_times_at_once() {
    watchdog(|| {
        let lock = RwMutex::new(0);
        for _ in 0..3 {
            read_together(&lock, 3, 1_000);
            let mut guards: Vec<_> = (0..20).map(|_| lock.read()).collect();
            while let Some(guard) = guards.pop() {
                assert!(lock.is_locked());
                assert!(lock.try_write().is_none());
                drop(guard);
            }
            assert!(!lock.is_locked());
            assert!(lock.try_write().is_some());
        }
    });
}

#[test]
fn hundreds_of_threads_may_read_at_once() {
    const THREADS: usize = 300;
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        for _ in 0..2 {
            read_together(&lock, 3, 1_000);
            let (holding, seen) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let guard = lock.read();
                        holding.wait();
                        guard.get();
                        seen.wait();
                    });
                }
                holding.wait();
                assert!(lock.try_write().is_none());
                let writer = scope.spawn(|| lock.write().add());
                seen.wait();
                writer.join().unwrap();
            });
            assert!(lock.try_write().is_some());
        }
    });
}

#[test]
fn readers_that_come_and_go_by_the_thousand_leave_nothing_behind() {
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        for round in 1..=125 {
            let company = Barrier::new(16);
            thread::scope(|scope| {
                for id in 0..16 {
                    let (lock, company) = (&lock, &company);
                    scope.spawn(move || {
                        let guard = lock.read();
                        company.wait();
                        drop(guard);
                        for _ in 0..20 {
                            lock.read().get();
                        }
                        // Most rounds have a writer, too.
                        if id == 0 && round % 4 > 0 {
                            lock.write().add();
                        }
                    });
                }
            });
            assert!(!lock.is_locked());
            assert!(lock.try_write().is_some());
        }
        assert_eq!(lock.into_inner().get(), 94);
    });
}

#[test]
fn threads_that_come_later_release_nothing_of_those_that_ended() {
    watchdog(|| {
        for forgotten in [1, 3, 12] {
            let lock = RwMutex::new(0);
            read_together(&lock, 3, 1_000);
            thread::scope(|scope| {
                scope.spawn(|| (0..forgotten).for_each(|_| forget(lock.read())));
            });
            // Each may have the address of a thread that ended.
            for _ in 0..100 {
                read_together(&lock, 2, 5);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let guards: Vec<_> = (0..12).map(|_| lock.read()).collect();
                        drop(guards);
                        assert!(lock.try_write().is_none());
                        drop(lock.try_upgradable_read().expect("readers only"));
                    });
                });
                assert!(lock.is_locked() && !lock.is_locked_exclusive());
                assert!(lock.try_write().is_none());
            }
        }
    });
}

#[test]
fn read_guards_forgotten_by_the_thousand_keep_the_lock_locked() {
    watchdog(|| {
        let mut lock = RwMutex::new(5);
        for company in [false, true] {
            if company {
                read_together(&lock, 3, 1_000);
            }
            for _ in 0..100_000 {
                forget(lock.read());
            }
            assert!(lock.is_locked() && !lock.is_locked_exclusive());
            assert!(lock.try_write().is_none());
            assert!(lock.try_write_for(Duration::from_micros(100)).is_none());
            assert_eq!(*lock.read(), 5);
            assert!(lock.try_upgradable_read().is_some());
        }
        assert_eq!(*lock.get_mut(), 5);
    });
}

/// Checks that nobody holds `lock`, and that it works.
fn check_new(lock: &RwMutex<u32>) {
    assert!(!lock.is_locked());
    *lock.try_write().expect("a new lock") += 1;
    read_together(lock, 2, 20);
    *lock.try_write().expect("nobody is left") += 1;
    drop(RwMutexWriteGuard::downgrade(lock.write()));
    assert!(lock.try_upgradable_read().unwrap().try_with_upgraded(|value| *value += 1).is_some());
    lock.upgradable_read().with_upgraded(|value| *value += 1);
}

/// Leaves `lock` behind biased, with readers that never unlock.
fn forget_readers(lock: &RwMutex<u32>) {
    read_together(lock, 3, 200);
    forget(lock.read());
    thread::scope(|scope| {
        scope.spawn(|| forget(lock.read()));
    });
    forget(lock.read());
}

#[test]
fn a_new_lock_knows_nothing_of_one_that_was_there_before() {
    watchdog(|| {
        // In place of another one.
        let mut place = RwMutex::new(0);
        for _ in 0..50 {
            forget_readers(&place);
            place = RwMutex::new(0);
            check_new(&place);
        }
        // In memory that may have held another one.
        for _ in 0..50 {
            let first = Box::new(RwMutex::new(0));
            forget_readers(&first);
            drop(first);
            let second = Box::new(RwMutex::new(0));
            check_new(&second);
        }
        // At the address of a lock that was moved elsewhere.
        let mut place = RwMutex::new(1);
        for _ in 0..50 {
            forget_readers(&place);
            let mut moved = replace(&mut place, RwMutex::new(1));
            check_new(&place);
            let value = *moved.get_mut();
            // Reading goes with whatever became of the guards that were forgotten.
            assert_eq!(*moved.try_read().expect("only read"), value);
            assert_eq!(moved.into_inner(), value);
            check_new(&place);
            place = RwMutex::new(1);
        }
    });
}

#[test]
fn a_lock_may_be_moved_between_uses() {
    watchdog(|| {
        let mut lock = RwMutex::new(0);
        for _ in 0..50 {
            read_together(&lock, 3, 200);
            let boxed = Box::new(lock);
            check_new(&boxed);
            read_together(&boxed, 3, 200);
            lock = *boxed;
            check_new(&lock);
        }
        assert_eq!(lock.into_inner(), 50 * 2 * 4);
    });
}

#[test]
fn locks_may_come_and_go_while_others_are_read() {
    watchdog(|| {
        thread::scope(|scope| {
            for seed in 0..3 {
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    for_about_a_second(|_| {
                        let lock = Box::new(RwMutex::new(0));
                        read_together(&lock, 2, dice.roll(200) as usize);
                        *lock.write() += 1;
                        forget(lock.read());
                        assert!(lock.try_write().is_none());
                    });
                });
            }
        });
    });
}

/// A lock to take, and whom to tell about it.
type Errand = (Arc<RwMutex<u32>>, Sender<()>);

/// Reads and writes when its thread ends, and tells that it is there.
struct LocksAtTheEnd(Cell<Option<Errand>>);

impl Drop for LocksAtTheEnd {
    fn drop(&mut self) {
        let (lock, arrived) = self.0.take().expect("set by the thread");
        arrived.send(()).unwrap();
        let (first, second) = (lock.read(), lock.try_read());
        drop((first, second));
        lock.upgradable_read().with_upgraded(|value| *value += 1);
        *lock.try_write_for(Duration::MAX).unwrap() += 1;
        drop(lock.read());
    }
}

thread_local! {
    // One is made before the thread's first lock and one after: the lock's own thread-locals, if
    // it has any, are gone when one of them is dropped.
    static EARLY: LocksAtTheEnd = const { LocksAtTheEnd(Cell::new(None)) };
    static LATE: LocksAtTheEnd = const { LocksAtTheEnd(Cell::new(None)) };
}

#[test]
fn a_thread_locals_destructor_may_read_and_write() {
    watchdog(|| {
        for round in 0..50 {
            let lock = Arc::new(RwMutex::new(0));
            let warm = Arc::new(RwMutex::new(0));
            if round % 2 == 1 {
                read_together(&lock, 3, 300);
                read_together(&warm, 3, 300);
            }
            let (arrived, arrivals) = channel();
            let write = (round % 4 < 2).then(|| lock.write());
            let read = write.is_none().then(|| lock.read());
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (lock, warm, arrived) = (lock.clone(), warm.clone(), arrived.clone());
                    thread::spawn(move || {
                        EARLY.with(|at_end| at_end.0.set(Some((lock.clone(), arrived.clone()))));
                        for _ in 0..20 {
                            let _guard = warm.read();
                            thread::yield_now();
                        }
                        LATE.with(|at_end| at_end.0.set(Some((lock, arrived))));
                    })
                })
                .collect();
            for _ in 0..4 {
                arrivals.recv().unwrap();
            }
            // Each thread is in its first destructor now, and may find the lock taken.
            drop((read, write));
            for thread in threads {
                // Joining waits for the destructors too.
                thread.join().unwrap();
            }
            assert!(!lock.is_locked());
            assert_eq!(*lock.try_write().unwrap(), 4 * 2 * 2);
        }
    });
}

/// Where a lock has been read for so long that its readers leave the fence to the next writer: every writer
/// of any kind still finds all of them out, and what it wrote is seen by all that come after.
#[test]
fn a_writer_after_many_thousand_reads_excludes_all_readers() {
    watchdog(|| {
        const READERS: usize = 3;
        const READS: usize = 40_000;
        let lock = RwMutex::new(Words::new());
        let mut dice = Dice::new(7);
        for_about_a_second(|round| {
            let round = round + 1;
            read_together(&lock, READERS, 100);
            let (start, written) = (Barrier::new(READERS + 1), AtomicBool::new(false));
            thread::scope(|scope| {
                for _ in 0..READERS {
                    scope.spawn(|| {
                        start.wait();
                        for _ in 0..READS {
                            lock.read().get();
                        }
                        // And on, until the writer has been there among them.
                        while !written.load(SeqCst) {
                            lock.read().get();
                        }
                        assert_eq!(lock.read().get(), round);
                    });
                }
                start.wait();
                for _ in 0..READS {
                    lock.read().get();
                }
                // A try may find readers inside, and must leave them alone.
                if let Some(words) = lock.try_write() {
                    words.get();
                }
                write(&lock, &mut dice);
                written.store(true, SeqCst);
            });
        });
        assert!(!lock.is_locked());
    });
}

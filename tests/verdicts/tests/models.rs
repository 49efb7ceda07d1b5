//! Models that fail on purpose, and others that hold, in one process. `.ci/verdicts` runs them under the gate, and
//! checks what each says.
//!
//! `// expects NAME: WORDS` are words that the output of test NAME must contain, `// not expected NAME: WORDS` words
//! that it must not contain. `// here: NAME` marks a line that it must name, `// not here: NAME` a line that it must
//! not name. A test that expects nothing must pass.

use phalanx::atomic::{AtomicBool, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::{
    Condvar, Model, Mutex, RwMutex, RwMutexUpgradableReadGuard, SafeCounter, Store, WaitGroup,
    WorkerPool, channel, model, select, thread,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, mpsc};

#[test]
fn a_group_is_waited_for() {
    model(|| {
        let group = WaitGroup::new();
        group.go(|| {});
        group.wait();
    });
}

#[test]
// expects two_mutexes: deadlock
// expects two_mutexes: thread 0 (the closure's own) waits in Mutex::lock at
// expects two_mutexes: thread 1 waits in Mutex::lock at
// expects two_mutexes: held by thread 0 (the closure's own) since
// expects two_mutexes: held by thread 1 since
// expects two_mutexes: Either they wait for one another
// not expected two_mutexes: holds already
fn two_mutexes() {
    model(|| {
        let both = Arc::new((Mutex::new(0), Mutex::new(0)));
        let theirs = both.clone();
        let other = thread::spawn(move || {
            let mut first = theirs.1.lock(); // here: two_mutexes
            *first += *theirs.0.lock(); // here: two_mutexes
        });
        let mut first = both.0.lock(); // here: two_mutexes
        *first += *both.1.lock(); // here: two_mutexes
        drop(first);
        other.join().unwrap();
    });
}

#[test]
// expects two_rw_mutexes: thread 0 (the closure's own) waits in RwMutex::read at
// expects two_rw_mutexes: thread 1 `reader` waits in RwMutex::read at
fn two_rw_mutexes() {
    model(|| {
        let both = Arc::new((RwMutex::new(0), RwMutex::new(0)));
        let theirs = both.clone();
        let reader = thread::Builder::new().name("reader".into());
        let other = reader.spawn(move || {
            let _first = theirs.1.write();
            let _second = theirs.0.read(); // here: two_rw_mutexes
        });
        let first = both.0.write();
        let second = both.1.read(); // here: two_rw_mutexes
        drop((first, second));
        other.unwrap().join().unwrap();
    });
}

#[test]
// expects recursive_read: thread 0 (the closure's own) waits in RwMutex::read at
// expects recursive_read: behind thread 1, a writer that waits for readers
// expects recursive_read: thread 1 waits in RwMutex::write at
// expects recursive_read: held by this thread since
// expects recursive_read: held by thread 0 (the closure's own) since
// expects recursive_read: a recursive read may deadlock
// not expected recursive_read: Either they wait
fn recursive_read() {
    model(|| {
        let lock = Arc::new(RwMutex::new(0));
        let theirs = lock.clone();
        let first = lock.read(); // here: recursive_read
        let writer = thread::spawn(move || *theirs.write() += 1); // here: recursive_read
        let second = lock.read(); // here: recursive_read
        drop((first, second));
        writer.join().unwrap();
    });
}

#[test]
// expects locked_twice: held by this thread since
// expects locked_twice: thread 0 (the closure's own) locks what it holds already
// not expected locked_twice: Either they wait
fn locked_twice() {
    model(|| {
        let lock = Mutex::new(0);
        let first = lock.lock(); // here: locked_twice
        let second = lock.lock(); // here: locked_twice
        drop((first, second));
    });
}

#[test]
// expects upgrade_beside_a_reader: thread 1 waits in RwMutex::upgrade at
// expects upgrade_beside_a_reader: held by thread 0 (the closure's own) since
// expects upgrade_beside_a_reader: behind thread 1, a writer that waits for readers
// expects upgrade_beside_a_reader: thread 0 (the closure's own) locks again what it reads
// not expected upgrade_beside_a_reader: thread 1 locks
fn upgrade_beside_a_reader() {
    model(|| {
        let lock = Arc::new(RwMutex::new(0));
        let theirs = lock.clone();
        let first = lock.read(); // here: upgrade_beside_a_reader
        let writer = thread::spawn(move || {
            let reads = theirs.upgradable_read();
            *RwMutexUpgradableReadGuard::upgrade(reads) += 1; // here: upgrade_beside_a_reader
        });
        let second = lock.read(); // here: upgrade_beside_a_reader
        drop((first, second));
        writer.join().unwrap();
    });
}

#[test]
// expects a_lock_that_was_unlocked_elsewhere: held by thread 0 (the closure's own) since
fn a_lock_that_was_unlocked_elsewhere() {
    model(|| {
        let lock = Arc::new(Mutex::new(0));
        let theirs = lock.clone();
        let first = lock.lock(); // not here: a_lock_that_was_unlocked_elsewhere
        thread::scope(|scope| drop(scope.spawn(move || drop(first))));
        let guard = lock.lock(); // here: a_lock_that_was_unlocked_elsewhere
        let other = thread::spawn(move || *theirs.lock() += 1); // here: a_lock_that_was_unlocked_elsewhere
        other.join().unwrap(); // here: a_lock_that_was_unlocked_elsewhere
        drop(guard);
    });
}

#[test]
// expects lost_wake_up: deadlock
// expects lost_wake_up: waits in Condvar::wait at
fn lost_wake_up() {
    model(|| {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = gate.clone();
        let opener = thread::spawn(move || {
            *theirs.0.lock() = true;
            theirs.1.notify_one();
        });
        let is_open = *gate.0.lock();
        if !is_open {
            let mut open = gate.0.lock();
            gate.1.wait(&mut open); // here: lost_wake_up
        }
        opener.join().unwrap();
    });
}

#[test]
// expects never_notified: waits in Condvar::wait_while at
fn never_notified() {
    model(|| {
        let (open, opened) = (Mutex::new(false), Condvar::new());
        opened.wait_while(&mut open.lock(), |open| !*open); // here: never_notified
    });
}

struct Shared(UnsafeCell<u32>);
// SAFETY: none; the model is to find that out.
unsafe impl Sync for Shared {}

#[test]
// expects race: data race: concurrent read and write accesses to `UnsafeCell` that nothing orders
// not expected race: Causality violation
fn race() {
    model(|| {
        let shared = Arc::new(Shared(UnsafeCell::new(0)));
        let theirs = shared.clone();
        let other = thread::spawn(move || {
            // SAFETY: see `Sync`.
            theirs.0.with_mut(|n| unsafe { *n += 1 }); // here: race
        });
        // SAFETY: see `Sync`.
        shared.0.with(|n| unsafe { *n }); // here: race
        other.join().unwrap();
    });
}

#[test]
// expects nobody_sends: deadlock
// expects nobody_sends: thread 0 (the closure's own) waits in Receiver::recv at
fn nobody_sends() {
    model(|| {
        let (_sender, receiver) = channel::unbounded::<u32>();
        receiver.recv().unwrap(); // here: nobody_sends
    });
}

#[test]
// expects each_sends_first: deadlock
// expects each_sends_first: thread 0 (the closure's own) waits in Sender::send at
// expects each_sends_first: thread 1 waits in Sender::send at
fn each_sends_first() {
    model(|| {
        let (to_other, from_me) = channel::bounded(0);
        let (to_me, from_other) = channel::bounded(0);
        let other = thread::spawn(move || {
            to_me.send(1).unwrap(); // here: each_sends_first
            from_me.recv()
        });
        to_other.send(2).unwrap(); // here: each_sends_first
        assert_eq!(from_other.recv(), Ok(1));
        other.join().unwrap().unwrap();
    });
}

#[test]
// expects a_full_channel: thread 0 (the closure's own) waits in Sender::send at
fn a_full_channel() {
    model(|| {
        let (sender, _receiver) = channel::bounded(1);
        sender.send(1).unwrap();
        sender.send(2).unwrap(); // here: a_full_channel
    });
}

#[test]
// expects loops_over_open_channels: thread 0 (the closure's own) waits in a `for` loop over a Receiver at
// expects loops_over_open_channels: thread 1 waits in Receiver::iter at
// expects loops_over_open_channels: thread 2 waits in Receiver::recv_many at
fn loops_over_open_channels() {
    model(|| {
        let (_sender, receiver) = channel::unbounded::<u32>();
        let (mine, others) = (receiver.clone(), receiver.clone());
        thread::spawn(move || mine.iter().map(|n| n + 1).sum::<u32>()); // here: loops_over_open_channels
        thread::spawn(move || others.recv_many(&mut Vec::new(), 3)); // here: loops_over_open_channels
        for _ in &receiver {} // here: loops_over_open_channels
    });
}

#[test]
// expects selects: thread 0 (the closure's own) waits in select! at
// expects selects: thread 1 waits in Select::ready at
fn selects() {
    model(|| {
        let (sender, receiver) = channel::bounded::<u32>(1);
        let theirs = receiver.clone();
        thread::spawn(move || {
            let mut select = channel::Select::new();
            select.recv(&theirs);
            select.ready() // here: selects
        });
        sender.send(1).unwrap();
        receiver.recv().unwrap_or_default();
        select! { // here: selects
            recv(receiver) -> n => assert_eq!(n, Ok(1)),
        }
    });
}

#[test]
// expects never_done: waits in WaitGroup::wait at
fn never_done() {
    model(|| {
        let group = WaitGroup::new();
        group.add(1);
        group.wait(); // here: never_done
    });
}

#[test]
// expects never_unparked: waits in JoinHandle::join at
// expects never_unparked: thread 1 waits in thread::park at
fn never_unparked() {
    model(|| {
        let sleeper = thread::spawn(|| thread::park()); // here: never_unparked
        sleeper.join().unwrap(); // here: never_unparked
    });
}

#[test]
// expects scope_of_a_sleeper: waits in thread::scope at
// expects scope_of_a_sleeper: waits in thread::park at
fn scope_of_a_sleeper() {
    model(|| {
        let sleeper = || thread::park(); // here: scope_of_a_sleeper
        thread::scope(|scope| drop(scope.spawn(sleeper))); // here: scope_of_a_sleeper
    });
}

#[test]
// expects task_that_waits: deadlock
// expects task_that_waits: waits in WaitGroup::wait at
fn task_that_waits() {
    model(|| {
        let (pool, never) = (WorkerPool::new(2), WaitGroup::new());
        never.add(1);
        pool.run([0, 1].map(|task| {
            let never = &never;
            move || {
                if task == 1 {
                    never.wait(); // here: task_that_waits
                }
            }
        }));
    });
}

#[test]
// expects pool_that_waits: waits in WorkerPool::run at
fn pool_that_waits() {
    model(|| {
        let (pool, never) = (WorkerPool::new(2), WaitGroup::new());
        never.add(1);
        let me = thread::current().id();
        let tasks = [0, 1].map(|_| {
            let never = &never;
            move || {
                if thread::current().id() != me {
                    never.wait();
                }
            }
        });
        pool.run(tasks); // here: pool_that_waits
    });
}

#[test]
// expects store_inside: waits in Store::get at
fn store_inside() {
    model(|| {
        let store = Arc::new(Store::new());
        store.insert("key", 1);
        let theirs = store.clone();
        store.update("key", |_| {
            let reader = thread::spawn(move || theirs.get("key")); // here: store_inside
            reader.join().unwrap(); // here: store_inside
        });
    });
}

#[test]
// expects std_channel: blocked outside of phalanx
fn std_channel() {
    model(|| {
        let (letters, box_) = mpsc::channel();
        let sender = thread::spawn(move || letters.send(7)); // here: std_channel
        assert_eq!(box_.recv(), Ok(7));
        let _ = sender.join();
    });
}

#[test]
// expects std_mutex: blocked outside of phalanx
// not expected std_mutex: lock_api
fn std_mutex() {
    model(|| {
        let (ours, theirs) = (Mutex::new(0), std::sync::Mutex::new(0));
        let first = theirs.lock().unwrap();
        // The unlock is the last call before the model blocks, and its own line is in lock_api.
        *ours.lock() += 1; // here: std_mutex
        drop((theirs.lock(), first));
    });
}

#[test]
// expects static_counter: another execution
fn static_counter() {
    static COUNTER: LazyLock<SafeCounter> = LazyLock::new(SafeCounter::new);
    model(|| COUNTER.add(1)); // here: static_counter
}

#[test]
// expects static_shared: by a `static`, a `LazyLock`
fn static_shared() {
    static COUNTER: LazyLock<SafeCounter> = LazyLock::new(SafeCounter::new);
    model(|| {
        let other = thread::spawn(|| COUNTER.add(1));
        COUNTER.add(1);
        let _ = other.join();
    });
}

#[test]
// expects static_store: another execution
fn static_store() {
    static STORE: LazyLock<Store<&str, SafeCounter>> = LazyLock::new(Store::new);
    model(|| STORE.entry("index", |entry| entry.or_default().increment()));
}

#[test]
// expects static_group: leak: a value
// expects static_group: or is it a value in a `static`?
fn static_group() {
    static GROUP: LazyLock<WaitGroup> = LazyLock::new(WaitGroup::new);
    model(|| GROUP.wait());
}

#[test]
// expects spin: points of choice
// expects spin: yield_now
fn spin() {
    model(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let theirs = flag.clone();
        let setter = thread::spawn(move || theirs.swap(true, Ordering::Release));
        while !flag.load(Ordering::Acquire) {} // here: spin
        let _ = setter.join();
    });
}

#[test]
// expects low_limit: more than 40 points of choice
// expects low_limit: Model::max_branches
fn low_limit() {
    Model::new().max_branches(40).check(|| {
        let flag = AtomicBool::new(false);
        for _ in 0..40 {
            flag.swap(true, Ordering::Relaxed); // here: low_limit
        }
    });
}

#[test]
// expects six_threads: at most 5, the closure's own included
fn six_threads() {
    model(|| {
        for _ in 0..5 {
            thread::spawn(|| {}); // here: six_threads
        }
    });
}

#[test]
// expects forgotten_guard: leak: a value
fn forgotten_guard() {
    model(|| {
        let group = WaitGroup::new();
        std::mem::forget(group.guard());
    });
}

/// Waits when it is dropped, as a pool and a scope do.
struct WaitsAtTheEnd(WaitGroup);

impl Drop for WaitsAtTheEnd {
    fn drop(&mut self) {
        self.0.wait(); // here: assertion_and_deadlock
    }
}

#[test]
// expects assertion_and_deadlock: assertion `left == right` failed: two and two
// expects assertion_and_deadlock: while that panic unwinds: deadlock
// expects assertion_and_deadlock: waits in WaitGroup::wait at
fn assertion_and_deadlock() {
    model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let _waits = WaitsAtTheEnd(group);
        assert_eq!(2 + 2, 5, "two and two"); // here: assertion_and_deadlock
    });
}

#[test]
// expects assertion: assertion `left == right` failed: a view was lost
fn assertion() {
    model(|| {
        let views = Arc::new(Mutex::new(0));
        let theirs = views.clone();
        let other = thread::spawn(move || {
            let before = *theirs.lock();
            *theirs.lock() = before + 1;
        });
        let before = *views.lock();
        *views.lock() = before + 1;
        other.join().unwrap();
        assert_eq!(*views.lock(), 2, "a view was lost"); // here: assertion
    });
}

#[test]
// expects caught_in_vain: waits in WaitGroup::wait at
fn caught_in_vain() {
    model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let waits = AssertUnwindSafe(|| group.wait()); // here: caught_in_vain
        assert!(catch_unwind(waits).is_err(), "a verdict is no panic of the closure's");
    });
}

#[test]
fn a_panic_of_the_closure_s_own_can_be_caught() {
    model(|| {
        let lock = Mutex::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _inside = lock.lock();
            panic!("caught");
        }));
        assert!(caught.is_err());
        *lock.lock() += 1;
        let other = thread::spawn(|| panic!("joined"));
        assert!(other.join().is_err());
    });
}

#[test]
// expects outside: used outside of a model
fn outside() {
    WaitGroup::new().add(1); // here: outside
}

#[test]
// expects lock_outside: used outside of a model
fn lock_outside() {
    *Mutex::new(0).lock() += 1; // here: lock_outside
}

#[test]
// expects inside_another: a model inside a model
fn inside_another() {
    model(|| model(|| {})); // here: inside_another
}

#[test]
fn a_lock_in_a_static_is_for_one_model_at_a_time() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    let holds = Arc::new(std::sync::Barrier::new(2));
    let (theirs, is_over) = (holds.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let until = is_over.clone();
    let first = std::thread::spawn(move || {
        let is_first = std::sync::Once::new();
        model(move || {
            *LOCK.lock() += 1;
            is_first.call_once(|| {
                theirs.wait();
                while !until.load(std::sync::atomic::Ordering::Acquire) {
                    std::thread::yield_now();
                }
            });
        });
    });
    holds.wait();
    let verdict = catch_unwind(|| model(|| *LOCK.lock() += 1)).unwrap_err();
    is_over.store(true, std::sync::atomic::Ordering::Release);
    first.join().unwrap();
    let verdict = verdict.downcast_ref::<String>().unwrap();
    assert!(verdict.contains("in use by another model that runs at the same time"), "{verdict}");
    // And afterwards it is free.
    model(|| *LOCK.lock() += 1);
}

#[test]
fn z_a_lock_is_passed_on() {
    model(|| {
        let lock = Arc::new(Mutex::new(0));
        let theirs = lock.clone();
        let other = thread::spawn(move || *theirs.lock() += 1);
        *lock.lock() += 1;
        other.join().unwrap();
        assert_eq!(*lock.lock(), 2);
    });
}

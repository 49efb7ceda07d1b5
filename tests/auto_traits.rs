//! Which of `Send`, `Sync`, `Unpin`, `UnwindSafe` and `RefUnwindSafe` each public type is.
//!
//! A table, so that a change shows in a diff. Where their bounds hold, the inherent constants of [`Is`] shadow those of
//! [`IsNot`], so a type that gains a trait fails here too.

use phalanx::channel::{
    self, Iter, Receiver, RecvError, RecvFuture, RecvTimeoutError, Select, SelectTimeoutError,
    SendError, SendFuture, SendManyError, SendTimeoutError, Sender, TryIter, TryRecvError,
    TrySelectError, TrySendError,
};
use phalanx::store::{
    DuplicateKey, Entry, IntoIter, NotRemoved, OccupiedEntry, TryReserveError, VacantEntry,
};
use phalanx::{
    AcquireError, AcquireFuture, AcquireTimeoutError, Barrier, BarrierFuture, BarrierParty,
    BarrierTimeoutError, BarrierWaitResult, BrokenBarrier, CallbackState, CancelFuture,
    CancelReason, CancelRegistration, CancelToken, Condvar, LazyLock, Mutex, MutexGuard, NamedTask,
    OnceLock, OnceWait, OwnedAcquireFuture, OwnedSemaphoreGuard, RawMutex, RawRwMutex, RwMutex,
    RwMutexReadGuard, RwMutexUpgradableReadGuard, RwMutexWriteGuard, SafeCounter, Semaphore,
    SemaphoreGuard, Store, TaskGroup, TryAcquireError, TryGoError, WaitFuture, WaitGroup,
    WaitGuard, WaitTimeout, WaitTimeoutResult, WorkerPool, WorkerPoolBuilder,
};
use std::cell::{Cell, RefCell};
use std::marker::{PhantomData, PhantomPinned};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

struct Is<T: ?Sized>(PhantomData<T>);

trait IsNot {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNPIN: bool = false;
    const UNWIND: bool = false;
    const REF_UNWIND: bool = false;
}

impl<T: ?Sized> IsNot for Is<T> {}

impl<T: Send + ?Sized> Is<T> {
    const SEND: bool = true;
}

impl<T: Sync + ?Sized> Is<T> {
    const SYNC: bool = true;
}

impl<T: Unpin + ?Sized> Is<T> {
    const UNPIN: bool = true;
}

impl<T: UnwindSafe + ?Sized> Is<T> {
    const UNWIND: bool = true;
}

impl<T: RefUnwindSafe + ?Sized> Is<T> {
    const REF_UNWIND: bool = true;
}

/// The traits of a type, by a letter each: `Send`, `sYnc`, `unPin`, `Unwind`, `Ref unwind`; `-` for what it isn't.
macro_rules! traits {
    ($t:ty) => {{
        let letter = |is: bool, letter: char| if is { letter } else { '-' };
        String::from_iter([
            letter(Is::<$t>::SEND, 'S'),
            letter(Is::<$t>::SYNC, 'Y'),
            letter(Is::<$t>::UNPIN, 'P'),
            letter(Is::<$t>::UNWIND, 'U'),
            letter(Is::<$t>::REF_UNWIND, 'R'),
        ])
    }};
}

/// Fails with all lines that are wrong.
macro_rules! assert_traits {
    ($($expected:literal $t:ty;)*) => {
        let lines = [$(($expected, traits!($t), stringify!($t))),*];
        let wrong: Vec<_> = lines.iter().filter(|(expected, found, _)| expected != found).collect();
        assert!(wrong.is_empty(), "expected, found, type: {wrong:#?}");
    };
}

#[test]
fn what_a_panic_leaves_whole_is_unwind_safe() {
    assert_traits! {
        "SYPUR" Store<String, String>;
        "SYPUR" SafeCounter;
        "SYPUR" WaitGroup;
        "SYPUR" WaitGuard;
        "SYPUR" WorkerPool;
        "SYPUR" WorkerPoolBuilder;
        "SYPUR" Condvar;
        "SYPUR" WaitTimeout;
        "SYPUR" WaitTimeoutResult;
        "SYPUR" DuplicateKey;
        "SYPUR" NotRemoved;
        "SYPUR" TryReserveError;
        "SYPUR" RawMutex;
        "SYPUR" RawRwMutex;
    }
}

#[test]
fn a_store_is_as_safe_to_share_as_what_is_in_it() {
    assert_traits! {
        "SYPUR" Store<u32, SafeCounter>;
        "S-PUR" Store<u32, Cell<u32>>;
        "S-PUR" Store<u32, RefCell<u32>>;
        "--PUR" Store<u32, Rc<u32>>;
        "--PUR" Store<Rc<u32>, u32>;
        "--PUR" Store<u32, *const u32>;
        "SYPUR" Store<u32, Box<dyn FnMut() + Send + Sync>>;
        "SYPUR" IntoIter<String, String>;
        "--P--" IntoIter<u32, Rc<Cell<u32>>>;
        "SYP-R" Entry<'static, u32, u32>;
        "SYP-R" OccupiedEntry<'static, u32, u32>;
        "SYP-R" VacantEntry<'static, u32, u32>;
    }
}

/// Locks are `lock_api`'s: without poison, what they protect is as a panic has left it.
#[test]
fn locks_and_guards_are_as_lock_api_has_them() {
    assert_traits! {
        "SYPU-" Mutex<u32>;
        "SYPU-" RwMutex<u32>;
        "SYP--" MutexGuard<'static, u32>;
        "SYP--" RwMutexReadGuard<'static, u32>;
        "SYP--" RwMutexWriteGuard<'static, u32>;
        "SYP--" RwMutexUpgradableReadGuard<'static, u32>;
        "SYPU-" Mutex<Cell<u32>>;
        "--PU-" Mutex<Rc<u32>>;
    }
}

/// A channel's end may be shared if its messages may be sent. They need not be shared, nor stay whole in a panic: no thread
/// sees a message that another one has.
#[test]
fn a_channel_sends_between_threads_what_may_be_sent() {
    assert_traits! {
        "SYPUR" Sender<String>;
        "SYPUR" Receiver<String>;
        "SYPUR" Sender<Cell<u32>>;
        "SYPUR" Receiver<Cell<u32>>;
        "SYPUR" Sender<Box<dyn FnMut() + Send>>;
        "--PUR" Sender<Rc<u32>>;
        "--PUR" Receiver<Rc<u32>>;
        "--PUR" Receiver<MutexGuard<'static, Rc<u32>>>;
        "SYPUR" Sender<PhantomPinned>;
        "SYPUR" Iter<'static, Cell<u32>>;
        "SYPUR" TryIter<'static, Cell<u32>>;
        "SYPUR" channel::IntoIter<Cell<u32>>;
        "--PUR" Iter<'static, Rc<u32>>;
        "--PUR" channel::IntoIter<Rc<u32>>;
    }
}

#[test]
fn an_error_of_a_channel_is_as_its_value() {
    assert_traits! {
        "SYPUR" SendError<u32>;
        "S-PU-" SendError<Cell<u32>>;
        "--PUR" TrySendError<Rc<u32>>;
        "SYPUR" SendTimeoutError<u32>;
        "SYPUR" SendManyError<std::vec::IntoIter<u32>>;
        "SYPUR" RecvError;
        "SYPUR" TryRecvError;
        "SYPUR" RecvTimeoutError;
        "SYPUR" TrySelectError;
        "SYPUR" SelectTimeoutError;
        "--P--" Select<'static>;
    }
}

#[test]
fn a_value_made_once_is_as_safe_to_share_as_stds() {
    assert_traits! {
        "SYPUR" OnceLock<String>;
        "S-PU-" OnceLock<Cell<u32>>;
        "--P--" OnceLock<Rc<Cell<u32>>>;
        "SYP--" OnceLock<&'static mut u32>;
        "SY-UR" OnceLock<PhantomPinned>;
        "SYPUR" LazyLock<String>;
        "S-PU-" LazyLock<Cell<u32>>;
        "--P--" LazyLock<u32, Rc<Cell<u32>>>;
        "SYPUR" OnceWait<'static, String>;
        "--P--" OnceWait<'static, Cell<u32>>;
    }
    assert_traits! {
        "SYPUR" std::sync::OnceLock<String>;
        "S-PU-" std::sync::OnceLock<Cell<u32>>;
        "SYP--" std::sync::OnceLock<&'static mut u32>;
        "SY-UR" std::sync::OnceLock<PhantomPinned>;
        "S-PU-" std::sync::LazyLock<Cell<u32>>;
    }
}

#[test]
fn a_group_of_tasks_is_shared_by_its_tasks() {
    assert_traits! {
        "SYP--" TaskGroup<'static, 'static, Cell<u32>, Cell<u32>>;
        "--P--" TaskGroup<'static, 'static, Rc<u32>, ()>;
        "SYPUR" TryGoError<u32>;
        "SYPUR" NamedTask<'static>;
    }
}

#[test]
fn the_table_sees_what_a_type_is_not() {
    assert_traits! {
        "SYPUR" u32;
        "SY-UR" PhantomPinned;
        "SYP-R" &'static mut u32;
        "--P--" Rc<Cell<u32>>;
        "S-PU-" Cell<u32>;
    }
}

#[test]
fn a_token_is_shared_and_its_future_is_pinned() {
    assert_traits! {
        "SYPUR" CancelToken;
        "SYPUR" CancelRegistration;
        "SYPUR" CallbackState;
        "SYP--" CancelReason;
        "SY-UR" CancelFuture<'static>;
    }
}

#[test]
fn a_future_is_as_safe_as_its_group() {
    assert_traits! {
        "SYPUR" WaitFuture<'static>;
    }
}

#[test]
fn permits_and_their_guards_may_be_shared() {
    assert_traits! {
        "SYPUR" Semaphore;
        "SYPUR" SemaphoreGuard<'static>;
        "SYPUR" OwnedSemaphoreGuard;
        "SYPUR" AcquireError;
        "SYPUR" TryAcquireError;
        "SYPUR" AcquireTimeoutError;
    }
}

#[test]
fn a_barrier_and_its_parties_may_be_shared() {
    assert_traits! {
        "SYPUR" Barrier;
        "SYPUR" BarrierParty<'static>;
        "SYPUR" BarrierWaitResult;
        "SYPUR" BrokenBarrier;
        "SYPUR" BarrierTimeoutError;
    }
}

/// They hold what a queue points to, so they are not `Unpin`.
#[test]
fn a_future_of_a_semaphore_or_a_barrier_may_be_sent() {
    assert_traits! {
        "SY-UR" AcquireFuture<'static>;
        "SY-UR" OwnedAcquireFuture;
        "SY-UR" BarrierFuture<'static>;
    }
}

/// They hold what a queue points to, so they are not `Unpin`.
#[test]
fn a_future_of_a_channel_may_be_sent_as_its_messages_may() {
    assert_traits! {
        "SY-UR" RecvFuture<'static, u32>;
        "SY-UR" RecvFuture<'static, Cell<u32>>;
        "---UR" RecvFuture<'static, Rc<u32>>;
        "SY-UR" SendFuture<'static, u32>;
        "SY--R" SendFuture<'static, &'static mut u32>;
        "---UR" SendFuture<'static, Rc<u32>>;
    }
}

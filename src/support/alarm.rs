//! The timer: one thread of the process that does what is due at deadlines.
//!
//! It is started by the first alarm that is set, sleeps until the earliest one is due, and ends when there was none for
//! a while. A program that sets no alarm has no such thread. An alarm that is cancelled is removed at once.
//!
//! A model runs the same code. There the earliest alarm is due once the thread's sleep has ended by its deadline, which
//! the model lets happen or not; and the thread ends with the last alarm.
//!
//! Invariants:
//!
//! - **A1.** An alarm is in `alarms` until it is taken out under the lock: by the thread, which then rings it, or by
//!   [`cancel`](Alarm::cancel). So it rings at most once, and never begins to after a `cancel` that returned `true`.
//! - **A2.** While there are alarms a thread runs, or is being started: `is_running` changes under the lock, and the
//!   thread ends in the step in which it finds no alarm.
//! - **A3.** The thread sleeps no longer than until the earliest alarm: it reads `epoch` under the lock that it reads
//!   the alarms under, an earlier alarm changes it under that lock, and the thread doesn't sleep, or is woken, if it
//!   has changed.

use crate::sys::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::sys::{
    Arc, IS_MODEL, Mutex, Parked, PerProcess, Process, catch, discard, global_array, park, thread,
    unpark_threads,
};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};
use std::{io, ptr};

/// What an alarm does.
pub(crate) trait Ring: Send + Sync {
    /// Called once, on the timer's thread, without a lock. Should be short: other alarms wait. A panic ends with the
    /// panic hook.
    fn ring(&self);
}

/// An alarm that was set. Dropping it leaves it set.
pub(crate) struct Alarm {
    timer: Arc<Timer>,
    process: Process,
    key: Key,
}

/// When it is due; of several, the order in which they were set.
type Key = (Instant, u64);

/// See the [module](self).
pub(crate) struct Timer {
    state: Mutex<State>,
    /// Changed when the thread has to look for an earlier alarm.
    epoch: AtomicU32,
}

struct State {
    alarms: BTreeMap<Key, Arc<dyn Ring>>,
    next_id: u64,
    is_running: bool,
}

/// How long the thread waits for the next alarm before it ends.
const IDLE: Duration = Duration::from_secs(10);

global_array!(pub(crate) place: [AtomicPtr<PerProcess<Timer>>; 1] = AtomicPtr::new(ptr::null_mut()));

/// Sets an alarm: `ring` is called soon after `at`, unless the alarm is cancelled before.
///
/// # Errors
/// If the timer's thread can't be started.
#[track_caller]
pub(crate) fn set(at: Instant, ring: Arc<dyn Ring>) -> io::Result<Alarm> {
    let timer = timer();
    let process = Process::current();
    let (key, starts, is_first) = {
        let mut state = timer.state.lock();
        let key = (at, state.next_id);
        state.next_id += 1;
        state.alarms.insert(key, ring);
        let starts = !state.is_running;
        state.is_running = true;
        let is_first = state.alarms.first_key_value().is_some_and(|(first, _)| *first == key);
        if is_first {
            // ORDERING: Relaxed: the lock orders it.
            timer.epoch.fetch_add(1, Ordering::Relaxed);
        }
        (key, starts, is_first)
    };
    if starts {
        start(&timer, key)?;
    } else if is_first {
        timer.wake();
    }
    Ok(Alarm { timer, process, key })
}

/// Sets an alarm that wakes a task.
///
/// # Errors
/// If the timer's thread can't be started.
#[track_caller]
pub(crate) fn wake_at(at: Instant, waker: Waker) -> io::Result<Alarm> {
    struct Wakes(Waker);
    impl Ring for Wakes {
        fn ring(&self) {
            self.0.wake_by_ref();
        }
    }
    set(at, Arc::new(Wakes(waker)))
}

/// Starts the thread, for the alarm with this key.
#[track_caller]
fn start(timer: &Arc<Timer>, key: Key) -> io::Result<()> {
    let theirs = timer.clone();
    let builder = thread::Builder::new().name("phalanx-timer".to_owned());
    let Err(error) = builder.spawn(move || theirs.run()) else {
        return Ok(());
    };
    let ring = {
        let mut state = timer.state.lock();
        state.is_running = false;
        state.alarms.remove(&key)
    };
    drop(ring);
    Err(error)
}

/// Returns this process's timer.
#[track_caller]
fn timer() -> Arc<Timer> {
    let place = &place()[0];
    // ORDERING: Acquire: pairs with the Release of the exchange below.
    let mut per_process = place.load(Ordering::Acquire);
    if per_process.is_null() {
        let ours = Box::into_raw(Box::new(PerProcess::new(Arc::new(Timer::new()))));
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        // ORDERING: AcqRel, and Acquire if another thread was first: Release pairs with the Acquire of other threads
        // here, Acquire with their Release.
        per_process = match place.compare_exchange(ptr::null_mut(), ours, success, failure) {
            Ok(_) => ours,
            Err(theirs) => {
                // SAFETY: made from a box above, and no other thread has seen it.
                drop(unsafe { Box::from_raw(ours) });
                theirs
            }
        };
    }
    // SAFETY: made from a box that is never freed, and published with Release.
    unsafe { &*per_process }.get(|_| Arc::new(Timer::new())).clone()
}

impl Timer {
    #[track_caller]
    fn new() -> Self {
        let state = State { alarms: BTreeMap::new(), next_id: 0, is_running: false };
        Timer { state: Mutex::new(state), epoch: AtomicU32::new(0) }
    }

    fn address(&self) -> usize {
        ptr::from_ref(&self.epoch).addr()
    }

    fn wake(&self) {
        unpark_threads(self.address());
    }

    /// The thread.
    fn run(&self) {
        let mut parked = Parked::Invalid;
        loop {
            let (epoch, until) = {
                let mut state = self.state.lock();
                if let Some(ring) = state.take_due(parked) {
                    drop(state);
                    parked = Parked::Invalid;
                    // Its drop is user code too.
                    if let Err(payload) = catch(move || ring.ring()) {
                        discard(payload);
                    }
                    continue;
                }
                let first = state.alarms.first_key_value().map(|(key, _)| key.0);
                if first.is_none() && (IS_MODEL || parked == Parked::TimedOut) {
                    state.is_running = false;
                    return;
                }
                // ORDERING: Relaxed: the lock orders it.
                let epoch = self.epoch.load(Ordering::Relaxed);
                (epoch, first.or_else(|| Instant::now().checked_add(IDLE)))
            };
            // ORDERING: Relaxed: the queue orders the validation.
            let is_same = || self.epoch.load(Ordering::Relaxed) == epoch;
            parked = park(self.address(), is_same, until);
        }
    }
}

impl State {
    /// Takes out an alarm that is due, after a sleep that has ended so.
    fn take_due(&mut self, parked: Parked) -> Option<Arc<dyn Ring>> {
        let first = self.alarms.first_entry()?;
        let is_due =
            if IS_MODEL { parked == Parked::TimedOut } else { first.key().0 <= Instant::now() };
        is_due.then(|| first.remove())
    }
}

impl Alarm {
    /// Removes the alarm. Returns `false` if it has rung, or is about to.
    pub(crate) fn cancel(self) -> bool {
        if self.process != Process::current() {
            // Set before a fork, by a timer whose lock a lost thread may hold.
            return true;
        }
        let (ring, is_last) = {
            let mut state = self.timer.state.lock();
            let ring = state.alarms.remove(&self.key);
            let is_last = ring.is_some() && state.alarms.is_empty();
            if IS_MODEL && is_last {
                // ORDERING: Relaxed: the lock orders it.
                self.timer.epoch.fetch_add(1, Ordering::Relaxed);
            }
            (ring, is_last)
        };
        if IS_MODEL && is_last {
            self.timer.wake();
        }
        let was_set = ring.is_some();
        // Without the lock: it may hold a waker, whose drop is user code.
        if let Err(payload) = catch(|| drop(ring)) {
            discard(payload);
        }
        was_set
    }
}

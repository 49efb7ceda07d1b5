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
//! - **A3.** The thread sleeps no longer than until the earliest alarm: it reads the alarms under the lock and then parks,
//!   and an earlier alarm unparks it after it was added under that lock. An unpark that comes before the park ends it.
//!
//! The thread parks by `thread::park_timeout` and not in the crate's own queues: a process forked while it sleeps inherits
//! no queue with a lost thread in it.

use crate::sys::atomic::{AtomicPtr, Ordering};
use crate::sys::{
    Arc, IS_MODEL, Mutex, PerProcess, Process, catch, discard, global_array, park_thread_until,
    thread,
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
}

struct State {
    alarms: BTreeMap<Key, Arc<dyn Ring>>,
    next_id: u64,
    is_running: bool,
    /// The thread, once it runs.
    thread: Option<thread::Thread>,
}

/// How long the thread sleeps at most. If there is no alarm then, it ends.
const IDLE: Duration = Duration::from_secs(5);

global_array!(pub(crate) place: [AtomicPtr<PerProcess<Timer>>; 1] = AtomicPtr::new(ptr::null_mut()));

/// Sets an alarm: `ring` is called soon after `at`, unless the alarm is cancelled before.
///
/// # Errors
/// If the timer's thread can't be started.
#[track_caller]
pub(crate) fn set(at: Instant, ring: Arc<dyn Ring>) -> io::Result<Alarm> {
    let timer = timer();
    let process = Process::current();
    let (key, starts, sleeper) = {
        let mut state = timer.state.lock();
        let key = (at, state.next_id);
        state.next_id += 1;
        state.alarms.insert(key, ring);
        let starts = !state.is_running;
        state.is_running = true;
        let is_first = state.alarms.first_key_value().is_some_and(|(first, _)| *first == key);
        (key, starts, if is_first { state.thread.clone() } else { None })
    };
    if starts {
        start(&timer, key)?;
    }
    if let Some(thread) = sleeper {
        thread.unpark();
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
        let alarms = BTreeMap::new();
        Timer { state: Mutex::new(State { alarms, next_id: 0, is_running: false, thread: None }) }
    }

    /// The thread.
    fn run(&self) {
        self.state.lock().thread = Some(thread::current());
        // Whether the last sleep has ended by its deadline.
        let mut has_come = false;
        loop {
            let mut state = self.state.lock();
            if let Some(ring) = state.take_due(has_come) {
                drop(state);
                has_come = false;
                // Its drop is user code too.
                if let Err(payload) = catch(move || ring.ring()) {
                    discard(payload);
                }
                continue;
            }
            let first = state.alarms.first_key_value().map(|(key, _)| key.0);
            if first.is_none() && (IS_MODEL || has_come) {
                state.is_running = false;
                state.thread = None;
                return;
            }
            drop(state);
            // Also with an alarm no longer than `IDLE`: it may be cancelled, which doesn't wake the thread.
            let idle = Instant::now() + IDLE;
            let until = first.map_or(idle, |first| first.min(idle));
            has_come = park_thread_until(until);
        }
    }
}

impl State {
    /// Takes out an alarm that is due. In a model the clock is the last sleep.
    fn take_due(&mut self, has_come: bool) -> Option<Arc<dyn Ring>> {
        let first = self.alarms.first_entry()?;
        let is_due = if IS_MODEL { has_come } else { first.key().0 <= Instant::now() };
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
        let (ring, sleeper) = {
            let mut state = self.timer.state.lock();
            let ring = state.alarms.remove(&self.key);
            // In a model the thread ends with the last alarm.
            let is_last = IS_MODEL && ring.is_some() && state.alarms.is_empty();
            (ring, if is_last { state.thread.clone() } else { None })
        };
        if let Some(thread) = sleeper {
            thread.unpark();
        }
        let was_set = ring.is_some();
        // Without the lock: it may hold a waker, whose drop is user code.
        if let Err(payload) = catch(|| drop(ring)) {
            discard(payload);
        }
        was_set
    }
}

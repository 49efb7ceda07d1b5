//! Rounds with a blocked receiver: how long it takes to return, and the processor time it uses meanwhile.

use super::{Channel, Kind, Select};
use crate::entry::{Failure, Outcome};
use crate::groups::check;
use crate::groups::pause::{ARRIVED, ASLEEP, spin_for};
use crate::noise;
use crate::plan::Context;
use crate::stats::{self, median};
use crossbeam_utils::CachePadded;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a receiver is blocked while its processor time is measured.
const IDLE: Duration = Duration::from_millis(200);
/// Samples, in those of other latency rows: one per mille of them has to be more than one sample.
const SAMPLES: usize = 5;
/// Time for all samples, in budgets of a row of batches. Only beside busy threads is it used up.
const BUDGETS: u32 = 25;
/// A receiver that isn't asleep after that time never sleeps.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last message.
const END: usize = usize::MAX;

/// Where a receiver gets its messages from.
pub trait Source {
    /// Receives messages and passes each to `take`, until that returns false.
    fn each(self, take: impl FnMut(usize) -> bool);
}

/// One channel.
pub struct One<C: Channel>(pub C::Receiver);

impl<C: Channel> Source for One<C> {
    fn each(mut self, mut take: impl FnMut(usize) -> bool) {
        while take(C::recv(&mut self.0).expect("the sender is there")) {}
    }
}

/// Several channels, and a select over them.
pub struct Any<C: Select>(pub Vec<C::Receiver>);

impl<C: Select> Source for Any<C> {
    fn each(self, take: impl FnMut(usize) -> bool) {
        C::select_each(self.0, take);
    }
}

pub fn round(
    kind: Kind,
    context: &Context,
    send: impl FnMut(usize) + Send,
    source: impl Source,
) -> Result<Outcome, Failure> {
    let plan = &context.plan;
    let budget = plan.batch_budget * BUDGETS;
    match kind {
        Kind::Messages => unreachable!("nothing is blocked for long there"),
        Kind::Arrived | Kind::Asleep => {
            let samples = plan.samples * SAMPLES;
            // A few more, to warm up.
            let warm = samples / 10 + 1;
            let waits = exchange(kind, samples + warm, budget, send, source)?;
            // A short round has nothing to spare.
            let from = warm.min(waits.len() / 2);
            let nanos = waits[from..].iter().map(|wait| stats::nanos(wait.took));
            Ok(Outcome::latencies(nanos.collect()))
        }
        Kind::Idle => {
            let waits = exchange(kind, 1, budget, send, source)?;
            let used: Vec<_> = waits.iter().map(|w| w.used.as_nanos() as f64 / 1_000.0).collect();
            Ok(Outcome::one(median(&used)))
        }
    }
}

/// One wait of the receiver.
struct Wait {
    /// From `send` to the receiver's return.
    took: Duration,
    /// The processor time of the receiving thread, from before its call to after its return.
    used: Duration,
}

/// Sends up to `count` messages, each once the receiver waits for it. A message is the time at which it
/// was sent.
fn exchange(
    kind: Kind,
    count: usize,
    budget: Duration,
    mut send: impl FnMut(usize) + Send,
    source: impl Source,
) -> Result<Vec<Wait>, Failure> {
    let base = Instant::now();
    let now = || base.elapsed().as_nanos() as usize;
    // Calls of the receiver that have begun.
    let begun = CachePadded::new(AtomicUsize::new(0));
    let observed = Observed::this_thread();
    let mut waits = Vec::with_capacity(count);
    let mut received = 0usize;
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sum = 0usize;
            let mut outcome = Ok(());
            let mut at = 0;
            while at < count && base.elapsed() < budget {
                wait_for(&begun, at + 1);
                outcome = kind.let_wait(&observed);
                if outcome.is_err() {
                    break;
                }
                let stamp = now().max(1);
                sum = sum.wrapping_add(stamp);
                send(stamp);
                at += 1;
            }
            wait_for(&begun, at + 1);
            send(END);
            outcome.map(|()| sum)
        });
        let timed = kind == Kind::Idle;
        let clock = || if timed { noise::thread_time() } else { Duration::ZERO };
        let mut before = clock();
        // ORDERING: Release: pairs with the Acquire in `wait_for`; nothing else is published.
        begun.store(1, Ordering::Release);
        source.each(|message| {
            let returned = now();
            if message == END {
                return false;
            }
            received = received.wrapping_add(message);
            let took = Duration::from_nanos(returned.saturating_sub(message) as u64);
            waits.push(Wait { took, used: clock().saturating_sub(before) });
            before = clock();
            // ORDERING: Release: as above.
            begun.store(waits.len() + 1, Ordering::Release);
            true
        });
        sender.join().expect("the sender doesn't panic")
    })?;
    check("sum of times", received as u64, sent as u64)?;
    Ok(waits)
}

/// Waits until the receiver has begun so many calls: awake, but not at the cost of the receiver's core.
fn wait_for(begun: &AtomicUsize, calls: usize) {
    let mut checks = 0u32;
    // ORDERING: Acquire: pairs with the Release in `exchange`.
    while begun.load(Ordering::Acquire) < calls {
        checks += 1;
        if checks < 10_000 {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

impl Kind {
    /// Lets a receiver that has begun its call wait for as long as the row says.
    fn let_wait(self, receiver: &Observed) -> Result<(), Failure> {
        match self {
            Kind::Messages => {}
            Kind::Arrived => spin_for(ARRIVED),
            Kind::Idle => std::thread::sleep(IDLE),
            // Asleep now and 100 µs later: it didn't sleep for a moment only.
            Kind::Asleep => loop {
                receiver.wait_until_asleep()?;
                spin_for(ASLEEP);
                if receiver.is_asleep() {
                    break;
                }
            },
        }
        Ok(())
    }
}

/// A thread's state, as the kernel tells it.
struct Observed(Option<File>);

impl Observed {
    /// Without the kernel's file, as on other systems than Linux, a thread counts as asleep.
    fn this_thread() -> Self {
        // SAFETY: gettid has no arguments and always succeeds.
        let id = unsafe { libc::gettid() };
        Self(File::open(format!("/proc/self/task/{id}/stat")).ok())
    }

    fn is_asleep(&self) -> bool {
        let Some(file) = &self.0 else { return true };
        let mut text = [0; 128];
        let read = file.read_at(&mut text, 0).unwrap_or(0);
        state(&text[..read]) == Some(b'S')
    }

    fn wait_until_asleep(&self) -> Result<(), Failure> {
        let since = Instant::now();
        while !self.is_asleep() {
            if since.elapsed() > PATIENCE {
                return Err("the receiver doesn't go to sleep".to_owned());
            }
            std::hint::spin_loop();
        }
        Ok(())
    }
}

/// The state in a line such as `123 (name) S 1 …`. A name may contain anything.
fn state(stat: &[u8]) -> Option<u8> {
    let name_ends = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(name_ends + 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_state_follows_the_last_parenthesis_of_the_name() {
        assert_eq!(state(b"12 (a) R 1"), Some(b'R'));
        assert_eq!(state(b"12 (a) S (b)) S 1 2"), Some(b'S'));
        assert_eq!(state(b"12 (a"), None);
    }

    #[test]
    fn a_thread_that_reads_its_own_state_is_awake() {
        let observed = Observed::this_thread();
        assert!(observed.0.is_none() || !observed.is_asleep());
    }

    #[test]
    fn a_thread_blocked_in_recv_is_seen_asleep() {
        let (observed_tx, observed_rx) = mpsc::channel();
        let (tx, rx) = mpsc::channel::<()>();
        let blocked = std::thread::spawn(move || {
            observed_tx.send(Observed::this_thread()).expect("the test receives it");
            rx.recv()
        });
        let observed = observed_rx.recv().expect("the thread sends it");
        assert_eq!(observed.wait_until_asleep(), Ok(()));
        tx.send(()).expect("the thread waits");
        assert_eq!(blocked.join().expect("no panic"), Ok(()));
    }
}

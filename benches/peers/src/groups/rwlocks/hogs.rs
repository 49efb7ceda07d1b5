//! One thread that reads or writes now and then, beside three hogs, which do it without a pause.

use super::{Kind, RwLock, Task, bump, intact, verdict};
use crate::entry::{Failure, Outcome};
use crate::groups::waits::{HOGS, Turns, Waits};
use crate::keys::Rng;
use crate::plan::Context;
use crate::window::{self, Worker};
use crate::work::{Steps, work};
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::hint::black_box;
use std::time::Instant;

/// A hog writes in one of so many operations, and reads otherwise.
const WRITES: u64 = 4;

/// What one thread did.
#[derive(Default)]
struct Done {
    torn: u64,
    writes: u64,
    waits: Waits,
}

pub fn round<L: RwLock>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let inside = context.calibration.steps(task.inside);
    let lock = CachePadded::new(L::new());
    let turns = CachePadded::new(Turns::default());
    let reads = task.kind == Kind::ReadBesideHogs;
    let (mut done, _) = window::run(task.threads, context.long_span(), |worker| {
        let mut done = Done::default();
        if worker.index < HOGS {
            hog(&*lock, &turns, inside, worker, &mut done);
        } else {
            while worker.more() {
                wait(&*lock, &turns, reads, &mut done);
                worker.did(1);
            }
        }
        done
    });
    let (torn, writes) = done.iter().fold((0, 0), |a, d| (a.0 + d.torn, a.1 + d.writes));
    verdict(&*lock, torn, writes)?;
    let last = done.pop().expect("the waiting thread is the last");
    Ok(last.waits.outcome())
}

fn hog<L: RwLock>(
    lock: &L,
    turns: &Turns,
    inside: Steps,
    worker: &mut Worker<'_>,
    done: &mut Done,
) {
    let mut rng = Rng::new(worker.index as u64);
    while worker.more() {
        if rng.next().is_multiple_of(WRITES) {
            lock.write(|data| {
                turns.took_shared();
                bump(data);
                black_box(work(inside, data[0]));
            });
            done.writes += 1;
        } else {
            let whole = lock.read(|data| {
                turns.took_shared();
                black_box(work(inside, data[0]));
                intact(data)
            });
            done.torn += u64::from(!whole);
        }
        worker.did(1);
    }
}

/// One wait, and the acquisitions by others meanwhile.
fn wait<L: RwLock>(lock: &L, turns: &Turns, reads: bool, done: &mut Done) {
    let before = turns.so_far();
    let asked = Instant::now();
    let held = || (asked.elapsed(), turns.took_shared() - before);
    let (took, passed) = if reads {
        let (held, whole) = lock.read(|data| (held(), intact(data)));
        done.torn += u64::from(!whole);
        held
    } else {
        let first = Cell::new(None);
        lock.write(|data| {
            first.set(Some(held()));
            bump(data);
        });
        done.writes += 1;
        first.get().expect("the closure was called")
    };
    done.waits.add(took, passed);
}

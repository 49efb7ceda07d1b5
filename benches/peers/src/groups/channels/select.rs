//! One receiver selects over several channels.

use super::{BATCH, Select, SelectTask, messages};
use crate::entry::{Failure, Outcome};
use crate::plan::Context;
use crate::window;
use std::sync::Mutex;

const CAPACITY: usize = 10;

/// The last message of each channel. The senders stay until the round is over: a closed channel would
/// always be ready, and libraries differ in how to take it out of a select.
const END: usize = usize::MAX;

/// As many channels, with one sender and one receiver each.
pub fn open<C: Select>(channels: usize) -> (Vec<C::Sender>, Vec<C::Receiver>) {
    let ends = (0..channels).map(|_| C::open(Some(CAPACITY), 1, 1));
    let (senders, receivers): (Vec<_>, Vec<_>) = ends.unzip();
    (senders.into_iter().flatten().collect(), receivers.into_iter().flatten().collect())
}

pub fn round<C: Select>(task: &SelectTask, context: &mut Context) -> Result<Outcome, Failure> {
    let SelectTask { channels, senders: threads, .. } = *task;
    let (mut senders, receivers) = open::<C>(channels);
    let each = channels / threads;
    let shares = (0..threads).map(|_| Mutex::new(senders.drain(..each).collect::<Vec<_>>()));
    let shares: Vec<_> = shares.collect();
    let receivers = Mutex::new(receivers);
    let (done, rate) = window::run(threads + 1, context.span(), |worker| {
        if worker.index == threads {
            let receivers = std::mem::take(&mut *receivers.lock().expect("no thread panicked"));
            return receive::<C>(receivers, |n| worker.did(n));
        }
        let mut own = shares[worker.index].lock().expect("no thread panicked");
        let (mut count, mut sum, mut turn) = (0, 0usize, 0);
        while worker.more() {
            for _ in 0..BATCH {
                C::send(&mut own[turn], count);
                turn = if turn + 1 == each { 0 } else { turn + 1 };
                sum = sum.wrapping_add(count);
                count += 1;
            }
            worker.did(BATCH);
        }
        for sender in own.iter_mut() {
            C::send(sender, END);
        }
        (count as u64, sum as u64)
    });
    let (sent, received) = done.split_at(threads);
    messages::compare(sent, received)?;
    Ok(Outcome::one(rate.ns_per_op_of(threads..threads + 1)))
}

/// Receives until each channel has had its last message; returns the count and the sum.
fn receive<C: Select>(receivers: Vec<C::Receiver>, mut did: impl FnMut(u64)) -> (u64, u64) {
    let mut open = receivers.len();
    let (mut count, mut sum) = (0u64, 0usize);
    C::select_each(receivers, |message| {
        if message == END {
            open -= 1;
            return open > 0;
        }
        sum = sum.wrapping_add(message);
        count += 1;
        if count.is_multiple_of(BATCH) {
            did(BATCH);
        }
        true
    });
    (count, sum as u64)
}

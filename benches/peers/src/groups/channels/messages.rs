//! As many messages as possible through one channel.

use super::{BATCH, Channel, Task};
use crate::entry::{Failure, Outcome};
use crate::groups::check;
use crate::plan::Context;
use crate::window;
use std::sync::Mutex;

enum End<C: Channel> {
    Send(C::Sender),
    Receive(C::Receiver),
}

pub fn round<C: Channel>(task: &Task, context: &mut Context) -> Result<Outcome, Failure> {
    let Task { capacity, producers, consumers, .. } = *task;
    let (senders, receivers) = C::open(capacity, producers, consumers);
    let senders = senders.into_iter().map(End::<C>::Send);
    let ends = senders.chain(receivers.into_iter().map(End::Receive));
    // Each thread takes its end, and drops it when it is done, which ends the consumers.
    let ends: Vec<_> = ends.map(|end| Mutex::new(Some(end))).collect();
    let threads = producers + consumers;
    let (done, rate) = window::run(threads, context.span(), |worker| {
        let end = ends[worker.index].lock().expect("no thread panicked").take();
        let (mut count, mut sum) = (0usize, 0usize);
        match end.expect("an end for each thread") {
            End::Send(mut sender) => {
                while worker.more() {
                    for _ in 0..BATCH {
                        C::send(&mut sender, count);
                        sum = sum.wrapping_add(count);
                        count += 1;
                    }
                    worker.did(BATCH);
                }
            }
            End::Receive(mut receiver) => {
                while let Some(message) = C::recv(&mut receiver) {
                    sum = sum.wrapping_add(message);
                    count += 1;
                    if (count as u64).is_multiple_of(BATCH) {
                        worker.did(BATCH);
                    }
                }
            }
        }
        (count as u64, sum as u64)
    });
    let (sent, received) = done.split_at(producers);
    compare(sent, received)?;
    Ok(Outcome::one(rate.ns_per_op_of(producers..threads)))
}

/// Compares the counts and the sums of what was sent to those of what was received.
pub fn compare(sent: &[(u64, u64)], received: &[(u64, u64)]) -> Result<(), Failure> {
    let total = |ends: &[(u64, u64)]| {
        let add = |a: (u64, u64), b: &(u64, u64)| (a.0 + b.0, a.1.wrapping_add(b.1));
        ends.iter().fold((0, 0), add)
    };
    let (sent, received) = (total(sent), total(received));
    check("messages", received.0, sent.0)?;
    check("sum", received.1, sent.1)
}

//! Channels beside std's: messages through one channel, from one or several senders to one receiver.
//!
//! `cargo bench --bench channels`. Each iteration sends a batch of messages through a channel that lives as long as
//! the measurement. The comparison with other crates is `benches/peers`.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

/// Messages in a batch.
const BATCH: usize = 10_000;

/// A way to open a channel: returns a send and a receive.
type Ends = (Box<dyn Sending>, Box<dyn Iterator<Item = usize> + Send>);

/// A sender that can be cloned for each thread.
trait Sending: Send {
    fn send(&self, message: usize);
    fn another(&self) -> Box<dyn Sending>;
}

macro_rules! sending {
    ($($sender:ty),*) => {$(
        impl Sending for $sender {
            fn send(&self, message: usize) {
                <$sender>::send(self, message).expect("the receiver is there");
            }

            fn another(&self) -> Box<dyn Sending> {
                Box::new(self.clone())
            }
        }
    )*};
}

sending!(phalanx::channel::Sender<usize>, mpsc::Sender<usize>, mpsc::SyncSender<usize>);

/// `None` is for no bound.
fn ours(capacity: Option<usize>) -> Ends {
    let (sender, receiver) =
        capacity.map_or_else(phalanx::channel::unbounded, phalanx::channel::bounded);
    (Box::new(sender), Box::new(receiver.into_iter()))
}

fn stds(capacity: Option<usize>) -> Ends {
    match capacity {
        Some(capacity) => {
            let (sender, receiver) = mpsc::sync_channel(capacity);
            (Box::new(sender), Box::new(receiver.into_iter()))
        }
        None => {
            let (sender, receiver) = mpsc::channel();
            (Box::new(sender), Box::new(receiver.into_iter()))
        }
    }
}

/// A batch from `senders` threads to this one.
fn pass(senders: usize, (sender, receiver): Ends) -> usize {
    thread::scope(|scope| {
        for _ in 0..senders {
            let sender = sender.another();
            scope.spawn(move || (0..BATCH / senders).for_each(|message| sender.send(message)));
        }
        drop(sender);
        receiver.sum()
    })
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, capacity: Option<usize>, senders: usize) {
    let shape = capacity.map_or("unbounded".to_owned(), |n| format!("capacity_{n}"));
    for (name, open) in [("phalanx", ours as fn(Option<usize>) -> Ends), ("std", stds)] {
        group.bench_function(format!("{shape}/{senders}_senders/{name}"), |bencher| {
            bencher.iter(|| black_box(pass(senders, open(capacity))));
        });
    }
}

fn channels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channels");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    for capacity in [Some(0), Some(10), Some(1024), None] {
        for senders in [1, 4] {
            bench(&mut group, capacity, senders);
        }
    }
    group.finish();
}

criterion_group!(benches, channels);
criterion_main!(benches);

//! The channels that race, and their adapters.

use super::{Channel, Task, in_go, limit, peer};
use crate::entry::Entry;
use std::sync::{Arc, Mutex, mpsc};

pub fn all() -> Vec<Entry<Task>> {
    vec![
        peer::<Std>("std mpsc"),
        peer::<Crossbeam>("crossbeam"),
        peer::<Flume>("flume"),
        peer::<Kanal>("kanal"),
        in_go(),
        limit(),
    ]
}

/// As many clones of each end as there are threads; the originals go away.
fn clones<S: Clone, R: Clone>(
    (sender, receiver): (S, R),
    producers: usize,
    consumers: usize,
) -> (Vec<S>, Vec<R>) {
    (vec![sender; producers], vec![receiver; consumers])
}

struct Crossbeam;

impl Channel for Crossbeam {
    type Sender = crossbeam_channel::Sender<usize>;
    type Receiver = crossbeam_channel::Receiver<usize>;

    fn open(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let ends = match capacity {
            Some(capacity) => crossbeam_channel::bounded(capacity),
            None => crossbeam_channel::unbounded(),
        };
        clones(ends, producers, consumers)
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: usize) {
        sender.send(message).expect("a receiver is there");
    }

    #[inline]
    fn recv(receiver: &mut Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }
}

struct Flume;

impl Channel for Flume {
    type Sender = flume::Sender<usize>;
    type Receiver = flume::Receiver<usize>;

    fn open(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let ends = match capacity {
            Some(capacity) => flume::bounded(capacity),
            None => flume::unbounded(),
        };
        clones(ends, producers, consumers)
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: usize) {
        sender.send(message).expect("a receiver is there");
    }

    #[inline]
    fn recv(receiver: &mut Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }
}

struct Kanal;

impl Channel for Kanal {
    type Sender = kanal::Sender<usize>;
    type Receiver = kanal::Receiver<usize>;

    fn open(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let ends = match capacity {
            Some(capacity) => kanal::bounded(capacity),
            None => kanal::unbounded(),
        };
        clones(ends, producers, consumers)
    }

    #[inline]
    fn send(sender: &mut Self::Sender, message: usize) {
        sender.send(message).expect("a receiver is there");
    }

    #[inline]
    fn recv(receiver: &mut Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }
}

struct Std;

/// std's two kinds of sender.
enum StdSender {
    Bounded(mpsc::SyncSender<usize>),
    Unbounded(mpsc::Sender<usize>),
}

/// std's receiver is for one thread; several share it behind a mutex.
enum StdReceiver {
    Own(mpsc::Receiver<usize>),
    Shared(Arc<Mutex<mpsc::Receiver<usize>>>),
}

impl Channel for Std {
    type Sender = StdSender;
    type Receiver = StdReceiver;

    fn open(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> (Vec<StdSender>, Vec<StdReceiver>) {
        let (senders, receiver) = match capacity {
            Some(capacity) => {
                let (sender, receiver) = mpsc::sync_channel(capacity);
                let senders = vec![sender; producers].into_iter();
                (senders.map(StdSender::Bounded).collect(), receiver)
            }
            None => {
                let (sender, receiver) = mpsc::channel();
                let senders = vec![sender; producers].into_iter();
                (senders.map(StdSender::Unbounded).collect(), receiver)
            }
        };
        if consumers == 1 {
            return (senders, vec![StdReceiver::Own(receiver)]);
        }
        let shared = Arc::new(Mutex::new(receiver));
        let shares = (0..consumers).map(|_| StdReceiver::Shared(Arc::clone(&shared)));
        (senders, shares.collect())
    }

    #[inline]
    fn send(sender: &mut StdSender, message: usize) {
        let sent = match sender {
            StdSender::Bounded(sender) => sender.send(message),
            StdSender::Unbounded(sender) => sender.send(message),
        };
        sent.expect("the receiver is there");
    }

    #[inline]
    fn recv(receiver: &mut StdReceiver) -> Option<usize> {
        match receiver {
            StdReceiver::Own(receiver) => receiver.recv().ok(),
            StdReceiver::Shared(receiver) => receiver.lock().unwrap().recv().ok(),
        }
    }
}

//! The channels that are compared, and their adapters.

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

/// A library whose ends can be cloned, both of them.
pub trait Mpmc {
    type Sender: Clone + Send;
    type Receiver: Clone + Send;
    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver);
    fn unbounded() -> (Self::Sender, Self::Receiver);
    /// Sends a message; returns whether a receiver was left.
    fn send(sender: &Self::Sender, message: usize) -> bool;
    fn recv(receiver: &Self::Receiver) -> Option<usize>;
}

impl<M: Mpmc> Channel for M {
    type Sender = M::Sender;
    type Receiver = M::Receiver;

    /// As many clones of each end as there are threads; the originals are dropped.
    fn open(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> (Vec<M::Sender>, Vec<M::Receiver>) {
        let (sender, receiver) = capacity.map_or_else(M::unbounded, M::bounded);
        (vec![sender; producers], vec![receiver; consumers])
    }

    #[inline]
    fn send(sender: &mut M::Sender, message: usize) {
        assert!(<M as Mpmc>::send(sender, message), "a receiver is left");
    }

    #[inline]
    fn recv(receiver: &mut M::Receiver) -> Option<usize> {
        <M as Mpmc>::recv(receiver)
    }
}

/// Implements [`Mpmc`] for a library whose functions have the usual names.
macro_rules! mpmc {
    ($name:ty, $library:ident) => {
        impl Mpmc for $name {
            type Sender = $library::Sender<usize>;
            type Receiver = $library::Receiver<usize>;

            fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
                $library::bounded(capacity)
            }

            fn unbounded() -> (Self::Sender, Self::Receiver) {
                $library::unbounded()
            }

            #[inline]
            fn send(sender: &Self::Sender, message: usize) -> bool {
                sender.send(message).is_ok()
            }

            #[inline]
            fn recv(receiver: &Self::Receiver) -> Option<usize> {
                receiver.recv().ok()
            }
        }
    };
}

struct Crossbeam;
struct Flume;
struct Kanal;

mpmc!(Crossbeam, crossbeam_channel);
mpmc!(Flume, flume);
mpmc!(Kanal, kanal);

struct Std;

/// std's two kinds of sender.
enum StdSender {
    Bounded(mpsc::SyncSender<usize>),
    Unbounded(mpsc::Sender<usize>),
}

/// std's receiver is for one thread, so several threads share it behind a mutex.
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

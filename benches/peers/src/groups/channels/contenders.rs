//! The channels that are compared, and their adapters.

use super::block_on::block_on;
use super::park::Park;
use super::ring::Ring;
use super::{Channel, Kind, Select, SelectTask, Task};
use super::{entry, in_go, peer, selecting, selecting_in_go};
use crate::entry::{Entry, Role};
use crate::plan::cores;
use std::sync::{Arc, Mutex, mpsc};

pub fn all() -> Vec<Entry<Task>> {
    let bounded: fn(&Task) -> bool = |task| task.capacity.is_some_and(|n| n > 0);
    vec![
        entry::<Ours>("phalanx", Role::Ours),
        peer::<Std>("std mpsc"),
        peer::<Crossbeam>("crossbeam"),
        peer::<Flume>("flume"),
        peer::<Kanal>("kanal"),
        // Two types, and one of them in each row. Neither library has a rendezvous: crossfire makes
        // capacity 0 a 1, rapidfire panics.
        peer::<CrossfireBounded>("crossfire").only(bounded),
        peer::<CrossfireUnbounded>("crossfire").only(|task| task.capacity.is_none()),
        peer::<Rapidfire>("rapidfire").only(|task| task.capacity != Some(0)),
        in_go(),
        entry::<Park>("limit: park", Role::Limit).only(|task| sleeps(task.kind)),
        entry::<Ring>("limit", Role::Limit)
            .only(|task| task.producers == 1 && task.consumers == 1 && stays_awake(task.kind))
            // A thread that spins needs a core to itself.
            .only(|task| !task.busy && cores() >= 2),
    ]
}

/// The libraries that can wait for several channels. std and kanal have nothing for that, rapidfire only
/// what futures offer.
pub fn selects() -> Vec<Entry<SelectTask>> {
    vec![
        selecting::<Ours>("phalanx Select", Role::Ours),
        selecting::<OursMacro>("phalanx select!", Role::Ours),
        selecting::<Crossbeam>("crossbeam Select", Role::Peer),
        selecting::<CrossbeamMacro>("crossbeam select!", Role::Peer),
        selecting::<Flume>("flume", Role::Peer),
        selecting::<CrossfireBounded>("crossfire", Role::Peer),
        selecting_in_go(),
        selecting::<Ring>("limit", Role::Limit)
            .only(|task| stays_awake(task.kind) && task.senders < cores()),
    ]
}

/// Rows in which the receiver sleeps before its message is sent.
fn sleeps(kind: Kind) -> bool {
    matches!(kind, Kind::Asleep | Kind::Idle)
}

/// Rows in which the receiver may stay awake.
fn stays_awake(kind: Kind) -> bool {
    !sleeps(kind)
}

/// A library whose ends can be cloned, both of them.
pub trait Mpmc {
    type Sender: Clone + Send;
    type Receiver: Clone + Send;
    /// `None` is for no bound.
    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver);
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
        let (sender, receiver) = M::channel(capacity);
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

/// Implements [`Mpmc`] for a library whose functions have the usual names, or, with other types and another
/// way to open a channel, for one whose methods have.
macro_rules! mpmc {
    ($name:ty, $($library:ident)::+) => {
        mpmc!(
            $name,
            $($library)::+::Sender<usize>,
            $($library)::+::Receiver<usize>,
            |capacity| capacity.map_or_else($($library)::+::unbounded, $($library)::+::bounded)
        );
    };
    ($name:ty, $sender:ty, $receiver:ty, $open:expr) => {
        impl Mpmc for $name {
            type Sender = $sender;
            type Receiver = $receiver;

            fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
                let open: fn(Option<usize>) -> (Self::Sender, Self::Receiver) = $open;
                open(capacity)
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

struct Ours;
struct Crossbeam;
struct Flume;
struct Kanal;

mpmc!(Ours, phalanx::channel);
mpmc!(Crossbeam, crossbeam_channel);
mpmc!(Flume, flume);
mpmc!(Kanal, kanal);

impl Select for Ours {
    fn select_each(receivers: Vec<Self::Receiver>, mut take: impl FnMut(usize) -> bool) {
        let mut select = phalanx::channel::Select::new();
        for receiver in &receivers {
            select.recv(receiver);
        }
        loop {
            let selected = select.select();
            let at = selected.index();
            if !take(selected.recv(&receivers[at]).expect("the senders are there")) {
                return;
            }
        }
    }
}

/// The same with the macro, which wants the number of cases in the source.
struct OursMacro;

mpmc!(OursMacro, phalanx::channel);

impl Select for OursMacro {
    fn select_each(receivers: Vec<Self::Receiver>, mut take: impl FnMut(usize) -> bool) {
        /// Receives from any of the receivers that a slice pattern has named.
        macro_rules! any {
            ($($receiver:ident),*) => {
                phalanx::select! { $(recv($receiver) -> message => message,)* }
            };
        }
        match &receivers[..] {
            [a, b] => while take(any!(a, b).expect("the senders are there")) {},
            [a, b, c, d, e, f, g, h] => {
                while take(any!(a, b, c, d, e, f, g, h).expect("the senders are there")) {}
            }
            _ => unreachable!("the rows have 2 or 8 channels"),
        }
    }
}

impl Select for Crossbeam {
    fn select_each(receivers: Vec<Self::Receiver>, mut take: impl FnMut(usize) -> bool) {
        let mut select = crossbeam_channel::Select::new();
        for receiver in &receivers {
            select.recv(receiver);
        }
        loop {
            let ready = select.select();
            let at = ready.index();
            if !take(ready.recv(&receivers[at]).expect("the senders are there")) {
                return;
            }
        }
    }
}

/// The same with the macro, which wants the number of cases in the source.
struct CrossbeamMacro;

mpmc!(CrossbeamMacro, crossbeam_channel);

impl Select for CrossbeamMacro {
    fn select_each(receivers: Vec<Self::Receiver>, mut take: impl FnMut(usize) -> bool) {
        /// Receives from any of the receivers that a slice pattern has named.
        macro_rules! any {
            ($($receiver:ident),*) => {
                crossbeam_channel::select! { $(recv($receiver) -> message => message,)* }
            };
        }
        match &receivers[..] {
            [a, b] => while take(any!(a, b).expect("the senders are there")) {},
            [a, b, c, d, e, f, g, h] => {
                while take(any!(a, b, c, d, e, f, g, h).expect("the senders are there")) {}
            }
            _ => unreachable!("the rows have 2 or 8 channels"),
        }
    }
}

impl Select for Flume {
    /// A `wait` uses its selector up.
    fn select_each(receivers: Vec<Self::Receiver>, mut take: impl FnMut(usize) -> bool) {
        loop {
            let selector = receivers.iter().fold(flume::Selector::new(), |selector, receiver| {
                selector.recv(receiver, |message| message)
            });
            if !take(selector.wait().expect("the senders are there")) {
                return;
            }
        }
    }
}

/// crossfire's channels with a bound, and those without, are of different types.
struct CrossfireBounded;
struct CrossfireUnbounded;

mpmc!(
    CrossfireBounded,
    crossfire::MTx<crossfire::mpmc::Array<usize>>,
    crossfire::MRx<crossfire::mpmc::Array<usize>>,
    |capacity| {
        // As its documentation asks for: it spins on several cores only.
        crossfire::detect_backoff_cfg();
        crossfire::mpmc::bounded_blocking(capacity.expect("a bound"))
    }
);

mpmc!(
    CrossfireUnbounded,
    crossfire::MTx<crossfire::mpmc::List<usize>>,
    crossfire::MRx<crossfire::mpmc::List<usize>>,
    |_| {
        crossfire::detect_backoff_cfg();
        crossfire::mpmc::unbounded_blocking()
    }
);

impl Select for CrossfireBounded {
    fn select_each(receivers: Vec<Self::Receiver>, mut take: impl FnMut(usize) -> bool) {
        let mut select = crossfire::select::Select::new();
        for receiver in &receivers {
            select.add(receiver);
        }
        loop {
            let ready = select.select().expect("the senders are there");
            let from = receivers.iter().find(|receiver| ready.is_from(*receiver));
            let from = from.expect("one of the receivers that were added");
            if !take(from.read_select(ready).expect("the senders are there")) {
                return;
            }
        }
    }
}

/// rapidfire has futures only. What can be done at once is done without one.
struct Rapidfire;

impl Mpmc for Rapidfire {
    type Sender = rapidfire::Sender<usize>;
    type Receiver = rapidfire::Receiver<usize>;

    fn channel(capacity: Option<usize>) -> (Self::Sender, Self::Receiver) {
        capacity.map_or_else(rapidfire::unbounded, rapidfire::bounded)
    }

    #[inline]
    fn send(sender: &Self::Sender, message: usize) -> bool {
        match sender.try_send(message) {
            Ok(()) => true,
            Err(rapidfire::TrySendError::Closed(_)) => false,
            Err(rapidfire::TrySendError::Full(message)) => block_on(sender.send(message)).is_ok(),
        }
    }

    #[inline]
    fn recv(receiver: &Self::Receiver) -> Option<usize> {
        match receiver.try_recv() {
            Ok(message) => Some(message),
            Err(rapidfire::TryRecvError::Closed) => None,
            Err(rapidfire::TryRecvError::Empty) => block_on(receiver.recv()).ok(),
        }
    }
}

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

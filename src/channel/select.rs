//! A select over cases that are known only at run time.

use super::cancelled::CancelCase;
use super::case::{Case, RecvCase, SendCase, Value};
use super::choose::{Patience, await_ready, choose};
use super::error::{RecvError, SelectTimeoutError, SendError, TrySelectError};
use super::receiver::Receiver;
use super::sender::Sender;
use crate::cancel::CancelToken;
use crate::support::deadline;
use std::time::{Duration, Instant};
use std::{fmt, ptr};

/// Waits for the first of several sends and receives that is ready, for cases that are known only at run time.
///
/// For a fixed set of cases there is the macro [`select!`](crate::select), which is shorter and allocates nothing (but a
/// list for a fan-in's channels).
///
/// Add cases with [`recv`](Select::recv), [`send`](Select::send), [`send_from`](Select::send_from) and
/// [`cancelled`](Select::cancelled), each of which returns the case's index. [`select`](Select::select) waits, completes one case, and returns which. Fetch its result
/// from [`Selected`], by the end that the case was added with. One of several ready cases is chosen at random.
///
/// A list of receives can be used again and again. A send case has one value, and is off once it has been sent.
///
/// # Examples
/// ```
/// use phalanx::channel::{self, Select};
/// use std::thread;
///
/// let receivers: Vec<_> = (0..5)
///     .map(|n| {
///         let (sender, receiver) = channel::bounded(1);
///         thread::spawn(move || sender.send(n));
///         receiver
///     })
///     .collect();
///
/// let mut select = Select::new();
/// for receiver in &receivers {
///     select.recv(receiver);
/// }
/// let mut sum = 0;
/// for _ in 0..receivers.len() {
///     let selected = select.select();
///     let index = selected.index();
///     sum += selected.recv(&receivers[index]).unwrap();
///     select.remove(index); // closed from now on, and so always ready
/// }
/// assert_eq!(sum, 10);
/// ```
#[derive(Default)]
pub struct Select<'a> {
    cases: Vec<Entry<'a>>,
}

/// `None` once it is removed.
type Entry<'a> = Option<Box<dyn AnyCase + 'a>>;

/// A case and its kind.
trait AnyCase: Case {
    fn kind(&self) -> Kind;
    fn as_case(&mut self) -> &mut dyn Case;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Recv,
    Send,
    Cancelled,
}

impl<T> AnyCase for RecvCase<'_, T> {
    fn kind(&self) -> Kind {
        Kind::Recv
    }

    fn as_case(&mut self) -> &mut dyn Case {
        self
    }
}

impl<T> AnyCase for SendCase<'_, T> {
    fn kind(&self) -> Kind {
        Kind::Send
    }

    fn as_case(&mut self) -> &mut dyn Case {
        self
    }
}

impl AnyCase for CancelCase<'_> {
    fn kind(&self) -> Kind {
        Kind::Cancelled
    }

    fn as_case(&mut self) -> &mut dyn Case {
        self
    }
}

impl<'a> Select<'a> {
    /// Creates a select without cases.
    pub fn new() -> Self {
        Select { cases: Vec::new() }
    }

    /// Adds a case that receives. Returns its index.
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(Box::new(receiver.case()))
    }

    /// Adds a case that sends `value`. Returns its index. The value is dropped with the select if it isn't sent.
    pub fn send<T>(&mut self, sender: &'a Sender<T>, value: T) -> usize
    where
        T: 'a,
    {
        self.add(Box::new(SendCase::new(Some(sender.handle()), Value::Own(Some(value)))))
    }

    /// Adds a case that sends what is in `slot`. Returns its index. The slot keeps the value unless the case is chosen.
    /// If it is empty, the case is off. Since the slot is borrowed, it can be filled again when the `Select` is gone.
    pub fn send_from<T>(&mut self, sender: &'a Sender<T>, slot: &'a mut Option<T>) -> usize {
        self.add(Box::new(SendCase::new(Some(sender.handle()), Value::Borrowed(slot))))
    }

    /// Adds a case that is ready when `token` is cancelled. Returns its index. It has no result to be fetched.
    pub fn cancelled(&mut self, token: &'a CancelToken) -> usize {
        self.add(Box::new(CancelCase::new(Some(token))))
    }

    fn add(&mut self, case: Box<dyn AnyCase + 'a>) -> usize {
        self.cases.push(Some(case));
        self.cases.len() - 1
    }

    /// Removes a case. The others keep their indices, and no later case gets this one: a list to which cases are added
    /// and removed for long grows.
    ///
    /// # Panics
    /// If there is no such case.
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        let case = self.cases.get_mut(index).and_then(Option::take);
        assert!(case.is_some(), "Select::remove: there is no case {index}");
    }

    /// Blocks until a case is ready, completes it, and returns which.
    ///
    /// # Panics
    /// If there are no cases, or all are off: it would block forever.
    #[track_caller]
    pub fn select(&mut self) -> Selected<'_, 'a> {
        match self.choose(Patience::Until(None)) {
            Some(index) => self.selected(index),
            None => unreachable!("it waits until a case is chosen"),
        }
    }

    /// Completes a case that is ready at once. Never blocks.
    ///
    /// # Errors
    /// If no case is ready.
    #[track_caller]
    pub fn try_select(&mut self) -> Result<Selected<'_, 'a>, TrySelectError> {
        let index = self.choose(Patience::None).ok_or(TrySelectError)?;
        Ok(self.selected(index))
    }

    /// As [`select`](Select::select), and blocks for at most `timeout`.
    ///
    /// # Errors
    /// If no case became ready in time.
    #[track_caller]
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Selected<'_, 'a>, SelectTimeoutError> {
        let patience = Patience::Until(deadline::after(timeout));
        let index = self.choose(patience).ok_or(SelectTimeoutError)?;
        Ok(self.selected(index))
    }

    /// As [`select`](Select::select), and blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// If no case became ready in time.
    #[track_caller]
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<Selected<'_, 'a>, SelectTimeoutError> {
        let index = self.choose(Patience::Until(Some(deadline))).ok_or(SelectTimeoutError)?;
        Ok(self.selected(index))
    }

    /// Blocks until a case is ready. Returns its index, and does nothing with it.
    ///
    /// By the time of the next call the case may not be ready any more, if other threads use the channel. So try it,
    /// and be prepared to wait again.
    ///
    /// A rendezvous is ready for a send while a thread is blocked in a receive; a task that awaits one doesn't count.
    ///
    /// # Panics
    /// As [`select`](Select::select).
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel::{self, Select};
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// sender.send(1).unwrap();
    /// let mut select = Select::new();
    /// select.recv(&receiver);
    /// assert_eq!(select.ready(), 0);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        match self.await_ready(Patience::Until(None)) {
            Some(index) => index,
            None => unreachable!("it waits until a case is ready"),
        }
    }

    /// Returns the index of a case that is ready. Never blocks.
    ///
    /// # Errors
    /// If no case is ready.
    #[track_caller]
    pub fn try_ready(&mut self) -> Result<usize, TrySelectError> {
        self.await_ready(Patience::None).ok_or(TrySelectError)
    }

    /// As [`ready`](Select::ready), and blocks for at most `timeout`.
    ///
    /// # Errors
    /// If no case became ready in time.
    #[track_caller]
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, SelectTimeoutError> {
        self.await_ready(Patience::Until(deadline::after(timeout))).ok_or(SelectTimeoutError)
    }

    /// As [`ready`](Select::ready), and blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// If no case became ready in time.
    #[track_caller]
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, SelectTimeoutError> {
        self.await_ready(Patience::Until(Some(deadline))).ok_or(SelectTimeoutError)
    }

    #[track_caller]
    fn choose(&mut self, patience: Patience) -> Option<usize> {
        let (indices, mut cases) = self.present(patience);
        choose(&mut cases, patience).map(|at| indices[at])
    }

    #[track_caller]
    fn await_ready(&mut self, patience: Patience) -> Option<usize> {
        let (indices, mut cases) = self.present(patience);
        await_ready(&mut cases, patience).map(|at| indices[at])
    }

    /// Returns the cases that are there, and their indices.
    #[track_caller]
    fn present(&mut self, patience: Patience) -> (Vec<usize>, Vec<Option<&mut dyn Case>>) {
        let mut indices = Vec::with_capacity(self.cases.len());
        let mut cases = Vec::with_capacity(self.cases.len());
        for (index, entry) in self.cases.iter_mut().enumerate() {
            if let Some(case) = entry {
                indices.push(index);
                cases.push(Some(case.as_case()));
            }
        }
        assert!(
            !cases.is_empty() || !matches!(patience, Patience::Until(None)),
            "a Select without cases would block forever"
        );
        (indices, cases)
    }

    fn selected(&mut self, index: usize) -> Selected<'_, 'a> {
        let case = self.cases[index].as_deref_mut().expect("chosen, so it is there");
        Selected { index, case }
    }
}

/// The case that a [`Select`] has chosen and completed.
///
/// Fetch its result with [`recv`](Selected::recv) or [`send`](Selected::send). Until it is fetched the case stays
/// complete: the next select chooses it, or another that is ready. With the [`Select`], or with the case when that is
/// removed, the result is dropped, and a received message with it.
#[must_use = "the result is fetched by `recv` or `send`"]
pub struct Selected<'s, 'a> {
    index: usize,
    case: &'s mut (dyn AnyCase + 'a),
}

impl Selected<'_, '_> {
    /// Returns the index of the case.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the result of a receive.
    ///
    /// # Errors
    /// If the channel is closed and empty.
    ///
    /// # Panics
    /// If the case isn't a receive from `receiver`.
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        let channel = receiver.channels().first().map_or(0, |channel| channel.address());
        self.check(Kind::Recv, channel);
        // SAFETY: a receive from a channel at that address. The receiver keeps that channel alive, so it is the same
        // one, and its messages have one type: a handle is invariant in it.
        let case = unsafe { &mut *ptr::from_mut(self.case).cast::<RecvCase<'_, T>>() };
        case.take_result()
    }

    /// Returns the result of a send.
    ///
    /// # Errors
    /// If the channel is closed. The error returns the value.
    ///
    /// # Panics
    /// If the case isn't a send into `sender`.
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>) -> Result<(), SendError<T>> {
        self.check(Kind::Send, sender.handle().address());
        // SAFETY: as in `recv`.
        let case = unsafe { &mut *ptr::from_mut(self.case).cast::<SendCase<'_, T>>() };
        case.take_result()
    }

    #[track_caller]
    fn check(&self, kind: Kind, channel: usize) {
        assert!(
            self.case.kind() == kind && self.case.channel() == channel && channel != 0,
            "Selected: case {} is not a {} that was added with this end",
            self.index,
            if kind == Kind::Recv { "receive" } else { "send" },
        );
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cases = self.cases.iter().flatten().count();
        f.debug_struct("Select").field("cases", &cases).finish_non_exhaustive()
    }
}

impl fmt::Debug for Selected<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected").field("index", &self.index).finish_non_exhaustive()
    }
}

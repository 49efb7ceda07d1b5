//! What the macro [`select!`](crate::select) expands to. Not for direct use.

use super::cancelled::CancelCase;
use super::case::{Case, RecvCase, SendCase, Value};
use super::choose::{Patience, choose};
use super::error::{RecvError, SendError};
use super::receiver::Receiver;
use super::sender::Sender;
use crate::cancel::{CancelReason, CancelToken};
use crate::support::deadline;
use crate::sys::Arc;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What a receive case of a select can be given: a receiver, a reference to one, or an `Option` of either, where
/// `None` switches the case off.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be received from",
    label = "the first argument of `recv(…)` is a receiver, a reference to one, or an `Option` of either"
)]
pub trait AsReceiver {
    /// The type of the messages.
    type Item;
    /// Returns the receiver; `None` switches the case off.
    fn as_receiver(&self) -> Option<&Receiver<Self::Item>>;
}

/// What a send case of a select can be given: a sender, a reference to one, or an `Option` of either, where `None`
/// switches the case off.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent into",
    label = "the first argument of `send(…)` or `send_from(…)` is a sender, a reference to one, or an `Option` of either"
)]
pub trait AsSender {
    /// The type of the messages.
    type Item;
    /// Returns the sender; `None` switches the case off.
    fn as_sender(&self) -> Option<&Sender<Self::Item>>;
}

/// What `cancelled(…)` in a select can be given: a token, a reference to one, or an `Option` of either, where `None`
/// switches the case off.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be cancelled",
    label = "the argument of `cancelled(…)` is a token, a reference to one, or an `Option` of either"
)]
pub trait AsCancelToken {
    /// Returns the token; `None` switches the case off.
    fn as_cancel_token(&self) -> Option<&CancelToken>;
}

impl AsCancelToken for CancelToken {
    fn as_cancel_token(&self) -> Option<&CancelToken> {
        Some(self)
    }
}

impl<T> AsReceiver for Receiver<T> {
    type Item = T;

    fn as_receiver(&self) -> Option<&Receiver<T>> {
        Some(self)
    }
}

impl<T> AsSender for Sender<T> {
    type Item = T;

    fn as_sender(&self) -> Option<&Sender<T>> {
        Some(self)
    }
}

/// Passes a call on to what a pointer or an option holds.
macro_rules! forward {
    ($($of:ty, $inner:ident => $get:expr;)*) => {$(
        impl<$inner: AsReceiver> AsReceiver for $of {
            type Item = $inner::Item;

            fn as_receiver(&self) -> Option<&Receiver<$inner::Item>> {
                let get: fn(&Self) -> Option<&$inner> = $get;
                get(self)?.as_receiver()
            }
        }

        impl<$inner: AsSender> AsSender for $of {
            type Item = $inner::Item;

            fn as_sender(&self) -> Option<&Sender<$inner::Item>> {
                let get: fn(&Self) -> Option<&$inner> = $get;
                get(self)?.as_sender()
            }
        }

        impl<$inner: AsCancelToken> AsCancelToken for $of {
            fn as_cancel_token(&self) -> Option<&CancelToken> {
                let get: fn(&Self) -> Option<&$inner> = $get;
                get(self)?.as_cancel_token()
            }
        }
    )*};
}

forward! {
    &R, R => |this| Some(*this);
    &mut R, R => |this| Some(&**this);
    Arc<R>, R => |this| Some(&**this);
    Rc<R>, R => |this| Some(&**this);
    Box<R>, R => |this| Some(&**this);
    Option<R>, R => |this| this.as_ref();
}

/// A receive case.
#[derive(Debug)]
pub struct Recv<'a, T>(RecvCase<'a, T>);

/// A send case.
#[derive(Debug)]
pub struct Send<'a, T>(SendCase<'a, T>);

/// A case of a token.
#[derive(Debug)]
pub struct Cancelled<'a>(CancelCase<'a>);

impl<'a> Cancelled<'a> {
    /// `cancelled(token)`
    pub fn new<C: AsCancelToken>(token: &'a C) -> Self {
        Cancelled(CancelCase::new(token.as_cancel_token()))
    }
}

impl<'a, T> Recv<'a, T> {
    /// `recv(receiver)`
    pub fn new<R: AsReceiver<Item = T>>(receiver: &'a R) -> Self {
        Recv(receiver.as_receiver().map_or_else(|| RecvCase::new(None), Receiver::case))
    }
}

impl<'a, T> Send<'a, T> {
    /// `send(sender, value)`
    pub fn new<S: AsSender<Item = T>>(sender: &'a S, value: T) -> Self {
        let value = Value::Own(Some(value));
        Send(SendCase::new(sender.as_sender().map(Sender::handle), value))
    }

    /// `send_from(sender, slot)`
    pub fn from_slot<S: AsSender<Item = T>>(sender: &'a S, slot: &'a mut Option<T>) -> Self {
        Send(SendCase::new(sender.as_sender().map(Sender::handle), Value::Borrowed(slot)))
    }
}

/// How long to wait: a duration, or until an instant.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Option<Instant>);

impl From<Duration> for Limit {
    fn from(timeout: Duration) -> Self {
        Limit(deadline::after(timeout))
    }
}

impl From<Instant> for Limit {
    fn from(deadline: Instant) -> Self {
        Limit(Some(deadline))
    }
}

/// When a select stops waiting.
#[derive(Clone, Copy, Debug)]
pub struct Stop(Patience);

impl Stop {
    /// Without a `default`.
    pub fn never() -> Self {
        Stop(Patience::Until(None))
    }

    /// `default`
    pub fn at_once() -> Self {
        Stop(Patience::None)
    }

    /// `default(limit)`
    pub fn after(limit: impl Into<Limit>) -> Self {
        Stop(Patience::Until(limit.into().0))
    }
}

/// The chosen case's result, by its place among the cases.
#[derive(Debug)]
pub enum Chosen<R, Later> {
    /// The result of the first case.
    This(R),
    /// A later case was chosen, or none.
    Later(Later),
}

/// No case was chosen.
#[derive(Debug)]
pub struct NoCase;

/// A case as the macro's list holds it.
pub trait Arm: private::AsCase {
    /// The result that its arm gets.
    type Result;
    /// Returns the result of the chosen case.
    fn into_result(self) -> Self::Result;
}

/// The macro's list of cases: `(first, (second, ()))`.
pub trait Arms: private::Collect {
    /// The result of the chosen one.
    type Chosen;
    /// Returns it.
    fn into_chosen(self, index: Option<usize>) -> Self::Chosen;
}

mod private {
    use crate::channel::case::Case;

    /// A case, which only this crate can use.
    #[expect(missing_debug_implementations, reason = "it is passed on at once")]
    pub struct Hidden<'c>(pub(crate) &'c mut dyn Case);

    pub trait AsCase {
        fn hidden(&mut self) -> Hidden<'_>;
    }

    pub trait Collect {
        const COUNT: usize;
        fn collect<'c>(&'c mut self, each: &mut dyn FnMut(Hidden<'c>));
    }
}

impl<T> private::AsCase for Recv<'_, T> {
    fn hidden(&mut self) -> private::Hidden<'_> {
        private::Hidden(&mut self.0)
    }
}

impl<T> Arm for Recv<'_, T> {
    type Result = Result<T, RecvError>;

    fn into_result(mut self) -> Self::Result {
        self.0.take_result()
    }
}

impl<T> private::AsCase for Send<'_, T> {
    fn hidden(&mut self) -> private::Hidden<'_> {
        private::Hidden(&mut self.0)
    }
}

impl<T> Arm for Send<'_, T> {
    type Result = Result<(), SendError<T>>;

    fn into_result(mut self) -> Self::Result {
        self.0.take_result()
    }
}

impl private::AsCase for Cancelled<'_> {
    fn hidden(&mut self) -> private::Hidden<'_> {
        private::Hidden(&mut self.0)
    }
}

impl Arm for Cancelled<'_> {
    type Result = CancelReason;

    fn into_result(self) -> CancelReason {
        self.0.reason()
    }
}

impl private::Collect for () {
    const COUNT: usize = 0;

    fn collect<'c>(&'c mut self, _: &mut dyn FnMut(private::Hidden<'c>)) {}
}

impl Arms for () {
    type Chosen = NoCase;

    fn into_chosen(self, _: Option<usize>) -> NoCase {
        NoCase
    }
}

impl<A: Arm, Rest: Arms> private::Collect for (A, Rest) {
    const COUNT: usize = 1 + Rest::COUNT;

    fn collect<'c>(&'c mut self, each: &mut dyn FnMut(private::Hidden<'c>)) {
        each(self.0.hidden());
        self.1.collect(each);
    }
}

impl<A: Arm, Rest: Arms> Arms for (A, Rest) {
    type Chosen = Chosen<A::Result, Rest::Chosen>;

    fn into_chosen(self, index: Option<usize>) -> Self::Chosen {
        // What was chosen is a local value while the others are dropped: if that panics, it is dropped too, where the
        // value that a function is about to return would be leaked.
        match index {
            Some(0) => {
                let result = self.0.into_result();
                drop(self.1);
                Chosen::This(result)
            }
            index => {
                let later = self.1.into_chosen(index.map(|index| index - 1));
                drop(self.0);
                Chosen::Later(later)
            }
        }
    }
}

/// Cases of a `select!` at most.
const MOST: usize = 32;
/// Up to so many, the list is short.
const FEW: usize = 8;

/// Runs a select. The cases, and the values of those that were not chosen, are dropped before it returns.
#[track_caller]
pub fn run<L: Arms>(mut arms: L, stop: Stop) -> L::Chosen {
    const { assert!(L::COUNT <= MOST, "select! takes up to 32 cases; channel::Select has no limit") };
    let index = if L::COUNT <= FEW {
        choose_among::<L, FEW>(&mut arms, stop)
    } else {
        choose_among::<L, MOST>(&mut arms, stop)
    };
    arms.into_chosen(index)
}

#[track_caller]
fn choose_among<L: Arms, const N: usize>(arms: &mut L, stop: Stop) -> Option<usize> {
    let mut cases: [Option<&mut dyn Case>; N] = [const { None }; N];
    let mut free = cases.iter_mut();
    arms.collect(&mut |case| {
        if let Some(place) = free.next() {
            *place = Some(case.0);
        }
    });
    choose(&mut cases[..L::COUNT], stop.0)
}

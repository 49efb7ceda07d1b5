//! Single-flight, the protocol: of the calls that want one key computed at the same time, one computes and the others wait for it.
//!
//! A *flight* is one computation. Its *leader* is the call that found neither a value nor a flight for the key. Calls
//! that find the flight wait for it. Nothing is locked while the leader's function runs.
//!
//! | state | in the shard's list | outcome | completion | a call that asks for the key |
//! | --- | --- | --- | --- | --- |
//! | listed | yes | none | pending | waits for this flight |
//! | unlisted | no | none | pending | finds another flight, or starts one |
//! | complete | no | set | over | finds the value, or starts a flight |
//!
//! ```text
//! (none)   => listed      the leader, under the shard's lock
//! listed   => unlisted    a removal, under the shard's lock
//! listed   => complete    the leader: unlists the flight and inserts its value in one critical section; then it
//!                         sets the outcome, then it completes
//! unlisted => complete    the leader: sets the outcome, then it completes; inserts nothing
//! ```
//!
//! | the leader's function | the table then has | the leader's caller gets | a waiter gets |
//! | --- | --- | --- | --- |
//! | returned a value | the value | the value | a clone of it |
//! | returned a value, but another call had inserted one | the inserted one | a clone of that | a clone of that |
//! | returned a value, but a removal had unlisted the flight | nothing of this flight | the value | a clone of it |
//! | failed | nothing of this flight | the error | a clone, if its own error is of that type; else it starts again |
//! | panicked, or the `Clone` of the value or the error did | nothing of this flight | the panic | it starts again |
//!
//! Of the waiters that start again at least one finds nothing and leads the next flight; the others wait for that one.
//!
//! Invariants:
//!
//! - F1. A flight is listed before its function starts, and unlisted once, both under the shard's lock. Unless a
//!   removal has unlisted it, its `Leader` does, also while it unwinds. A key has at most one listed flight.
//! - F2. A leader inserts its value only in the critical section in which it unlists its own flight. A removal unlists
//!   the key's flight in the critical section in which it removes. So no value that was computed from before a removal
//!   is inserted after it, and no call that asks after the removal finds the flight.
//! - F3. The outcome is set before the flight completes, and never changes. So a waiter finds it.
//! - F4. The list and the leader have the only two references to a flight's key. So a leader that has unlisted its
//!   flight owns the key.
//! - F5. A thread says which completion it waits for before it looks for a cycle, and until its wait is over. So the
//!   last thread of a cycle to say so finds the whole cycle.
//! - F6. A wait for a completion that is over is part of no cycle: its thread is about to go on. So a thread that
//!   follows a chain of waits loads the next completion first, and then checks that the current one is still pending.
//!   If it is, its leader had not completed it when it began the next wait.
//!
//! Orderings: the list is under the shard's lock. A completion's Release and Acquire order what the leader did before
//! what its waiters do; the outcome and what a thread waits for are under locks of their own besides.

use super::completion::Completion;
use crate::sys::{Arc, Mutex};
use std::any::Any;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::{iter, mem};

/// A list of flights. One word: most shards never have any.
///
/// What is unlisted is a list too. It may have the last reference to a user's key or value, so it is dropped without a
/// lock.
#[derive(Debug)]
pub(super) struct Flights<K, V>(Option<Box<Listed<K, V>>>);

// SAFETY: a flight is listed only while its leader's call borrows the store (F1), so a store that moves to another
// thread lists none. Calls of several threads share a flight's key and value only through a shared store, which
// requires `Sync` of both.
unsafe impl<K: Send, V: Send> Send for Flights<K, V> {}

// No panic leaves a flight incomplete: its leader completes it while it unwinds.
impl<K, V> UnwindSafe for Flights<K, V> {}
impl<K, V> RefUnwindSafe for Flights<K, V> {}

#[derive(Debug)]
struct Listed<K, V> {
    hash: u64,
    key: Arc<K>,
    flight: Arc<Flight<V>>,
    next: Flights<K, V>,
}

/// A flight, as its leader and its waiters share it.
#[derive(Debug)]
pub(super) struct Flight<V> {
    completion: Arc<Completion>,
    /// Protects the outcome, which is set once.
    outcome: Mutex<Option<Arc<Outcome<V>>>>,
}

/// How a flight ended.
#[derive(Debug)]
pub(super) enum Outcome<V> {
    /// With a value, for all callers.
    Value(V),
    /// With an error, for the callers whose error type this is.
    Error(Box<dyn Any + Send + Sync>),
    /// The waiters start again.
    Panicked,
}

impl<K, V> Flights<K, V> {
    pub(super) fn new() -> Self {
        Flights(None)
    }

    fn iter(&self) -> impl Iterator<Item = &Listed<K, V>> {
        iter::successors(self.0.as_deref(), |listed| listed.next.0.as_deref())
    }

    /// The key's flight.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&K) -> bool) -> Option<&Arc<Flight<V>>> {
        Some(&self.iter().find(|listed| listed.hash == hash && is_it(&listed.key))?.flight)
    }

    /// Starts a flight that this thread leads, and lists it.
    pub(super) fn start(&mut self, hash: u64, key: Arc<K>) -> Arc<Flight<V>> {
        let flight = Arc::new(Flight { completion: Completion::new(), outcome: Mutex::new(None) });
        let next = self.take();
        self.0 = Some(Box::new(Listed { hash, key, flight: flight.clone(), next }));
        flight
    }

    /// Whether a flight is listed.
    pub(super) fn lists(&self, flight: &Arc<Flight<V>>) -> bool {
        self.iter().any(|listed| Arc::ptr_eq(&listed.flight, flight))
    }

    /// Unlists a flight, if it is listed.
    pub(super) fn unlist(&mut self, flight: &Arc<Flight<V>>) -> Self {
        self.unlist_first(|listed| Arc::ptr_eq(&listed.flight, flight))
    }

    /// Unlists the key's flight, if there is one: a removal.
    #[inline]
    pub(super) fn unlist_key(&mut self, hash: u64, is_it: impl Fn(&K) -> bool) -> Self {
        if self.is_empty() {
            return Flights::new();
        }
        self.unlist_first(|listed| listed.hash == hash && is_it(&listed.key))
    }

    fn unlist_first(&mut self, is_it: impl Fn(&Listed<K, V>) -> bool) -> Self {
        let mut link = &mut self.0;
        while link.as_ref().is_some_and(|listed| !is_it(listed)) {
            link = link.as_mut().map(|listed| &mut listed.next.0).expect("checked above");
        }
        let mut unlisted = link.take();
        if let Some(unlisted) = &mut unlisted {
            *link = unlisted.next.0.take();
        }
        Flights(unlisted)
    }

    /// Unlists all flights.
    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Flights::new())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<V> Flight<V> {
    /// Sets the outcome, and ends all waits. Only once, by the leader, when the flight is unlisted.
    pub(super) fn complete(&self, outcome: Outcome<V>) {
        *self.outcome.lock() = Some(Arc::new(outcome));
        self.completion.complete();
    }

    /// Blocks until the flight is complete.
    ///
    /// # Panics
    /// If it would wait for ever.
    #[track_caller]
    pub(super) fn wait(&self) {
        self.completion.wait();
    }

    /// The outcome of a flight that is complete.
    pub(super) fn into_outcome(self: Arc<Self>) -> Arc<Outcome<V>> {
        let outcome = self.outcome.lock().clone();
        outcome.expect("F3: set before the flight completes")
    }
}

impl<V: Clone> Outcome<V> {
    /// The value or the error; `None` for a panic, and for an error of another type. The last call to ask takes the
    /// value, the others clone it.
    pub(super) fn result<E: Clone + 'static>(mut self: Arc<Self>) -> Option<Result<V, E>> {
        // Not `try_unwrap`, whose fence ThreadSanitizer doesn't see.
        if let Some(last) = Arc::get_mut(&mut self) {
            return match mem::replace(last, Outcome::Panicked) {
                Outcome::Value(value) => Some(Ok(value)),
                Outcome::Error(error) => error.downcast().ok().map(|error| Err(*error)),
                Outcome::Panicked => None,
            };
        }
        match &*self {
            Outcome::Value(value) => Some(Ok(value.clone())),
            Outcome::Error(error) => error.downcast_ref().cloned().map(Err),
            Outcome::Panicked => None,
        }
    }
}

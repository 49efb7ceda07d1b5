//! Processes: a model doesn't fork, so there is one.

use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process;

impl Process {
    pub(crate) fn current() -> Self {
        Process
    }
}

/// A value of which each process has its own.
#[derive(Debug)]
pub(crate) struct PerProcess<T>(Arc<T>);

impl<T> PerProcess<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        PerProcess(value)
    }

    pub(crate) fn get(&self, _renew: impl FnOnce(&T) -> Arc<T>) -> &Arc<T> {
        &self.0
    }

    pub(crate) fn peek(&self) -> &T {
        &self.0
    }

    pub(crate) fn own(&self) -> Option<&Arc<T>> {
        Some(&self.0)
    }
}

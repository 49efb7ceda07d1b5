//! The tokens that are compared, and their adapters.

use super::{Flag, Task, Token, flag, token};
use crate::entry::{Entry, Role};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

pub fn flags() -> Vec<Entry<Task>> {
    vec![
        flag::<phalanx::CancelToken>("phalanx", Role::Ours),
        flag::<AtomicBool>("AtomicBool", Role::Limit),
        flag::<Arc<AtomicBool>>("Arc<AtomicBool>", Role::Peer),
        flag::<CancellationToken>("tokio-util", Role::Peer),
    ]
}

pub fn tokens() -> Vec<Entry<Task>> {
    vec![
        token::<phalanx::CancelToken>("phalanx", Role::Ours),
        token::<CancellationToken>("tokio-util", Role::Peer),
    ]
}

impl Flag for AtomicBool {
    fn new() -> Self {
        AtomicBool::new(false)
    }

    #[inline]
    fn is_cancelled(&self) -> bool {
        // ORDERING: Acquire: as a user would write it, to see what was done before the store.
        self.load(Ordering::Acquire)
    }
}

/// As a user would share it.
impl Flag for Arc<AtomicBool> {
    fn new() -> Self {
        Arc::default()
    }

    #[inline]
    fn is_cancelled(&self) -> bool {
        // ORDERING: Acquire: as above.
        self.load(Ordering::Acquire)
    }
}

impl Flag for CancellationToken {
    fn new() -> Self {
        CancellationToken::new()
    }

    #[inline]
    fn is_cancelled(&self) -> bool {
        CancellationToken::is_cancelled(self)
    }
}

impl Token for CancellationToken {
    fn child(&self) -> Self {
        self.child_token()
    }

    fn cancel(&self) {
        CancellationToken::cancel(self);
    }
}

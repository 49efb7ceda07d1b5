//! What a wait that succeeds returns.

/// The barrier was passed. Returned by [`Barrier::wait`](crate::Barrier::wait).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    #[inline]
    pub(super) fn new(is_leader: bool) -> Self {
        BarrierWaitResult { is_leader }
    }

    /// Returns whether this is the one party of the round that is the leader: the one that came last.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

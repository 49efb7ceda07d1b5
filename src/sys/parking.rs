//! What the calls that wait on an address say, in both builds.

/// How a [`park`](super::park) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Another thread unparked the address: check again.
    Woken,
    /// Woken by an [`unpark_one`](super::unpark_one) that handed over what this thread waited for.
    Handed,
    /// `validate` found no reason to sleep.
    Invalid,
    /// The deadline passed first.
    TimedOut,
}

/// What an [`unpark_one`](super::unpark_one) found in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dequeued {
    /// A thread was removed and is about to be woken.
    pub(crate) found: bool,
    /// Other threads are still queued.
    pub(crate) more: bool,
}

/// Whether an [`unpark_one`](super::unpark_one) hands the thread it wakes what that thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandOff {
    /// The thread has to check for itself.
    No,
    /// The thread owns it. A thread whose wake-up is spurious is never told so.
    Yes,
}

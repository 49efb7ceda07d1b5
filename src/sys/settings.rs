//! How a model is explored. On the machine nothing is explored, and the settings have no effect.

/// The settings of an [`explore`](super::explore).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What the user chose; `Some(None)` is no bound.
    pub(crate) preemption_bound: Option<Option<usize>>,
    /// Points of choice in one execution.
    pub(crate) max_branches: usize,
    /// Whether deadlines never come.
    pub(crate) no_deadlines: bool,
}

impl Settings {
    pub(crate) const DEFAULT: Self =
        Settings { preemption_bound: None, max_branches: 10_000, no_deadlines: false };
}

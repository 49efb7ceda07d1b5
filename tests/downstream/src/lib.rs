//! A user's code on phalanx, without any cfg: structures of its own, each in a right version and in wrong ones.
//!
//! The wrong versions have bugs that tests on real threads can miss for years. Under `--cfg phalanx_loom` the models in
//! `tests/` find them in seconds, and accept the right versions.
//!
//! [`connections`], [`door`], [`errand`], [`letters`], [`pages`], [`permits`], [`post`], [`queue`], [`relay`],
//! [`rounds`] and [`settings`] are built on phalanx's types, the others on atomics and cells alone.

pub mod buffering;
pub mod connections;
pub mod counted;
pub mod door;
pub mod errand;
pub mod flag;
pub mod hazard;
pub mod latch;
pub mod letters;
pub mod once;
pub mod pages;
pub mod permits;
pub mod pointer;
pub mod post;
pub mod queue;
pub mod relay;
pub mod ring;
pub mod rounds;
pub mod sequence;
pub mod settings;
pub mod signal;
pub mod spin;
pub mod stack;
pub mod turns;

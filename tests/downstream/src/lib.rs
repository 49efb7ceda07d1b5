//! A stranger's code on phalanx, with no cfg in it: structures of its own, each right once and
//! wrong at least once.
//!
//! The wrong versions have bugs of the kind that tests on real threads pass for years. Under
//! `--cfg phalanx_loom` the models in `tests/` find them in seconds, and accept the right ones.
//!
//! Written on phalanx's types: [`post`], [`door`], [`letters`], [`pages`], [`queue`]. Written on
//! atomics and cells alone: the others.

pub mod buffering;
pub mod counted;
pub mod door;
pub mod flag;
pub mod hazard;
pub mod latch;
pub mod letters;
pub mod once;
pub mod pages;
pub mod pointer;
pub mod post;
pub mod queue;
pub mod ring;
pub mod sequence;
pub mod signal;
pub mod spin;
pub mod stack;
pub mod turns;

//! PLACEHOLDER
mod error;
mod latch;
mod sys;
mod wait_group;
mod worker_pool;

pub use error::WaitTimeout;
pub use sys::{Model, atomic, cell, model, thread};
pub use wait_group::{WaitFuture, WaitGroup, WaitGuard};
pub use worker_pool::{WorkerPool, WorkerPoolBuilder};


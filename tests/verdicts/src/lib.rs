//! Nothing: see `tests/models.rs`.

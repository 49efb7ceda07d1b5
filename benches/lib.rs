//! Nothing: the package consists of its benches.

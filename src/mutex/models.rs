//! Models (to come).

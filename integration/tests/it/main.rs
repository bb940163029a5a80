//! Whole clusters, tested.

mod drill;

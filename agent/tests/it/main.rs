//! The agent with real processes.

mod containers;

//! An agent as a process, killed at any moment: its tasks go on, and all that was said of them arrives.

mod damaged;
mod drill;
mod gpus;
mod gpus_heal;
mod over_http;
mod own;
mod restarts;
mod signals;
mod site;
mod steps;
mod work;

//! An agent as a process, killed at any moment: its tasks go on, and all that was said of them arrives.

mod drill;
mod gpus;
mod gpus_heal;
mod restarts;
mod site;
mod steps;
mod work;

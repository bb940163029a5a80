//! The master, from outside.

mod golden;
mod lines;
mod offers;
mod script;
mod shell;

//! The master, from outside.

mod golden;
mod offers;
mod script;
mod shell;

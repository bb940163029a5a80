//! The master, from outside.

mod agent_words;
mod api;
mod bounds;
mod client;
mod golden;
mod group;
mod lines;
mod maintenance;
mod offers;
mod script;
mod shell;
mod words;

//! `meseta bench`: what is measured, each benchmark a file. Numbers and sizes are those of the project's list of
//! benchmarks (B6, B7, B16, ...).

mod launch_rate;
mod masters;
mod report;
mod start;
mod through_master;
mod whole_state;

use std::error::Error;

pub use report::{Conditions, Figure, keep};

/// How long a run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// All benchmarks together within a minute.
    Quick,
    /// As long as the sizes ask for.
    Full,
}

/// What a run found, or why it could not.
pub type Findings = Result<Vec<Figure>, Box<dyn Error>>;

/// One benchmark.
pub struct Benchmark {
    /// Such as `B6`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Runs it.
    pub run: fn(Effort) -> Findings,
}

/// All of them.
pub const ALL: &[Benchmark] = &[
    Benchmark {
        name: "B4",
        summary: "agents register for the first time: durable before they are told",
        run: masters::register,
    },
    Benchmark {
        name: "B5",
        summary: "agents with tasks register again with a new leader",
        run: masters::come_back,
    },
    Benchmark {
        name: "B5b",
        summary: "kill -9 of the leading master, to the first new task RUNNING",
        run: masters::fail_over,
    },
    Benchmark {
        name: "B6",
        summary: "tasks through the master: accept, agent, RUNNING, scheduler, acknowledgement; simulated agents",
        run: through_master::run,
    },
    Benchmark {
        name: "B7",
        summary: "real processes on one agent: tasks of `true`, from launch to the terminal update",
        run: launch_rate::run,
    },
    Benchmark {
        name: "B8",
        summary: "the whole state of a large cluster over HTTP; /health and launches while others read it (B8b)",
        run: whole_state::run,
    },
    Benchmark {
        name: "B10",
        summary: "commits of the registry by three masters, durable",
        run: masters::commit,
    },
    Benchmark {
        name: "B16",
        summary: "from nothing to the first RUNNING task by `meseta local`; size and memory of the program",
        run: start::run,
    },
];

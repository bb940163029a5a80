//! The fetcher's process alone: what the agent's own tests start. `meseta fetch` is the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::fetcher::process::main()
}

//! The launcher alone, without a command executor: what the agent's own tests start. `meseta launch` is the whole.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::launch::launch_main(|_| no_command_executor())
}

#[allow(clippy::print_stderr, reason = "standard error is the sandbox's file by now")]
fn no_command_executor() -> u8 {
    eprintln!("this launcher has no command executor: use meseta launch");
    2
}

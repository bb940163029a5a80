//! `meseta master`.
//!
//! | part | what it is |
//! |---|---|
//! | [`flags`] | the table of its flags |
//! | [`settings`] | what they say of the master machine and of its replica |
//! | [`member`] | which master it is, and with whom it begins |
//! | [`advice`] | flags that have another meaning than in Mesos, or none |

mod advice;
mod flags;
pub mod member;
mod settings;

use std::path::Path;
use std::process::ExitCode;

use self::flags::FLAGS;
use self::member::Plan;
use super::{Command, Failure, daemon};
use crate::flags::{Arguments, Flags, Surroundings};
use crate::runtime;
use crate::work_dir::WorkDir;

/// The command.
pub const COMMAND: Command = Command {
    name: "master",
    synopsis: "--work_dir=DIR [--id=N --peers=1=HOST:PORT,2=HOST:PORT,3=HOST:PORT] [flags]",
    summary: "run a master",
    flags: FLAGS,
    hidden: false,
    run: run_master,
};

fn run_master(words: &[String]) -> Result<ExitCode, Failure> {
    let surroundings = Surroundings::of_process(&["/etc/mesos-master"]);
    let flags = Flags::load("master", FLAGS, Arguments::None, words, &surroundings)?;
    let listen = daemon::listen(&flags)?;
    let plan = Plan::of(&flags, listen.advertise_port.unwrap_or(listen.port))?;
    advice::refuse(&flags, &plan)?;
    let _tick = settings::ticks(&flags)?;
    let start = daemon::master(&flags, "master", settings::settings(&flags)?)?;
    let work_dir = WorkDir::claim(Path::new(flags.needed("work_dir")?), "master")?;
    let level = daemon::log(&flags, "master", None)?;
    advice::warn(&flags, &plan);
    runtime::block_on(async {
        let mut signals = runtime::EndSignals::listen()?;
        let node = listen.bind(master::NAME).await?;
        daemon::adjust_log_over_http(&node, level);
        let master = master::start(&node, start)?;
        daemon::log_flags(&flags);
        tracing::info!(work_dir = %work_dir.path().display(), "listening on {}", master.pid());
        let signal = signals.next().await;
        tracing::info!(signal, "ending");
        node.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

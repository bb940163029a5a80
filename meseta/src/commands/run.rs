//! `meseta run`.

use std::process::ExitCode;

use std::time::Duration;

use protocol::{CommandInfo, FrameworkInfo, KillPolicy, Resources, Role};
use scheduler_driver::SchedulerDriver;

use super::{Command, Failure, LOG_FLAGS, daemon, environment};
use crate::flags::{Arguments, Flag, FlagError, Flags, Kind, Surroundings};
use crate::run::{JobSpec, Lines, RunScheduler, drive};
use crate::runtime;

/// The command.
pub const COMMAND: Command = Command {
    name: "run",
    synopsis: "--master=HOST:PORT[,HOST:PORT...] [flags] (--command=TEXT | [--] PROGRAM [ARGUMENT...])",
    summary: "run a command as a task on a cluster, and exit with its status",
    flags: FLAGS,
    hidden: false,
    run: run_command,
};

const FLAGS: &[Flag] = &[
    Flag {
        name: "master",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The masters, host:port, separated by commas.",
    },
    Flag {
        name: "command",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "A shell command; or give a program and its arguments after the flags.",
    },
    Flag {
        name: "name",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The task's name and id; default: the program's with a random end.",
    },
    Flag {
        name: "resources",
        aliases: &[],
        kind: Kind::Resources,
        default: Some("cpus:1;mem:128"),
        help: "What each task uses.",
    },
    Flag {
        name: "env",
        aliases: &["environment"],
        kind: Kind::Text,
        default: None,
        help: "Environment variables, NAME=VALUE joined by commas, or a JSON object.",
    },
    Flag {
        name: "instances",
        aliases: &[],
        kind: Kind::Number,
        default: Some("1"),
        help: "How many such tasks.",
    },
    Flag { name: "role", aliases: &[], kind: Kind::Text, default: Some("*"), help: "The role to run as." },
    Flag {
        name: "user",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The user that runs the command; default: the agent's.",
    },
    Flag {
        name: "kill_grace_period",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("3secs"),
        help: "Between TERM and KILL when the task is killed.",
    },
    Flag {
        name: "logging_level",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "As for a master; default: WARNING.",
    },
    LOG_FLAGS[1],
    LOG_FLAGS[2],
];

/// A job with more tasks than this is a framework's.
const MAX_INSTANCES: u64 = 100_000;

fn run_command(words: &[String]) -> Result<ExitCode, Failure> {
    let flags = Flags::load("run", FLAGS, Arguments::Trailing, words, &Surroundings::of_process(&[]))?;
    let masters = flags.needed("master")?.to_owned();
    let spec = job(&flags)?;
    let framework = framework(&flags, &spec.name)?;
    daemon::log(&flags, "run", Some(daemon::LEVEL_OF_JOBS))?;
    let (scheduler, mut job) = RunScheduler::new(spec);
    let driver = SchedulerDriver::builder(scheduler, framework, &masters)
        .build()
        .map_err(|error| flags.refuse("master", error.to_string()))?;
    runtime::block_on(async {
        let signals = runtime::EndSignals::listen()?;
        driver.start();
        drive(&driver, &mut job, signals, &mut Lines::to_stdout(masters)).await
    })
}

fn job(flags: &Flags) -> Result<JobSpec, Failure> {
    let (command, program) = match (flags.text("command"), flags.rest.split_first()) {
        (Some(""), None) => return Err(flags.refuse("command", "nothing to run").into()),
        (None, Some((program, _))) if program.is_empty() => return Err("the program's name is empty".into()),
        (Some(text), None) => (CommandInfo::shell(text), "command"),
        (None, Some((program, _))) => {
            (CommandInfo::argv(program, flags.rest.iter().cloned()), program.as_str())
        }
        (Some(_), Some((stray, _))) => {
            return Err(format!("--command and '{stray}' both say what to run; give one of them").into());
        }
        (None, None) => return Err("nothing to run: give --command=TEXT, or -- PROGRAM [ARGUMENT...]".into()),
    };
    let instances = flags.parsed("instances").unwrap_or(1);
    if !(1..=MAX_INSTANCES).contains(&instances) {
        return Err(flags.refuse("instances", format!("expected 1 to {MAX_INSTANCES}")).into());
    }
    let name = match flags.text("name") {
        Some(name) => name.to_owned(),
        None => {
            let program = program.rsplit('/').next().unwrap_or(program);
            format!("{program}-{:08x}", daemon::seed()? as u32)
        }
    };
    protocol::validate::task_id(&name.as_str().into())
        .map_err(|invalid| flags.refuse("name", invalid.to_string()))?;
    let resources = Resources::parse(flags.text("resources").unwrap_or_default())?;
    let mut command = environment::read(flags, "env")?
        .into_iter()
        .fold(command, |command, (name, value)| command.env(name, value));
    command.user = flags.text("user").map(Into::into);
    let grace = flags.duration("kill_grace_period").unwrap_or(Duration::from_secs(3));
    Ok(JobSpec { name, command, resources, instances, kill_policy: KillPolicy { grace_period: Some(grace) } })
}

fn framework(flags: &Flags, name: &str) -> Result<FrameworkInfo, FlagError> {
    let role = Role::from(flags.text("role").unwrap_or(Role::DEFAULT));
    protocol::validate::role(&role).map_err(|invalid| flags.refuse("role", invalid.to_string()))?;
    let mut framework = FrameworkInfo::new(format!("meseta run {name}"));
    // Its task outlives the agent's process.
    framework.checkpoint = true;
    framework.roles = [role].into();
    Ok(framework)
}

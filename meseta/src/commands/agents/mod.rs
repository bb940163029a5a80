//! `meseta agents`: which agents there are, and what operators want of them.
//!
//! | part | what it is |
//! |---|---|
//! | [`words`] | what is asked for |
//! | [`http`] | one question to a master |
//! | [`leader`] | finds the one that leads |
//! | [`seen`] | what is known of the agents |
//! | [`table`] | what is shown |
//! | [`change`] | what is asked of the master, and what its answers mean |

mod change;
mod http;
mod leader;
mod seen;
mod table;
mod words;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use self::http::Question;
use self::leader::Masters;
use self::seen::Agents;
use self::words::{Change, Wanted};
use super::masters::addresses;
use super::{Command, Failure, LOG_FLAGS, MASTERS_FLAG, complain, daemon, say};
use crate::flags::{Arguments, Flag, Flags, Kind, Surroundings};
use crate::runtime;

/// The command.
pub const COMMAND: Command = Command {
    name: "agents",
    synopsis: "[list | drain AGENT... | deactivate AGENT... | reactivate AGENT... | gone AGENT...] [flags]",
    summary: "show the agents of a cluster, empty one, have it not offered",
    flags: FLAGS,
    hidden: false,
    run: run_agents,
};

const FLAGS: &[Flag] = &[
    MASTERS_FLAG,
    Flag {
        name: "json",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Print the agents as JSON.",
    },
    Flag {
        name: "max_grace_period",
        aliases: &[],
        kind: Kind::Duration,
        default: None,
        help: "For drain: the longest that a task may take to end; default: what each asks for.",
    },
    Flag {
        name: "mark_gone",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "For drain: when it is empty, the agent is gone for good.",
    },
    Flag {
        name: "wait",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "For drain: wait until it is empty.",
    },
    Flag {
        name: "timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: None,
        help: "How long to look for a master that leads, default 30secs; with --wait how long to wait, default for ever.",
    },
    Flag {
        name: "logging_level",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "As for a master; default: ERROR.",
    },
    LOG_FLAGS[1],
    LOG_FLAGS[2],
];

/// The log level of the command, unless the flags have one.
const LEVEL: &str = "ERROR";
/// How long to look for a master that leads: longer than an election takes.
const LOOK: Duration = Duration::from_secs(30);

fn run_agents(words: &[String]) -> Result<ExitCode, Failure> {
    let flags = Flags::load("agents", FLAGS, Arguments::Anywhere, words, &Surroundings::of_process(&[]))?;
    let wanted = words::read(&flags)?;
    let limit = flags.duration("timeout");
    if limit.is_some_and(|limit| limit.is_zero()) {
        return Err(flags.refuse("timeout", "expected a duration above zero").into());
    }
    let mut masters = Masters::new(addresses(&flags, "master")?, limit.unwrap_or(LOOK).min(LOOK));
    daemon::log(&flags, "agents", Some(LEVEL))?;
    runtime::block_on(async {
        match wanted {
            Wanted::List => {
                let agents = look(&mut masters).await?;
                let json = flags.switch("json");
                say(&if json { format!("{:#}\n", table::json(&agents)) } else { table::text(&agents) });
                Ok(ExitCode::SUCCESS)
            }
            Wanted::Change(change, names) => {
                changes(&mut masters, &change, &names, limit.unwrap_or(Duration::MAX)).await
            }
        }
    })
}

/// Changes one agent after the other; one that is refused does not keep the others from it. Names are read before anything
/// is changed.
async fn changes(
    masters: &mut Masters,
    change: &Change,
    names: &[String],
    limit: Duration,
) -> Result<ExitCode, Failure> {
    let agents = look(masters).await?;
    let mut found = Vec::new();
    for name in names {
        if agents.gone.contains(name) {
            match change {
                Change::Gone => say(&format!("agent {name} is gone already\n")),
                _ => {
                    return Err(format!(
                        "agent {name} is gone for good: its machine can only join as a new agent"
                    )
                    .into());
                }
            }
            continue;
        }
        let id = agents.find(name)?;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    let (mut code, mut drained) = (ExitCode::SUCCESS, Vec::new());
    for id in found {
        match change::change(masters, id, &agents.all[id], change).await {
            Ok(said) => {
                say(&format!("{said}\n"));
                drained.push(id);
            }
            Err(why) => {
                complain(COMMAND.name, &why.to_string());
                code = ExitCode::FAILURE;
            }
        }
    }
    if matches!(change, Change::Drain { wait: true, .. }) {
        for id in drained {
            let said = change::wait(masters, id, &agents.all[id].named(id), limit, note).await?;
            say(&format!("{said}\n"));
        }
    }
    Ok(code)
}

/// Asks the leading master for all that it knows of agents.
async fn look(masters: &mut Masters) -> Result<Agents, Failure> {
    let summary = page(masters, "/state-summary").await?;
    // Its own registry, since it was the last that answered.
    let registry = page(masters, "/registrar(1)/registry").await?;
    Ok(Agents::read(&summary, &registry)?)
}

async fn page(masters: &mut Masters, path: &'static str) -> Result<String, Failure> {
    let reply = masters.ask(&Question::Get(path)).await?;
    match reply.status {
        200 => Ok(reply.body),
        status => Err(format!("the master answers {path} with {status} {}", reply.body.trim()).into()),
    }
}

/// Says on standard error how it goes.
fn note(text: &str) {
    // The change goes on when nobody reads about it any more.
    let _ = std::io::stderr().lock().write_all(format!("meseta agents: {text}\n").as_bytes());
}

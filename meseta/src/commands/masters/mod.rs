//! `meseta masters`: who the masters are, and changes of who they are.
//!
//! | part | what it is |
//! |---|---|
//! | [`words`] | what is asked for |
//! | [`line`] | talks to masters |
//! | [`ask`] | finds them, and the one that leads; waits for a change |
//! | [`table`] | what is shown |
//! | [`repair`] | a work directory that can't be used any more begins anew |

mod ask;
pub mod line;
mod repair;
mod table;
mod words;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use self::ask::{Masters, Until};
use self::words::Wanted;
use super::master::member;
use super::{Command, Failure, LOG_FLAGS, MASTERS_FLAG, daemon, say};
use crate::flags::{Arguments, Flag, FlagError, Flags, Kind, Surroundings};
use crate::runtime;

/// The command.
pub const COMMAND: Command = Command {
    name: "masters",
    synopsis: "[status | add ID=HOST:PORT | remove ID | replace OLD NEW=HOST:PORT | transfer [ID] | repair] [flags]",
    summary: "show the masters of a cluster, take one in, let one go",
    flags: FLAGS,
    hidden: false,
    run: run_masters,
};

const FLAGS: &[Flag] = &[
    MASTERS_FLAG,
    Flag {
        name: "json",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Print the status as JSON.",
    },
    Flag {
        name: "timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("5mins"),
        help: "How long to wait for the end of a change.",
    },
    Flag {
        name: "work_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "For repair: the work directory of the master, which does not run.",
    },
    Flag {
        name: "from_peer",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "For repair: another master of the same cluster, host:port.",
    },
    Flag {
        name: "id",
        aliases: &[],
        kind: Kind::Number,
        default: None,
        help: "For repair: the master's number, if its work directory does not say it any more.",
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

/// The log level of the command, unless the flags have one: what masters answer is what people came for.
const LEVEL: &str = "ERROR";

fn run_masters(words: &[String]) -> Result<ExitCode, Failure> {
    let flags = Flags::load("masters", FLAGS, Arguments::Anywhere, words, &Surroundings::of_process(&[]))?;
    let wanted = words::read(&flags.rest)?;
    let addresses = addresses(&flags, if wanted == Wanted::Repair { "from_peer" } else { "master" })?;
    let limit = flags.duration("timeout").unwrap_or(Duration::MAX);
    if limit.is_zero() {
        return Err(flags.refuse("timeout", "expected a duration above zero").into());
    }
    daemon::log(&flags, "masters", Some(LEVEL))?;
    runtime::block_on(async {
        let mut masters = Masters::new(addresses);
        let ended = match &wanted {
            Wanted::Status => status(&mut masters, flags.switch("json")).await,
            Wanted::Change(change) => {
                let done = masters.change(change, limit, Until::Done, note).await;
                done.map(|()| finish(&format!("{}\n", words::describe(change))))
            }
            Wanted::Repair => {
                repair::repair(&flags, &mut masters, limit, note).await.map(|said| finish(&said))
            }
        };
        masters.close().await;
        ended
    })
}

fn finish(said: &str) -> ExitCode {
    say(said);
    ExitCode::SUCCESS
}

async fn status(masters: &mut Masters, json: bool) -> Result<ExitCode, Failure> {
    let heard = masters.look().await?;
    say(&if json { format!("{:#}\n", heard.json()) } else { heard.text() });
    match heard.leaderless() {
        None => Ok(ExitCode::SUCCESS),
        Some(why) => Err(why.into()),
    }
}

/// The addresses that a flag has: one or more, separated by commas.
///
/// # Errors
/// What was expected instead.
pub fn addresses(flags: &Flags, name: &'static str) -> Result<Vec<String>, FlagError> {
    let refuse = || flags.refuse(name, "expected host:port, or several separated by commas");
    let parts = flags.needed(name)?.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| member::address(part.strip_prefix("master@").unwrap_or(part)).ok_or_else(refuse);
    let addresses: Vec<_> = parts.map(read).collect::<Result<_, _>>()?;
    if addresses.is_empty() { Err(refuse()) } else { Ok(addresses) }
}

/// Says on standard error how it goes.
fn note(text: &str) {
    // The change goes on when nobody reads about it any more.
    let _ = std::io::stderr().lock().write_all(format!("meseta masters: {text}\n").as_bytes());
}

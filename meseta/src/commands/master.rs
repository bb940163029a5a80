//! `meseta master`.

use std::process::ExitCode;

use std::path::Path;
use std::time::Duration;

use master::core::MasterConfig;
use master::core::allocator::{AllocatorConfig, Quantities};
use protocol::resources::Value;
use protocol::{Resource, Resources, Role, Scalar};

use super::{ADVERTISE_FLAGS, Command, Failure, HTTP_FLAGS, LOG_FLAGS, daemon};
use crate::flags::{Arguments, Flag, FlagError, Flags, Kind, Surroundings, parse_weights};
use crate::runtime;
use crate::work_dir::WorkDir;

/// The command.
pub const COMMAND: Command = Command {
    name: "master",
    synopsis: "--work_dir=DIR [flags]",
    summary: "run a master",
    flags: FLAGS,
    hidden: false,
    run: run_master,
};

const FLAGS: &[Flag] = &[
    Flag {
        name: "work_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Where it keeps its state.",
    },
    Flag {
        name: "ip",
        aliases: &[],
        kind: Kind::Text,
        default: Some("0.0.0.0"),
        help: "The address to listen on.",
    },
    Flag {
        name: "port",
        aliases: &[],
        kind: Kind::Port,
        default: Some("5050"),
        help: "The port to listen on; 0: any free one.",
    },
    ADVERTISE_FLAGS[0],
    ADVERTISE_FLAGS[1],
    Flag {
        name: "hostname",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Its name for people; default: the host's.",
    },
    Flag {
        name: "cluster",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The cluster's name for people.",
    },
    Flag {
        name: "allocation_interval",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1secs"),
        help: "Between two rounds of offers.",
    },
    Flag {
        name: "agent_ping_timeout",
        aliases: &["slave_ping_timeout"],
        kind: Kind::Duration,
        default: Some("15secs"),
        help: "How long an agent has to answer a ping.",
    },
    Flag {
        name: "max_agent_ping_timeouts",
        aliases: &["max_slave_ping_timeouts"],
        kind: Kind::Number,
        default: Some("5"),
        help: "After so many unanswered pings an agent is unreachable.",
    },
    Flag {
        name: "agent_reregister_timeout",
        aliases: &["slave_reregister_timeout"],
        kind: Kind::Duration,
        default: Some("10mins"),
        help: "How long a disconnected agent has to come back before it is unreachable.",
    },
    Flag {
        name: "offer_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: None,
        help: "An offer that is not used for this long is rescinded; default: never.",
    },
    Flag {
        name: "weights",
        aliases: &[],
        kind: Kind::Weights,
        default: None,
        help: "Weights of roles; a role that is not named weighs 1.",
    },
    Flag {
        name: "min_allocatable_resources",
        aliases: &[],
        kind: Kind::Text,
        default: Some("cpus:0.01|mem:32"),
        help: "Agents with less than each of these alternatives are not offered.",
    },
    Flag {
        name: "filter_gpu_resources",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("true"),
        help: "Offer agents with GPUs only to frameworks that understand them.",
    },
    Flag {
        name: "fair_sharing_excluded_resource_names",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Resources that don't count for fair shares, joined by commas.",
    },
    Flag {
        name: "max_completed_frameworks",
        aliases: &[],
        kind: Kind::Number,
        default: Some("50"),
        help: "How many ended frameworks are remembered.",
    },
    Flag {
        name: "max_completed_tasks_per_framework",
        aliases: &[],
        kind: Kind::Number,
        default: Some("1000"),
        help: "How many ended tasks are remembered of each framework.",
    },
    Flag {
        name: "max_unreachable_tasks_per_framework",
        aliases: &[],
        kind: Kind::Number,
        default: Some("1000"),
        help: "How many unreachable tasks are remembered of each framework.",
    },
    Flag {
        name: "max_operator_event_stream_subscribers",
        aliases: &[],
        kind: Kind::Number,
        default: Some("1000"),
        help: "How many may watch the events of the operator API; one more takes the place of the oldest.",
    },
    Flag {
        name: "flags_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "A directory of files, one a flag; default: /etc/mesos-master, if it is there.",
    },
    LOG_FLAGS[0],
    LOG_FLAGS[1],
    LOG_FLAGS[2],
    HTTP_FLAGS[0],
    HTTP_FLAGS[1],
    HTTP_FLAGS[2],
    HTTP_FLAGS[3],
    HTTP_FLAGS[4],
    HTTP_FLAGS[5],
    HTTP_FLAGS[6],
];

fn run_master(words: &[String]) -> Result<ExitCode, Failure> {
    let surroundings = Surroundings::of_process(&["/etc/mesos-master"]);
    let flags = Flags::load("master", FLAGS, Arguments::None, words, &surroundings)?;
    let listen = daemon::listen(&flags)?;
    let start = daemon::master(&flags, "master", settings(&flags)?)?;
    let work_dir = WorkDir::claim(Path::new(flags.needed("work_dir")?), "master")?;
    let level = daemon::log(&flags, "master", None)?;
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

fn settings(flags: &Flags) -> Result<MasterConfig, Failure> {
    let mut config = MasterConfig {
        hostname: daemon::hostname(flags),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: flags.text("cluster").map(Into::into),
        offer_timeout: flags.duration("offer_timeout"),
        ..MasterConfig::default()
    };
    let duration = |name, into: &mut Duration| *into = flags.duration(name).unwrap_or(*into);
    duration("allocation_interval", &mut config.allocation_interval);
    duration("agent_ping_timeout", &mut config.agent_ping_timeout);
    duration("agent_reregister_timeout", &mut config.agent_reregister_timeout);
    let count = |name, into: &mut usize| *into = flags.parsed(name).unwrap_or(*into);
    count("max_completed_frameworks", &mut config.max_completed_frameworks);
    count("max_completed_tasks_per_framework", &mut config.max_completed_tasks_per_framework);
    count("max_unreachable_tasks_per_framework", &mut config.max_unreachable_tasks_per_framework);
    if let Some(text) = flags.text("max_agent_ping_timeouts") {
        let parsed = text.parse::<u32>().ok().filter(|count| *count > 0);
        config.max_agent_ping_timeouts = parsed
            .ok_or_else(|| flags.refuse("max_agent_ping_timeouts", "expected a whole number above zero"))?;
    }
    for name in ["allocation_interval", "agent_ping_timeout"] {
        if flags.duration(name).is_some_and(|duration| duration.is_zero()) {
            return Err(flags.refuse(name, "expected a duration above zero").into());
        }
    }
    let weights = flags.text("weights").map(parse_weights).transpose()?.unwrap_or_default();
    config.weights =
        weights.into_iter().map(|(role, weight)| (Role::from(role), Scalar::millis(weight))).collect();
    config.allocator = AllocatorConfig {
        min_allocatable: min_allocatable(flags)?,
        filter_gpu_resources: flags.switch("filter_gpu_resources"),
        fair_sharing_excluded_resource_names: flags
            .text("fair_sharing_excluded_resource_names")
            .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect())
            .unwrap_or_default(),
        ..AllocatorConfig::default()
    };
    Ok(config)
}

/// Alternatives joined by `|`, each a list of amounts.
fn min_allocatable(flags: &Flags) -> Result<Vec<Quantities>, FlagError> {
    const NAME: &str = "min_allocatable_resources";
    let text = flags.text(NAME).unwrap_or_default();
    let alternatives = text.split('|').filter(|alternative| !alternative.trim().is_empty());
    alternatives
        .map(|alternative| {
            let refuse = || flags.refuse(NAME, "expected amounts such as cpus:0.01|mem:32;disk:10");
            let resources: Resources = alternative.parse().map_err(|_| refuse())?;
            let amount = |resource: &Resource| match &resource.value {
                Value::Scalar(amount) => Some((resource.name.to_string(), *amount)),
                _ => None,
            };
            let amounts: Option<Quantities> = resources.iter().map(amount).collect();
            amounts.ok_or_else(refuse)
        })
        .collect()
}

//! What the daemons' commands have in common.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use libactor::Node;
use libactor::http::HttpLimits;
use master::core::MasterConfig;
use master::group::MasterStart;
use protocol::notation::ByteSize;

use super::{Failure, HTTP_FLAGS};
use crate::about;
use crate::flags::{FlagError, Flags};
use crate::logging::{self, LogConfig, LogError, LogLevel};
use crate::runtime::Listen;

/// The log level of commands that run a job, unless the flags have one. What the network drops is left out: the job's
/// end crosses messages to what has just stopped, and a master that is away is told in plain words.
pub const LEVEL_OF_JOBS: &str = "WARNING,libactor::complaint=error";

/// Reads `--ip`, `--port`, `--advertise_ip`, `--advertise_port`.
///
/// # Errors
/// An address can't be understood.
pub fn listen(flags: &Flags) -> Result<Listen, FlagError> {
    let address = |name: &'static str| {
        let parse = |text: &str| text.parse::<IpAddr>();
        flags.text(name).map(parse).transpose().map_err(|_| flags.refuse(name, "expected an IP address"))
    };
    Ok(Listen {
        ip: address("ip")?.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
        port: flags.parsed("port").unwrap_or(0),
        advertise_ip: address("advertise_ip")?,
        advertise_port: flags.parsed("advertise_port"),
        http: http(flags)?,
    })
}

/// Reads the limits of HTTP.
///
/// # Errors
/// One is zero.
pub fn http(flags: &Flags) -> Result<HttpLimits, FlagError> {
    for flag in &HTTP_FLAGS {
        let size = flags.parsed::<ByteSize>(flag.name).is_some_and(|size| size.bytes() == 0);
        let none = flags.parsed::<u64>(flag.name) == Some(0);
        if size || none || flags.duration(flag.name).is_some_and(|duration| duration.is_zero()) {
            return Err(flags.refuse(flag.name, "expected more than nothing"));
        }
    }
    let default = HttpLimits::default();
    let size = |name, default| {
        let size =
            flags.parsed::<ByteSize>(name).map(|size| usize::try_from(size.bytes()).unwrap_or(usize::MAX));
        size.unwrap_or(default)
    };
    let body_bytes = size("http_max_body_size", default.body_bytes);
    Ok(HttpLimits {
        head_bytes: size("http_max_head_size", default.head_bytes),
        body_bytes,
        // One body of the largest size is always taken.
        bodies_bytes: default.bodies_bytes.max(body_bytes),
        head_timeout: flags.duration("http_head_timeout").unwrap_or(default.head_timeout),
        body_timeout: flags.duration("http_body_timeout").unwrap_or(default.body_timeout),
        write_timeout: flags.duration("http_write_timeout").unwrap_or(default.write_timeout),
        stream_bytes: size("http_stream_buffer", default.stream_bytes),
        connections: flags.parsed("http_max_connections").unwrap_or(default.connections),
    })
}

/// Starts the log; `level` where the flags have none.
///
/// # Errors
/// See [`LogError`].
pub fn log(flags: &Flags, component: &str, level: Option<&str>) -> Result<LogLevel, LogError> {
    let config = LogConfig {
        level: flags.text("logging_level").or(level).unwrap_or("INFO").to_owned(),
        quiet: flags.switch("quiet"),
        directory: flags.text("log_dir").map(PathBuf::from),
    };
    logging::start(&config, component)
}

/// Lets `/logging/toggle` change the level.
pub fn adjust_log_over_http(node: &Node, level: LogLevel) {
    node.set_log_level_hook(move |wanted| level.set(wanted));
}

/// Says in the log what the daemon was started with.
pub fn log_flags(flags: &Flags) {
    let all: Vec<String> = flags.all().map(|(name, value)| format!("--{name}={value}")).collect();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started with {}", all.join(" "));
}

/// `--hostname`, or the host's own name.
pub fn hostname(flags: &Flags) -> String {
    let own = || agent::edge::probe::hostname().ok();
    flags.text("hostname").map(Into::into).or_else(own).unwrap_or_else(|| "localhost".into())
}

/// A master as the flags want it.
pub fn master(flags: &Flags, component: &str, config: MasterConfig) -> MasterStart {
    let mut start = MasterStart::new(config);
    Shown { flags: start.flags, log_file: start.log_file } = Shown::of(flags, component);
    start.version = about::version();
    let most = flags.parsed("max_operator_event_stream_subscribers");
    start.max_event_subscribers = most.unwrap_or(start.max_event_subscribers);
    start
}

/// What a daemon shows of how it was started.
#[derive(Debug, Default)]
pub struct Shown {
    /// The flags in effect, by name.
    pub flags: BTreeMap<String, String>,
    /// Where the log is written, if to a file.
    pub log_file: Option<PathBuf>,
}

impl Shown {
    /// As the flags say, for a component's log.
    pub fn of(flags: &Flags, component: &str) -> Self {
        let log_dir = flags.text("log_dir");
        Self {
            flags: flags.all().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            log_file: log_dir.map(|directory| logging::path(Path::new(directory), component)),
        }
    }
}

/// A number that differs from start to start.
///
/// # Errors
/// The system has no randomness to give.
pub fn seed() -> Result<u64, Failure> {
    getrandom::u64().map_err(|error| format!("the system gives no randomness: {error}").into())
}

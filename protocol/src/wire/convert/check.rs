//! Checks and health checks, as tasks ask for them.

use std::time::Duration;

use super::command;
use crate::check::{Check, HealthCheck, Pace, Probe};
use crate::limits::MAX_DURATION_NANOS;
use crate::validate::shown;
use crate::wire::v1;
use v1::check_info::Type;

/// A general check.
///
/// # Errors
/// Says what is wrong, in Mesos's words where it has some.
pub fn check(wire: &v1::CheckInfo) -> Result<Check, String> {
    let kind = match wire.r#type {
        None => return Err("CheckInfo must specify 'type'".to_owned()),
        Some(number) => Type::try_from(number).unwrap_or_default(),
    };
    let asked = Asked {
        what: "check",
        subject: "Check",
        command: wire.command.as_ref().map(|own| &own.command),
        http: wire.http.as_ref().map(|http| Http {
            scheme: None,
            port: http.port,
            path: http.path.as_deref(),
            ipv6: false,
        }),
        tcp: wire.tcp.as_ref().map(|tcp| (tcp.port, false)),
    };
    Ok(Check {
        probe: asked.probe(kind)?,
        pace: pace(wire.delay_seconds(), wire.interval_seconds(), wire.timeout_seconds())?,
    })
}

/// A health check. One without a type is of the kind of which it says more, if that is one: older frameworks leave it out.
///
/// # Errors
/// Says what is wrong, in Mesos's words where it has some.
pub fn health_check(wire: &v1::HealthCheck) -> Result<HealthCheck, String> {
    let kind = match (wire.r#type, &wire.command, &wire.http, &wire.tcp) {
        (Some(number), ..) => Type::try_from(number).unwrap_or_default(),
        (None, Some(_), None, None) => Type::Command,
        (None, None, Some(_), None) => Type::Http,
        (None, None, None, Some(_)) => Type::Tcp,
        (None, ..) => return Err("HealthCheck must specify 'type'".to_owned()),
    };
    let is_ipv6 = |protocol| protocol == v1::network_info::Protocol::IPv6;
    let asked = Asked {
        what: "health check",
        subject: "Health check",
        command: wire.command.as_ref(),
        http: wire.http.as_ref().map(|http| Http {
            scheme: http.scheme.as_deref(),
            port: http.port,
            path: http.path.as_deref(),
            ipv6: is_ipv6(http.protocol()),
        }),
        tcp: wire.tcp.as_ref().map(|tcp| (tcp.port, is_ipv6(tcp.protocol()))),
    };
    Ok(HealthCheck {
        probe: asked.probe(kind)?,
        pace: pace(wire.delay_seconds(), wire.interval_seconds(), wire.timeout_seconds())?,
        grace: span("grace_period_seconds", wire.grace_period_seconds())?,
        consecutive_failures: wire.consecutive_failures(),
    })
}

/// What either kind of check says of what is to be asked.
struct Asked<'a> {
    what: &'static str,
    /// As `what`, at the beginning of a sentence.
    subject: &'static str,
    command: Option<&'a v1::CommandInfo>,
    http: Option<Http<'a>>,
    tcp: Option<(u32, bool)>,
}

struct Http<'a> {
    scheme: Option<&'a str>,
    port: u32,
    path: Option<&'a str>,
    ipv6: bool,
}

impl Asked<'_> {
    fn probe(&self, kind: Type) -> Result<Probe, String> {
        let what = self.what;
        let missing =
            |field: &str, kind: &str| Err(format!("Expecting '{field}' to be set for {kind} {what}"));
        match kind {
            Type::Unknown => Err(format!("'UNKNOWN' is not a valid {what} type")),
            Type::Command => self.command.map_or_else(|| missing("command", "COMMAND"), |own| self.run(own)),
            Type::Http => self.http.as_ref().map_or_else(|| missing("http", "HTTP"), |http| self.get(http)),
            Type::Tcp => match self.tcp {
                None => missing("tcp", "TCP"),
                Some((number, ipv6)) => Ok(Probe::Tcp { port: self.port("TCP", number)?, ipv6 }),
            },
        }
    }

    fn run(&self, own: &v1::CommandInfo) -> Result<Probe, String> {
        if own.value.is_none() {
            let kind = if own.shell() { "'shell command'" } else { "'executable path'" };
            return Err(format!("Command {} must contain {kind}", self.what));
        }
        let why = |why: String| format!("{}'s `CommandInfo` is invalid: {why}", self.subject);
        let info = command(own.clone()).map_err(why)?;
        crate::validate::command(&info).map_err(|invalid| why(invalid.0))?;
        if !info.uris.is_empty() {
            return Err(why("nothing is fetched for it: leave 'uris' out".to_owned()));
        }
        Ok(Probe::Command(info))
    }

    fn get(&self, http: &Http<'_>) -> Result<Probe, String> {
        let secure = match http.scheme {
            None | Some("http") => false,
            Some("https") => true,
            Some(other) => {
                return Err(format!("Unsupported HTTP {} scheme: '{}'", self.what, shown(other)));
            }
        };
        let path = http.path.unwrap_or_default();
        if http.path.is_some() && !path.starts_with('/') {
            return Err(format!("The path '{}' of HTTP {} must start with '/'", shown(path), self.what));
        }
        Ok(Probe::Http {
            secure,
            port: self.port("HTTP", http.port)?,
            path: path.to_owned(),
            ipv6: http.ipv6,
        })
    }

    fn port(&self, kind: &str, number: u32) -> Result<u16, String> {
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("The port {number} of {kind} {} must be between 1 and 65535", self.what)),
        }
    }
}

fn pace(delay: f64, interval: f64, timeout: f64) -> Result<Pace, String> {
    Ok(Pace {
        delay: span("delay_seconds", delay)?,
        interval: span("interval_seconds", interval)?,
        timeout: Some(span("timeout_seconds", timeout)?).filter(|timeout| !timeout.is_zero()),
    })
}

fn span(field: &str, seconds: f64) -> Result<Duration, String> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(format!("Expecting '{field}' to be non-negative"));
    }
    let most = Duration::from_nanos(MAX_DURATION_NANOS);
    match Duration::try_from_secs_f64(seconds) {
        Ok(span) if span <= most => Ok(span),
        _ => Err(format!("Expecting '{field}' to be at most {} seconds", most.as_secs())),
    }
}

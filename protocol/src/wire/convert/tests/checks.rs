//! Checks that can be carried out, and those that can't.

use std::time::Duration;

use super::read;
use crate::check::{CheckStatus, Pace, Probe};
use crate::wire::convert::*;
use crate::wire::v1;
use crate::{CommandInfo, Source, TaskInfo, TaskState, TaskStatus};

fn task(field: &str, json: &str) -> TaskInfo {
    let ids = r#""name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "s"}"#;
    let resources = r#""resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]"#;
    task_info(read(&format!(r#"{{{ids}, {resources}, "command": {{"value": "run"}}, "{field}": {json}}}"#)))
}

#[test]
fn what_is_wrong_with_a_check_is_told() {
    for (fields, why) in [
        ("", "CheckInfo must specify 'type'"),
        (r#""type": "UNKNOWN""#, "'UNKNOWN' is not a valid check type"),
        (r#""type": "COMMAND""#, "Expecting 'command' to be set for COMMAND check"),
        (r#""type": "HTTP""#, "Expecting 'http' to be set for HTTP check"),
        (r#""type": "TCP""#, "Expecting 'tcp' to be set for TCP check"),
        (r#""type": "COMMAND", "command": {"command": {}}"#, "Command check must contain 'shell command'"),
        (
            r#""type": "COMMAND", "command": {"command": {"shell": false}}"#,
            "Command check must contain 'executable path'",
        ),
        (
            r#""type": "COMMAND", "command": {"command": {"shell": false, "value": ""}}"#,
            "Check's `CommandInfo` is invalid: The command is empty: set the program to execute",
        ),
        (
            r#""type": "COMMAND", "command": {"command": {"value": "a", "uris": [{"value": "u"}]}}"#,
            "Check's `CommandInfo` is invalid: nothing is fetched for it: leave 'uris' out",
        ),
        (
            r#""type": "HTTP", "http": {"port": 80, "path": "a"}"#,
            "The path 'a' of HTTP check must start with '/'",
        ),
        (r#""type": "HTTP", "http": {"port": 0}"#, "The port 0 of HTTP check must be between 1 and 65535"),
        (
            r#""type": "TCP", "tcp": {"port": 65536}"#,
            "The port 65536 of TCP check must be between 1 and 65535",
        ),
        (
            r#""type": "TCP", "tcp": {"port": 1}, "delay_seconds": -1"#,
            "Expecting 'delay_seconds' to be non-negative",
        ),
        (
            r#""type": "TCP", "tcp": {"port": 1}, "interval_seconds": -0.1"#,
            "Expecting 'interval_seconds' to be non-negative",
        ),
        (
            r#""type": "TCP", "tcp": {"port": 1}, "timeout_seconds": -1"#,
            "Expecting 'timeout_seconds' to be non-negative",
        ),
        (
            r#""type": "TCP", "tcp": {"port": 1}, "timeout_seconds": "NaN""#,
            "Expecting 'timeout_seconds' to be non-negative",
        ),
        (
            r#""type": "TCP", "tcp": {"port": 1}, "delay_seconds": "Infinity""#,
            "Expecting 'delay_seconds' to be at most 9223372036 seconds",
        ),
    ] {
        let told = crate::validate::task(&task("check", &format!("{{{fields}}}"))).unwrap_err();
        assert_eq!(told.0, format!("Task uses invalid check: {why}"), "{fields}");
    }
}

#[test]
fn what_is_wrong_with_a_health_check_is_told() {
    let two = r#""http": {"port": 80}, "tcp": {"port": 80}"#;
    for (fields, why) in [
        ("", "HealthCheck must specify 'type'"),
        (two, "HealthCheck must specify 'type'"),
        (r#""type": "UNKNOWN""#, "'UNKNOWN' is not a valid health check type"),
        (r#""type": "COMMAND""#, "Expecting 'command' to be set for COMMAND health check"),
        (r#""type": "COMMAND", "command": {}"#, "Command health check must contain 'shell command'"),
        (r#""type": "TCP", "http": {"port": 80}"#, "Expecting 'tcp' to be set for TCP health check"),
        (
            r#""type": "HTTP", "http": {"port": 80, "scheme": "ftp"}"#,
            "Unsupported HTTP health check scheme: 'ftp'",
        ),
        (
            r#""type": "HTTP", "http": {"port": 80, "path": ""}"#,
            "The path '' of HTTP health check must start with '/'",
        ),
        (
            r#""type": "TCP", "tcp": {"port": 80}, "grace_period_seconds": -1"#,
            "Expecting 'grace_period_seconds' to be non-negative",
        ),
    ] {
        let told = crate::validate::task(&task("health_check", &format!("{{{fields}}}"))).unwrap_err();
        assert_eq!(told.0, format!("Task uses invalid health check: {why}"), "{fields}");
    }
}

#[test]
fn health_checks_have_the_defaults_of_the_wire() {
    let given = health_check(&read(r#"{"type": "TCP", "tcp": {"port": 8080, "protocol": "IPv6"}}"#)).unwrap();
    assert_eq!(given.probe, Probe::Tcp { port: 8080, ipv6: true });
    let seconds = Duration::from_secs;
    let pace = Pace { delay: seconds(15), interval: seconds(10), timeout: Some(seconds(20)) };
    assert_eq!((given.pace, given.grace, given.consecutive_failures), (pace, seconds(10), 3));

    let fields = r#""delay_seconds": 0.5, "interval_seconds": 0, "timeout_seconds": 0"#;
    let given =
        check(&read(&format!(r#"{{"type": "HTTP", "http": {{"port": 1, "path": "/a"}}, {fields}}}"#)))
            .unwrap();
    assert_eq!(given.probe, Probe::Http { secure: false, port: 1, path: "/a".into(), ipv6: false });
    let pace = Pace { delay: Duration::from_millis(500), interval: Duration::ZERO, timeout: None };
    assert_eq!(given.pace, pace);
}

#[test]
fn a_health_check_without_a_type_is_what_it_speaks_of() {
    for (json, probe) in [
        (
            r#"{"http": {"port": 80, "scheme": "https"}}"#,
            Probe::Http { secure: true, port: 80, path: String::new(), ipv6: false },
        ),
        (r#"{"tcp": {"port": 80}}"#, Probe::Tcp { port: 80, ipv6: false }),
        (r#"{"command": {"value": "true"}}"#, Probe::Command(CommandInfo::shell("true"))),
    ] {
        assert_eq!(health_check(&read(json)).unwrap().probe, probe);
        assert_eq!(crate::validate::task(&task("health_check", json)), Ok(()));
    }
}

#[test]
fn the_status_of_a_check_goes_along_with_that_of_its_task() {
    let status = |check: CheckStatus| {
        let status = TaskStatus::new("t".into(), TaskState::Running, Source::Executor);
        task_status_to_wire(&status.with_check(check)).check_status.unwrap()
    };
    let info = |json: &str| read::<v1::CheckStatusInfo>(json);
    assert_eq!(status(CheckStatus::Command(None)), info(r#"{"type": "COMMAND", "command": {}}"#));
    assert_eq!(
        status(CheckStatus::Command(Some(1))),
        info(r#"{"type": "COMMAND", "command": {"exit_code": 1}}"#)
    );
    assert_eq!(
        status(CheckStatus::Http(Some(404))),
        info(r#"{"type": "HTTP", "http": {"status_code": 404}}"#)
    );
    assert_eq!(
        status(CheckStatus::Tcp(Some(false))),
        info(r#"{"type": "TCP", "tcp": {"succeeded": false}}"#)
    );
}

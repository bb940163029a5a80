//! Containers: what can't be in itself, and what Mesos does and is not done yet. Both are refused aloud, never passed over.
//! Whether an agent isolates what is asked is the agent's to say.

use super::{Invalid, refuse, shown};
use crate::wire::v1::{self, container_info::Type, volume::source};

/// A container of a task or an executor: one of type MESOS that asks for nothing is what everybody has.
pub(super) fn container(whose: &str, asked: &v1::ContainerInfo) -> Result<(), Invalid> {
    let wrong = |why: String| refuse(format!("The container of the {whose} is invalid: {why}"));
    if let Err(why) = asked.volumes.iter().try_for_each(volume) {
        return wrong(format!("Invalid volume: {why}"));
    }
    let limits = asked.rlimit_info.as_ref().map(|info| info.rlimits.as_slice()).unwrap_or_default();
    if let Err(why) = limits.iter().try_for_each(limit) {
        return wrong(format!("Invalid limit: {why}"));
    }
    let linux = asked.linux_info.clone().unwrap_or_default();
    if linux.capability_info.is_some() && linux.effective_capabilities.is_some() {
        return wrong("Only one of 'capability_info' and 'effective_capabilities' can be set".to_owned());
    }
    match not_yet(asked, &linux) {
        Some(why) => refuse(format!("The container of the {whose} is not supported yet: {why}")),
        None => Ok(()),
    }
}

/// The first thing that is asked and not done.
fn not_yet(asked: &v1::ContainerInfo, linux: &v1::LinuxInfo) -> Option<String> {
    if let Some(why) = asked.volumes.iter().find_map(volume_not_yet) {
        return Some(why);
    }
    let joins = |network: &v1::NetworkInfo| *network != v1::NetworkInfo::default();
    let image = asked.mesos.as_ref().is_some_and(|mesos| mesos.image.is_some());
    let parts = [
        (asked.r#type() == Type::Docker, "it is of type DOCKER: use MESOS, without an image"),
        (image, "it has an image: leave 'mesos.image' out"),
        (asked.hostname.is_some(), "it has a host name of its own: leave 'hostname' out"),
        (asked.network_infos.iter().any(joins), "it joins a network: leave 'network_infos' out"),
        (linux.seccomp.is_some(), "it asks for a seccomp profile: leave 'linux_info.seccomp' out"),
        (!linux.share_cgroups(), "it asks for cgroups within its own: leave 'linux_info.share_cgroups' out"),
        (asked.tty_info.is_some(), "it has a terminal: leave 'tty_info' out"),
    ];
    parts.iter().find(|(asked, _)| *asked).map(|(_, why)| (*why).to_owned())
}

/// What Mesos says of a volume that is none.
fn volume(asked: &v1::Volume) -> Result<(), String> {
    if asked.container_path.is_empty() || asked.container_path.contains('\0') {
        return Err("'container_path' must be a path".to_owned());
    }
    let given = [asked.host_path.is_some(), asked.image.is_some(), asked.source.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err("Only one of them should be set: 'host_path', 'image' and 'source'".to_owned());
    }
    let Some(from) = &asked.source else { return Ok(()) };
    let (set, missing) = match from.r#type() {
        source::Type::HostPath => (from.host_path.is_some(), "HostPath is not set for HOST_PATH volume"),
        source::Type::SandboxPath => {
            (from.sandbox_path.is_some(), "SandboxPath is not set for SANDBOX_PATH volume")
        }
        source::Type::DockerVolume => {
            (from.docker_volume.is_some(), "DockerVolume is not set for DOCKER_VOLUME volume")
        }
        source::Type::Secret => (from.secret.is_some(), "Secret is not set for SECRET volume"),
        source::Type::CsiVolume => (from.csi_volume.is_some(), "CSIVolume is not set for CSI_VOLUME volume"),
        source::Type::Unknown => (false, "'source.type' is unknown"),
    };
    if !set {
        return Err(missing.to_owned());
    }
    let path = from.sandbox_path.as_ref().filter(|_| from.r#type() == source::Type::SandboxPath);
    match path.map(|own| own.path.as_str()) {
        Some(path) if path.starts_with('/') || path.split('/').any(|part| part == "..") => {
            Err(format!("The path '{}' must be one within the sandbox, without '..'", shown(path)))
        }
        _ => Ok(()),
    }
}

fn volume_not_yet(asked: &v1::Volume) -> Option<String> {
    let from = asked.source.clone().unwrap_or_default();
    let parent =
        from.sandbox_path.as_ref().is_some_and(|own| own.r#type() == source::sandbox_path::Type::Parent);
    let propagation = from.host_path.as_ref().and_then(|path| path.mount_propagation).unwrap_or_default();
    let parts = [
        (asked.image.is_some(), "a volume has an image: use one of the host's paths"),
        (parent, "a volume is of the sandbox of a parent: use SELF"),
        (
            propagation.mode() == v1::mount_propagation::Mode::Bidirectional,
            "a volume's mounts are seen by the host: leave 'mount_propagation' out",
        ),
    ];
    if let Some((_, why)) = parts.iter().find(|(asked, _)| *asked) {
        return Some((*why).to_owned());
    }
    match from.r#type() {
        source::Type::HostPath | source::Type::SandboxPath | source::Type::Unknown => None,
        other => Some(format!("a volume is of type {}: use HOST_PATH or SANDBOX_PATH", other.as_str_name())),
    }
}

/// Both or neither of its bounds, the soft one not above the hard one.
fn limit(asked: &v1::r_limit_info::RLimit) -> Result<(), String> {
    let kind = asked.r#type();
    if kind == v1::r_limit_info::r_limit::Type::Unknown {
        return Err("its type is unknown".to_owned());
    }
    match (asked.soft, asked.hard) {
        (None, None) => Ok(()),
        (Some(soft), Some(hard)) if soft <= hard => Ok(()),
        (Some(_), Some(_)) => Err(format!("the soft bound of {} is above the hard one", kind.as_str_name())),
        _ => Err(format!("'soft' and 'hard' of {} must be set together", kind.as_str_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Format, decode};

    #[track_caller]
    fn told(fields: &str) -> Option<String> {
        let json = format!(r#"{{"type": "MESOS", {fields}}}"#);
        let asked = decode(Format::Json, json.as_bytes()).unwrap_or_else(|why| panic!("{json}: {why}"));
        container("task", &asked).err().map(|why| why.0)
    }

    fn volume(fields: &str) -> String {
        format!(r#""volumes": [{{"container_path": "a", "mode": "RW"{fields}}}]"#)
    }

    fn source(fields: &str) -> String {
        volume(&format!(r#", "source": {{{fields}}}"#))
    }

    #[test]
    fn what_is_no_container_is_said() {
        let one = "Only one of them should be set: 'host_path', 'image' and 'source'";
        for (fields, why) in [
            (volume(""), format!("Invalid volume: {one}")),
            (
                volume(r#", "host_path": "/x", "source": {"type": "HOST_PATH"}"#),
                format!("Invalid volume: {one}"),
            ),
            (source(""), "Invalid volume: 'source.type' is unknown".to_owned()),
            (
                source(r#""type": "HOST_PATH""#),
                "Invalid volume: HostPath is not set for HOST_PATH volume".into(),
            ),
            (
                source(r#""type": "SANDBOX_PATH""#),
                "Invalid volume: SandboxPath is not set for SANDBOX_PATH volume".into(),
            ),
            (source(r#""type": "SECRET""#), "Invalid volume: Secret is not set for SECRET volume".into()),
            (
                source(r#""type": "SANDBOX_PATH", "sandbox_path": {"path": "a/../../b"}"#),
                "Invalid volume: The path 'a/../../b' must be one within the sandbox, without '..'".into(),
            ),
            (
                r#""volumes": [{"container_path": "", "mode": "RO", "host_path": "/x"}]"#.to_owned(),
                "Invalid volume: 'container_path' must be a path".into(),
            ),
            (r#""rlimit_info": {"rlimits": [{}]}"#.to_owned(), "Invalid limit: its type is unknown".into()),
            (
                r#""rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 1}]}"#.to_owned(),
                "Invalid limit: 'soft' and 'hard' of RLMT_NOFILE must be set together".into(),
            ),
            (
                r#""rlimit_info": {"rlimits": [{"type": "RLMT_CORE", "soft": 2, "hard": 1}]}"#.to_owned(),
                "Invalid limit: the soft bound of RLMT_CORE is above the hard one".into(),
            ),
            (
                r#""linux_info": {"capability_info": {}, "effective_capabilities": {}}"#.to_owned(),
                "Only one of 'capability_info' and 'effective_capabilities' can be set".into(),
            ),
        ] {
            assert_eq!(
                told(&fields),
                Some(format!("The container of the task is invalid: {why}")),
                "{fields}"
            );
        }
    }

    #[test]
    fn what_is_not_done_yet_is_named() {
        let docker = r#""docker_volume": {"name": "v"}"#;
        let host = r#""type": "HOST_PATH", "host_path": {"path": "/x", "mount_propagation": {"mode": "BIDIRECTIONAL"}}"#;
        for (fields, part) in [
            (r#""mesos": {"image": {"type": "DOCKER"}}"#.to_owned(), "leave 'mesos.image' out"),
            (r#""hostname": "h""#.to_owned(), "leave 'hostname' out"),
            (r#""network_infos": [{"name": "n"}]"#.to_owned(), "leave 'network_infos' out"),
            (r#""linux_info": {"seccomp": {}}"#.to_owned(), "leave 'linux_info.seccomp' out"),
            (r#""linux_info": {"share_cgroups": false}"#.to_owned(), "leave 'linux_info.share_cgroups' out"),
            (r#""tty_info": {}"#.to_owned(), "leave 'tty_info' out"),
            (
                source(&format!(r#""type": "DOCKER_VOLUME", {docker}"#)),
                "of type DOCKER_VOLUME: use HOST_PATH or SANDBOX_PATH",
            ),
            (source(host), "leave 'mount_propagation' out"),
            (
                source(r#""type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "a"}"#),
                "use SELF",
            ),
            (volume(r#", "image": {"type": "DOCKER"}"#), "a volume has an image"),
        ] {
            let why = told(&fields).expect(part);
            assert!(why.starts_with("The container of the task is not supported yet: "), "{why}");
            assert!(why.ends_with(part) || why.contains(part), "{why}");
        }
        let docker = v1::ContainerInfo { r#type: 1, ..Default::default() };
        assert!(container("task", &docker).unwrap_err().0.contains("it is of type DOCKER"));
    }

    #[test]
    fn what_agents_isolate_is_accepted() {
        for fields in [
            volume(r#", "host_path": "/x""#),
            volume(r#", "host_path": "relative""#),
            source(r#""type": "HOST_PATH", "host_path": {"path": "/x"}"#),
            source(r#""type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "a/b"}"#),
            source(r#""type": "SANDBOX_PATH", "sandbox_path": {"path": "a"}"#),
            r#""rlimit_info": {"rlimits": [{"type": "RLMT_NOFILE", "soft": 1, "hard": 2}, {"type": "RLMT_CPU"}]}"#.to_owned(),
            r#""linux_info": {"effective_capabilities": {"capabilities": ["CHOWN"]}, "bounding_capabilities": {}}"#.to_owned(),
            r#""linux_info": {"share_pid_namespace": false, "ipc_mode": "PRIVATE", "shm_size": 64}"#.to_owned(),
            r#""network_infos": [{}]"#.to_owned(),
        ] {
            assert_eq!(told(&fields), None, "{fields}");
        }
    }
}

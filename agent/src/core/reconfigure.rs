//! Whether the agent may go on as the one that it was, as it is configured now.

use protocol::{AgentInfo, Resources};

use super::ReconfigurationPolicy;

/// The agent may not take up what an earlier life has left, as it is configured now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Incompatible {
    /// What has changed, what is in its way, and what helps, for people.
    pub sentence: String,
}

/// Whether an agent that was `before` may be `now`, while `used` is in use.
pub(super) fn may_become(
    before: &AgentInfo,
    now: &AgentInfo,
    used: &Resources,
    policy: ReconfigurationPolicy,
) -> Result<(), Incompatible> {
    let changes = changes(before, now);
    let (forbidden, flag): (Vec<&String>, &str) = match policy {
        ReconfigurationPolicy::Equal => (changes.iter().map(|(_, what)| what).collect(), "equal"),
        ReconfigurationPolicy::Additive => {
            (changes.iter().filter(|(added, _)| !added).map(|(_, what)| what).collect(), "additive")
        }
        ReconfigurationPolicy::Compatible => (Vec::new(), "compatible"),
    };
    if !forbidden.is_empty() {
        let what: Vec<&str> = forbidden.into_iter().map(String::as_str).collect();
        let sentence = format!(
            "the agent was started otherwise before: {}. --reconfiguration_policy={flag} forbids that. Start it as before, \
             or with --reconfiguration_policy=compatible, or once with --recover=cleanup, which ends all its tasks",
            what.join("; ")
        );
        return Err(Incompatible { sentence });
    }
    if now.resources.contains(&before.resources) || now.resources.contains(used) {
        return Ok(());
    }
    let missing = used.clone() - now.resources.clone();
    let sentence = format!(
        "the agent offered {} before and is to offer {} now, but its tasks and executors that may still run use {used}: {missing} \
         of it is missing. Give it back with --resources, or start the agent once with --recover=cleanup, which ends all its tasks",
        before.resources, now.resources
    );
    Err(Incompatible { sentence })
}

/// What has changed, for people, and whether something was but added.
fn changes(before: &AgentInfo, now: &AgentInfo) -> Vec<(bool, String)> {
    let mut changes = Vec::new();
    if before.hostname != now.hostname {
        changes.push((false, format!("its hostname was {} and is {}", before.hostname, now.hostname)));
    }
    if before.port != now.port {
        changes.push((false, format!("its port was {} and is {}", before.port, now.port)));
    }
    if before.resources != now.resources {
        let added = now.resources.contains(&before.resources);
        changes.push((added, format!("its resources were {} and are {}", before.resources, now.resources)));
    }
    if before.attributes != now.attributes {
        let added = before.attributes.0.iter().all(|attribute| now.attributes.0.contains(attribute));
        let what = format!("its attributes were '{}' and are '{}'", before.attributes, now.attributes);
        changes.push((added, what));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(hostname: &str, resources: &str, attributes: &str) -> AgentInfo {
        AgentInfo {
            hostname: hostname.into(),
            port: 5051,
            resources: resources.parse().unwrap(),
            attributes: attributes.parse().unwrap(),
            id: None,
        }
    }

    #[test]
    fn what_a_policy_allows() {
        use ReconfigurationPolicy::*;
        let before = info("host", "cpus:4;mem:100", "rack:a");
        for (now, equal, additive, compatible) in [
            (info("host", "cpus:4;mem:100", "rack:a"), true, true, true),
            (info("host", "cpus:8;mem:100;gpus:1", "rack:a;os:new"), false, true, true),
            (info("host", "cpus:4;mem:100", "rack:b"), false, false, true),
            (info("other", "cpus:4;mem:100", "rack:a"), false, false, true),
            (info("host", "cpus:2;mem:100", ""), false, false, true),
            (info("host", "cpus:1.5;mem:100", "rack:a"), false, false, false),
        ] {
            let used = "cpus:2".parse().unwrap();
            let may = |policy| may_become(&before, &now, &used, policy).is_ok();
            assert_eq!(
                [may(Equal), may(Additive), may(Compatible)],
                [equal, additive, compatible],
                "{now:?}"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_and_what_helps() {
        let (before, now) =
            (info("host", "cpus:4;mem:100", "rack:a"), info("host", "cpus:1;mem:100", "rack:b"));
        let used = "cpus:2;mem:50".parse().unwrap();
        let refused = |policy| may_become(&before, &now, &used, policy).unwrap_err().to_string();
        assert_eq!(
            refused(ReconfigurationPolicy::Compatible),
            "the agent offered cpus:4;mem:100 before and is to offer cpus:1;mem:100 now, but its tasks and executors that may \
             still run use cpus:2;mem:50: cpus:1 of it is missing. Give it back with --resources, or start the agent once with \
             --recover=cleanup, which ends all its tasks"
        );
        assert_eq!(
            refused(ReconfigurationPolicy::Additive),
            "the agent was started otherwise before: its resources were cpus:4;mem:100 and are cpus:1;mem:100; its attributes \
             were 'rack:a' and are 'rack:b'. --reconfiguration_policy=additive forbids that. Start it as before, or with \
             --reconfiguration_policy=compatible, or once with --recover=cleanup, which ends all its tasks"
        );
    }
}

//! What is known of the agents: put together from what the leading master shows of those that are registered, and what the
//! registry holds of the others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The names of states of tasks that have not ended, as `/state-summary` counts them.
const LIVE: [&str; 4] = ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"];

/// All agents that are there or may come back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agents {
    /// By id.
    pub all: BTreeMap<String, Agent>,
    /// Those that never come back.
    pub gone: BTreeSet<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// `host:port`, as far as it is known.
    pub host: Option<(String, u64)>,
    /// Whether it is there.
    pub link: Link,
    /// Whether an operator has it not offered.
    pub deactivated: bool,
    /// How it is emptied.
    pub drain: Option<Drain>,
    /// How many tasks run there.
    pub tasks: Option<u64>,
    /// What it has, by name: amounts or ranges, as they are shown.
    pub total: Map<String, Value>,
    /// What of it is used.
    pub used: Map<String, Value>,
    /// What else tells it from others.
    pub attributes: Map<String, Value>,
}

/// Whether an agent is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is registered, and gets offers.
    Active,
    /// It is registered.
    Inactive,
    /// The master waits for it to come back.
    Awaited,
    /// It does not answer.
    Unreachable,
}

/// How an agent is emptied.
#[derive(Clone, Debug, PartialEq)]
pub struct Drain {
    /// Whether it is empty.
    pub drained: bool,
    /// As the master shows it.
    pub config: Value,
}

impl Agents {
    /// Of `/state-summary` and the registry.
    ///
    /// # Errors
    /// They have not the shape that they must have.
    pub fn read(summary: &str, registry: &str) -> Result<Self, String> {
        let parse = |text: &str| serde_json::from_str::<Value>(text);
        let unread = |error: serde_json::Error| format!("the master's answer is no JSON: {error}");
        let (summary, registry) = (parse(summary).map_err(unread)?, parse(registry).map_err(unread)?);
        let mut agents = Self::default();
        let listed =
            |of: &Value, what: &str| of.pointer(what).and_then(Value::as_array).cloned().unwrap_or_default();
        let slaves = summary["slaves"].as_array().ok_or("the master's answer has no 'slaves'")?;
        for slave in slaves {
            let id = slave["id"].as_str().ok_or("the master's answer has an agent without an id")?;
            agents.all.insert(id.to_owned(), Agent::registered(slave));
        }
        for entry in listed(&registry, "/slaves/slaves") {
            if let Some(id) = entry.pointer("/info/id/value").and_then(Value::as_str) {
                agents.all.entry(id.to_owned()).or_insert_with(|| Agent::away(&entry, Link::Awaited));
            }
        }
        for entry in listed(&registry, "/unreachable/slaves") {
            if let Some(id) = entry.pointer("/id/value").and_then(Value::as_str) {
                agents.all.entry(id.to_owned()).or_insert_with(|| Agent::away(&entry, Link::Unreachable));
            }
        }
        for entry in listed(&registry, "/gone/slaves") {
            agents.gone.extend(entry.pointer("/id/value").and_then(Value::as_str).map(ToOwned::to_owned));
        }
        Ok(agents)
    }

    /// The one that is meant: by its id, the beginning of it, its end (`S3`), its host name or `host:port`.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&self, name: &str) -> Result<&str, String> {
        if let Some((id, _)) = self.all.get_key_value(name) {
            return Ok(id);
        }
        let ending = format!("-{name}");
        let meant = |(id, agent): &(&String, &Agent)| {
            let host = agent.host.as_ref();
            let host = host.is_some_and(|(host, port)| host == name || format!("{host}:{port}") == name);
            host || id.starts_with(name) || id.ends_with(&ending)
        };
        let found: Vec<_> = self.all.iter().filter(meant).collect();
        match found.as_slice() {
            [(id, _)] => Ok(id),
            [] => Err(format!("there is no agent '{name}'; 'meseta agents' lists those that there are")),
            many => {
                let ids: Vec<_> = many.iter().take(5).map(|(id, agent)| agent.named(id)).collect();
                let more = if many.len() > ids.len() { ", ..." } else { "" };
                Err(format!(
                    "'{name}' may be {} agents ({}{more}); say more of the id",
                    many.len(),
                    ids.join(", ")
                ))
            }
        }
    }
}

impl Agent {
    fn registered(slave: &Value) -> Self {
        let object = |name: &str| slave[name].as_object().cloned().unwrap_or_default();
        let live = LIVE.iter().filter_map(|state| slave[*state].as_u64()).sum();
        Self {
            host: host(slave),
            link: if slave["active"] == true { Link::Active } else { Link::Inactive },
            deactivated: slave["deactivated"] == true,
            drain: Drain::read(slave),
            tasks: Some(live),
            total: object("resources"),
            used: object("used_resources"),
            attributes: object("attributes"),
        }
    }

    fn away(entry: &Value, link: Link) -> Self {
        Self {
            host: host(&entry["info"]),
            link,
            deactivated: entry["deactivated"] == true,
            drain: Drain::read(entry),
            tasks: None,
            total: Map::new(),
            used: Map::new(),
            attributes: Map::new(),
        }
    }

    /// For people: the id, and the host.
    pub fn named(&self, id: &str) -> String {
        match &self.host {
            Some((host, _)) => format!("{id} on {host}"),
            None => id.to_owned(),
        }
    }

    /// Whether it is registered.
    pub fn is_there(&self) -> bool {
        matches!(self.link, Link::Active | Link::Inactive)
    }

    /// How it is, in a word or two.
    pub fn state(&self) -> String {
        let wish = match (&self.drain, self.deactivated) {
            (Some(Drain { drained: true, .. }), _) => Some("drained"),
            (Some(_), _) => Some("draining"),
            (None, true) => Some("deactivated"),
            (None, false) => None,
        };
        let link = match self.link {
            Link::Active => return wish.unwrap_or("active").to_owned(),
            Link::Inactive => return wish.unwrap_or("disconnected").to_owned(),
            Link::Awaited => "awaited",
            Link::Unreachable => "unreachable",
        };
        wish.map_or_else(|| link.to_owned(), |wish| format!("{link}, {wish}"))
    }
}

impl Drain {
    fn read(entry: &Value) -> Option<Self> {
        let info = entry["drain_info"].as_object()?;
        let drained = info.get("state").is_some_and(|state| state == "DRAINED");
        Some(Self { drained, config: info.get("config").cloned().unwrap_or_default() })
    }
}

fn host(of: &Value) -> Option<(String, u64)> {
    Some((of["hostname"].as_str()?.to_owned(), of["port"].as_u64()?))
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// Four of them: one that runs two tasks, one that is emptied, one that is waited for, one that does not answer.
    pub fn some() -> Agents {
        let slave = |id: &str, host: &str, more: Value| {
            let mut slave = json!({
                "id": id, "hostname": host, "port": 5051, "active": true, "deactivated": false,
                "attributes": { "rack": "r1", "level": 3.0 },
                "resources": { "cpus": 4.0, "mem": 1024.0, "disk": 0.0, "gpus": 2.0, "ports": "[1-9]" },
                "used_resources": { "cpus": 0.5, "mem": 64.0, "disk": 0.0, "gpus": 1.0 },
                "TASK_RUNNING": 2, "TASK_FINISHED": 7,
            });
            let fields = slave.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            slave
        };
        let config = json!({ "mark_gone": false, "max_grace_period": { "nanoseconds": 5_000_000_000_u64 } });
        let drained = json!({
            "active": false, "deactivated": true, "TASK_RUNNING": 0, "attributes": {}, "used_resources": {},
            "drain_info": { "state": "DRAINED", "config": config },
        });
        let summary = json!({ "slaves": [
            slave("3f-S0", "h1", json!({})),
            slave("3f-S1", "h2", drained),
        ] });
        let info = json!({ "id": { "value": "3f-S10" }, "hostname": "h2", "port": 5052 });
        let registry = json!({
            "slaves": { "slaves": [
                { "info": { "id": { "value": "3f-S0" }, "hostname": "h1", "port": 5051 } },
                { "info": info, "deactivated": true },
            ] },
            "unreachable": { "slaves": [
                { "id": { "value": "3f-S2" }, "drain_info": { "state": "DRAINING", "config": {} }, "deactivated": true },
            ] },
            "gone": { "slaves": [{ "id": { "value": "3f-S3" } }] },
        });
        Agents::read(&summary.to_string(), &registry.to_string()).unwrap()
    }

    #[test]
    fn what_the_master_and_its_registry_say_is_put_together() {
        let agents = some();
        let states: Vec<_> = agents.all.iter().map(|(id, agent)| (id.as_str(), agent.state())).collect();
        let expected = [
            ("3f-S0", "active"),
            ("3f-S1", "drained"),
            ("3f-S10", "awaited, deactivated"),
            ("3f-S2", "unreachable, draining"),
        ];
        assert_eq!(states, expected.map(|(id, state)| (id, state.to_owned())));
        assert_eq!(agents.all["3f-S0"].tasks, Some(2));
        assert!(agents.gone.contains("3f-S3"));
        assert!(Agents::read("{}", "{}").is_err() && Agents::read("oops", "{}").is_err());
    }

    #[test]
    fn agents_are_found_by_what_tells_them_apart() {
        let agents = some();
        for (name, id) in [
            ("3f-S1", Ok("3f-S1")),
            ("S1", Ok("3f-S1")),
            ("S0", Ok("3f-S0")),
            ("3f-S10", Ok("3f-S10")),
            ("h1", Ok("3f-S0")),
            ("h2:5052", Ok("3f-S10")),
            ("h2", Err("'h2' may be 2 agents (3f-S1 on h2, 3f-S10 on h2)")),
            ("3f", Err("'3f' may be 4 agents")),
            ("S3", Err("there is no agent 'S3'")),
            ("1", Err("there is no agent '1'")),
        ] {
            match (agents.find(name), id) {
                (Ok(found), Ok(id)) => assert_eq!(found, id, "{name}"),
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{name}: {said}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}

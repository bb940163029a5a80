//! How agents are shown.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::seen::{Agent, Agents};

/// The amounts that have a column; others are told to programs.
const AMOUNTS: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// For people: one line an agent.
pub fn text(agents: &Agents) -> String {
    let heads = ["ID", "HOST", "STATE", "TASKS", "CPUS", "MEM", "DISK", "GPUS", "ATTRIBUTES"];
    let heads: Vec<String> = heads.map(ToOwned::to_owned).into();
    let lines: Vec<Vec<String>> =
        std::iter::once(heads).chain(agents.all.iter().map(|(id, agent)| row(id, agent))).collect();
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn row(id: &str, agent: &Agent) -> Vec<String> {
    let missing = || "-".to_owned();
    let host = agent.host.as_ref().map_or_else(missing, |(host, port)| format!("{host}:{port}"));
    let mut cells = vec![id.to_owned(), host, agent.state()];
    cells.push(agent.tasks.map_or_else(missing, |tasks| tasks.to_string()));
    cells.extend(AMOUNTS.map(|name| {
        let amount = |of: &Map<String, Value>| of.get(name).and_then(Value::as_f64).unwrap_or_default();
        let (used, total) = (amount(&agent.used), amount(&agent.total));
        if used == 0.0 && total == 0.0 { missing() } else { format!("{used}/{total}") }
    }));
    let attribute = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}:{text}"),
        Value::Number(number) => format!("{name}:{}", number.as_f64().unwrap_or_default()),
        other => format!("{name}:{other}"),
    };
    let attributes: Vec<_> = agent.attributes.iter().map(attribute).collect();
    cells.push(if attributes.is_empty() { missing() } else { attributes.join(";") });
    cells
}

/// For programs.
pub fn json(agents: &Agents) -> Value {
    let all = agents.all.iter().map(|(id, agent)| {
        let drain = agent.drain.as_ref().map(|drain| {
            json!({
                "drained": drain.drained,
                "mark_gone": drain.config["mark_gone"] == true,
                "max_grace_period_seconds":
                    drain.config["max_grace_period"]["nanoseconds"].as_u64().map(|nanos| nanos as f64 / 1e9),
            })
        });
        json!({
            "id": id,
            "hostname": agent.host.as_ref().map(|(host, _)| host),
            "port": agent.host.as_ref().map(|(_, port)| port),
            "state": agent.state(),
            "registered": agent.is_there(),
            "deactivated": agent.deactivated,
            "drain": drain,
            "tasks": agent.tasks,
            "resources": { "total": agent.total, "used": agent.used },
            "attributes": agent.attributes,
        })
    });
    Value::Array(all.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_a_table() {
        let expected = "\
ID      HOST     STATE                  TASKS  CPUS   MEM      DISK  GPUS  ATTRIBUTES
3f-S0   h1:5051  active                 2      0.5/4  64/1024  -     1/2   level:3;rack:r1
3f-S1   h2:5051  drained                0      0/4    0/1024   -     0/2   -
3f-S10  h2:5052  awaited, deactivated   -      -      -        -     -     -
3f-S2   -        unreachable, draining  -      -      -        -     -     -
";
        assert_eq!(text(&super::super::seen::tests::some()), expected);
    }

    #[test]
    fn programs_see_a_list() {
        let list = json(&super::super::seen::tests::some());
        assert_eq!(list[0]["resources"]["total"]["ports"], "[1-9]");
        assert_eq!(list[0]["drain"], Value::Null);
        let drain = json!({ "drained": true, "mark_gone": false, "max_grace_period_seconds": 5.0 });
        assert_eq!((&list[1]["drain"], &list[1]["registered"]), (&drain, &json!(true)));
        assert_eq!(
            (&list[3]["hostname"], &list[3]["state"]),
            (&Value::Null, &json!("unreachable, draining"))
        );
    }
}

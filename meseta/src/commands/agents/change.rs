//! Changes of agents: what is asked of the leading master, and what its answers mean for people.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::Failure;
use super::http::{Question, Reply};
use super::leader::Masters;
use super::look;
use super::seen::{Agent, Link};
use super::words::Change;

/// Asks for a change of one agent, and says what has become of it.
///
/// # Errors
/// It is refused, with what to do about it; or no master answers.
pub async fn change(
    masters: &mut Masters,
    id: &str,
    agent: &Agent,
    change: &Change,
) -> Result<String, Failure> {
    let reply = masters.ask(&Question::Call(call(id, change).to_string())).await?;
    let who = agent.named(id);
    match reply.status {
        200 => Ok(done(&who, agent, change)),
        _ if reply.body == ACTIVE => Ok(format!("agent {who} gets offers already")),
        _ => Err(refused(id, &who, &reply).into()),
    }
}

/// What is refused because it is so already: also if the answer was lost when it was asked for the first time.
const ACTIVE: &str = "Agent is not deactivated";

fn call(id: &str, change: &Change) -> Value {
    let id = json!({ "value": id });
    match change {
        Change::Drain { max_grace_period, mark_gone, .. } => {
            let mut drain = json!({ "agent_id": id, "mark_gone": mark_gone });
            if let Some(grace) = max_grace_period {
                drain["max_grace_period"] =
                    json!({ "seconds": grace.as_secs(), "nanos": grace.subsec_nanos() });
            }
            json!({ "type": "DRAIN_AGENT", "drain_agent": drain })
        }
        Change::Deactivate => json!({ "type": "DEACTIVATE_AGENT", "deactivate_agent": { "agent_id": id } }),
        Change::Reactivate => json!({ "type": "REACTIVATE_AGENT", "reactivate_agent": { "agent_id": id } }),
        Change::Gone => json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": id } }),
    }
}

fn done(who: &str, agent: &Agent, change: &Change) -> String {
    match change {
        Change::Drain { .. } if !agent.is_there() => {
            format!("agent {who} will be drained when it is back; it gets no offers")
        }
        Change::Drain { .. } => match agent.tasks.unwrap_or_default() {
            0 => format!("agent {who} is being drained: it runs no task"),
            tasks => format!("agent {who} is being drained: it ends {tasks} {}", counted(tasks, "task")),
        },
        Change::Deactivate => format!("agent {who} gets no offers; what runs there goes on"),
        Change::Reactivate if agent.is_there() => format!("agent {who} gets offers again"),
        Change::Reactivate => format!("agent {who} will get offers when it is back"),
        Change::Gone => {
            format!("agent {who} is gone: what ran there is lost, and its id is not admitted again")
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { what.to_owned() } else { format!("{what}s") }
}

fn refused(id: &str, who: &str, reply: &Reply) -> String {
    let said = reply.body.trim();
    match (reply.status, said) {
        (400, "Agent is still in the DRAINING state") => format!(
            "agent {who} is being drained, which can't be taken back before its end: 'meseta agents drain {id} --wait' \
             waits for that; frameworks that do not acknowledge the end of their tasks delay it"
        ),
        (400, "Unknown agent") | (404, _) => {
            format!("agent {who} has left the cluster meanwhile; 'meseta agents' lists those that there are")
        }
        (409, _) => format!("agent {who} left the cluster while it was asked for: nothing is to be done"),
        (401 | 403, _) => format!("the master does not let you do that with agent {who}: {said}"),
        (501, _) => format!("the master is too old for that: {said}"),
        (status, _) => format!("the master refused that for agent {who}: {status} {said}"),
    }
}

/// Waits until an agent is drained, and gone if it is to be; `note` is told how it goes.
///
/// # Errors
/// Somebody has taken it back, the agent has left, no master answers, or it takes longer than `limit`.
pub async fn wait(
    masters: &mut Masters,
    id: &str,
    who: &str,
    limit: Duration,
    note: fn(&str),
) -> Result<String, Failure> {
    let begin = masters.now();
    let mut said = String::new();
    loop {
        let agents = look(masters).await?;
        if agents.gone.contains(id) {
            return Ok(format!("agent {who} is gone"));
        }
        let Some(agent) = agents.all.get(id) else {
            return Err(format!("agent {who} has left the cluster before it was drained").into());
        };
        let Some(drain) = &agent.drain else {
            return Err(format!("somebody has reactivated agent {who}").into());
        };
        if drain.drained && drain.config["mark_gone"] != true {
            return Ok(format!("agent {who} is drained"));
        }
        let how = progress(agent);
        if how != said {
            note(&format!("agent {who}: {how}"));
            said = how;
        }
        if masters.now().since(begin) >= limit {
            return Err(format!("agent {who} is not drained yet ({said}): it goes on without us").into());
        }
        masters.pause().await;
    }
}

fn progress(agent: &Agent) -> String {
    match (agent.link, agent.tasks.unwrap_or_default()) {
        (Link::Awaited | Link::Unreachable, _) => "it does not answer; it is drained when it is back".to_owned(),
        (Link::Active | Link::Inactive, 0) => {
            "no task runs any more; waiting for frameworks to acknowledge the ends, or for the agent to say so".to_owned()
        }
        (Link::Active | Link::Inactive, tasks) => format!("{tasks} {} left", counted(tasks, "task")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::seen::tests::some;
    use super::*;

    #[test]
    fn calls_are_those_of_the_operator_api() {
        let grace = Some(Duration::from_millis(1500));
        let drain = Change::Drain { max_grace_period: grace, mark_gone: true, wait: false };
        let expected = json!({
            "type": "DRAIN_AGENT",
            "drain_agent": {
                "agent_id": { "value": "S0" }, "mark_gone": true,
                "max_grace_period": { "seconds": 1, "nanos": 500_000_000 },
            },
        });
        assert_eq!(call("S0", &drain), expected);
        assert_eq!(call("S0", &Change::Gone)["mark_agent_gone"]["agent_id"]["value"], "S0");
    }

    #[test]
    fn it_is_said_what_happens_and_what_to_do() {
        let agents = some();
        let drain = Change::Drain { max_grace_period: None, mark_gone: false, wait: false };
        let said = |id: &str, change: &Change| done(&agents.all[id].named(id), &agents.all[id], change);
        assert_eq!(said("3f-S0", &drain), "agent 3f-S0 on h1 is being drained: it ends 2 tasks");
        assert_eq!(said("3f-S2", &drain), "agent 3f-S2 will be drained when it is back; it gets no offers");
        let reply = |status, body: &str| Reply { status, elsewhere: None, body: body.into() };
        let refusal = |status, body| refused("S0", "S0 on h1", &reply(status, body));
        assert!(
            refusal(400, "Agent is still in the DRAINING state").contains("'meseta agents drain S0 --wait'")
        );
        assert!(refusal(409, "Agent removed while processing the call").contains("nothing is to be done"));
        assert!(refusal(418, "tea").contains("418 tea"));
        assert_eq!(progress(&agents.all["3f-S0"]), "2 tasks left");
        assert!(progress(&agents.all["3f-S2"]).contains("when it is back"));
    }
}

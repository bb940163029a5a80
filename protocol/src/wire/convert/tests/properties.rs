//! What goes out to the wire comes back as it was, in both formats; what comes from the wire does no harm.

use proptest::prelude::*;
use prost::Message;

use super::strategies::*;
use crate::messages::{Event, ExecutorEvent};
use crate::testing::fixed_cases;
use crate::wire::convert::*;
use crate::wire::{Format, WireMessage, decode, encode, v1};
use crate::{Role, UnixTime};

/// A message, through one of the formats.
fn travelled<M: WireMessage>(message: &M, format: Format) -> M {
    decode(format, &encode(format, message)).unwrap()
}

const FORMATS: [Format; 2] = [Format::Json, Format::Protobuf];

proptest! {
    #![proptest_config(fixed_cases())]

    #[test]
    fn resources_come_back(all in some_resources(), refined in any::<bool>(), role in proptest::option::of("[a-z]")) {
        let role = role.map(Role::from);
        let wire = resources_to_wire(&all, role.as_ref(), refined);
        prop_assert_eq!(allocated_to(&wire).unwrap(), role.filter(|_| !wire.is_empty()));
        prop_assert_eq!(resources(&wire).unwrap(), all);
        for wire in wire {
            let mixed = !wire.reservations.is_empty() && (wire.role.is_some() || wire.reservation.is_some());
            prop_assert!(!mixed);
        }
    }

    #[test]
    fn tasks_come_back(task in a_task(), refined in any::<bool>()) {
        for format in FORMATS {
            let wire = travelled(&task_info_to_wire(&task, refined), format);
            prop_assert_eq!(&task_info(wire), &task);
        }
    }

    #[test]
    fn executors_come_back(executor in an_executor(), refined in any::<bool>()) {
        for format in FORMATS {
            let wire = travelled(&executor_info_to_wire(&executor, None, refined), format);
            let (back, problem) = executor_info(wire);
            prop_assert_eq!((&back, problem), (&executor, None));
        }
    }

    #[test]
    fn statuses_come_back(status in a_status()) {
        for format in FORMATS {
            let wire = travelled(&task_status_to_wire(&status), format);
            prop_assert_eq!(&task_status(wire).unwrap(), &status);
        }
    }

    #[test]
    fn frameworks_come_back(framework in a_framework()) {
        for format in FORMATS {
            let wire = travelled(&framework_info_to_wire(&framework), format);
            prop_assert_eq!(&framework_info(wire).unwrap(), &framework);
        }
    }

    #[test]
    fn agents_come_back(agent in an_agent(), refined in any::<bool>()) {
        for format in FORMATS {
            let wire = travelled(&agent_info_to_wire(&agent, refined), format);
            prop_assert_eq!(&agent_info(wire).unwrap(), &agent);
        }
    }

    /// What was told once in seconds is told in the same seconds again.
    #[test]
    fn timestamps_do_not_drift(given in prop_oneof![0.0..1.8e10f64, 1.7e9..1.9e9f64]) {
        let kept = seconds(given).unwrap();
        prop_assert_eq!(kept.as_secs_f64(), given);
        prop_assert_eq!(seconds(kept.as_secs_f64()), Some(kept));
    }

    #[test]
    fn no_number_of_seconds_does_harm(given in any::<f64>()) {
        let kept = seconds(given);
        prop_assert_eq!(kept.is_some(), given >= 0.0);
        if given >= 2e10 {
            prop_assert_eq!(kept, Some(UnixTime(u64::MAX)));
        }
    }

    #[test]
    fn spans_come_back(span in a_span(), given in any::<i64>()) {
        prop_assert_eq!(duration(duration_to_wire(span)), Some(span));
        let read = duration(v1::DurationInfo { nanoseconds: given });
        prop_assert_eq!(read.map(|span| duration_to_wire(span).nanoseconds), (given >= 0).then_some(given));
    }

    /// Calls with bytes changed at random. Whatever still is a message is turned into something, or refused; what became
    /// of it goes out again.
    #[test]
    fn no_call_does_harm(
        task in a_task().boxed(),
        executor in an_executor().boxed(),
        framework in a_framework().boxed(),
        status in a_status().boxed(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        kind in 0..20i32,
    ) {
        let task = task_info_to_wire(&task, true);
        let framework = framework_info_to_wire(&framework);
        let status = task_status_to_wire(&status);
        let group = v1::offer::operation::LaunchGroup {
            executor: executor_info_to_wire(&executor, None, true),
            task_group: v1::TaskGroupInfo { tasks: vec![task.clone()] },
        };
        let launch = v1::offer::operation::Launch { task_infos: vec![task.clone()] };
        let operation = v1::offer::Operation { launch: Some(launch), ..Default::default() };
        let operations = [(1, operation.clone()), (6, v1::offer::Operation { launch_group: Some(group), ..operation })];
        let operations = operations.map(|(kind, operation)| v1::offer::Operation { r#type: Some(kind), ..operation });
        let scheduler = v1::scheduler::Call {
            framework_id: framework.id.clone(),
            r#type: Some(kind),
            accept: Some(v1::scheduler::call::Accept { operations: operations.into(), ..Default::default() }),
            subscribe: Some(v1::scheduler::call::Subscribe { framework_info: framework, ..Default::default() }),
            kill: Some(Default::default()),
            acknowledge: Some(Default::default()),
            ..Default::default()
        };
        let update = v1::executor::call::Update { status };
        let executor = v1::executor::Call {
            r#type: Some(kind % 6),
            subscribe: Some(v1::executor::call::Subscribe {
                unacknowledged_tasks: vec![task],
                unacknowledged_updates: vec![update.clone()],
            }),
            update: Some(update),
            ..Default::default()
        };
        if let Some(call) = changed(&scheduler, &changes)
            && let Ok((_, call)) = scheduler_call(call)
            && let crate::messages::Call::Accept { operations, .. } = call
        {
            for task in operations.iter().flat_map(crate::Operation::tasks) {
                let _ = crate::validate::task(task);
                let event = ExecutorEvent::Launch(task.clone());
                let _ = encode(Format::Json, &executor_event(&event, &ExecutorEventContext::default()));
            }
        }
        if let Some(call) = changed(&executor, &changes)
            && let Ok((.., crate::messages::ExecutorCallKind::Update(status))) = executor_call(call)
        {
            let event = scheduler_event(&Event::Update(status), &EventContext::default());
            let _ = encode(Format::Json, &event);
        }
    }
}

fn changed<M: Message + Default>(message: &M, changes: &[(prop::sample::Index, u8)]) -> Option<M> {
    let mut bytes = message.encode_to_vec();
    for (at, to) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *to;
    }
    M::decode(&bytes[..]).ok()
}

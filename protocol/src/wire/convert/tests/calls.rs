//! Calls that are refused, with the words that Mesos was recorded to use; calls that are taken.

use super::read;
use crate::messages::{Call, ExecutorCallKind};
use crate::wire::convert::{CallError, executor_call, scheduler_call};
use crate::wire::v1::scheduler;
use crate::{
    Capability, Filters, FrameworkId, FrameworkInfo, KillPolicy, Operation, Reason, Source, TaskState, Uuid,
};
use std::time::Duration;

fn call(json: &str) -> Result<(Option<FrameworkId>, Call), CallError> {
    scheduler_call(read(json))
}

#[track_caller]
fn invalid(json: &str) -> String {
    match call(json) {
        Err(CallError::Invalid(text)) => text,
        other => panic!("{json}: {other:?}"),
    }
}

/// What is said of a framework, by a subscription and by an update alike.
#[track_caller]
fn subscription(fields: &str) -> Result<FrameworkInfo, String> {
    let subscribe = format!(
        r#"{{"type": "SUBSCRIBE", "subscribe": {{"framework_info": {{"user": "root", "name": "e", {fields}}}}}}}"#
    );
    let update = format!(
        r#"{{"type": "UPDATE_FRAMEWORK", "framework_id": {{"value": ""}}, "update_framework": {{"framework_info":
            {{"user": "root", "name": "e", {fields}}}}}}}"#
    );
    match (call(&subscribe), call(&update)) {
        (
            Ok((None, Call::Subscribe { framework, .. })),
            Ok((_, Call::UpdateFramework { framework: same, .. })),
        ) => {
            assert_eq!(framework, same);
            Ok(framework)
        }
        (Err(CallError::Subscription(one)), Err(CallError::Subscription(other))) => {
            assert_eq!(one, other);
            Err(one)
        }
        other => panic!("{fields}: {other:?}"),
    }
}

#[test]
fn what_is_missing_is_said() {
    for json in ["{}", r#"{"framework_id": {"value": "f"}}"#, r#"{"type": "BOGUS"}"#] {
        assert_eq!(invalid(json), "Expecting 'type' to be present");
    }
    assert_eq!(invalid(r#"{"type": "SUBSCRIBE"}"#), "Expecting 'subscribe' to be present");
    for kind in ["TEARDOWN", "ACCEPT", "REVIVE", "UPDATE_FRAMEWORK", "RECONCILE_OPERATIONS", "UNKNOWN"] {
        let json = format!(r#"{{"type": "{kind}", "accept": {{}}}}"#);
        assert_eq!(invalid(&json), "Expecting 'framework_id' to be present");
    }
    for (kind, field) in [
        ("ACCEPT", "accept"),
        ("DECLINE", "decline"),
        ("ACCEPT_INVERSE_OFFERS", "accept_inverse_offers"),
        ("DECLINE_INVERSE_OFFERS", "decline_inverse_offers"),
        ("KILL", "kill"),
        ("SHUTDOWN", "shutdown"),
        ("ACKNOWLEDGE", "acknowledge"),
        ("ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status"),
        ("RECONCILE", "reconcile"),
        ("RECONCILE_OPERATIONS", "reconcile_operations"),
        ("MESSAGE", "message"),
        ("REQUEST", "request"),
        ("UPDATE_FRAMEWORK", "update_framework"),
    ] {
        let json = format!(r#"{{"type": "{kind}", "framework_id": {{"value": "f"}}}}"#);
        assert_eq!(invalid(&json), format!("Expecting '{field}' to be present"));
    }
}

#[test]
fn ids_that_differ_are_refused() {
    let info = r#""user": "root", "name": "e""#;
    let subscribe = |outer: &str, inner: &str| {
        format!(r#"{{"type": "SUBSCRIBE", {outer} "subscribe": {{"framework_info": {{{info} {inner}}}}}}}"#)
    };
    let (outer, inner) = (r#""framework_id": {"value": "a"},"#, r#", "id": {"value": "b"}"#);
    for json in [subscribe(outer, inner), subscribe(outer, ""), subscribe("", inner)] {
        assert_eq!(invalid(&json), "'framework_id' differs from 'subscribe.framework_info.id'");
    }
    let same = call(&subscribe(outer, r#", "id": {"value": "a"}"#)).unwrap();
    assert_eq!(same.0, Some("a".into()));
    let empty = call(&subscribe(r#""framework_id": {"value": ""},"#, "")).unwrap();
    assert_eq!(empty.0, None);
    let update = format!(
        r#"{{"type": "UPDATE_FRAMEWORK", "framework_id": {{"value": "a"}}, "update_framework": {{"framework_info": {{{info} {inner}}}}}}}"#
    );
    assert_eq!(invalid(&update), "'framework_id' differs from 'update_framework.framework_info.id'");
}

#[test]
fn frameworks_that_wont_do_are_refused_in_the_stream() {
    let multi_role = r#""capabilities": [{"type": "MULTI_ROLE"}]"#;
    for (fields, why) in [
        (
            format!(r#""roles": ["-x"], {multi_role}"#),
            "'FrameworkInfo.roles' contains invalid role: Role component '-x' is invalid because it starts with a dash",
        ),
        (
            format!(r#""roles": ["a/../b"], {multi_role}"#),
            "'FrameworkInfo.roles' contains invalid role: Role 'a/../b' cannot include '..' as a component",
        ),
        (
            r#""role": "/bad""#.into(),
            "'FrameworkInfo.role' is not a valid role: Role '/bad' cannot start with a slash",
        ),
        (
            r#""role": """#.into(),
            "'FrameworkInfo.role' is not a valid role: Role names cannot be the empty string",
        ),
        (
            format!(r#""role": "a", "roles": ["b"], {multi_role}"#),
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ),
        (
            format!(r#""role": "*", {multi_role}"#),
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ),
        (
            r#""roles": ["*"], "capabilities": [{"type": "NOPE"}]"#.into(),
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
        ),
        (
            format!(r#""roles": ["a", "a"], {multi_role}"#),
            "'FrameworkInfo.roles' contains duplicate items: { a }",
        ),
        (
            format!(r#""roles": ["*"], "failover_timeout": 1e+30, {multi_role}"#),
            "The framework failover_timeout (1e+30) is invalid",
        ),
        (r#""failover_timeout": -1e+30"#.into(), "The framework failover_timeout (-1e+30) is invalid"),
    ] {
        assert_eq!(subscription(&fields), Err(why.into()), "{fields}");
    }
    let mut nan: scheduler::Call =
        read(r#"{"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "e"}}}"#);
    nan.subscribe.as_mut().unwrap().framework_info.failover_timeout = Some(f64::NAN);
    let told = scheduler_call(nan).unwrap_err();
    assert_eq!(told, CallError::Subscription("The framework failover_timeout (nan) is invalid".into()));
}

#[test]
fn frameworks_that_will_do() {
    let plain = subscription(r#""hostname": "h""#).unwrap();
    assert_eq!(plain.roles, ["*".into()].into());
    assert_eq!((plain.failover_timeout, plain.checkpoint, plain.id), (Duration::ZERO, false, None));
    let negative = subscription(r#""failover_timeout": -1"#).unwrap();
    assert_eq!(negative.failover_timeout, Duration::ZERO);
    let long = subscription(r#""failover_timeout": 604800.5"#).unwrap();
    assert_eq!(long.failover_timeout, Duration::from_millis(604_800_500));
    let most = subscription(r#""failover_timeout": 9223372036"#).unwrap();
    assert_eq!(most.failover_timeout, Duration::from_secs(9_223_372_036));
    let fields = r#""roles": ["b", "a"], "capabilities": [{"type": "MULTI_ROLE"}, {"type": "NOPE"}, {}],
        "offer_filters": {"zz": {"min_allocatable_resources": {}}}"#;
    let several = subscription(fields).unwrap();
    assert_eq!(several.roles, ["a".into(), "b".into()].into());
    assert_eq!(several.capabilities, [Capability::MultiRole].into());
}

#[test]
fn what_is_not_there_yet_is_named() {
    let uuid = r#""uuid": "/i1UiEkBTWymrU0kc+LqDA==""#;
    for (fields, name) in [
        (r#""type": "UNKNOWN""#.to_owned(), "UNKNOWN"),
        (
            format!(
                r#""type": "ACKNOWLEDGE_OPERATION_STATUS", "acknowledge_operation_status":
                    {{"agent_id": {{"value": "s"}}, {uuid}, "operation_id": {{"value": "o"}}}}"#
            ),
            "ACKNOWLEDGE_OPERATION_STATUS",
        ),
        (r#""type": "RECONCILE_OPERATIONS", "reconcile_operations": {}"#.into(), "RECONCILE_OPERATIONS"),
        (r#""type": "ACCEPT", "accept": {"operations": [{"type": "RESERVE"}]}"#.into(), "RESERVE"),
        (r#""type": "ACCEPT", "accept": {"operations": [{"type": "GROW_VOLUME"}]}"#.into(), "GROW_VOLUME"),
    ] {
        let json = format!(r#"{{"framework_id": {{"value": "f"}}, {fields}}}"#);
        assert_eq!(call(&json), Err(CallError::NotYet(name)), "{json}");
    }
}

#[track_caller]
fn taken(fields: &str) -> Call {
    let (id, taken) = call(&format!(r#"{{"framework_id": {{"value": "f"}}, {fields}}}"#)).unwrap();
    assert_eq!(id, Some("f".into()));
    taken
}

#[test]
fn calls_say_what_they_said() {
    assert_eq!(taken(r#""type": "TEARDOWN""#), Call::Teardown);
    assert_eq!(taken(r#""type": "REVIVE""#), Call::Revive { roles: [].into() });
    assert_eq!(
        taken(r#""type": "SUPPRESS", "suppress": {"roles": ["b", "a", "a"]}"#),
        Call::Suppress { roles: ["a".into(), "b".into()].into() }
    );
    let grace = |millis| Some(KillPolicy { grace_period: Some(Duration::from_millis(millis)) });
    let kill = |policy: &str| {
        taken(&format!(r#""type": "KILL", "kill": {{"task_id": {{"value": "t"}}, "kill_policy": {policy}}}"#))
    };
    for (policy, expected) in [
        (r#"{"grace_period": {"nanoseconds": 1500000000}}"#, grace(1500)),
        (r#"{"grace_period": {"nanoseconds": -1}}"#, grace(0)),
        ("{}", Some(KillPolicy { grace_period: None })),
        ("null", None),
    ] {
        let expected = Call::Kill { task_id: "t".into(), agent_id: None, kill_policy: expected };
        assert_eq!(kill(policy), expected);
    }
    assert_eq!(
        taken(
            r#""type": "MESSAGE", "message": {"agent_id": {"value": "s"}, "executor_id": {"value": "e"}, "data": "aGVsbG8="}"#
        ),
        Call::Message { agent_id: "s".into(), executor_id: "e".into(), data: "hello".into() }
    );
    let inverse = r#""inverse_offer_ids": [{"value": "o"}], "filters": {"refuse_seconds": 1}"#;
    let filters = Filters { refuse: Duration::from_secs(1) };
    let inverse_offer_ids = vec!["o".into()];
    assert_eq!(
        taken(&format!(r#""type": "ACCEPT_INVERSE_OFFERS", "accept_inverse_offers": {{{inverse}}}"#)),
        Call::AcceptInverseOffers { inverse_offer_ids: inverse_offer_ids.clone(), filters }
    );
    assert_eq!(
        taken(&format!(r#""type": "DECLINE_INVERSE_OFFERS", "decline_inverse_offers": {{{inverse}}}"#)),
        Call::DeclineInverseOffers { inverse_offer_ids, filters }
    );
    let wish = |amount: &str| {
        let cpus = format!(r#"{{"name": "cpus", "type": "SCALAR", "scalar": {{"value": {amount}}}}}"#);
        format!(r#"{{"agent_id": {{"value": "s"}}, "resources": [{cpus}]}}"#)
    };
    let json = format!(r#""type": "REQUEST", "request": {{"requests": [{}, {}]}}"#, wish("1"), wish("-1"));
    let Call::Request { requests } = taken(&json) else { panic!() };
    assert_eq!((requests.len(), requests[0].resources.to_string().as_str()), (1, "cpus:1"));
}

#[test]
fn filters_are_those_of_mesos() {
    let decline = |filters: &str| {
        taken(&format!(r#""type": "DECLINE", "decline": {{"offer_ids": [{{"value": "o"}}]{filters}}}"#))
    };
    for (filters, refuse) in [
        ("", Filters::DEFAULT_REFUSE),
        (r#", "filters": {}"#, Filters::DEFAULT_REFUSE),
        (r#", "filters": {"refuse_seconds": 0}"#, Duration::ZERO),
        (r#", "filters": {"refuse_seconds": 0.5}"#, Duration::from_millis(500)),
        (r#", "filters": {"refuse_seconds": -3}"#, Filters::DEFAULT_REFUSE),
        (r#", "filters": {"refuse_seconds": 1e300}"#, Filters::MAX_REFUSE),
        (r#", "filters": {"refuse_seconds": "Infinity"}"#, Filters::MAX_REFUSE),
    ] {
        let expected = Call::Decline { offer_ids: vec!["o".into()], filters: Filters { refuse } };
        assert_eq!(decline(filters), expected, "{filters}");
    }
}

#[test]
fn operations_that_nobody_knows_are_passed_over() {
    let json = r#""type": "ACCEPT", "accept": {"operations": [{}, {"type": "BOGUS"}, {"type": "UNKNOWN"},
        {"type": "LAUNCH"}, {"type": "LAUNCH_GROUP"}]}"#;
    let Call::Accept { operations, filters, .. } = taken(json) else { panic!() };
    assert_eq!(operations, [Operation::Launch { tasks: Vec::new() }]);
    assert_eq!(filters, Filters::default());
}

#[test]
fn uuids_are_those_of_mesos() {
    let acknowledge = |uuid: &str| {
        let fields = r#""agent_id": {"value": "s"}, "task_id": {"value": "t"}"#;
        call(&format!(
            r#"{{"type": "ACKNOWLEDGE", "framework_id": {{"value": "f"}}, "acknowledge": {{{fields}, "uuid": "{uuid}"}}}}"#
        ))
    };
    let (_, taken) = acknowledge("/i1UiEkBTWymrU0kc+LqDA==").unwrap();
    let Call::Acknowledge { uuid, .. } = taken else { panic!() };
    assert_eq!(uuid.to_string(), "fe2d5488-4901-4d6c-a6ad-4d2473e2ea0c");
    for bad in ["", "aGVsbG8=", "AAAAAAAAAAAAAAAAAAAAAA==", "/i1UiEkBTWymrU0kc+LqDAA="] {
        assert_eq!(acknowledge(bad), Err(CallError::Invalid("Not a valid UUID".into())), "{bad}");
    }
}

fn executor(fields: &str) -> Result<ExecutorCallKind, CallError> {
    let ids = r#""framework_id": {"value": "f"}, "executor_id": {"value": "e"}"#;
    executor_call(read(&format!("{{{ids}, {fields}}}"))).map(|(framework_id, executor_id, call)| {
        assert_eq!((framework_id.as_str(), executor_id.as_str()), ("f", "e"));
        call
    })
}

const STATUS: &str = r#""task_id": {"value": "t"}, "uuid": "/i1UiEkBTWymrU0kc+LqDA==""#;

#[test]
fn executors_are_told_what_is_wrong() {
    let update =
        |status: &str| executor(&format!(r#""type": "UPDATE", "update": {{"status": {{{status}}}}}"#));
    let with = |fields: &str| update(&format!("{STATUS}, {fields}"));
    for (result, why) in [
        (executor(r#""type": "BOGUS""#), "Expecting 'type' to be present"),
        (executor(r#""type": "SUBSCRIBE""#), "Expecting 'subscribe' to be present"),
        (executor(r#""type": "UPDATE""#), "Expecting 'update' to be present"),
        (executor(r#""type": "MESSAGE""#), "Expecting 'message' to be present"),
        (update(r#""task_id": {"value": "t"}, "state": "TASK_RUNNING""#), "Expecting 'uuid' to be present"),
        (
            update(r#""task_id": {"value": "t"}, "state": "TASK_RUNNING", "uuid": "aGVsbG8=""#),
            "Not a valid UUID",
        ),
        (
            with(r#""state": "TASK_RUNNING", "executor_id": {"value": "x"}"#),
            "ExecutorID in Call: e does not match ExecutorID in TaskStatus: x",
        ),
        (
            with(r#""state": "TASK_RUNNING""#),
            "Received Call from executor e of framework f with invalid source, expecting 'SOURCE_EXECUTOR'",
        ),
        (
            with(r#""state": "TASK_STAGING", "source": "SOURCE_EXECUTOR""#),
            "Received TASK_STAGING from executor e of framework f which is not allowed",
        ),
    ] {
        assert_eq!(result, Err(CallError::Invalid(why.into())));
    }
    assert_eq!(executor(r#""type": "UNKNOWN""#), Err(CallError::NotYet("UNKNOWN")));
}

#[test]
fn executors_are_heard() {
    assert_eq!(executor(r#""type": "HEARTBEAT""#), Ok(ExecutorCallKind::Heartbeat));
    assert_eq!(
        executor(r#""type": "MESSAGE", "message": {"data": "aGVsbG8="}"#),
        Ok(ExecutorCallKind::Message("hello".into()))
    );
    let status = format!(
        r#"{{{STATUS}, "state": "TASK_FAILED", "source": "SOURCE_EXECUTOR", "reason": "REASON_TASK_INVALID",
            "timestamp": 1795199989.596138}}"#
    );
    let Ok(ExecutorCallKind::Update(told)) =
        executor(&format!(r#""type": "UPDATE", "update": {{"status": {status}}}"#))
    else {
        panic!();
    };
    assert_eq!((told.state, told.source), (TaskState::Failed, Source::Executor));
    assert_eq!(told.reason, Some(Reason::TaskInvalid));
    assert_eq!(told.timestamp.unwrap().0 / 1000, 1_795_199_989_596_138);
    let task = r#"{"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "s"}}"#;
    let subscribe = format!(
        r#""type": "SUBSCRIBE", "subscribe": {{"unacknowledged_tasks": [{task}], "unacknowledged_updates": [{{"status": {status}}}]}}"#
    );
    let Ok(ExecutorCallKind::Subscribe { tasks, updates }) = executor(&subscribe) else { panic!() };
    assert_eq!(tasks[0].task_id, "t".into());
    assert_eq!((updates[0].latest_state, &updates[0].status), (TaskState::Failed, &told));
    assert_eq!(updates[0].status.uuid.map(|Uuid(bytes)| bytes[0]), Some(0xfe));
}

#[test]
fn calls_with_too_many_tasks_are_refused() {
    use crate::limits::MAX_TASKS_IN_CALL;
    use crate::wire::v1::{TaskGroupInfo, TaskInfo, offer};
    use scheduler::call::{Accept, Reconcile, Type, reconcile::Task};
    let framework_id = Some(crate::wire::v1::FrameworkId { value: "f".into() });
    let asked = |kind: Type| scheduler::Call {
        framework_id: framework_id.clone(),
        r#type: Some(kind.into()),
        ..Default::default()
    };
    let reconcile = |tasks| {
        let reconcile = Some(Reconcile { tasks: vec![Task::default(); tasks] });
        scheduler_call(scheduler::Call { reconcile, ..asked(Type::Reconcile) })
    };
    let why = |place| format!("'{place}' has 50001 tasks: at most 50000 in one call, make several");
    assert!(reconcile(MAX_TASKS_IN_CALL).is_ok());
    assert_eq!(reconcile(MAX_TASKS_IN_CALL + 1), Err(CallError::Invalid(why("reconcile"))));

    let launch = offer::operation::Launch { task_infos: vec![TaskInfo::default(); MAX_TASKS_IN_CALL] };
    let task_group = TaskGroupInfo { tasks: vec![TaskInfo::default()] };
    let group = offer::operation::LaunchGroup { task_group, ..Default::default() };
    let operations = vec![
        offer::Operation { launch: Some(launch), ..Default::default() },
        offer::Operation { launch_group: Some(group), ..Default::default() },
    ];
    let accept = Some(Accept { operations, ..Default::default() });
    let told = scheduler_call(scheduler::Call { accept, ..asked(Type::Accept) });
    assert_eq!(told, Err(CallError::Invalid(why("accept"))));
}

//! Tasks and executors that ask for what they can't have, and those that can.

use super::read;
use crate::messages::{Call, ExecutorEvent};
use crate::wire::convert::*;
use crate::wire::v1;
use crate::{Carried, Command, ExecutorInfo, Operation, TaskInfo};

const CPUS: &str = r#""name": "cpus", "type": "SCALAR", "scalar": {"value": 1}"#;
const RUN: &str = r#""command": {"value": "run"}"#;

fn task(fields: &str) -> TaskInfo {
    let ids = r#""name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "s"}"#;
    task_info(read(&format!("{{{ids}, {fields}}}")))
}

fn with_resources(resources: &str) -> TaskInfo {
    task(&format!(r#""resources": [{resources}], {RUN}"#))
}

#[track_caller]
fn problem(task: TaskInfo) -> String {
    let problem = task.problem.clone().expect("a problem");
    assert_eq!(crate::validate::task(&task).unwrap_err().0, problem);
    problem
}

/// A task that uses this resource is refused, in words that name the resource.
#[track_caller]
fn refused(resource: &str, why: &str) {
    let json = format!("{{{resource}}}");
    let name = read::<v1::Resource>(&json).name;
    let told = format!("Task uses invalid resources: Invalid resources: Resource '{name}' is invalid: {why}");
    assert_eq!(problem(with_resources(&json)), told);
}

#[test]
fn resources_that_are_none_are_the_problem_of_their_task() {
    for (resource, why) in [
        (r#""name": "", "type": "SCALAR", "scalar": {"value": 1}"#.into(), "Empty resource name"),
        (r#""name": "cpus", "type": "SCALAR""#.into(), "Invalid scalar resource"),
        (format!("{CPUS}, {}", r#""ranges": {}"#), "Invalid scalar resource"),
        (r#""name": "cpus", "type": "SCALAR", "scalar": {"value": -1}"#.into(), "Invalid scalar resource: value <= 0"),
        (r#""name": "cpus", "type": "SCALAR", "scalar": {"value": 0.0004}"#.into(), "Invalid scalar resource: value <= 0"),
        (
            r#""name": "cpus", "type": "SCALAR", "scalar": {"value": "Infinity"}"#.into(),
            "Invalid scalar resource: Infinite values not supported",
        ),
        (
            r#""name": "cpus", "type": "SCALAR", "scalar": {"value": "-Infinity"}"#.into(),
            "Invalid scalar resource: value <= 0",
        ),
        (
            r#""name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 2, "end": 1}]}"#.into(),
            "Invalid ranges resource: begin > end",
        ),
        (
            r#""name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 5, "end": 9}, {"begin": 1, "end": 5}]}"#.into(),
            "Invalid ranges resource: overlapping ranges",
        ),
        (
            r#""name": "zones", "type": "SET", "set": {"item": ["a", "a"]}"#.into(),
            "Invalid set resource: duplicated elements",
        ),
        (r#""name": "x", "type": "TEXT""#.into(), "Unsupported resource type"),
        (
            r#""name": "disk", "type": "SCALAR", "scalar": {"value": 1}, "disk": {"persistence": {"id": "v"}}"#.into(),
            "persistent volumes are not supported yet",
        ),
        (
            r#""name": "disk", "type": "SCALAR", "scalar": {"value": 1}, "disk": {"source": {"type": "MOUNT"}}"#.into(),
            "sources of disks are not supported yet",
        ),
        (format!(r#"{CPUS}, "disk": {{}}"#), "DiskInfo should not be set for cpus resource"),
        (format!(r#"{CPUS}, "shared": {{}}"#), "shared resources are not supported yet"),
        (format!(r#"{CPUS}, "provider_id": {{"value": "p"}}"#), "resource providers are not supported yet"),
    ] {
        refused(&resource, why);
    }
    let mut nan: v1::Resource = read(&format!("{{{CPUS}}}"));
    nan.scalar = Some(v1::value::Scalar { value: f64::NAN });
    let told = resources(&[nan]).unwrap_err();
    assert_eq!(told, "Resource 'cpus' is invalid: Invalid scalar resource: NaN not supported");
}

#[test]
fn reservations_that_contradict_themselves_are_the_problem_of_their_task() {
    let labels = r#""labels": {"labels": [{"key": "k"}]}"#;
    for (resource, why) in [
        (format!(r#"{CPUS}, "role": "/a""#), "Role '/a' cannot start with a slash"),
        (
            format!(r#"{CPUS}, "reservation": {{}}"#),
            "Invalid reservation: role \"*\" cannot be dynamically reserved",
        ),
        (
            format!(r#"{CPUS}, "role": "a", "reservation": {{"role": "a"}}"#),
            "'Resource.ReservationInfo.role' must not be set for the 'Resource.reservation' field",
        ),
        (
            format!(r#"{CPUS}, "role": "a", "reservation": {{{labels}}}"#),
            "labels of reservations are not supported yet",
        ),
        (
            format!(r#"{CPUS}, "reservations": [{{"role": "a"}}]"#),
            "Invalid reservation: 'Resource.ReservationInfo.type' field must be set.",
        ),
        (
            format!(r#"{CPUS}, "reservations": [{{"type": "STATIC"}}]"#),
            "Invalid reservation: 'Resource.ReservationInfo.role' field must be set.",
        ),
        (
            format!(r#"{CPUS}, "reservations": [{{"type": "STATIC", "role": "*"}}]"#),
            "Invalid reservation: role \"*\" cannot be reserved",
        ),
        (
            format!(
                r#"{CPUS}, "reservations": [{{"type": "DYNAMIC", "role": "a"}}, {{"type": "STATIC", "role": "a/b"}}]"#
            ),
            "Invalid refined reservation: A refined reservation cannot be STATIC",
        ),
        (
            format!(
                r#"{CPUS}, "reservations": [{{"type": "STATIC", "role": "a"}}, {{"type": "DYNAMIC", "role": "ab"}}]"#
            ),
            "Invalid refined reservation: role 'ab' is not a refinement of 'a'",
        ),
        (
            format!(r#"{CPUS}, "role": "b", "reservations": [{{"type": "STATIC", "role": "a"}}]"#),
            "Invalid resource format: 'Resource.role' field with 'b' does not match the role 'a' in 'Resource.reservations'",
        ),
        (
            format!(r#"{CPUS}, "role": "a", "reservations": [{{"type": "DYNAMIC", "role": "a"}}]"#),
            "Invalid resource format: 'Resource.role' and 'Resource.reservation' must either be both set or both not set \
             if the single reservation in 'Resource.reservations' is DYNAMIC",
        ),
        (
            format!(
                r#"{CPUS}, "role": "a", "reservations": [{{"type": "STATIC", "role": "a"}}, {{"type": "DYNAMIC", "role": "a/b"}}]"#
            ),
            "Invalid resource format: 'Resource.role' must not be set if there is more than one reservation in \
             'Resource.reservations'",
        ),
    ] {
        refused(&resource, why);
    }
}

#[test]
fn both_formats_say_the_same() {
    let read = |fields: &str| {
        let task = with_resources(&format!("{{{CPUS}, {fields}}}"));
        assert_eq!(task.problem, None, "{fields}");
        task.resources
    };
    let fixed = read(r#""role": "a""#);
    assert_eq!(fixed.to_string(), "cpus(a):1");
    assert_eq!(read(r#""reservations": [{"type": "STATIC", "role": "a"}]"#), fixed);
    assert_eq!(read(r#""role": "a", "reservations": [{"type": "STATIC", "role": "a"}]"#), fixed);
    let dynamic = read(r#""role": "a", "reservation": {"principal": "p"}"#);
    let refined = r#""reservations": [{"type": "DYNAMIC", "role": "a", "principal": "p"}]"#;
    assert_eq!(read(refined), dynamic);
    assert_eq!(read(&format!(r#""role": "a", "reservation": {{"principal": "p"}}, {refined}"#)), dynamic);
    assert_eq!(read(r#""role": "*""#).to_string(), "cpus:1");
    let stack = read(
        r#""revocable": {}, "reservations": [{"type": "STATIC", "role": "a"}, {"type": "DYNAMIC", "role": "a/b"}]"#,
    );
    // The older format has no words for a stack.
    assert_eq!(resources_to_wire(&stack, None, false), resources_to_wire(&stack, None, true));
}

#[test]
fn resources_are_allocated_to_one_role() {
    let allocated = |roles: &[&str]| {
        let one = |role: &&str| match *role {
            "" => format!("{{{CPUS}}}"),
            role => format!(r#"{{{CPUS}, "allocation_info": {{"role": "{role}"}}}}"#),
        };
        roles.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(with_resources(&allocated(&["", ""])).allocated_to, None);
    assert_eq!(with_resources(&allocated(&["", "sem"])).allocated_to, Some("sem".into()));
    assert_eq!(
        problem(with_resources(&allocated(&["other", "sem"]))),
        "Invalid task resources: The resources have multiple allocation roles ('sem' and 'other') but only one allocation \
         role is allowed"
    );
    let executor = |task: &[&str], own: &[&str]| {
        super::tasks::task(&format!(
            r#""resources": [{}], "executor": {{"executor_id": {{"value": "e"}}, {RUN}, "resources": [{}]}}"#,
            allocated(task),
            allocated(own)
        ))
    };
    assert_eq!(executor(&[""], &["sem"]).allocated_to, Some("sem".into()));
    let told = "The resources have multiple allocation roles ('other' and 'sem') but only one allocation role is allowed";
    for bad in [executor(&["sem"], &["other"]), executor(&[""], &["sem", "other"])] {
        assert_eq!(problem(bad), format!("Invalid executor resources: {told}"));
    }
}

#[test]
fn commands_that_cant_be_run_are_the_problem_of_their_task() {
    let environment = |variable: &str| {
        format!(r#"{{"value": "run", "environment": {{"variables": [{{"name": "A", {variable}}}]}}}}"#)
    };
    for (command, why) in [
        ("{}".to_owned(), "Shell command is not specified"),
        (
            environment(r#""type": "SECRET", "secret": {}"#),
            "Environment variable 'A' of type 'SECRET': secrets are not supported yet",
        ),
        (
            environment(r#""secret": {}, "value": "x""#),
            "Environment variable 'A' of type 'VALUE' must not have a secret set",
        ),
        (environment(r#""type": "VALUE""#), "Environment variable 'A' of type 'VALUE' must have a value set"),
        (environment(r#""type": "UNKNOWN""#), "Environment variable of type 'UNKNOWN' is not allowed"),
    ] {
        let json = format!(r#""resources": [{{{CPUS}}}], "command": {command}"#);
        assert_eq!(problem(task(&json)), format!("Task's `CommandInfo` is invalid: {why}"));
        let json = format!(
            r#""resources": [{{{CPUS}}}], "executor": {{"executor_id": {{"value": "e"}}, "command": {command}}}"#
        );
        assert_eq!(problem(task(&json)), format!("Executor's `CommandInfo` is invalid: {why}"));
    }
}

#[test]
fn spans_are_not_negative_and_executors_are_custom() {
    let negative = r#"{"nanoseconds": -1}"#;
    let executor = |fields: &str| {
        format!(r#""resources": [{{{CPUS}}}], "executor": {{"executor_id": {{"value": "e"}}, {fields}}}"#)
    };
    for (fields, why) in [
        (
            format!(r#"{RUN}, "kill_policy": {{"grace_period": {negative}}}"#),
            "Task's 'kill_policy.grace_period' must be non-negative",
        ),
        (
            format!(r#"{RUN}, "max_completion_time": {negative}"#),
            "Task's `max_completion_time` must be non-negative",
        ),
        (
            executor(&format!(r#"{RUN}, "shutdown_grace_period": {negative}"#)),
            "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
        ),
        (executor(r#""type": "CUSTOM""#), "'ExecutorInfo.command' must be set for 'CUSTOM' executor"),
        (executor(r#""name": "x""#), "'ExecutorInfo.command' must be set"),
        (executor(r#""type": "DEFAULT""#), "'ExecutorInfo.type' must be 'CUSTOM'"),
    ] {
        assert_eq!(problem(task(&fields)), why);
    }
}

/// What the vocabulary has no word for reaches the executor.
#[test]
fn what_is_carried_arrives() {
    let fields = format!(
        r#""resources": [{{{CPUS}}}], "data": "aGk=", "container": {{"type": "MESOS", "mesos": {{}}}},
        "health_check": {{"type": "TCP", "tcp": {{"port": 80}}}}, "check": {{"type": "TCP", "tcp": {{"port": 80}}}},
        "discovery": {{"visibility": "CLUSTER", "name": "n"}}, "limits": {{"cpus": {{"value": 2}}}},
        "executor": {{"executor_id": {{"value": "e"}}, "type": "CUSTOM", "source": "s", {RUN},
            "container": {{"type": "MESOS"}}, "discovery": {{"visibility": "FRAMEWORK"}}, "data": "aGk="}}"#
    );
    let sent: v1::TaskInfo = read(&format!(
        r#"{{"name": "t", "task_id": {{"value": "t"}}, "agent_id": {{"value": "s"}}, {fields}}}"#
    ));
    let task = task(&fields);
    assert_eq!(task.problem, None);
    let event = executor_event(
        &ExecutorEvent::Launch(task),
        &ExecutorEventContext { refined: true, container_id: None },
    );
    let arrived = event.launch.unwrap().task;
    // The command says what it left out: that it is one for the shell.
    let mut expected = sent;
    expected.executor.as_mut().unwrap().command.as_mut().unwrap().shell = Some(true);
    assert_eq!(arrived, expected);
}

fn group(executor: &str, tasks: &[&str]) -> (ExecutorInfo, Vec<TaskInfo>) {
    let one = |fields: &&str| {
        let ids = r#""name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "s"}"#;
        format!(r#"{{{ids}, "resources": [{{{CPUS}}}], {fields}}}"#)
    };
    let tasks = tasks.iter().map(one).collect::<Vec<_>>().join(", ");
    let json = format!(
        r#"{{"type": "ACCEPT", "framework_id": {{"value": "f"}}, "accept": {{"operations": [{{"type": "LAUNCH_GROUP",
        "launch_group": {{"executor": {{"executor_id": {{"value": "e"}}, {executor}}}, "task_group": {{"tasks": [{tasks}]}}}}}}]}}}}"#
    );
    let (_, call) = scheduler_call(read(&json)).unwrap();
    let Call::Accept { mut operations, .. } = call else { panic!() };
    match operations.pop() {
        Some(Operation::LaunchGroup { executor, tasks }) => (executor, tasks),
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_name_their_executor_once() {
    let custom = format!(r#""type": "CUSTOM", {RUN}"#);
    let own = |fields: &str| format!(r#""executor": {{"executor_id": {{"value": "e"}}, {fields}}}"#);
    let command = r#""command": {"value": "of the task"}"#;
    let (executor, tasks) = group(&custom, &[r#""data": "aGk=""#, &own(&custom), command]);
    assert_eq!((executor.executor_id.as_str(), tasks.len()), ("e", 3));
    for task in &tasks {
        assert_eq!((&task.problem, &task.executor, &task.command), (&None, &None, &None));
        // As the master hands it on.
        let task = TaskInfo { executor: Some(executor.clone()), ..task.clone() };
        assert_eq!(crate::validate::task(&task), Ok(()));
    }
    // A command is the executor's to read.
    let handed_on = task_info_to_wire(&tasks[2], true);
    assert_eq!(handed_on.command.unwrap().value(), "of the task");

    let different = "The `ExecutorInfo` of task 't' is different from executor 'e'";
    let (_, tasks) = group(&custom, &[command, &own(&format!(r#"{custom}, "name": "other""#))]);
    assert_eq!((&tasks[0].problem, tasks[1].problem.as_deref()), (&None, Some(different)));
    let default = "The default executor is not supported yet: name an executor of your own, of type CUSTOM";
    for (executor, why) in [
        (r#""type": "DEFAULT""#, default),
        (RUN, "'ExecutorInfo.type' must be set"),
        (r#""type": "CUSTOM""#, "'ExecutorInfo.command' must be set for 'CUSTOM' executor"),
        (
            r#""type": "DEFAULT", "command": {"value": "x"}"#,
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor",
        ),
    ] {
        let (_, tasks) = group(executor, &[command, command]);
        for task in tasks {
            assert_eq!(task.problem.as_deref(), Some(why));
        }
    }
}

#[test]
fn the_default_executor_has_no_command() {
    let (executor, _) = group(r#""type": "DEFAULT""#, &[]);
    let wire = executor_info_to_wire(&executor, None, true);
    assert_eq!((wire.r#type(), wire.command), (v1::executor_info::Type::Default, None));
}

#[test]
fn a_shell_command_has_no_arguments() {
    let task = task(&format!(
        r#""resources": [{{{CPUS}}}], "command": {{"value": "echo $0", "arguments": ["x"], "user": "nobody",
            "uris": [{{"value": "http://x/y", "executable": true, "output_file": "z"}}]}}"#
    ));
    let command = task.command.clone().unwrap();
    assert_eq!(command.command, Command::Shell("echo $0".into()));
    assert_eq!(command.user.as_deref(), Some("nobody"));
    let uri = &command.uris[0];
    assert_eq!(
        (uri.executable, uri.extract, uri.cache, uri.output_file.as_deref()),
        (true, true, false, Some("z"))
    );
    assert_eq!(Carried::new(&v1::TaskInfo::default()), task.unread);
}

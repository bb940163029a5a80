use super::*;
use crate::command::Environment;
use crate::resources::{Reservation, ReservationKind, Scalar};
use crate::wire::v1;
use crate::{Carried, KillPolicy, notation::Span};

#[track_caller]
fn refused(result: Result<(), Invalid>, part: &str) {
    let why = result.expect_err(part).to_string();
    assert!(why.contains(part), "{why:?} does not contain {part:?}");
}

#[test]
fn identities() {
    for good in ["a", "task-1", "a.b", "...", "20-S0", "naïve id", &"x".repeat(MAX_ID_BYTES)] {
        assert_eq!(task_id(&good.into()), Ok(()), "{good}");
    }
    refused(task_id(&"".into()), "The task id is empty");
    refused(executor_id(&".".into()), "The executor id can't be '.'");
    refused(agent_id(&"..".into()), "The agent id can't be '..'");
    refused(framework_id(&"a/b".into()), "The framework id 'a/b' must not contain '/'");
    refused(offer_id(&"a\\b".into()), "must not contain '\\\\'");
    refused(container_id(&"a\nb".into()), "The container id 'a\\nb' must not contain '\\n'");
    refused(task_id(&"a\0".into()), "must not contain '\\0'");
    refused(task_id(&"\u{85}".into()), "must not contain");
    refused(task_id(&"x".repeat(MAX_ID_BYTES + 1).into()), "longer than 255 bytes");
}

#[test]
fn role_names() {
    for good in ["*", "prod", "a/b/c", "a-b", "a*", "...", "a.b"] {
        assert_eq!(role(&good.into()), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("", "Role names cannot be the empty string"),
        ("/", "Role '/' cannot start with a slash"),
        ("/bad", "Role '/bad' cannot start with a slash"),
        ("x/", "Role 'x/' cannot end with a slash"),
        ("a//b", "Role 'a//b' cannot contain two adjacent slashes"),
        ("a/*", "Role 'a/*' cannot include '*' as a component"),
        (".", "Role '.' cannot include '.' as a component"),
        ("a/../b", "Role 'a/../b' cannot include '..' as a component"),
        ("-x", "Role component '-x' is invalid because it starts with a dash"),
        ("a/-x", "Role component '-x' is invalid because it starts with a dash"),
        ("a b", "Role component 'a b' is invalid because it contains backspace or whitespace"),
        ("a\tb", "Role component 'a\\tb' is invalid because it contains backspace or whitespace"),
        ("a(b)", "Role component 'a(b)' is invalid because it contains '('"),
    ] {
        assert_eq!(role(&bad.into()).unwrap_err().to_string(), why);
    }
    refused(roles([&"a".into(), &"b/".into()]), "Role 'b/'");
    refused(role(&"x".repeat(256).into()), "longer than 255 bytes");
}

#[test]
fn the_framework_has_valid_roles_and_several_only_with_multi_role() {
    let mut info = FrameworkInfo::new("test");
    assert_eq!(framework(&info), Ok(()));
    info.roles.clear();
    refused(framework(&info), "no role");
    info.roles.insert("-x".into());
    let told = framework(&info).unwrap_err().to_string();
    let why = "Role component '-x' is invalid because it starts with a dash";
    assert_eq!(told, format!("'FrameworkInfo.role' is not a valid role: {why}"));
    info.capabilities.insert(Capability::MultiRole);
    let told = framework(&info).unwrap_err().to_string();
    assert_eq!(told, format!("'FrameworkInfo.roles' contains invalid role: {why}"));
    info.capabilities.clear();
    info.roles = ["a".into(), "b".into()].into();
    assert_eq!(framework(&info).unwrap_err().to_string(), SEVERAL_ROLES);
    info.capabilities.insert(Capability::MultiRole);
    assert_eq!(framework(&info), Ok(()));
    assert_eq!(roles_of(&info, &["a".into()].into()), Ok(()));
    let told = roles_of(&info, &["a".into(), "c".into(), "d".into()].into()).unwrap_err().to_string();
    assert_eq!(told, "Suppressed roles { c, d } are not contained in the set of roles");
    info.id = Some("a/b".into());
    refused(framework(&info), "The framework id");
    info.id = Some("f-0001".into());
    info.user = "no:body".into();
    refused(framework(&info), "The user 'no:body'");
    info.user = "nobody".into();
    info.failover_timeout = Duration::MAX;
    let many = FrameworkInfo {
        roles: (0..=MAX_ROLES).map(|number| Role::from(format!("r{number}"))).collect(),
        capabilities: [Capability::MultiRole].into(),
        ..FrameworkInfo::new("f")
    };
    refused(framework(&many), "1001 roles: at most 1000");
    refused(framework(&info), "failover timeout of the framework is longer than 15250");
}

#[test]
fn commands_can_be_executed() {
    assert_eq!(command(&CommandInfo::shell("")), Ok(()));
    assert_eq!(command(&CommandInfo::argv("ls", ["ls", ""]).env("A", "").env("B", "c=d")), Ok(()));
    refused(command(&CommandInfo::shell("a\0")), "The shell command must not contain NUL");
    refused(command(&CommandInfo::argv("", ["ls"])), "The command is empty");
    refused(
        command(&CommandInfo::argv("ls", ["ls", "\0"])),
        "An argument of the command must not contain NUL",
    );
    let with = |name: &str, value: &str| CommandInfo {
        environment: Environment(vec![(name.into(), value.into())]),
        ..CommandInfo::shell("true")
    };
    refused(command(&with("", "x")), "name of an environment variable is empty");
    refused(command(&with("A=B", "x")), "'A=B' must not contain '='");
    refused(command(&with("A\0", "x")), "'A\\0' must not contain");
    refused(command(&with("A", "\0")), "value of the environment variable 'A' must not contain NUL");
    let user = CommandInfo { user: Some("a\n".into()), ..CommandInfo::shell("true") };
    refused(command(&user), "The user 'a\\n'");
}

#[test]
fn what_is_fetched_lands_in_the_sandbox() {
    let fetch = |value: &str, output_file: Option<&str>| {
        let uri = Uri {
            value: value.into(),
            executable: false,
            extract: true,
            cache: false,
            output_file: output_file.map(Into::into),
        };
        command(&CommandInfo { uris: vec![uri], ..CommandInfo::shell("true") })
    };
    assert_eq!(fetch("http://x/y", None), Ok(()));
    assert_eq!(fetch("http://x/y", Some("a/..b")), Ok(()));
    refused(fetch("", None), "A URI of the command is empty");
    for outside in ["", "/etc/passwd", "../x", "a/../../x", ".."] {
        refused(fetch("http://x/y", Some(outside)), "must be a path within the sandbox");
    }
}

fn a_task() -> TaskInfo {
    let resources = "cpus:0.1;mem:32".parse().unwrap();
    TaskInfo::command("t1", "S0".into(), resources, CommandInfo::shell("true"))
}

#[test]
fn tasks_have_one_of_executor_and_command() {
    assert_eq!(task(&a_task()), Ok(()));
    let executor = ExecutorInfo::new("e1", CommandInfo::argv("run", ["run"]));
    let custom = TaskInfo { command: None, executor: Some(executor.clone()), ..a_task() };
    assert_eq!(task(&custom), Ok(()));
    refused(
        task(&TaskInfo { executor: Some(executor.clone()), ..a_task() }),
        "both an executor and a command",
    );
    refused(task(&TaskInfo { command: None, ..a_task() }), "neither an executor nor a command");
    let with = |executor| task(&TaskInfo { executor: Some(executor), ..custom.clone() });
    refused(with(ExecutorInfo { executor_id: "".into(), ..executor.clone() }), "The executor id is empty");
    let empty = CommandInfo::argv("", ["x"]);
    refused(
        with(ExecutorInfo { command: empty, ..executor.clone() }),
        "The executor 'e1' is invalid: The command",
    );
    let half = "gpus:0.5".parse().unwrap();
    refused(with(ExecutorInfo { resources: half, ..executor.clone() }), "GPUs can't be shared");
    let revocable = Resource { revocable: true, ..Resource::scalar("cpus", Scalar::from_units(1)) };
    refused(
        with(ExecutorInfo { resources: revocable.into(), ..executor.clone() }),
        "'cpus' is given both revocable and non-revocable",
    );
    let long = Some(Duration::MAX);
    refused(with(ExecutorInfo { shutdown_grace_period: long, ..executor }), "shutdown grace period");
}

#[test]
fn tasks_have_identities_resources_and_bounded_times() {
    refused(task(&TaskInfo { task_id: "a/b".into(), ..a_task() }), "The task id 'a/b'");
    refused(task(&TaskInfo { agent_id: "".into(), ..a_task() }), "The agent id is empty");
    refused(task(&TaskInfo { resources: Resources::new(), ..a_task() }), "uses no resources");
    refused(task(&TaskInfo { command: Some(CommandInfo::shell("\0")), ..a_task() }), "NUL");
    let with = |text: &str| task(&TaskInfo { resources: text.parse().unwrap(), ..a_task() });
    assert_eq!(with("gpus:2;cpus:1"), Ok(()));
    refused(with("gpus:1.5"), "'gpus' must be a whole number, not 1.5");
    let policy = KillPolicy { grace_period: Some(Duration::MAX) };
    refused(task(&TaskInfo { kill_policy: Some(policy), ..a_task() }), "kill grace period");
    let most = Duration::from_nanos(MAX_DURATION_NANOS);
    assert_eq!(task(&TaskInfo { max_completion_time: Some(most), ..a_task() }), Ok(()));
    let more = most + Duration::from_nanos(1);
    refused(task(&TaskInfo { max_completion_time: Some(more), ..a_task() }), &Span(most).to_string());
}

#[test]
fn resources_of_a_task_are_unambiguous() {
    let both: Resources = [
        Resource::scalar("a", Scalar::from_units(1)),
        Resource::new("a", Value::Set(["x".to_owned()].into())),
    ]
    .into_iter()
    .collect();
    refused(resources(&both), "'a' is given with two kinds of values");
    let reserved = Resource {
        reservations: vec![Reservation {
            kind: ReservationKind::Dynamic,
            role: "-x".into(),
            principal: None,
        }],
        ..Resource::scalar("cpus", Scalar::from_units(1))
    };
    refused(resources(&reserved.into()), "The resource 'cpus' is invalid: Role component '-x'");
    refused(resources(&Resource::scalar("a b", Scalar::from_units(1)).into()), "'a b' is not a name");
    assert_eq!(resources(&"cpus:1;cpus(prod):2".parse().unwrap()), Ok(()));
}

/// A command task and one of an executor of the framework's own, each with the same that is not supported.
fn asking(unread: &v1::TaskInfo) -> [TaskInfo; 2] {
    let custom = ExecutorInfo::new("e1", CommandInfo::argv("run", ["run"]));
    let plain = TaskInfo { unread: Carried::new(unread), ..a_task() };
    [plain.clone(), TaskInfo { command: None, executor: Some(custom), ..plain }]
}

#[test]
fn what_is_not_done_yet_is_refused_aloud() {
    let hostname = Some("h".into());
    let asked = v1::ContainerInfo { r#type: 2, hostname, ..Default::default() };
    let [command, custom] = asking(&v1::TaskInfo { container: Some(asked.clone()), ..Default::default() });
    refused(task(&command), "The container of the task is not supported yet: it has a host name of its own");
    assert_eq!(task(&custom), Ok(()), "the executor's to read");
    let unread = v1::ExecutorInfo { container: Some(asked), ..Default::default() };
    let mut with = custom.executor.clone().unwrap();
    with.unread = Carried::new(&unread);
    refused(
        task(&TaskInfo { executor: Some(with), ..custom }),
        "The container of the executor is not supported yet: it has a host name",
    );
    let check = v1::TaskInfo { check: Some(v1::CheckInfo::default()), ..Default::default() };
    for of_either in asking(&check) {
        refused(task(&of_either), "Task uses invalid check: CheckInfo must specify 'type'");
    }
    let limits = [("cpus".to_owned(), v1::value::Scalar { value: 1.0 })].into();
    for of_either in asking(&v1::TaskInfo { limits, ..Default::default() }) {
        refused(task(&of_either), "'limits' of a task are not supported yet");
    }
}

#[test]
fn what_is_only_shown_is_accepted() {
    let network_infos = vec![v1::NetworkInfo::default()];
    let container = v1::ContainerInfo { r#type: 2, network_infos, ..Default::default() };
    let discovery = v1::DiscoveryInfo { name: Some("n".into()), ..Default::default() };
    let unread =
        v1::TaskInfo { container: Some(container), discovery: Some(discovery), ..Default::default() };
    for of_either in asking(&unread) {
        assert_eq!(task(&of_either), Ok(()));
    }
}

#[test]
fn a_task_with_a_problem_is_refused_with_that_sentence() {
    let problem = "secrets are not supported yet".to_owned();
    let told = task(&TaskInfo { problem: Some(problem.clone()), ..a_task() }).unwrap_err();
    assert_eq!(told, Invalid(problem));
}

#[test]
fn descriptions_have_at_most_so_many_bytes() {
    use crate::limits::{
        MAX_AGENT_BYTES, MAX_EXECUTOR_BYTES, MAX_FRAMEWORK_BYTES, MAX_GROUP_BYTES, MAX_TASK_BYTES,
    };
    use crate::{Attribute, AttributeValue, Attributes};
    let named = |bytes| FrameworkInfo { name: "x".repeat(bytes), ..FrameworkInfo::new("") };
    let rack = |bytes: usize| AgentInfo {
        hostname: "host".into(),
        port: 1,
        resources: Default::default(),
        attributes: Attributes(vec![Attribute {
            name: "rack".into(),
            value: AttributeValue::Text("r".repeat(bytes)),
        }]),
        id: None,
    };
    assert_eq!(agent(&rack(MAX_AGENT_BYTES - 1000)), Ok(()));
    refused(agent(&rack(MAX_AGENT_BYTES)), "at most 2097152; shorten its attributes or resources");
    assert_eq!(framework(&named(MAX_FRAMEWORK_BYTES - 1000)), Ok(()));
    refused(framework(&named(MAX_FRAMEWORK_BYTES)), "The description of the framework has");
    refused(framework(&named(MAX_FRAMEWORK_BYTES)), "bytes: at most 262144; shorten its texts");

    let given = |bytes| ExecutorInfo {
        data: vec![0; bytes].into(),
        ..ExecutorInfo::new("e1", CommandInfo::argv("run", ["run"]))
    };
    assert_eq!(executor(&given(MAX_EXECUTOR_BYTES - 1000)), Ok(()));
    refused(executor(&given(MAX_EXECUTOR_BYTES)), "The description of the executor has");
    let custom = TaskInfo { command: None, executor: Some(given(MAX_EXECUTOR_BYTES)), ..a_task() };
    refused(task(&custom), "bytes: at most 1048576; shorten its command");

    let task_with = |command| TaskInfo { command: Some(command), ..a_task() };
    // Empty elements of lists count too.
    let empty = vec![String::new(); MAX_TASK_BYTES / size_of::<String>() + 1];
    refused(task(&task_with(CommandInfo::argv("run", empty))), "The description of the task has");
    let full = Environment(vec![("A".into(), "x".repeat(MAX_TASK_BYTES))]);
    let command = CommandInfo { environment: full, ..CommandInfo::shell("") };
    refused(task(&task_with(command)), "The description of the task has");
    let unread = v1::TaskInfo {
        discovery: Some(v1::DiscoveryInfo { name: Some("x".repeat(MAX_TASK_BYTES)), ..Default::default() }),
        ..Default::default()
    };
    refused(task(&TaskInfo { unread: Carried::new(&unread), ..a_task() }), "The description of the task has");

    let tasks = vec![a_task(); MAX_TASKS_IN_GROUP + 1];
    assert_eq!(group(&given(0), &tasks[1..]), Ok(()));
    refused(group(&given(0), &tasks), "The group has 1001 tasks: at most 1000");
    refused(
        group(&given(MAX_GROUP_BYTES / 1000), &tasks[1..]),
        "at most 15728640; shorten it, or launch fewer",
    );
}

//! The life of a task, from the registration to the end.

use agent::containerizer::ContainerEvent;
use agent::core::ContainerEnd;
use agent::shell::Ended;
use protocol::messages::{AgentCall, AgentEvent, ExecutorCall, ExecutorCallKind, ExecutorEvent};
use protocol::{CommandInfo, FrameworkInfo, Source, TaskInfo, TaskState, TaskStatus, Uuid};
use tokio::task::LocalSet;

use crate::world::{Asked, PATIENCE, World, next};

#[tokio::test]
async fn a_task_runs_from_the_registration_to_the_end() {
    LocalSet::new().run_until(life_of_a_task()).await;
}

async fn life_of_a_task() {
    let mut world = World::new().await;
    let (from, call) = next(&mut world.master_hears).await;
    assert_eq!(&from, world.agent.pid());
    assert!(matches!(call, AgentCall::Register { .. }), "{call:?}");
    world.master_says(AgentEvent::Registered { agent_id: "S0".into(), ping_timeout: PATIENCE });
    let mut framework = FrameworkInfo::new("f");
    framework.id = Some("F".into());
    let task = TaskInfo::command("T", "S0".into(), "cpus:1".parse().unwrap(), CommandInfo::shell("true"));
    world.master_says(AgentEvent::RunTask { framework, task, launch_executor: true });
    let Asked::Launch(spec) = next(&mut world.asked).await else { panic!("a launch") };
    let container_id = spec.container_id.clone();
    world
        .containers
        .send(ContainerEvent::Launched { container_id: container_id.clone(), result: Ok(7) })
        .await
        .unwrap();
    let call = |call| ExecutorCall {
        framework_id: "F".into(),
        executor_id: "T".into(),
        container_id: container_id.clone(),
        call,
    };
    world.say_as(
        &world.executor,
        call(ExecutorCallKind::Subscribe { tasks: Vec::new(), updates: Vec::new() }),
    );
    assert!(matches!(next(&mut world.executor_hears).await.1, ExecutorEvent::Subscribed { .. }));
    assert!(matches!(next(&mut world.executor_hears).await.1, ExecutorEvent::Launch(_)));

    let snapshot = world.agent.snapshot().await.unwrap();
    let views = snapshot.views();
    let run = &views[0].runs[0];
    let sandbox = format!("slaves/S0/frameworks/F/executors/T/runs/{container_id}");
    assert_eq!(run.sandbox, std::path::Path::new(&sandbox));
    assert_eq!(run.launched[0].state, TaskState::Staging);
    assert_eq!(world.agent_node.metrics().snapshot()["slave/executors_running"], 1.0);

    let mut status = TaskStatus::new("T".into(), TaskState::Finished, Source::Executor);
    status.uuid = Some(Uuid([1; 16]));
    world.say_as(&world.executor, call(ExecutorCallKind::Update(status)));
    assert!(matches!(next(&mut world.executor_hears).await.1, ExecutorEvent::Acknowledged { .. }));
    let (_, AgentCall::Update(update)) = next(&mut world.master_hears).await else { panic!("an update") };
    assert_eq!((update.status.state, update.latest_state), (TaskState::Finished, TaskState::Finished));

    world.agent.leave().await;
    world.agent.leave().await;
    let Asked::Destroy(destroyed) = next(&mut world.asked).await else { panic!("a kill") };
    assert_eq!(destroyed, container_id);
    let end = ContainerEnd::with_status(137);
    world.containers.send(ContainerEvent::Exited { container_id, end }).await.unwrap();
    assert!(matches!(next(&mut world.master_hears).await.1, AgentCall::Unregister));
    assert_eq!(world.agent.ended().await, Ended { message: "asked to leave".into(), failed: false });
    world.agent_node.shutdown().await;
    world.other_node.shutdown().await;
}

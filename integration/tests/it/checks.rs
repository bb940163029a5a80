//! What a framework sees of a task that is looked at.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use integration::cluster::{Cluster, ClusterConfig};
use protocol::messages::ReconcileTask;
use protocol::wire::v1;
use protocol::{
    Capability, Carried, CommandInfo, FrameworkInfo, Offer, Reason, TaskInfo, TaskState, TaskStatus,
};
use scheduler_driver::{Scheduler, SchedulerDriver};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Launches one task by its first offer, and tells a test what is said of it.
struct Watched {
    unread: Option<v1::TaskInfo>,
    told: SyncSender<TaskStatus>,
}

impl Scheduler for Watched {
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let Some(unread) = self.unread.take() else {
                driver.decline_offer(offer.id);
                continue;
            };
            let resources = "cpus:0.1;mem:32".parse().unwrap();
            let command = CommandInfo::shell("exec sleep 1000");
            let mut task = TaskInfo::command("t", offer.agent_id.clone(), resources, command);
            task.unread = Carried::new(&unread);
            driver.launch_tasks([offer.id], vec![task]);
        }
    }

    fn status_update(&mut self, _: &SchedulerDriver, status: &TaskStatus) {
        self.told.send(status.clone()).ok();
    }
}

fn launch(cluster: &Cluster, unread: v1::TaskInfo) -> (SchedulerDriver, Receiver<TaskStatus>) {
    let (told, heard) = sync_channel(10_000);
    let mut framework = FrameworkInfo::new("test");
    framework.capabilities.insert(Capability::TaskKillingState);
    let watched = Watched { unread: Some(unread), told };
    let driver = SchedulerDriver::new(watched, framework, &cluster.masters()).unwrap();
    driver.start();
    (driver, heard)
}

#[track_caller]
fn next(heard: &Receiver<TaskStatus>) -> TaskStatus {
    heard.recv_timeout(PATIENCE).expect("a status")
}

/// The next one that speaks of health, or of another state.
#[track_caller]
fn next_of(heard: &Receiver<TaskStatus>, state: TaskState, healthy: Option<bool>) -> TaskStatus {
    loop {
        let status = next(heard);
        if (status.state, status.healthy) == (state, healthy) {
            return status;
        }
        assert_eq!(status.state, TaskState::Running, "{status:?}");
    }
}

/// A server whose answer the test sets.
fn server() -> (u16, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, code) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(200)));
    let answer = code.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = write!(stream, "HTTP/1.1 {} x\r\n\r\n", answer.load(Ordering::SeqCst));
        }
    });
    (port, code)
}

#[test]
fn a_task_that_falls_ill_is_killed_and_its_framework_is_told_why() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let (port, code) = server();
    let http = v1::health_check::HttpCheckInfo { port: port.into(), ..Default::default() };
    let health_check = v1::HealthCheck {
        r#type: Some(v1::health_check::Type::Http.into()),
        http: Some(http),
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.1),
        grace_period_seconds: Some(0.0),
        consecutive_failures: Some(4),
        ..Default::default()
    };
    let (driver, heard) =
        launch(&cluster, v1::TaskInfo { health_check: Some(health_check), ..Default::default() });
    assert_eq!(next(&heard).state, TaskState::Starting);
    assert_eq!(next(&heard).healthy, None);
    let healthy = next_of(&heard, TaskState::Running, Some(true));
    assert_eq!(healthy.reason, Some(Reason::TaskHealthCheckStatusUpdated));
    code.store(503, Ordering::SeqCst);
    next_of(&heard, TaskState::Running, Some(false));
    next_of(&heard, TaskState::Killing, Some(false));
    let killed = next(&heard);
    assert_eq!((killed.state, killed.healthy), (TaskState::Killed, Some(false)));
    assert_eq!(killed.reason, Some(Reason::TaskHealthCheckStatusUpdated));
    let message = killed.message.unwrap();
    let why = "HTTP health check failed 4 times in a row: Unexpected HTTP response code: 503";
    assert!(message.contains(why), "{message}");
    driver.stop(false);
    driver.join();
}

#[test]
fn the_newest_result_of_a_check_is_told_to_whoever_asks() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let (port, code) = server();
    code.store(404, Ordering::SeqCst);
    let check = v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Http.into()),
        http: Some(v1::check_info::Http { port: port.into(), path: Some("/a".into()) }),
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.1),
        ..Default::default()
    };
    let (driver, heard) = launch(&cluster, v1::TaskInfo { check: Some(check), ..Default::default() });
    let result = |status: &TaskStatus| {
        let unread = status.unread.as_ref().expect("a result").read();
        unread.check_status.and_then(|info| info.http).expect("of HTTP").status_code
    };
    for (state, wanted) in
        [(TaskState::Starting, None), (TaskState::Running, None), (TaskState::Running, Some(404))]
    {
        let status = next(&heard);
        assert_eq!((status.state, result(&status)), (state, wanted));
    }
    code.store(200, Ordering::SeqCst);
    let changed = next(&heard);
    assert_eq!((result(&changed), changed.reason), (Some(200), Some(Reason::TaskCheckStatusUpdated)));
    driver.reconcile_tasks(vec![ReconcileTask { task_id: "t".into(), agent_id: None }]);
    let reconciled = next(&heard);
    assert_eq!((result(&reconciled), reconciled.reason), (Some(200), Some(Reason::Reconciliation)));
    driver.stop(false);
    driver.join();
}

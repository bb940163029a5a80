//! Clusters within this process, as people who test frameworks use them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use integration::cluster::{Cluster, ClusterConfig, Messages};
use libactor::Clock;
use protocol::{CommandInfo, FrameworkId, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus};
use scheduler_driver::protocol::messages::MasterInfo;
use scheduler_driver::{Scheduler, SchedulerDriver};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Told {
    Registered(FrameworkId),
    Reregistered,
    Disconnected,
    Status(TaskStatus),
    AgentLost,
    Error(String),
}

/// Launches one task by its first offer, and tells a test all that it is told.
struct One {
    command: Option<CommandInfo>,
    told: SyncSender<Told>,
}

impl One {
    fn new(command: &str) -> (Self, Receiver<Told>) {
        let (told, heard) = sync_channel(10_000);
        (Self { command: Some(CommandInfo::shell(command)), told }, heard)
    }

    fn watching() -> (Self, Receiver<Told>) {
        let (told, heard) = sync_channel(10_000);
        (Self { command: None, told }, heard)
    }
}

impl Scheduler for One {
    fn registered(&mut self, _: &SchedulerDriver, framework_id: &FrameworkId, _: &MasterInfo) {
        self.told.send(Told::Registered(framework_id.clone())).ok();
    }

    fn reregistered(&mut self, _: &SchedulerDriver, _: &MasterInfo) {
        self.told.send(Told::Reregistered).ok();
    }

    fn disconnected(&mut self, _: &SchedulerDriver) {
        self.told.send(Told::Disconnected).ok();
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            match self.command.take() {
                Some(command) => {
                    let resources = "cpus:0.1;mem:32".parse().unwrap();
                    let task = TaskInfo::command("one", offer.agent_id.clone(), resources, command);
                    driver.launch_tasks([offer.id], vec![task]);
                }
                None => {
                    driver.decline_offer(offer.id);
                }
            }
        }
    }

    fn status_update(&mut self, _: &SchedulerDriver, status: &TaskStatus) {
        self.told.send(Told::Status(status.clone())).ok();
    }

    fn agent_lost(&mut self, _: &SchedulerDriver, _: &protocol::AgentId) {
        self.told.send(Told::AgentLost).ok();
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        self.told.send(Told::Error(message.to_owned())).ok();
    }
}

fn wait_for<T>(heard: &Receiver<Told>, wanted: impl Fn(&Told) -> Option<T>) -> T {
    let mut others = Vec::new();
    loop {
        match heard.recv_timeout(PATIENCE) {
            Ok(told) => match wanted(&told) {
                Some(found) => return found,
                None => others.push(told),
            },
            Err(error) => panic!("{error}; told instead: {others:#?}"),
        }
    }
}

fn wait_for_state(heard: &Receiver<Told>, state: TaskState) -> TaskStatus {
    wait_for(heard, |told| match told {
        Told::Status(status) if status.state == state => Some(status.clone()),
        _ => None,
    })
}

fn driver(cluster: &Cluster, scheduler: One, framework: FrameworkInfo) -> SchedulerDriver {
    let driver = SchedulerDriver::new(scheduler, framework, &cluster.masters()).unwrap();
    driver.start();
    driver
}

#[test]
fn a_cluster_starts_in_a_tenth_of_a_second_and_ends_without_leaks() {
    let clock = Clock::real();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begin = clock.now();
        let cluster =
            Cluster::start(ClusterConfig { masters: 3, agents: 5, ..ClusterConfig::default() }).unwrap();
        best = best.min(clock.now().since(begin));
        let directory = cluster.work_dir().to_owned();
        assert!(directory.exists());
        drop(cluster);
        assert!(!directory.exists(), "the sandboxes are removed");
    }
    assert!(best < Duration::from_millis(100), "{best:?}");
}

#[test]
fn a_task_runs_to_its_end() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let (scheduler, heard) = One::new("exit 3");
    let driver = driver(&cluster, scheduler, FrameworkInfo::new("test"));
    let status = wait_for_state(&heard, TaskState::Failed);
    assert_eq!(status.exit_status, Some(3));
    driver.stop(false);
    driver.join();
}

#[test]
fn a_lost_status_update_is_sent_again_after_ten_seconds_of_the_clusters_time() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let watch = cluster.watch(Messages::named("meseta.scheduler.Event").to("nobody"));
    assert!(watch.next(Duration::ZERO).is_none());
    let updates = cluster.watch(Messages::named("meseta.executor.Call"));
    let (scheduler, heard) = One::new("sleep 1000");
    let (_driver, framework_id) = {
        let driver = driver(&cluster, scheduler, FrameworkInfo::new("test"));
        (
            driver,
            wait_for(&heard, |told| match told {
                Told::Registered(id) => Some(id.clone()),
                _ => None,
            }),
        )
    };
    assert!(!framework_id.as_str().is_empty());
    wait_for_state(&heard, TaskState::Running);
    let subscribed = updates.next(PATIENCE).expect("the executor's subscription");
    assert!(subscribed.to.name().starts_with("slave"), "{subscribed:?}");
    // A second framework's task: its first update never arrives at the master.
    cluster.pause();
    let (scheduler, second) = One::new("sleep 1000");
    cluster.drop_messages(Messages::named("meseta.agent.Call").to("master"), 1);
    let watch = cluster.watch(Messages::named("meseta.agent.Call").to("master"));
    let _second = driver(&cluster, scheduler, FrameworkInfo::new("second"));
    wait_for(&second, |told| matches!(told, Told::Registered(_)).then_some(()));
    let dropped = loop {
        // Time stands: without a push there is no offer.
        cluster.advance(Duration::from_secs(1));
        if let Some(seen) = watch.next(Duration::from_millis(100)) {
            break seen;
        }
    };
    assert!(dropped.dropped, "{dropped:?}");
    cluster.advance(Duration::from_secs(10));
    wait_for_state(&second, TaskState::Running);
}

#[test]
fn an_agent_that_is_gone_loses_its_tasks_and_one_that_comes_takes_new_ones() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let (scheduler, heard) = One::new("sleep 1000");
    let _driver = driver(&cluster, scheduler, FrameworkInfo::new("test"));
    wait_for_state(&heard, TaskState::Running);
    cluster.stop_agent(0).unwrap();
    wait_for_state(&heard, TaskState::Lost);
    assert!(cluster.stop_agent(0).is_err() && cluster.stop_agent(7).is_err());
    cluster.start_agent(0).unwrap();
    let (scheduler, heard) = One::new("true");
    let _second = driver(&cluster, scheduler, FrameworkInfo::new("second"));
    wait_for_state(&heard, TaskState::Finished);
}

#[test]
fn a_framework_that_comes_back_with_its_id_finds_its_task_running() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let mut framework = FrameworkInfo::new("test");
    framework.failover_timeout = Duration::from_secs(3600);
    let (scheduler, heard) = One::new("sleep 1000");
    let first = driver(&cluster, scheduler, framework.clone());
    let id = wait_for(&heard, |told| match told {
        Told::Registered(id) => Some(id.clone()),
        _ => None,
    });
    wait_for_state(&heard, TaskState::Running);
    first.stop(true);
    first.join();
    framework.id = Some(id);
    let (scheduler, heard) = One::watching();
    let second = driver(&cluster, scheduler, framework.clone());
    wait_for(&heard, |told| matches!(told, Told::Registered(_) | Told::Reregistered).then_some(()));
    second.reconcile_tasks(Vec::new());
    let status = wait_for_state(&heard, TaskState::Running);
    assert_eq!(status.task_id.as_str(), "one");
    // A third takes over while the second lives: the second is told.
    let (scheduler, third_heard) = One::watching();
    let third = driver(&cluster, scheduler, framework);
    wait_for(&third_heard, |told| matches!(told, Told::Registered(_) | Told::Reregistered).then_some(()));
    let message = wait_for(&heard, |told| match told {
        Told::Error(message) => Some(message.clone()),
        _ => None,
    });
    assert_eq!(message, "Framework failed over");
    third.kill_task(&"one".into());
    wait_for_state(&third_heard, TaskState::Killed);
}

#[test]
fn a_master_that_starts_anew_hears_of_the_tasks_from_its_agents() {
    let cluster = Cluster::start(ClusterConfig::default()).unwrap();
    let mut framework = FrameworkInfo::new("test");
    framework.failover_timeout = Duration::from_secs(3600);
    let (scheduler, heard) = One::new("sleep 1000");
    let driver = driver(&cluster, scheduler, framework);
    wait_for_state(&heard, TaskState::Running);
    cluster.stop_master(0).unwrap();
    wait_for(&heard, |told| matches!(told, Told::Disconnected).then_some(()));
    cluster.start_master(0).unwrap();
    wait_for(&heard, |told| matches!(told, Told::Reregistered).then_some(()));
    driver.reconcile_tasks(Vec::new());
    loop {
        // Until the agent has come back the master knows nothing: ask again, as frameworks do.
        match heard.recv_timeout(Duration::from_millis(200)) {
            Ok(Told::Status(status)) if status.state == TaskState::Running => break,
            _ => {
                driver.reconcile_tasks(Vec::new());
            }
        }
    }
}

#[test]
fn leaders_die_one_after_the_other_and_tasks_go_on() {
    let config = ClusterConfig { masters: 3, agents: 2, ..ClusterConfig::default() };
    let cluster = Cluster::start(config).unwrap();
    let mut framework = FrameworkInfo::new("test");
    framework.failover_timeout = Duration::from_secs(3600);
    let (scheduler, heard) = One::new("sleep 1000");
    let first = driver(&cluster, scheduler, framework);
    wait_for_state(&heard, TaskState::Running);
    let mut leader = cluster.leader().unwrap();
    for life in 0..4 {
        cluster.stop_master(leader).unwrap();
        let next = cluster.leader().unwrap();
        assert_ne!(next, leader);
        wait_for(&heard, |told| matches!(told, Told::Reregistered).then_some(()));
        // A new framework, and a new task of it, under the new leader.
        let (scheduler, second) = One::new("exit 7");
        let second_driver = driver(&cluster, scheduler, FrameworkInfo::new(format!("life {life}")));
        assert_eq!(wait_for_state(&second, TaskState::Failed).exit_status, Some(7));
        second_driver.stop(false);
        second_driver.join();
        // It comes back with its disk, follows, and counts again for a majority.
        cluster.start_master(leader).unwrap();
        assert_eq!(cluster.leader().unwrap(), next);
        assert_eq!(cluster.master_metrics(leader).unwrap()["master/elected"], 0.0);
        assert_eq!(cluster.master_metrics(next).unwrap()["master/elected"], 1.0);
        leader = next;
    }
    // A call may be lost with a leader, or come before the agent is back: it is repeated, as frameworks do.
    loop {
        first.kill_task(&"one".into());
        match heard.recv_timeout(Duration::from_millis(200)) {
            Ok(Told::Status(status)) if status.state == TaskState::Killed => break,
            _ => {}
        }
    }
}

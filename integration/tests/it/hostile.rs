//! Tasks that want all: each is contained, its neighbour keeps its share, and the agent answers meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use libactor::Clock;
use serde_json::{Value, json};

use crate::daemons::Daemon;
use crate::http::{Connection, PATIENCE, Scheduler};

/// Within this an agent answers whatever its tasks do. The longest that anybody waits for who watches agents.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// A task that always has something to do.
const BURN: &str = "while :; do :; done";

/// A master, an agent whose containers share one CPU, and a framework with a neighbour of whoever attacks.
pub(crate) struct Attacked {
    pub(crate) scheduler: Scheduler,
    pub(crate) agent: SocketAddr,
    /// Offers that nothing was launched with yet.
    offers: Vec<Value>,
    clock: Clock,
    _agent: Daemon,
    _master: Daemon,
    _root: Root,
}

/// The directories above those of the agent, removed behind it.
struct Root(String);

impl Drop for Root {
    fn drop(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mount in mounts.lines().filter(|line| line.contains(" cgroup")) {
            let place = mount.split(' ').nth(1).unwrap_or_default();
            let _ = std::fs::remove_dir(Path::new(place).join(&self.0));
        }
    }
}

impl Attacked {
    /// `None`, said aloud, where this machine lacks what the flags ask of it.
    pub(crate) fn start(directory: &Path, flags: &[&str]) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can hold tasks to limits");
            return None;
        }
        let folder = |name: &str| format!("--work_dir={}", directory.join(name).display());
        let mut master = Daemon::start(&["master", &folder("master"), "--ip=127.0.0.1", "--port=0"]);
        let address = master.address();
        let asked = format!("--master={address}");
        let name = directory.file_name().expect("it has a name").to_string_lossy();
        let name = format!("meseta-hostile-{}", name.trim_start_matches('.'));
        let root = format!("--cgroups_root={name}");
        let resources = "--resources=cpus:8;mem:2048;disk:4096;ports:[31000-32000]";
        let folder = folder("agent");
        let mut words = vec!["agent", &folder, &asked, "--ip=127.0.0.1", "--port=0", resources, &root];
        words.extend(flags);
        let mut agent = Daemon::start(&words);
        let own = agent.address();
        agent.wait_for("registered agent_id=");
        let framework = json!({ "user": "root", "name": "hostile", "roles": ["web"],
            "capabilities": [{ "type": "MULTI_ROLE" }] });
        let scheduler = Scheduler::subscribe(address, framework);
        Some(Self {
            scheduler,
            agent: own,
            offers: Vec::new(),
            clock: Clock::real(),
            _agent: agent,
            _master: master,
            _root: Root(name),
        })
    }

    /// Launches a task and waits until it runs; the agent's id.
    pub(crate) fn run(&mut self, id: &str, cpus: f64, mem: u64, command: &str) -> Value {
        let offer = self.offer(cpus, mem as f64);
        let amount =
            |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
        let task = json!({ "name": id, "task_id": { "value": id }, "agent_id": offer["agent_id"],
            "resources": [amount("cpus", cpus), amount("mem", mem as f64)], "command": { "value": command } });
        self.scheduler.accepted(json!({ "type": "ACCEPT", "accept": { "offer_ids": [offer["id"]],
            "filters": { "refuse_seconds": 0.0 },
            "operations": [{ "type": "LAUNCH", "launch": { "task_infos": [task] } }] } }));
        self.wait(id, "TASK_RUNNING");
        offer["agent_id"].clone()
    }

    /// An offer of so much: what tasks leave behind is offered in parts.
    fn offer(&mut self, cpus: f64, mem: f64) -> Value {
        let amount = |offer: &Value, name: &str| {
            let resources = offer["resources"].as_array().into_iter().flatten();
            let named = resources.filter(|resource| resource["name"] == name);
            named.filter_map(|resource| resource["scalar"]["value"].as_f64()).sum::<f64>()
        };
        loop {
            let enough = |offer: &Value| amount(offer, "cpus") >= cpus && amount(offer, "mem") >= mem;
            if let Some(index) = self.offers.iter().position(enough) {
                return self.offers.swap_remove(index);
            }
            self.offers.extend(self.scheduler.offers());
        }
    }

    /// Waits until a task is in a state; offers that come meanwhile are kept.
    pub(crate) fn wait(&mut self, id: &str, state: &str) -> Value {
        loop {
            let wanted = |event: &Value| {
                event["type"] == "OFFERS" || event["update"]["status"]["task_id"]["value"] == id
            };
            let event = self.scheduler.events.find(wanted).expect("the master speaks");
            if let Some(offers) = event["offers"]["offers"].as_array() {
                self.offers.extend(offers.iter().cloned());
                continue;
            }
            let status = &event["update"]["status"];
            self.scheduler.acknowledge(status);
            if status["state"] == state {
                return status.clone();
            }
            assert!(status["state"] != "TASK_ERROR", "{status}");
        }
    }

    /// Launches a task with a command and resources of its own besides a little.
    pub(crate) fn task(&mut self, id: &str, command: Value, resources: Value) {
        let offer = self.offer(0.1, 64.0);
        let amount =
            |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
        let mut all = vec![amount("cpus", 0.1), amount("mem", 64.0)];
        all.extend(resources.as_array().into_iter().flatten().cloned());
        let task = json!({ "name": id, "task_id": { "value": id }, "agent_id": offer["agent_id"],
            "resources": all, "command": command });
        self.scheduler.accepted(json!({ "type": "ACCEPT", "accept": { "offer_ids": [offer["id"]],
            "filters": { "refuse_seconds": 0.0 },
            "operations": [{ "type": "LAUNCH", "launch": { "task_infos": [task] } }] } }));
    }

    /// Kills a task and waits for its end.
    pub(crate) fn kill(&mut self, id: &str, agent_id: &Value) {
        let kill = json!({ "task_id": { "value": id }, "agent_id": agent_id });
        self.scheduler.accepted(json!({ "type": "KILL", "kill": kill }));
        self.wait(id, "TASK_KILLED");
    }

    /// What the agent says of a task's container.
    pub(crate) fn measured(&self, id: &str) -> Option<Value> {
        let page = Connection::open(self.agent).ask("GET", "/monitor/statistics", &[], b"").json();
        page.as_array()?.iter().find(|shown| shown["executor_id"] == id).cloned()
    }

    /// Looks until the agent says so of a task's container; how long its slowest answer to another question took.
    pub(crate) fn until(&self, id: &str, is: impl Fn(&Value) -> bool) -> (Value, Duration) {
        let begin = self.clock.now();
        let mut slowest = Duration::ZERO;
        let mut last = None;
        while self.clock.now().since(begin) < 2 * PATIENCE {
            let asked = self.clock.now();
            let health = Connection::open(self.agent).ask("GET", "/slave(1)/health", &[], b"");
            assert_eq!(health.status, 200);
            slowest = slowest.max(self.clock.now().since(asked));
            last = self.measured(id);
            if let Some(shown) = last.clone().filter(|shown| is(shown)) {
                return (shown, slowest);
            }
            std::thread::park_timeout(LOOK);
        }
        panic!("{id} stays as it is: {last:?}");
    }
}

fn cpu_time(shown: &Value) -> f64 {
    let statistics = &shown["statistics"];
    let seconds = |name: &str| statistics[name].as_f64().unwrap_or_default();
    seconds("cpus_user_time_secs") + seconds("cpus_system_time_secs")
}

#[test]
fn burners_hogs_and_bombs_are_contained_and_the_neighbour_keeps_its_share() {
    let directory = tempfile::tempdir().unwrap();
    let flags = [
        "--isolation=cgroups/cpu,cgroups/mem,cgroups/pids,cgroups/cpuset",
        "--cgroups_cpuset_cpus=0",
        "--cgroups_pids_limit=120",
    ];
    let Some(mut world) = Attacked::start(directory.path(), &flags) else { return };
    let agent_id = world.run("neighbour", 2.0, 128, BURN);

    // Eight processes that want the CPU get what one share is worth.
    let many = format!("for i in 1 2 3 4 5 6 7; do ({BURN}) & done; {BURN}");
    world.run("burner", 1.0, 64, &many);
    let before =
        (cpu_time(&world.measured("neighbour").unwrap()), cpu_time(&world.measured("burner").unwrap()));
    let (shown, slowest) = world.until("neighbour", |shown| cpu_time(shown) >= before.0 + 2.0);
    let (own, others) =
        (cpu_time(&shown) - before.0, cpu_time(&world.measured("burner").unwrap()) - before.1);
    println!(
        "neighbour {own:.2} s, burner {others:.2} s: {:.2} to 1, asked for was 2 to 1; /health within {slowest:?}",
        own / others
    );
    assert!((1.3..3.0).contains(&(own / others)), "{own} {others}");
    assert!(slowest <= ANSWERS_WITHIN, "{slowest:?}");
    world.kill("burner", &agent_id);

    // More memory than it asked for.
    world.run("hog", 1.0, 64, "exec tail /dev/zero");
    let ended = world.wait("hog", "TASK_FAILED");
    println!("{}", ended["message"]);
    assert_eq!(ended["reason"], "REASON_CONTAINER_LIMITATION_MEMORY", "{ended}");
    assert!(ended["message"].as_str().unwrap_or_default().contains("Memory limit exceeded"), "{ended}");

    // As many processes as there can be.
    let bomb = "b() { while :; do sleep 1000 & b & done; }; b 2>/dev/null & exec sleep 1000";
    world.run("bomb", 1.0, 256, bomb);
    let (shown, slowest) =
        world.until("bomb", |shown| shown["pids"]["refused"].as_u64().is_some_and(|count| count > 0));
    println!("{}; /health within {slowest:?}", shown["pids"]);
    assert!(shown["pids"]["current"].as_u64().is_some_and(|count| count <= 120), "{shown}");
    assert!(slowest <= ANSWERS_WITHIN, "{slowest:?}");
    world.kill("bomb", &agent_id);

    let shown = world.measured("neighbour").expect("it still runs");
    assert_eq!(shown["pids"]["refused"], 0, "{shown}");
    world.kill("neighbour", &agent_id);
}

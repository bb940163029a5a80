//! A GPU that falls ill under a task and is well again later: what the framework, the master and the next task see of it.

use std::fs;

use libactor::Clock;
use protocol::{Reason, TaskState};

use super::gpus::{Gpus, looks, read};
use super::site::{Site, pause};
use super::work::Work;
use crate::http::{Connection, PATIENCE};

const ONE: &str = "cpus:0.1;mem:32;gpus:1";

/// Waits until the master offers so many GPUs of the one agent.
fn until_offered(site: &Site, gpus: f64) {
    let clock = Clock::real();
    let begin = clock.now();
    loop {
        let page = Connection::open(site.address).ask("GET", "/slaves", &[], b"").json();
        let offered = page["slaves"][0]["resources"]["gpus"].as_f64().unwrap_or_default();
        if offered == gpus {
            return;
        }
        assert!(clock.now().since(begin) < PATIENCE, "{gpus} GPUs are not offered, but {offered}");
        pause();
    }
}

/// A GPU says in its line what it has used since it was made anew; an energy that is less than before says that it was.
fn reset(gpus: &mut Gpus) {
    for line in gpus.lines.iter_mut().filter(|line| line.starts_with("gpu index=1 ")) {
        *line = line.replace("energy=1000", "energy=1");
    }
    gpus.write();
}

fn finish(site: &Site, work: &Work, id: &str) {
    fs::write(site.notes().join(format!("go-{id}")), "").unwrap();
    let heard = work.wait_over(id);
    assert_eq!(heard.states().last(), Some(&TaskState::Finished), "{heard:#?}");
}

#[test]
fn a_gpu_that_was_ill_is_offered_again_when_it_is_well_and_a_new_task_runs_on_it() {
    let Some(mut gpus) = Gpus::new() else { return };
    let mut site = Site::start_with(&[&gpus.flag()]);
    let work = Work::start(&site, "heals", true);
    until_offered(&site, 2.0);
    for (id, own) in [("stays", "GPU-0/GPU-0"), ("ends", "GPU-1/GPU-1")] {
        let (seen, script) = looks(&site, id);
        work.launch_with(id, ONE, &script);
        work.wait_running(id);
        assert_eq!(read(&seen), own);
    }
    // It answers, and has lost memory all the same.
    gpus.lines.push("event seq=1 gpu=1 type=8 data=48".into());
    gpus.write();
    let heard = work.wait_over("ends");
    let last = heard.statuses.last().unwrap();
    assert_eq!(
        (last.state, last.reason),
        (TaskState::Failed, Some(Reason::ContainerLimitation)),
        "{last:#?}"
    );
    let message = last.message.clone().unwrap_or_default();
    let told = "GPU 1 (Fake, GPU-1), which the container owns, fell ill: XID 48";
    assert!(message.contains(told), "{message}");
    until_offered(&site, 1.0);
    // Nothing has happened to its neighbour, and what is left is given to others.
    let (seen, script) = looks(&site, "other");
    work.launch_with("other", "cpus:0.1;mem:32", &script);
    work.wait_running("other");
    assert_eq!(read(&seen), "void/");
    assert!(!work.heard("stays").is_over());
    reset(&mut gpus);
    site.agent().wait_for("is well again");
    until_offered(&site, 2.0);
    let (seen, script) = looks(&site, "new");
    work.launch_with("new", ONE, &script);
    work.wait_running("new");
    assert_eq!(read(&seen), "GPU-1/GPU-1");
    for id in ["stays", "other", "new"] {
        finish(&site, &work, id);
    }
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}

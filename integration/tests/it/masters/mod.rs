//! Masters as processes on hosts of their own, killed, frozen and cut off while a framework works.

mod group;
mod hosts;
mod load;

use std::time::Duration;

use libactor::Clock;
use nix::sys::signal::Signal;

use group::Group;
use hosts::Hosts;
use load::Load;

use crate::http::PATIENCE;

/// Rounds of an ordinary run; `MESETA_DRILL_ROUNDS` sets another number.
const ROUNDS: usize = 6;
/// How long a disturbed master stays so: longer than an election takes.
const DISTURBED: Duration = Duration::from_secs(2);

/// What is done to the leader.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Kill,
    Freeze,
    CutOff,
}

#[test]
fn work_goes_on_whatever_happens_to_the_leader() {
    let hosts = match Hosts::make(Group::HOSTS) {
        Ok(hosts) => hosts,
        Err(reason) => {
            println!("SKIPPED: masters on hosts of their own: {reason}");
            return;
        }
    };
    let rounds = std::env::var("MESETA_DRILL_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut group = Group::start(&hosts, directory.path());
    let (mut leader, _) = group.leader(None);
    let masters = group.addresses();
    let load = hosts.on(0, || Load::start(&masters));
    load.settle();
    let framework_id = load.seen().framework_id.clone();
    let clock = Clock::real();
    let mut weighed = Vec::new();
    for round in 0..rounds {
        let disturbance = [Disturbance::Kill, Disturbance::Freeze, Disturbance::CutOff][round % 3];
        let role = format!("role-{round}");
        if group.set_weight(leader, &role, 2.0) {
            weighed.push(role);
        }
        let former = leader;
        let begin = clock.now();
        disturb(&hosts, &mut group, former, disturbance);
        let elected;
        (leader, elected) = group.leader(Some(former));
        let works = load.runs_something_new();
        println!(
            "round {round}: {disturbance:?} of {former}: {leader} leads after {elected:?}, a new task runs {works:?} later"
        );
        for role in &weighed {
            assert!(group.weighed(leader).contains(role), "{role} was acknowledged and is lost");
        }
        wait(DISTURBED.saturating_sub(clock.now().since(begin)));
        mend(&hosts, &mut group, former, disturbance);
        (leader, _) = group.leader(None);
        load.runs_something_new();
        let seen = load.seen();
        assert!(seen.wrong.is_empty(), "round {round}, {disturbance:?}: {:#?}", seen.wrong);
    }
    assert!(!weighed.is_empty(), "no weight was ever acknowledged");
    let seen = load.seen();
    assert_eq!(seen.framework_id, framework_id);
    assert!(seen.subscribed > rounds, "the framework has subscribed {} times", seen.subscribed);
    drop(seen);
    load.stop();
    // The framework leaves between one look and the next.
    let begin = clock.now();
    loop {
        let registries: Vec<_> = (1..=3).map(|id| group.registry(id)).collect();
        assert!(registries[0].is_object());
        if registries.iter().all(|other| *other == registries[0]) {
            break;
        }
        assert!(clock.now().since(begin) < PATIENCE, "{registries:#?}");
    }
}

fn disturb(hosts: &Hosts, group: &mut Group<'_>, id: u8, how: Disturbance) {
    match how {
        Disturbance::Kill => group.kill(id),
        Disturbance::Freeze => group.master(id).signal(Signal::SIGSTOP),
        Disturbance::CutOff => hosts.connect(id, false),
    }
}

fn mend(hosts: &Hosts, group: &mut Group<'_>, id: u8, how: Disturbance) {
    match how {
        Disturbance::Kill => group.restart(id),
        Disturbance::Freeze => group.master(id).signal(Signal::SIGCONT),
        Disturbance::CutOff => hosts.connect(id, true),
    }
}

#[expect(clippy::disallowed_methods, reason = "the disturbance itself takes time; clients on HTTP poll")]
fn wait(duration: Duration) {
    std::thread::sleep(duration);
}

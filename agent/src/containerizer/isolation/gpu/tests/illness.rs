//! What becomes of containers whose GPU falls ill, and of the others.

use protocol::Reason;

use super::fake::{Fake, uuid};
use super::machine::Machine;

#[tokio::test]
async fn an_ill_gpu_ends_the_right_container_alone() {
    let Some(fake) = Fake::with_gpus(2) else { return };
    let mut machine = Machine::new(fake);
    machine.prepare("a", "1").unwrap();
    machine.prepare("b", "1").unwrap();
    // What a program does is its own matter: only the second one is told of.
    machine.fake.add("event seq=1 gpu=0 type=8 data=31");
    machine.fake.add("event seq=2 gpu=1 type=8 data=79");
    let (ended, limitation) = machine.ended().await;
    assert_eq!(ended, "b");
    assert_eq!(limitation.reason, Reason::ContainerLimitation);
    let gpu = format!("GPU 1 (Fake_H200, {})", uuid(1));
    let expected =
        format!("{gpu}, which the container owns, fell ill: XID 79 (the GPU has fallen off the bus)");
    assert_eq!(limitation.message, expected);
    assert_eq!(limitation.resources.to_string(), "gpus:1");
    assert_eq!(machine.offers().await, "cpus:4;gpus:1");
    assert_eq!(machine.isolator.broken(&"b".into()), Some(limitation), "also if it ended by itself");
    assert_eq!(machine.isolator.broken(&"a".into()), None);
    machine.cleanup("b");
    assert_eq!(machine.isolator.broken(&"b".into()), None);
    assert!(machine.prepare("c", "1").is_err(), "nobody gets it");
    // A reset: it counts anew.
    machine.fake.set(1, "energy", 1);
    assert_eq!(machine.offers().await, "cpus:4;gpus:2");
    assert!(machine.prepare("c", "1").is_ok());
    assert!(machine.is_quiet());
}

#[tokio::test]
async fn a_gpu_off_the_bus_is_seen_without_an_event_and_may_come_back() {
    let Some(mut fake) = Fake::with_gpus(2) else { return };
    fake.add("fail symbol=nvmlEventSetCreate rc=3");
    let mut machine = Machine::new(fake);
    machine.prepare("a", "1").unwrap();
    machine.prepare("b", "1").unwrap();
    machine.fake.set(0, "rc", 15);
    let (ended, limitation) = machine.ended().await;
    assert_eq!(ended, "a");
    assert!(limitation.message.contains("fell off the bus"), "{}", limitation.message);
    assert_eq!(machine.offers().await, "cpus:4;gpus:1");
    machine.fake.set(0, "rc", 0);
    assert_eq!(machine.offers().await, "cpus:4;gpus:2");
    machine.fake.set(1, "dbe", 3);
    let (ended, limitation) = machine.ended().await;
    assert_eq!(ended, "b");
    assert!(limitation.message.ends_with("3 memory errors that could not be corrected (double-bit ECC)"));
    assert_eq!(machine.offers().await, "cpus:4;gpus:1");
}

#[tokio::test]
async fn an_error_of_one_instance_is_not_that_of_the_other() {
    let Some(mut fake) = Fake::with_gpus(1) else { return };
    fake.set(0, "mig", 1);
    fake.add("instance gpu=0 index=0 uuid=MIG-a name=Fake_1g gi=1 ci=0 mem=100");
    fake.add("instance gpu=0 index=1 uuid=MIG-b name=Fake_1g gi=2 ci=0 mem=100");
    let mut machine = Machine::new(fake);
    capabilities(&machine, &[(1, 10), (2, 20)]);
    let (environment, _) = machine.prepare("a", "1").unwrap();
    assert_eq!(environment["CUDA_VISIBLE_DEVICES"], "MIG-a");
    machine.prepare("b", "1").unwrap();
    assert_eq!(machine.granted.of("a"), ["c 195:0 rwm", "c 195:255 rwm", "c 237:10 rwm", "c 237:11 rwm"]);
    assert_eq!(machine.granted.of("b"), ["c 195:0 rwm", "c 195:255 rwm", "c 237:20 rwm", "c 237:21 rwm"]);
    machine.fake.add("event seq=1 gpu=0 type=8 data=95 gi=2");
    let (ended, limitation) = machine.ended().await;
    assert_eq!(ended, "b");
    assert!(
        limitation.message.starts_with("instance 2/0 of GPU 0 (Fake_1g, MIG-b)"),
        "{}",
        limitation.message
    );
    assert_eq!(machine.offers().await, "cpus:4;gpus:1");
    assert!(machine.is_quiet());
}

#[tokio::test]
async fn a_gpu_that_is_divided_anew_changes_what_is_offered() {
    let Some(mut fake) = Fake::with_gpus(1) else { return };
    fake.set(0, "mig", 1);
    fake.add("instance gpu=0 index=0 uuid=MIG-a name=Fake_1g gi=1 ci=0 mem=100");
    let mut machine = Machine::new(fake);
    capabilities(&machine, &[(1, 10), (2, 20), (3, 30)]);
    machine.prepare("a", "1").unwrap();
    for (index, gi) in [(1, 2), (2, 3)] {
        machine
            .fake
            .add(&format!("instance gpu=0 index={index} uuid=MIG-{gi} name=Fake_1g gi={gi} ci=0 mem=100"));
    }
    machine.fake.add("event seq=1 gpu=0 type=256");
    assert_eq!(machine.offers().await, "cpus:4;gpus:3");
    machine.prepare("b", "2").unwrap();
    machine.fake.remove("instance gpu=0 index=0");
    machine.fake.add("event seq=2 gpu=0 type=256");
    let (ended, limitation) = machine.ended().await;
    assert_eq!(ended, "a");
    assert!(limitation.message.ends_with("is not there any more: its GPU was divided anew (MIG)"));
    assert_eq!(machine.offers().await, "cpus:4;gpus:2");
    assert!(machine.is_quiet());
}

/// The kernel's files of instances of the first GPU: a GPU instance, and the number of its device, which that of its compute
/// instance follows.
fn capabilities(machine: &Machine, instances: &[(u32, u32)]) {
    let proc = &machine.around.settings.gpu.proc;
    for (instance, number) in instances {
        let place = proc.join(format!("driver/nvidia/capabilities/gpu0/mig/gi{instance}"));
        std::fs::create_dir_all(place.join("ci0")).unwrap();
        std::fs::write(place.join("access"), format!("DeviceFileMinor: {number}\n")).unwrap();
        std::fs::write(place.join("ci0/access"), format!("DeviceFileMinor: {}\n", number + 1)).unwrap();
    }
    std::fs::write(proc.join("devices"), "Character devices:\n237 nvidia-caps\n").unwrap();
}

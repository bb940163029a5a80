//! The life of one container, from its launch until nothing is left of it.

use std::sync::Arc;

use protocol::{ContainerId, Reason, Resources};

use super::ContainerEvent;
use super::asked::Handle;
use super::process::Shared;
use super::running::Running;
use super::start::start;
use crate::core::{ContainerEnd, ContainerSpec, Limitation};
use crate::steps;

/// The life of one container that is launched.
pub(super) async fn supervise(shared: Arc<Shared>, spec: ContainerSpec, handle: Arc<Handle>) {
    let container_id = spec.container_id.clone();
    match start(&shared, spec, &handle).await {
        Err(error) => {
            shared.leave(&container_id);
            let result = Err(error.to_string());
            shared.report(ContainerEvent::Launched { container_id, result }).await;
        }
        Ok((running, pipe)) => {
            if let Some(stream) = pipe {
                let container_id = container_id.clone();
                shared.report(ContainerEvent::Piped { container_id, stream }).await;
            }
            let result = Ok(running.pid() as u32);
            let container = container_id.clone();
            shared.report(ContainerEvent::Launched { container_id: container, result }).await;
            steps::reached("launched");
            attend(shared, container_id, running, handle).await;
        }
    }
}

/// The rest of the life of a container that runs.
pub(super) async fn attend(
    shared: Arc<Shared>,
    container_id: ContainerId,
    mut running: Running,
    handle: Arc<Handle>,
) {
    let pid = running.pid();
    shared.logger.watch(&container_id, &running.record.sandbox);
    let status = run(&shared, &container_id, &mut running, &handle).await;
    let (broken, problems) = end(&shared, &container_id, Some(pid)).await;
    shared.leave(&container_id);
    shared.logger.leave(&container_id);
    let limitation = handle.take().limitation.or(broken);
    let message = (!problems.is_empty()).then(|| problems.join("; "));
    let end = ContainerEnd { status, message, limitation };
    shared.report(ContainerEvent::Exited { container_id, end }).await;
}

/// Does what is asked until the first process has ended; its status.
async fn run(
    shared: &Arc<Shared>,
    container_id: &ContainerId,
    running: &mut Running,
    handle: &Handle,
) -> Option<i32> {
    let status = loop {
        let asked = handle.take();
        if asked.is_over() {
            break kill(shared, container_id, running).await;
        }
        if let Some(resources) = asked.update {
            update(shared, running, resources, handle).await;
            continue;
        }
        tokio::select! {
            status = running.wait() => break status,
            () = handle.changed() => {}
        }
    };
    status
        .inspect_err(|error| tracing::error!(%container_id, %error, "can't wait for an executor"))
        .unwrap_or_default()
}

/// Kills all and waits for the first process.
async fn kill(
    shared: &Shared,
    container_id: &ContainerId,
    running: &mut Running,
) -> std::io::Result<Option<i32>> {
    let pid = running.pid();
    let (killed, status) = tokio::join!(shared.tree.kill(container_id, pid), async {
        // In case it has not joined its cgroup.
        running.kill();
        running.wait().await
    });
    if let Err(error) = killed {
        tracing::error!(%container_id, %error, "can't kill a container's processes");
    }
    status
}

async fn update(shared: &Arc<Shared>, running: &mut Running, resources: Resources, handle: &Handle) {
    running.record.resources = resources.clone();
    let (other, record) = (shared.clone(), running.record.clone());
    let updated = on_a_thread(move || {
        if let Err(error) = other.records.write(&record) {
            let container_id = &record.container_id;
            tracing::error!(%container_id, %error, "can't keep what a container may use now");
        }
        other.chosen.update(&record.container_id, &record.resources)
    });
    if let Err(error) = updated.await {
        handle.limit(Limitation {
            reason: Reason::ContainerUpdateFailed,
            message: format!("The container can't be given {resources}: {error}"),
            resources: Resources::new(),
        });
    }
}

/// Ends what is left of a container; the limit for which it has ended, and what could not be done, as sentences.
pub(super) async fn end(
    shared: &Arc<Shared>,
    container_id: &ContainerId,
    main: Option<i32>,
) -> (Option<Limitation>, Vec<String>) {
    let mut problems = Vec::new();
    let emptied = shared.tree.empty(container_id, main).await;
    let permit = shared.ending.acquire().await.expect("the semaphore is never closed");
    let (other, container) = (shared.clone(), container_id.clone());
    let (broken, removed, left) = on_a_thread(move || {
        let broken = other.chosen.broken(&container);
        let removed = other.tree.remove(&container);
        let left = other.chosen.cleanup(&container);
        other.records.remove(&container);
        (broken, removed, left)
    })
    .await;
    drop(permit);
    if let Err(error) = emptied.and(removed) {
        tracing::error!(%container_id, %error, "can't end a container's processes");
        problems.push(format!("its processes could not be ended: {error}"));
    }
    problems.extend(left);
    (broken, problems)
}

/// Does what may block.
pub(super) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("what may block does not panic")
}

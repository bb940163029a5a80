//! What the agent serves over HTTP, as `/slave(1)/...`, and as `/...` where it is the node's delegate.

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;

use libactor::files;
use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use libactor::shell::{Edge, ShellInstall};
use serde_json::json;

use super::executor_api::executor;
use super::operator::operator;
use super::site::{JSON, Site, page, write_json};
use super::statistics::{Container, containers};
use super::v0;
use crate::core::Agent;

/// Installs all of it.
pub(crate) fn install<E: Edge<Agent>>(site: &Arc<Site>, install: &mut ShellInstall<'_, Agent, E>) {
    files::install(&site.files, install);
    let mut route = Routes { site, install };
    route.add("/api/v1", "The operator API: POST.", operator);
    route.add("/api/v1/executor", "The executor API: POST.", executor);
    route.add("/state", "All that the agent runs.", state);
    route.add("/state.json", "As /state.", state);
    route.add("/flags", "What the agent was started with.", flags);
    route.add("/health", "200 while the agent runs.", |_, _| async { HttpResponse::empty(StatusCode::OK) });
    route.add("/version", "The version of the program.", version);
    route.add(
        "/containers",
        "The containers that run. Parameters: container_id, framework_id, executor_id.",
        list_containers,
    );
    for path in ["/monitor/statistics", "/monitor/statistics.json"] {
        route.add(path, "What the containers use.", monitor);
    }
}

struct Routes<'a, 'b, E: Edge<Agent>> {
    site: &'a Arc<Site>,
    install: &'a mut ShellInstall<'b, Agent, E>,
}

impl<E: Edge<Agent>> Routes<'_, '_, E> {
    fn add<F, R>(&mut self, path: &str, help: &str, answer: F)
    where
        F: Fn(Arc<Site>, HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        let site = self.site.clone();
        self.install.route(path, help, move |request| answer(site.clone(), request));
    }
}

async fn state(site: Arc<Site>, _: HttpRequest) -> HttpResponse {
    match site.snapshot().await {
        Ok(snapshot) => page(JSON, move |out| write_json(out, &v0::State::new(&snapshot, site.about()))),
        Err(refused) => refused.into(),
    }
}

async fn flags(site: Arc<Site>, _: HttpRequest) -> HttpResponse {
    HttpResponse::json(&json!({ "flags": site.flags }))
}

async fn version(site: Arc<Site>, _: HttpRequest) -> HttpResponse {
    HttpResponse::json(&site.version)
}

async fn list_containers(site: Arc<Site>, request: HttpRequest) -> HttpResponse {
    let query = request.query;
    let wanted = move |container: &Container<'_>| {
        let run = &container.run;
        [
            ("container_id", run.container_id.as_str()),
            ("framework_id", run.framework_id.as_str()),
            ("executor_id", run.info.executor_id.as_str()),
        ]
        .iter()
        .all(|(name, value)| query.get(*name).is_none_or(|wanted| wanted == value))
    };
    measured(site, move |containers, out| {
        let shown: Vec<_> = containers.iter().filter(|one| wanted(one)).map(Container::shown).collect();
        write_json(out, &shown)
    })
    .await
}

async fn monitor(site: Arc<Site>, _: HttpRequest) -> HttpResponse {
    measured(site, |containers, out| {
        write_json(out, &containers.iter().map(Container::measured).collect::<Vec<_>>())
    })
    .await
}

/// Asks what the containers use, and shows it; both on other threads.
async fn measured(
    site: Arc<Site>,
    show: impl FnOnce(&[Container<'_>], &mut dyn Write) -> io::Result<()> + Send + 'static,
) -> HttpResponse {
    let snapshot = match site.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(refused) => return refused.into(),
    };
    let usage = site.statistics.read(&snapshot).await;
    let now = site.node.clock().now();
    page(JSON, move |out| show(&containers(&snapshot, &usage, now), out))
}

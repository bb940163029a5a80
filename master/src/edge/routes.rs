//! Which path goes where. Each is served as `/x` and `/master/x`, and what is asked for below it as well.

use std::future::Future;
use std::sync::Arc;

use libactor::files;
use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use libactor::shell::{Edge, ShellInstall};

use super::about::FlagsPage;
use super::pages::{Filter, Page};
use super::{Api, changes, operator, scheduler, weights};
use crate::core::Master;

/// Pages of a snapshot, and what they are for. Each is also found under its name with `.json`, where old tools look.
const PAGES: [(&str, Page, &str); 7] = [
    ("/state", Page::State, "all that the master knows, as JSON"),
    ("/state-summary", Page::Summary, "agents and frameworks, with their tasks counted by state"),
    ("/slaves", Page::Slaves, "the agents, with their resources in full. Parameter: slave_id"),
    ("/agents", Page::Slaves, "as /slaves"),
    ("/frameworks", Page::Frameworks, "the frameworks. Parameter: framework_id"),
    (
        "/tasks",
        Page::Tasks,
        "tasks, the newest first. Parameters: framework_id, task_id, limit, offset, order=asc",
    ),
    ("/roles", Page::Roles, "roles, what they use, and who is subscribed to them"),
];

/// Operations on the resources of an agent: path, name, the parameter beside the agent.
const ON_RESOURCES: [(&str, &str, &str); 4] = [
    ("/reserve", "RESERVE_RESOURCES", "resources"),
    ("/unreserve", "UNRESERVE_RESOURCES", "resources"),
    ("/create-volumes", "CREATE_VOLUMES", "volumes"),
    ("/destroy-volumes", "DESTROY_VOLUMES", "volumes"),
];

/// Serves all of it.
pub(crate) fn install<E: Edge<Master>>(install: &mut ShellInstall<'_, Master, E>, api: &Arc<Api>) {
    let mut routes = Routes { install, api };
    routes.apis();
    routes.pages();
    routes.fixed();
    routes.changes();
    files::install(&api.files, install);
}

struct Routes<'r, 'i, E: Edge<Master>> {
    install: &'r mut ShellInstall<'i, Master, E>,
    api: &'r Arc<Api>,
}

impl<E: Edge<Master>> Routes<'_, '_, E> {
    fn serve<F, R>(&mut self, path: &str, help: &str, handler: F)
    where
        F: Fn(Arc<Api>, HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        let api = self.api.clone();
        self.install.route(path, help, move |request| handler(api.clone(), request));
    }

    /// For the leader alone.
    fn serve_as_leader<F, R>(&mut self, path: &'static str, help: &str, handler: F)
    where
        F: Fn(Arc<Api>, HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        self.serve(path, help, move |api, request| {
            let redirect = api.leader.redirect(&format!("/master{path}"));
            let answer = redirect.is_none().then(|| handler(api, request));
            async move {
                match (redirect, answer) {
                    (Some(redirect), _) => redirect,
                    (None, Some(answer)) => answer.await,
                    (None, None) => HttpResponse::empty(StatusCode::INTERNAL_SERVER_ERROR),
                }
            }
        });
    }

    fn apis(&mut self) {
        self.serve(scheduler::PATH, "the scheduler API, version 1", scheduler::respond);
        self.serve(operator::PATH, "the operator API, version 1", operator::respond);
    }

    fn pages(&mut self) {
        for (path, page, help) in PAGES {
            for path in [path.to_owned(), format!("{path}.json")] {
                let api = self.api.clone();
                self.install.route(&path, help, move |request: HttpRequest| {
                    let redirect = api.leader.redirect(&format!("/master{}", request.path));
                    let page = || api.pages.respond(page, Filter::of(&request));
                    std::future::ready(redirect.unwrap_or_else(page))
                });
            }
        }
    }

    fn fixed(&mut self) {
        let ready = std::future::ready;
        self.serve("/health", "200 while the master runs", move |_, _| {
            ready(HttpResponse::empty(StatusCode::OK))
        });
        self.serve("/version", "the version of the program, as JSON", move |api, _| {
            ready(HttpResponse::json(&api.about.version))
        });
        self.serve("/flags", "the flags in effect, as JSON", move |api, _| {
            ready(HttpResponse::json(&FlagsPage { flags: &api.about.flags }))
        });
        self.serve("/redirect", "leads to the master that leads", move |api, request| {
            // What is below would be asked of the leader again, and again.
            ready(if request.rest.is_empty() { api.leader.respond() } else { HttpResponse::not_found() })
        });
    }

    fn changes(&mut self) {
        self.serve_as_leader("/teardown", "ends a framework. Body: frameworkId", |api, request| async move {
            changes::teardown(&api, request).await
        });
        self.serve_as_leader("/weights", "weights of roles: GET, PUT", |api, request| async move {
            weights::respond(&api, request).await
        });
        for (path, name, what) in ON_RESOURCES {
            self.serve_as_leader(path, "on the resources of an agent", move |api, request| async move {
                changes::resources(&api, request, name, what).await
            });
        }
        let ready = std::future::ready;
        self.serve_as_leader("/quota", "quotas of roles", move |_, request| ready(changes::quota(&request)));
        for (path, name) in [("/machine/down", "START_MAINTENANCE"), ("/machine/up", "STOP_MAINTENANCE")] {
            self.serve_as_leader(path, "maintenance of machines", move |_, request| {
                ready(changes::machine(&request, name))
            });
        }
        self.serve_as_leader("/maintenance/schedule", "when machines are maintained", move |_, request| {
            ready(changes::schedule(&request))
        });
        self.serve_as_leader("/maintenance/status", "which machines are maintained", move |_, _| {
            ready(changes::nothing())
        });
    }
}

//! Which path goes where, and who answers it. Each is served as `/x` and `/master/x`, and what is asked for below it as well.

use std::future::Future;
use std::sync::Arc;

use libactor::Machine;
use libactor::files;
use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use libactor::shell::{Edge, ShellInstall};

use super::about::FlagsPage;
use super::pages::{Filter, Page};
use super::{Api, changes, maintenance, operator, scheduler, weights};

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

/// Who answers what is asked for on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Any master.
    Any,
    /// The one that leads; others send on to it.
    Leader,
}

/// Serves all of it.
pub(crate) fn install<M: Machine + 'static, E: Edge<M>>(install: &mut ShellInstall<'_, M, E>, api: &Arc<Api>)
where
    M::Input: Send,
{
    let mut routes = Routes { install, api };
    routes.apis();
    routes.pages();
    routes.fixed();
    routes.changes();
    files::install(&api.files, install);
}

struct Routes<'r, 'i, M: Machine + 'static, E: Edge<M>>
where
    M::Input: Send,
{
    install: &'r mut ShellInstall<'i, M, E>,
    api: &'r Arc<Api>,
}

impl<M: Machine + 'static, E: Edge<M>> Routes<'_, '_, M, E>
where
    M::Input: Send,
{
    fn serve<F, R>(&mut self, by: By, path: &str, help: &str, handler: F)
    where
        F: Fn(Arc<Api>, HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        let api = self.api.clone();
        self.install.route(path, help, move |request| {
            let answer = match by {
                By::Any => Ok(handler(api.clone(), request)),
                By::Leader => match api.gate.redirect(&request) {
                    None => Ok(handler(api.clone(), request)),
                    Some(redirect) => Err(redirect),
                },
            };
            async move {
                match answer {
                    Ok(answer) => answer.await,
                    Err(redirect) => redirect,
                }
            }
        });
    }

    fn apis(&mut self) {
        self.serve(By::Leader, scheduler::PATH, "the scheduler API, version 1", scheduler::respond);
        self.serve(By::Leader, operator::PATH, "the operator API, version 1", operator::respond);
    }

    fn pages(&mut self) {
        for (path, page, help) in PAGES {
            for path in [path.to_owned(), format!("{path}.json")] {
                self.serve(By::Leader, &path, help, move |api, request| {
                    std::future::ready(api.pages.respond(page, Filter::of(&request)))
                });
            }
        }
    }

    fn fixed(&mut self) {
        let ready = std::future::ready;
        self.serve(By::Any, "/health", "200 while the master runs", move |_, _| {
            ready(HttpResponse::empty(StatusCode::OK))
        });
        self.serve(By::Any, "/version", "the version of the program, as JSON", move |api, _| {
            ready(HttpResponse::json(&api.about.version))
        });
        self.serve(By::Any, "/flags", "the flags in effect, as JSON", move |api, _| {
            ready(HttpResponse::json(&FlagsPage { flags: &api.about.flags }))
        });
        self.serve(By::Any, "/redirect", "leads to the master that leads", move |api, request| {
            // What is below would be asked of the leader again, and again.
            ready(if request.rest.is_empty() { api.gate.respond() } else { HttpResponse::not_found() })
        });
    }

    fn changes(&mut self) {
        self.serve(
            By::Leader,
            "/teardown",
            "ends a framework. Body: frameworkId",
            |api, request| async move { changes::teardown(&api, request).await },
        );
        self.serve(By::Leader, "/weights", "weights of roles: GET, PUT", |api, request| async move {
            weights::respond(&api, request).await
        });
        for (path, name, what) in ON_RESOURCES {
            self.serve(By::Leader, path, "on the resources of an agent", move |api, request| async move {
                changes::resources(&api, request, name, what).await
            });
        }
        let ready = std::future::ready;
        self.serve(By::Leader, "/quota", "quotas of roles", move |_, request| {
            ready(changes::quota(&request))
        });
        for (path, down) in [("/machine/down", true), ("/machine/up", false)] {
            self.serve(By::Leader, path, "maintenance of machines", move |api, request| async move {
                maintenance::machine_page(&api, request, down).await
            });
        }
        self.serve(
            By::Leader,
            "/maintenance/schedule",
            "when machines are maintained: GET, POST",
            |api, request| async move { maintenance::schedule_page(&api, request).await },
        );
        self.serve(By::Leader, "/maintenance/status", "which machines are maintained", |api, _| async move {
            maintenance::status_page(&api).await
        });
    }
}

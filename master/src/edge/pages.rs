//! Pages that are made of a snapshot: written by a blocking thread while they are read, and shared by those who ask for
//! the same one before it is begun.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use libactor::Counter;
use libactor::http::{HttpBody, HttpRequest, HttpResponse, SharedBody, StatusCode};
use protocol::wire::Format;
use protocol::{AgentId, FrameworkId, TaskId};

use super::about::About;
use super::snapshot::Snapshot;
use super::view::View;
use super::{operator, v0};

/// Tasks that `/tasks` shows unless it is asked for more or fewer. Source: Mesos `TASK_LIMIT`.
const TASKS: usize = 100;
/// Bytes that are handed to the response at a time. Ours.
const BUFFER: usize = 64 << 10;

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Page {
    /// `/state`.
    State,
    /// `/state-summary`.
    Summary,
    /// `/slaves`.
    Slaves,
    /// `/frameworks`.
    Frameworks,
    /// `/tasks`.
    Tasks,
    /// `/roles`.
    Roles,
    /// The answer to a call of the operator API.
    Operator(operator::Read, Format),
}

/// What of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Filter {
    agent: Option<AgentId>,
    framework: Option<FrameworkId>,
    task: Option<TaskId>,
    /// Tasks to leave out, from the first.
    pub(crate) offset: usize,
    /// Tasks to show.
    pub(crate) limit: usize,
    /// The oldest first.
    pub(crate) ascending: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { agent: None, framework: None, task: None, offset: 0, limit: TASKS, ascending: false }
    }
}

impl Filter {
    /// Of a query. What is no number is left out of account, and a negative one is as large as can be (as in Mesos).
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let text = |name: &str| request.query.get(name).map(String::as_str);
        let number = |name: &str| {
            let number = text(name)?.parse::<i64>().ok()?;
            Some(usize::try_from(number).unwrap_or(usize::MAX))
        };
        let ordinary = Self::default();
        Self {
            agent: text("slave_id").map(AgentId::from),
            framework: text("framework_id").map(FrameworkId::from),
            task: text("task_id").map(TaskId::from),
            offset: number("offset").unwrap_or(ordinary.offset),
            limit: number("limit").unwrap_or(ordinary.limit),
            ascending: text("order") == Some("asc"),
        }
    }

    pub(crate) fn agent(&self, id: &AgentId) -> bool {
        self.agent.as_ref().is_none_or(|wanted| wanted == id)
    }

    pub(crate) fn framework(&self, id: &FrameworkId) -> bool {
        self.framework.as_ref().is_none_or(|wanted| wanted == id)
    }

    pub(crate) fn task(&self, id: &TaskId) -> bool {
        self.task.as_ref().is_none_or(|wanted| wanted == id)
    }
}

type Key = (Page, Filter);

/// The pages.
#[derive(Debug)]
pub(crate) struct Pages {
    view: Arc<View>,
    about: Arc<About>,
    /// Asked for and not begun.
    waiting: Mutex<BTreeMap<Key, SharedBody>>,
    /// Requests that shared a page which others had asked for.
    shared: Counter,
}

impl Pages {
    /// `shared` counts requests that share a page which others have asked for.
    pub(crate) fn new(view: Arc<View>, about: Arc<About>, shared: Counter) -> Self {
        Self { view, about, waiting: Mutex::default(), shared }
    }

    /// A response with the page as it is when it is begun.
    pub(crate) fn respond(self: &Arc<Self>, page: Page, filter: Filter) -> HttpResponse {
        if !self.view.is_open() {
            return HttpResponse::text(StatusCode::SERVICE_UNAVAILABLE, "the master can't tell now\n");
        }
        let content_type = match page {
            Page::Operator(_, format) => format.content_type(),
            _ => "application/json",
        };
        let key = (page, filter);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let body = match waiting.get(&key) {
            Some(body) => {
                self.shared.increment();
                body.clone()
            }
            None => {
                let (pages, wanted) = (self.clone(), key.clone());
                let body = SharedBody::produce(move |out| pages.produce(&wanted, out));
                waiting.insert(key, body.clone());
                body
            }
        };
        drop(waiting);
        HttpResponse::of(StatusCode::OK, content_type, HttpBody::Shared(body))
    }

    fn produce(&self, key: &Key, out: &mut dyn Write) -> io::Result<()> {
        // Who asks from now on may know more than what is shown now.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let gone = || io::Error::other("the master is ending, or too many ask");
        let snapshot = self.view.ask_blocking().ok_or_else(gone)?;
        let mut out = BufWriter::with_capacity(BUFFER, out);
        let (page, filter) = key;
        write_page(&mut out, &snapshot, &self.about, *page, filter)?;
        out.flush()
    }
}

pub(crate) fn write_page(
    out: &mut impl Write,
    snapshot: &Snapshot,
    about: &About,
    page: Page,
    filter: &Filter,
) -> io::Result<()> {
    match page {
        Page::State => serde_json::to_writer(out, &v0::state::Page(snapshot, about, filter))?,
        Page::Summary => serde_json::to_writer(out, &v0::summary::Page(snapshot))?,
        Page::Slaves => serde_json::to_writer(out, &v0::slaves::Page(snapshot, filter))?,
        Page::Frameworks => serde_json::to_writer(out, &v0::frameworks::Page(snapshot, filter))?,
        Page::Tasks => serde_json::to_writer(out, &v0::tasks::Page(snapshot, filter))?,
        Page::Roles => serde_json::to_writer(out, &v0::roles::Page(snapshot))?,
        Page::Operator(read, format) => operator::write(out, snapshot, read, format)?,
    }
    Ok(())
}

//! Pages that are made of a snapshot: written by a blocking thread while they are read, and shared by those who ask for
//! the same one before it is begun.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libactor::Counter;
use libactor::http::{HttpBody, HttpRequest, HttpResponse, SharedBody, StatusCode, WeakBody};
use protocol::wire::Format;
use protocol::{AgentId, FrameworkId, TaskId};

use super::about::About;
use super::snapshot::Snapshot;
use super::view::View;
use super::{operator, v0};

/// Tasks that `/tasks` shows unless it is asked for more or fewer. Source: Mesos `TASK_LIMIT`.
const TASKS: usize = 100;
/// Pages that may wait to be made, of those that somebody waits for; further ones are refused with 503. Ours: clients choose
/// what tells them apart, and few are made at a time.
const MAX_WAITING: usize = 256;
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

/// A page that is not begun: given up when the last of those who asked for it has gone.
#[derive(Debug)]
struct Waiting {
    body: WeakBody,
    over: Arc<AtomicBool>,
}

/// Held until a page is begun or given up; then others can't share it any more.
struct Ticket {
    pages: Arc<Pages>,
    key: Key,
    over: Arc<AtomicBool>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let mut waiting = self.pages.waiting();
        if waiting.get(&self.key).is_some_and(|one| Arc::ptr_eq(&one.over, &self.over)) {
            waiting.remove(&self.key);
        }
    }
}

/// The pages.
#[derive(Debug)]
pub(crate) struct Pages {
    view: Arc<View>,
    about: Arc<About>,
    /// Asked for and not begun.
    waiting: Mutex<BTreeMap<Key, Waiting>>,
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
        match self.body((page, filter)) {
            Some(body) => HttpResponse::of(StatusCode::OK, content_type, HttpBody::Shared(body)),
            None => HttpResponse::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many different pages are asked for at once; try again later\n",
            ),
        }
    }

    /// The page, which others may have asked for; `None` where too many wait.
    fn body(self: &Arc<Self>, key: Key) -> Option<SharedBody> {
        {
            let waiting = self.waiting();
            if let Some(body) = waiting.get(&key).and_then(|one| one.body.upgrade()) {
                self.shared.increment();
                return Some(body);
            }
            if waiting.len() >= MAX_WAITING {
                return None;
            }
        }
        // Not under the lock, which the end of a ticket takes.
        let over = Arc::new(AtomicBool::new(false));
        let ticket = Ticket { pages: self.clone(), key: key.clone(), over: over.clone() };
        let body = SharedBody::produce(move |out| Self::produce(ticket, out));
        let mut waiting = self.waiting();
        if !over.load(Ordering::SeqCst) {
            waiting.insert(key, Waiting { body: body.downgrade(), over });
        }
        drop(waiting);
        Some(body)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Key, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn produce(ticket: Ticket, out: &mut dyn Write) -> io::Result<()> {
        let (pages, (page, filter)) = (ticket.pages.clone(), ticket.key.clone());
        // Who asks from now on may know more than what is shown now.
        drop(ticket);
        let gone = || io::Error::other("the master is ending, or too many ask");
        let snapshot = pages.view.ask_blocking().ok_or_else(gone)?;
        let mut out = BufWriter::with_capacity(BUFFER, out);
        write_page(&mut out, &snapshot, &pages.about, page, &filter)?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use libactor::Time;
    use libactor::http::{HeaderMap, Method};

    use super::super::view::MAX_WAITING as MOST;
    use super::*;
    use crate::core::Input;

    fn filter(query: &[(&str, &str)]) -> Filter {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Filter::of(&HttpRequest {
            method: Method::GET,
            target: "/master/tasks".to_owned(),
            actor: "master".to_owned(),
            path: "/tasks".to_owned(),
            rest: String::new(),
            query: query.collect::<BTreeMap<_, _>>(),
            headers: HeaderMap::new(),
            body: Default::default(),
            peer: "127.0.0.1:1".parse().unwrap(),
        })
    }

    #[tokio::test]
    async fn pages_that_wait_are_bounded_and_given_up_with_those_who_asked() {
        let metrics = libactor::Metrics::default();
        let view = Arc::new(View::new(Arc::default(), || Input::Look, MOST));
        // All that is asked for before the first `await` waits.
        let version = protocol::wire::common::VersionInfo::new("0.1.0");
        let about =
            Arc::new(About { version, flags: BTreeMap::new(), started_at: Time::default(), log_file: None });
        let pages = Arc::new(Pages::new(view, about, metrics.counter("shared")));
        let key = |offset| (Page::Tasks, Filter { offset, ..Filter::default() });
        let bodies: Vec<_> = (0..MAX_WAITING).map(|offset| pages.body(key(offset)).unwrap()).collect();
        assert!(pages.body(key(MAX_WAITING)).is_none());
        assert!(pages.body(key(0)).is_some());
        assert_eq!(pages.waiting().len(), MAX_WAITING);
        drop(bodies);
        while !pages.waiting().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(pages.body(key(MAX_WAITING)).is_some());
    }

    #[test]
    fn filters_are_read_as_by_mesos() {
        let none = Filter::default();
        assert_eq!(filter(&[]), none);
        assert_eq!((none.limit, none.offset, none.ascending), (100, 0, false));
        for nonsense in ["abc", "", "1.5"] {
            assert_eq!(filter(&[("limit", nonsense), ("offset", nonsense), ("order", nonsense)]), none);
        }
        let some = filter(&[("limit", "2"), ("offset", "-1"), ("order", "asc"), ("task_id", "t")]);
        assert_eq!((some.limit, some.offset, some.ascending), (2, usize::MAX, true));
        assert!(some.task(&"t".into()) && !some.task(&"u".into()));
        assert!(some.agent(&"S".into()) && some.framework(&"F".into()));
        let some = filter(&[("slave_id", "S"), ("framework_id", "F")]);
        assert!(!some.agent(&"T".into()) && !some.framework(&"G".into()) && some.task(&"t".into()));
    }
}

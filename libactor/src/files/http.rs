//! The files over HTTP, as Mesos serves them.

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;

use actix::{Actor, Context};
use serde::Serialize;
use tokio::sync::mpsc;

use super::beneath::Way;
use super::{FileInfo, Files, FilesError, content, list};
use crate::http::{HttpRequest, HttpResponse, Method, StatusCode};
use crate::shell::ShellInstall;
use crate::{Edge, Install, Machine};

/// What is served below `/files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/files/browse?path=`
    Browse,
    /// `/files/read?path=&offset=&length=`
    Read,
    /// `/files/download?path=`
    Download,
    /// `/files/debug`
    Debug,
}

impl Endpoint {
    /// All of them, with the paths of each (older tools ask for the second) and what it says in the help.
    pub const ALL: [(Self, [&'static str; 2], &'static str); 4] = [
        (
            Self::Browse,
            ["/files/browse", "/files/browse.json"],
            "the entries of a directory: path, nlink, size, mtime, mode, uid, gid. Parameter: path",
        ),
        (
            Self::Read,
            ["/files/read", "/files/read.json"],
            "a piece of a file, at most 64 KiB. Parameters: path, offset (-1 or none: where the file ends), length",
        ),
        (Self::Download, ["/files/download", "/files/download.json"], "a whole file. Parameter: path"),
        (
            Self::Debug,
            ["/files/debug", "/files/debug.json"],
            "which real path is served as which virtual one",
        ),
    ];

    /// Answers a request. The method does not matter, but for HEAD of a download, which opens the file and sends nothing.
    pub async fn answer(self, files: &Files, request: &HttpRequest) -> HttpResponse {
        let answer = match self {
            Self::Browse => browse(files, request).await,
            Self::Read => read(files, request).await,
            Self::Download => download(files, request).await,
            Self::Debug => debug(files).await,
        };
        answer.unwrap_or_else(|error| error.response())
    }
}

/// Serves the files as `/files/...` of an actor with a machine, and of the node if the actor is its delegate.
///
/// # Panics
/// If the actor has such routes already.
pub fn install<M: Machine + 'static, E: Edge<M>>(files: &Files, install: &mut ShellInstall<'_, M, E>)
where
    M::Input: Send,
{
    for (path, help, handler) in routes(files) {
        install.route(path, help, handler);
    }
}

/// The same for any actor.
///
/// # Panics
/// As [`install`].
pub fn install_in<A: Actor<Context = Context<A>>>(files: &Files, install: &mut Install<A>) {
    for (path, help, handler) in routes(files) {
        install.route(path, help, handler);
    }
}

fn routes(
    files: &Files,
) -> impl Iterator<Item = (&'static str, &'static str, impl Fn(HttpRequest) -> Answering + Send + Sync + 'static)>
{
    Endpoint::ALL.into_iter().flat_map(move |(endpoint, paths, help)| {
        paths.map(|path| (path, help, handler(files.clone(), endpoint)))
    })
}

type Answering = Pin<Box<dyn Future<Output = HttpResponse> + Send>>;

fn handler(files: Files, endpoint: Endpoint) -> impl Fn(HttpRequest) -> Answering + Send + Sync + 'static {
    move |request| {
        let files = files.clone();
        Box::pin(async move { endpoint.answer(&files, &request).await })
    }
}

async fn browse(files: &Files, request: &HttpRequest) -> Result<HttpResponse, FilesError> {
    let found = files.find(path(request)?)?;
    files
        .on_thread(move || {
            let infos = list::list(&found, Way::Kernel)?;
            json(&infos.iter().map(InfoJson::new).collect::<Vec<_>>())
        })
        .await
}

/// In the order of Mesos.
#[derive(Serialize)]
struct InfoJson<'a> {
    gid: &'a str,
    mode: String,
    /// Whole seconds, as a number with a point.
    mtime: f64,
    nlink: u64,
    path: &'a str,
    size: u64,
    uid: &'a str,
}

impl<'a> InfoJson<'a> {
    fn new(info: &'a FileInfo) -> Self {
        Self {
            gid: &info.gid,
            mode: info.mode_text(),
            mtime: info.mtime.div_euclid(1_000_000_000) as f64,
            nlink: info.nlink,
            path: &info.path,
            size: info.size,
            uid: &info.uid,
        }
    }
}

/// In the order of Mesos.
#[derive(Serialize)]
struct ReadJson {
    data: String,
    offset: u64,
}

async fn read(files: &Files, request: &HttpRequest) -> Result<HttpResponse, FilesError> {
    let path = path(request)?;
    // -1 is what the log viewer asks first: where is the end?
    let offset = number(request, "offset")?;
    let length = number(request, "length")?;
    let found = files.find(path)?;
    files
        .on_thread(move || {
            let piece = content::read(&found, Way::Kernel, offset, length)?;
            json(&ReadJson { data: text(&piece.data), offset: offset.unwrap_or(piece.size) })
        })
        .await
}

async fn download(files: &Files, request: &HttpRequest) -> Result<HttpResponse, FilesError> {
    let download = files.download(path(request)?).await?;
    let disposition = disposition(&download.name);
    let kind = content_type(&download.name);
    let size = download.size.to_string();
    let chunks = match request.method {
        Method::HEAD => mpsc::channel(1).1,
        _ => download.chunks(),
    };
    Ok(HttpResponse::stream(kind, chunks)
        .with_header("content-length", &size)
        .with_header("content-disposition", &disposition)
        // Who wrote the file does not get to say what a browser makes of it.
        .with_header("x-content-type-options", "nosniff"))
}

async fn debug(files: &Files) -> Result<HttpResponse, FilesError> {
    let of = files.clone();
    files.on_thread(move || json(&of.debug())).await
}

fn path(request: &HttpRequest) -> Result<&str, FilesError> {
    let path = request.query.get("path").filter(|path| !path.is_empty());
    path.map(String::as_str).ok_or_else(|| FilesError::Invalid("Expecting 'path=value' in query.".to_owned()))
}

/// A number of the query; `None` if it is -1 or not there.
fn number(request: &HttpRequest, name: &str) -> Result<Option<u64>, FilesError> {
    let Some(text) = request.query.get(name) else { return Ok(None) };
    let Ok(number) = text.parse::<i64>() else {
        let text: String = text.chars().take(200).collect();
        return Err(FilesError::Invalid(format!(
            "Failed to parse {name}: Failed to convert '{text}' to number."
        )));
    };
    match u64::try_from(number) {
        Ok(number) => Ok(Some(number)),
        Err(_) if number == -1 => Ok(None),
        Err(_) => {
            let refused = if name == "offset" { "Negative offset" } else { "Negative length" };
            Err(FilesError::Invalid(format!("{refused} provided: {number}.")))
        }
    }
}

/// `?jsonp=` is answered by the server itself.
fn json<T: Serialize>(value: &T) -> Result<HttpResponse, FilesError> {
    let failed = |error| FilesError::Failed(format!("The answer has no JSON form: {error}."));
    let json = serde_json::to_vec(value).map_err(failed)?;
    Ok(HttpResponse::new(StatusCode::OK, "application/json", json))
}

/// Bytes as text: what is not UTF-8 is replaced. A character whose end was not read is left to the next piece, if there is
/// anything before it: who goes on behind what he was given then gets all of it.
fn text(data: &[u8]) -> String {
    let whole = (1..=3.min(data.len())).find_map(|back| {
        let cut = data.len() - back;
        let broken = std::str::from_utf8(&data[cut..]).is_err_and(|error| error.error_len().is_none());
        (broken && cut > 0).then_some(cut)
    });
    String::from_utf8_lossy(&data[..whole.unwrap_or(data.len())]).into_owned()
}

/// The name to save a file as: as Mesos says it, but for names that a header can't hold so.
fn disposition(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$&+-.^_`|~@=:".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return format!("attachment; filename={name}");
    }
    let ascii: String = name
        .chars()
        .map(|c| if (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '"' | '\\') { c } else { '_' })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all");
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// By the ending of a file's name.
fn content_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "txt" | "text" | "conf" | "c" | "h" | "py" | "sh" => "text/plain",
        "htm" | "html" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "xml" => "text/xml",
        "js" => "application/javascript",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "tar" => "application/x-tar",
        "gz" | "tgz" => "application/gzip",
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_does_not_end_within_a_character() {
        let euro = "\u{20ac}".as_bytes();
        let smile = "\u{1f600}".as_bytes();
        for (data, expected) in [
            (b"".to_vec(), ""),
            (b"abc".to_vec(), "abc"),
            (euro.to_vec(), "\u{20ac}"),
            ([b"a", &euro[..1]].concat(), "a"),
            ([b"a", &euro[..2]].concat(), "a"),
            ([b"a", &smile[..3]].concat(), "a"),
            // Nothing is before it: something must be said, or the reader stays where he is.
            (euro[..2].to_vec(), "\u{fffd}"),
            // Begins within one, and ends within one.
            ([&euro[1..], b"a", &euro[..2]].concat(), "\u{fffd}\u{fffd}a"),
            // Not UTF-8 at all.
            (vec![b'a', 0xff, b'b'], "a\u{fffd}b"),
            (vec![b'a', 0x80], "a\u{fffd}"),
            (vec![0xff, 0xfe, 0xfd], "\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(text(&data), expected, "{data:?}");
        }
    }

    #[test]
    fn names_fit_into_a_header() {
        for (name, expected) in [
            ("stdout", "attachment; filename=stdout"),
            ("m.vm.root.log.INFO.2026-1.3", "attachment; filename=m.vm.root.log.INFO.2026-1.3"),
            ("a b", "attachment; filename=\"a b\"; filename*=UTF-8''a%20b"),
            ("a\"\r\nx: y", "attachment; filename=\"a___x: y\"; filename*=UTF-8''a%22%0D%0Ax%3A%20y"),
            ("\u{20ac};", "attachment; filename=\"_;\"; filename*=UTF-8''%E2%82%AC%3B"),
            ("", "attachment; filename=\"\"; filename*=UTF-8''"),
        ] {
            assert_eq!(disposition(name), expected);
            assert!(expected.chars().all(|c| (' '..='~').contains(&c)));
        }
    }

    #[test]
    fn types_go_by_the_ending() {
        for (name, expected) in [
            ("black.GIF", "image/gif"),
            ("a.tar.gz", "application/gzip"),
            ("stdout", "application/octet-stream"),
            ("gif", "application/octet-stream"),
            ("x.21063", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name), expected);
        }
    }
}

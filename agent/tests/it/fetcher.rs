//! The fetcher with its real process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use agent::fetcher::{FetchError, FetchRequest, Fetcher, FetcherSettings};
use libactor::Metrics;
use protocol::{FrameworkId, Uri};

const LONG: Duration = Duration::from_secs(60);

/// A small HTTP server: each path has an answer, as bytes; requests are counted.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

type Answer = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

impl Server {
    fn start(pages: Vec<(&'static str, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let pages: Arc<BTreeMap<&str, Answer>> = Arc::new(pages.into_iter().collect());
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, pages, log) = (stream.unwrap(), pages.clone(), log.clone());
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let first = lines.next().unwrap().unwrap();
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                    let path = first.split(' ').nth(1).unwrap().to_owned();
                    log.lock().unwrap().push(path.clone());
                    match pages.get(path.as_str()) {
                        Some(answer) => answer(&mut stream),
                        None => {
                            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap()
                        }
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn page(content: &'static [u8]) -> Answer {
    Arc::new(move |stream| {
        let head =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", content.len());
        // One that is cut off by its reader is no fault here.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(content));
    })
}

fn bytes(answer: &'static str) -> Answer {
    Arc::new(move |stream| drop(stream.write_all(answer.as_bytes())))
}

struct Place {
    directory: tempfile::TempDir,
    fetcher: Fetcher,
    metrics: Metrics,
}

impl Place {
    fn new(change: impl FnOnce(&mut FetcherSettings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("sandbox")).unwrap();
        let mut settings = FetcherSettings::new(vec![env!("CARGO_BIN_EXE_agent-fetch").into()]);
        change(&mut settings);
        let fetcher = Fetcher::new(settings, directory.path()).unwrap();
        let metrics = Metrics::default();
        fetcher.show(&metrics);
        Self { directory, fetcher, metrics }
    }

    fn sandbox(&self) -> PathBuf {
        self.directory.path().join("sandbox")
    }

    async fn fetch_as(&self, user: Option<&'static str>, uris: Vec<Uri>) -> Result<(), FetchError> {
        let (fetcher, sandbox) = (self.fetcher.clone(), self.sandbox());
        let fetch = tokio::spawn(async move {
            let framework_id = FrameworkId::from("F");
            fetcher
                .fetch(FetchRequest {
                    framework_id: &framework_id,
                    uris: &uris,
                    sandbox: &sandbox,
                    user,
                    disk_limit: None,
                })
                .await
        });
        tokio::time::timeout(LONG, fetch).await.unwrap().unwrap()
    }

    async fn fetch(&self, uri: Uri) -> Result<(), FetchError> {
        self.fetch_as(None, vec![uri]).await
    }

    async fn refused(&self, uri: Uri, why: &str) {
        let error = self.fetch(uri).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox().join(name)).unwrap()
    }

    fn shows(&self, name: &str) -> f64 {
        self.metrics.snapshot()[&format!("containerizer/fetcher/{name}")]
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_string_lossy().into_owned()
    }
}

fn uri(value: impl Into<String>) -> Uri {
    Uri { value: value.into(), executable: false, extract: true, cache: false, output_file: None }
}

fn cached(value: impl Into<String>) -> Uri {
    Uri { cache: true, ..uri(value) }
}

const SUM_OF_HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[tokio::test]
async fn files_of_the_machine_are_copied() {
    let place = Place::new(|_| {});
    let path = place.write("tool", "hello");
    let home = place.directory.path().to_owned();
    let relative = Place::new(|settings| settings.frameworks_home = Some(home));
    place.fetch(uri(format!("file://{path}"))).await.unwrap();
    let run = Uri { executable: true, output_file: Some("bin/run".into()), ..uri(&path) };
    place.fetch(run).await.unwrap();
    relative.fetch(uri("tool")).await.unwrap();
    assert_eq!(
        (place.read("tool"), place.read("bin/run"), relative.read("tool")),
        ("hello".into(), "hello".into(), "hello".into())
    );
    let mode = |name: &str| fs::metadata(place.sandbox().join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("tool"), mode("bin/run")), (0o644, 0o755));
    place.refused(uri("/nowhere/at/all"), "No such file").await;
    place.refused(Uri { output_file: Some("x".into()), ..uri("/dev/zero") }, "not a regular file").await;
    place.refused(Uri { output_file: Some("x".into()), ..uri("/tmp") }, "not a regular file").await;
    assert_eq!((place.shows("task_fetches_succeeded"), place.shows("task_fetches_failed")), (2.0, 3.0));
}

/// Servers may close a connection whenever they like, also with the next request under way.
#[tokio::test]
async fn a_redirection_is_followed_on_a_connection_of_its_own() {
    let once: Answer = Arc::new(|stream| {
        stream
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n")
            .and_then(|()| stream.read(&mut [0]).map(drop))
            .unwrap();
    });
    let server = Server::start(vec![("/once", once), ("/hello", page(b"hello"))]);
    let place = Place::new(|_| {});
    place.fetch(uri(server.uri("/once"))).await.unwrap();
    assert_eq!(place.read("once"), "hello");
}

#[tokio::test]
async fn http_is_fetched_and_what_is_wrong_is_said() {
    let server = Server::start(vec![
        ("/hello", page(b"hello")),
        ("/moved", bytes("HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n")),
        ("/round", bytes("HTTP/1.1 302 Found\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n")),
        ("/short", bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")),
        ("/file", bytes("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")),
    ]);
    let place = Place::new(|_| {});
    place.fetch(uri(server.uri("/hello?x=1"))).await.unwrap_err();
    place.fetch(uri(server.uri("/hello"))).await.unwrap();
    place.fetch(uri(server.uri("/moved"))).await.unwrap();
    assert_eq!((place.read("hello"), place.read("moved")), ("hello".into(), "hello".into()));
    place.refused(uri(server.uri("/missing")), "404").await;
    place.refused(uri(server.uri("/round")), "redirect").await;
    place.refused(uri(server.uri("/short")), "broke off").await;
    assert!(place.fetch(uri(server.uri("/file"))).await.is_err());
    place.refused(uri("http://127.0.0.1:1/x"), "refused").await;
    assert!(!place.sandbox().join("short").exists(), "half a file is of no use");
}

#[tokio::test]
async fn sums_are_compared() {
    let place = Place::new(|_| {});
    let path = place.write("tool", "hello");
    place.fetch(uri(format!("{path}#sha256={SUM_OF_HELLO}"))).await.unwrap();
    fs::remove_file(place.sandbox().join("tool")).unwrap();
    let other = "0".repeat(64);
    for wrong in [uri(format!("{path}#sha256={other}")), cached(format!("{path}#sha256={other}"))] {
        let error = place.fetch(wrong).await.unwrap_err().to_string();
        assert!(error.contains(&other) && error.contains(SUM_OF_HELLO), "{error}");
        assert!(!place.sandbox().join("tool").exists());
    }
    assert_eq!(place.shows("cache_size_used_bytes"), 0.0);
}

#[tokio::test]
async fn a_task_reads_what_its_user_may_read() {
    let place = Place::new(|_| {});
    if fs::metadata(place.sandbox()).unwrap().uid() != 0 {
        println!("SKIPPED: becoming another user needs root");
        return;
    }
    let (secret, open) = (place.write("secret", "root's"), place.write("open", "for all"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    for secret in [uri(&secret), cached(&secret)] {
        let error = place.fetch_as(Some("nobody"), vec![secret]).await.unwrap_err().to_string();
        assert!(error.contains("Permission denied"), "{error}");
    }
    place
        .fetch_as(Some("nobody"), vec![uri(&open), Uri { output_file: Some("d/e".into()), ..cached(&open) }])
        .await
        .unwrap();
    let nobody = fs::metadata(place.sandbox()).unwrap().uid();
    assert_ne!(nobody, 0);
    for name in ["open", "d", "d/e"] {
        assert_eq!(fs::metadata(place.sandbox().join(name)).unwrap().uid(), nobody, "{name}");
    }
    // What another user has put into the cache is not for this one.
    place.fetch(cached(&secret)).await.unwrap();
    assert!(place.fetch_as(Some("nobody"), vec![cached(&secret)]).await.is_err());
    let error = place.fetch_as(Some("no-such-user"), vec![uri(&open)]).await.unwrap_err().to_string();
    assert!(error.contains("no user 'no-such-user'"), "{error}");
}

#[tokio::test]
async fn one_download_serves_all_who_ask_for_it() {
    let (go, gate) = mpsc::sync_channel::<()>(1);
    let gate = Mutex::new(gate);
    let slow: Answer = Arc::new(move |stream| {
        gate.lock().unwrap().recv().unwrap();
        page(b"hello")(stream);
    });
    let server = Server::start(vec![("/slow", slow), ("/other", page(b"other"))]);
    let place = Arc::new(Place::new(|settings| settings.cache_bytes = 8));
    let asking: Vec<_> = (0..4)
        .map(|number| {
            let (place, value) = (place.clone(), server.uri("/slow"));
            let uri = Uri { output_file: Some(format!("out{number}")), ..cached(value) };
            tokio::spawn(async move { place.fetch(uri).await })
        })
        .collect();
    go.send(()).unwrap();
    for one in asking {
        one.await.unwrap().unwrap();
    }
    assert_eq!(server.asked(), 1);
    assert_eq!((place.read("out0"), place.read("out3")), ("hello".into(), "hello".into()));
    assert_eq!((place.shows("cache_size_used_bytes"), place.shows("cache_size_total_bytes")), (5.0, 8.0));
    // The other one takes its place.
    place.fetch(cached(server.uri("/other"))).await.unwrap();
    assert_eq!(place.shows("cache_size_used_bytes"), 5.0);
    assert_eq!(fs::read_dir(place.directory.path().join("fetch")).unwrap().count(), 1);
}

#[tokio::test]
async fn what_does_not_fit_the_cache_is_fetched_past_it() {
    let server =
        Server::start(vec![("/large", page(&[7; 1000])), ("/broken", bytes("HTTP/1.1 500 No\r\n\r\n"))]);
    let place = Place::new(|settings| settings.cache_bytes = 10);
    place.fetch(cached(server.uri("/large"))).await.unwrap();
    assert_eq!(fs::metadata(place.sandbox().join("large")).unwrap().len(), 1000);
    assert_eq!(place.shows("cache_size_used_bytes"), 0.0);
    place.refused(cached(server.uri("/broken")), "500").await;
    assert_eq!(fs::read_dir(place.directory.path().join("fetch")).unwrap().count(), 0);
    // What an earlier life has left is taken away, and nothing else.
    place.write("fetch/meseta-fetched-9", "old");
    place.write("fetch/another", "not ours");
    let settings = FetcherSettings::new(vec!["x".into()]);
    Fetcher::new(settings, place.directory.path()).unwrap();
    let left: Vec<_> = fs::read_dir(place.directory.path().join("fetch"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["another"]);
}

/// As who the agent is, without a limit.
fn request<'a>(framework_id: &'a FrameworkId, uris: &'a [Uri], sandbox: &'a Path) -> FetchRequest<'a> {
    FetchRequest { framework_id, uris, sandbox, user: None, disk_limit: None }
}

#[tokio::test]
async fn nothing_is_waited_for_without_end() {
    let (closed, end) = mpsc::sync_channel(8);
    let closed = Mutex::new(closed);
    let silent: Answer = Arc::new(move |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello").unwrap();
        // Ends when the other side does.
        let _ = stream.read(&mut [0]);
        let _ = closed.lock().unwrap().send(());
    });
    let server = Server::start(vec![("/silent", silent)]);
    let place = Place::new(|settings| settings.stall_timeout = Duration::from_secs(1));
    let error = place.fetch(uri(server.uri("/silent"))).await.unwrap_err().to_string();
    assert!(error.contains("timeout") || error.contains("nothing came"), "{error}");
    end.recv_timeout(LONG).unwrap();
    // A launch that is given up ends its process.
    let patient = Place::new(|_| {});
    let (uris, sandbox) = ([cached(server.uri("/silent"))], patient.sandbox());
    let framework_id = FrameworkId::from("F");
    let request = request(&framework_id, &uris, &sandbox);
    let before = server.asked();
    let fetch = patient.fetcher.fetch(request);
    tokio::select! {
        _ = fetch => panic!("it is silent"),
        () = async { while server.asked() == before { tokio::task::yield_now().await; } } => {}
    }
    end.recv_timeout(LONG).unwrap();
    assert_eq!(fs::read_dir(patient.directory.path().join("fetch")).unwrap().count(), 0);
}

#[tokio::test]
async fn archives_are_unpacked_within_what_may_be_used() {
    let place = Place::new(|settings| settings.max_bytes = 4 << 20);
    let archive = place.write("a.tar.xz", include_bytes!("../../src/fetcher/process/file.tar.xz"));
    place.fetch(cached(&archive)).await.unwrap();
    assert_eq!(place.read("file"), "content");
    assert!(!place.sandbox().join("a.tar.xz").exists(), "it is in the cache");
    place.fetch(uri(&archive)).await.unwrap();
    assert!(place.sandbox().join("a.tar.xz").exists(), "as Mesos does");
    // A name that would take more memory than the process may have ends the process, and not the agent.
    let bomb = place.directory.path().join("bomb.tar.gz");
    let script = "head -c 512 /dev/zero; head -c 700000000 /dev/zero";
    let header = long_name(700_000_000);
    fs::write(place.directory.path().join("header"), header).unwrap();
    let made = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("({script}) | (head -c 512 >/dev/null; cat \"$0\" -) | gzip -1 > \"$1\""))
        .arg(place.directory.path().join("header"))
        .arg(&bomb)
        .status()
        .unwrap();
    assert!(made.success());
    let roomy = Place::new(|_| {});
    let uris = [uri(bomb.to_string_lossy())];
    let error = roomy.fetch_as(None, uris.to_vec()).await.unwrap_err().to_string();
    assert!(error.contains("memory"), "{error}");
    let tight = Place::new(|settings| settings.max_bytes = 1 << 10);
    let error = tight.fetch(uri(bomb.to_string_lossy())).await.unwrap_err().to_string();
    assert!(error.contains("1024 bytes"), "{error}");
}

/// The head of a GNU long name of so many bytes.
fn long_name(bytes: u64) -> Vec<u8> {
    let mut head = vec![0u8; 512];
    head[..13].copy_from_slice(b"././@LongLink");
    head[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
    head[156] = b'L';
    head[257..265].copy_from_slice(b"ustar  \0");
    head[148..156].copy_from_slice(b"        ");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    head
}

#[tokio::test]
async fn uris_share_what_one_container_may_use() {
    let place = Place::new(|_| {});
    let path = place.write("half", vec![0; 600]);
    let uris = [uri(&path), Uri { output_file: Some("second".into()), ..uri(&path) }];
    let sandbox = place.sandbox();
    let framework_id = FrameworkId::from("F");
    let request = FetchRequest { disk_limit: Some(1000), ..request(&framework_id, &uris, &sandbox) };
    let error = place.fetcher.fetch(request).await.unwrap_err().to_string();
    assert!(error.contains("half'") && error.contains("400 bytes"), "{error}");
    assert!(Path::new(&path).exists() && sandbox.join("half").exists() && !sandbox.join("second").exists());
}

/// One answer over TLS, to whoever trusts the certificate; the text of that.
fn serve_tls() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // One that does not trust this ends in the middle.
            let _ = stream.read(&mut [0; 4096]).and_then(|_| {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")?;
                stream.conn.send_close_notify();
                stream.flush()
            });
        }
    });
    (address, made.cert.pem())
}

/// A place whose fetcher's process has one more variable.
fn place_with(name: &str, value: &str) -> Place {
    let variable = format!("{name}={value}");
    Place::new(|settings| {
        let own = settings.program[0].clone();
        settings.program = vec!["env".into(), variable.into(), own];
    })
}

#[tokio::test]
async fn servers_are_known_by_their_certificates() {
    let (address, certificate) = serve_tls();
    let directory = tempfile::tempdir().unwrap();
    let trusted = directory.path().join("trusted.pem");
    fs::write(&trusted, certificate).unwrap();
    let value = format!("https://localhost:{}/hello", address.port());
    let place = place_with("SSL_CERT_FILE", trusted.to_str().unwrap());
    place.fetch(uri(&value)).await.unwrap();
    assert_eq!(place.read("hello"), "hello");
    Place::new(|_| {}).refused(uri(&value), "certificate").await;
}

#[tokio::test]
async fn a_proxy_is_asked_where_there_is_one() {
    let tunnel: Answer = Arc::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        assert!(head[0].starts_with("GET /hello "), "{head:?}");
        page(b"hello")(stream);
    });
    let server = Server::start(vec![("nowhere.invalid:80", tunnel)]);
    let place = place_with("ALL_PROXY", &format!("http://{}", server.address));
    place.fetch(uri("http://nowhere.invalid/hello")).await.unwrap();
    assert_eq!((place.read("hello"), server.asked()), ("hello".into(), 1));
}

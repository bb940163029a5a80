//! Files over HTTP, on a node's own port.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use libactor::files::{self, Files};
use libactor::{Edge, Machine, Me, Node, Pid, Time, shell};
use nix::sys::stat::Mode;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{local, node};

const SECRET: &str = "what nobody may see";

/// Decides nothing.
struct Quiet;

impl Machine for Quiet {
    type Input = ();
    type Output = ();

    fn handle(&mut self, _: Time, (): (), _: &mut Vec<()>) {}

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _: Time, _: &mut Vec<()>) {}
}

impl Edge<Quiet> for Quiet {
    fn carry_out(&mut self, (): (), _: &Me) {}

    fn exited(&mut self, _: Pid) -> Option<()> {
        None
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("there is a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase() + "\r\n", body: bytes[end + 4..].to_vec() }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    fn is(&self, status: u16, kind: &str, body: &str) {
        assert_eq!((self.status, self.text()), (status, body));
        for line in [format!("content-type: {kind}\r\n"), format!("content-length: {}\r\n", body.len())] {
            assert!(self.head.contains(&line), "{}", self.head);
        }
    }
}

/// A node whose delegate serves files: a root at `/r`, and a secret beside it.
struct Served {
    node: Node,
    files: Files,
    directory: TempDir,
}

async fn served() -> Served {
    let node = node().await;
    let files = Files::new();
    shell::spawn(&node, "slave(1)", Quiet, Quiet, |install| files::install(&files, install)).unwrap();
    node.set_delegate("slave(1)");
    let directory = tempfile::tempdir().unwrap();
    let served = Served { node, files, directory };
    fs::create_dir_all(served.root().join("d")).unwrap();
    fs::write(served.root().join("f"), "0123456789").unwrap();
    fs::create_dir(served.outside("o")).unwrap();
    fs::write(served.outside("o/secret"), SECRET).unwrap();
    served.files.attach("/r", served.root()).unwrap();
    served
}

impl Served {
    fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn root(&self) -> PathBuf {
        self.outside("root")
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        let mut stream = TcpStream::connect(self.node.address()).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::read(&bytes)
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    /// No endpoint gives it away, whatever it answers.
    async fn refused(&self, path: &str) {
        for endpoint in ["browse", "read", "download", "read.json"] {
            for prefix in ["", "/slave(1)"] {
                let asked = format!("{prefix}/files/{endpoint}?path={path}&offset=0");
                let answer = self.get(&asked).await;
                let text = String::from_utf8_lossy(&answer.body);
                assert!(matches!(answer.status, 403 | 404), "{asked}: {} {text}", answer.status);
                assert!(!text.contains(SECRET) && !text.contains("root:"), "{asked}: {text}");
                if answer.status == 404 {
                    assert_eq!(text, "", "{asked}");
                }
            }
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

#[tokio::test]
async fn answers_are_those_of_mesos() {
    local(async {
        let served = served().await;
        for (asked, status, kind, body) in [
            ("/files/browse", 400, TEXT, "Expecting 'path=value' in query.\n"),
            ("/files/download", 400, TEXT, "Expecting 'path=value' in query.\n"),
            ("/files/read", 400, TEXT, "Expecting 'path=value' in query.\n"),
            ("/files/read?path=", 400, TEXT, "Expecting 'path=value' in query.\n"),
            ("/files/browse?path=/nosuch", 404, TEXT, ""),
            ("/files/read?path=/nosuch&offset=-1", 404, TEXT, ""),
            ("/files/download?path=/r/nosuch", 404, TEXT, ""),
            (
                "/files/read?path=/nosuch&offset=abc",
                400,
                TEXT,
                "Failed to parse offset: Failed to convert 'abc' to number.\n",
            ),
            (
                "/files/read?path=/r/f&length=",
                400,
                TEXT,
                "Failed to parse length: Failed to convert '' to number.\n",
            ),
            ("/files/read?path=/r/f&offset=-5", 400, TEXT, "Negative offset provided: -5.\n"),
            ("/files/read?path=/r/f&length=-2", 400, TEXT, "Negative length provided: -2.\n"),
            ("/files/read?path=/r&offset=0", 400, TEXT, "Cannot read a directory.\n"),
            ("/files/download?path=/r", 400, TEXT, "Cannot download a directory.\n"),
            ("/files/browse?path=/r/f", 200, JSON, "[]"),
            ("/files/read?path=/r/f", 200, JSON, r#"{"data":"","offset":10}"#),
            ("/files/read?path=/r/f&offset=-1", 200, JSON, r#"{"data":"","offset":10}"#),
            ("/files/read?path=/r/f&offset=-1&length=-1", 200, JSON, r#"{"data":"","offset":10}"#),
            ("/files/read?path=/r/f&offset=99999999", 200, JSON, r#"{"data":"","offset":99999999}"#),
            ("/files/read?path=/r/f&offset=2&length=3", 200, JSON, r#"{"data":"234","offset":2}"#),
            ("/files/read?path=/r/f&offset=5&length=-1", 200, JSON, r#"{"data":"56789","offset":5}"#),
            ("/files/read?path=%2Fr%2Ff&offset=9", 200, JSON, r#"{"data":"9","offset":9}"#),
        ] {
            println!("{asked}");
            served.get(asked).await.is(status, kind, body);
            served.get(&format!("/slave(1){asked}")).await.is(status, kind, body);
            served.get(&asked.replacen('?', ".json?", 1)).await.is(status, kind, body);
            served.ask("POST", asked).await.is(status, kind, body);
        }
        let asked = "/files/read?path=/r/f&offset=9&jsonp=jQuery1_2";
        served.get(asked).await.is(200, "text/javascript", r#"jQuery1_2({"data":"9","offset":9})"#);
        assert_eq!(served.get("/files/browse?path=/r&jsonp=alert(1)//").await.status, 400);
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn lists_have_the_fields_of_mesos() {
    local(async {
        let served = served().await;
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_409_332_828, 999_999_999);
        for name in ["d", "f"] {
            fs::File::open(served.root().join(name)).unwrap().set_modified(time).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o750);
            fs::set_permissions(served.root().join(name), mode).unwrap();
        }
        let answer = served.get("/slave(1)/files/browse?path=/r/").await;
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
        let group = nix::unistd::Group::from_gid(nix::unistd::getgid()).unwrap().unwrap().name;
        let size = fs::metadata(served.root().join("d")).unwrap().len();
        let nlink = std::os::unix::fs::MetadataExt::nlink(&fs::metadata(served.root().join("d")).unwrap());
        let entry = |mode: &str, nlink: u64, path: &str, size: u64| {
            format!(
                r#"{{"gid":"{group}","mode":"{mode}","mtime":1409332828.0,"nlink":{nlink},"path":"{path}","size":{size},"uid":"{user}"}}"#
            )
        };
        let expected =
            format!("[{},{}]", entry("drwxr-x---", nlink, "/r/d", size), entry("-rwxr-x---", 1, "/r/f", 10));
        answer.is(200, JSON, &expected);
        let root = served.root();
        served.get("/files/debug").await.is(200, JSON, &format!(r#"{{"/r":"{}"}}"#, root.display()));
        served.files.detach("/r");
        served.get("/files/debug.json").await.is(200, JSON, "{}");
        served.get("/files/browse?path=/r").await.is(404, TEXT, "");
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn no_dots_lead_out() {
    local(async {
        let served = served().await;
        for path in [
            "/r/../o/secret",
            "/r/%2e%2e/o/secret",
            "/r/%2E%2E/o/secret",
            "/r/..%2fo%2fsecret",
            "/r%2f%2e%2e%2fo%2fsecret",
            "/r/%252e%252e/o/secret",
            "/r/..%5co%5csecret",
            "/r/..",
            "/r/d/../../o/secret",
            "../../../../../../../../etc/passwd",
            "/..%2f..%2fetc%2fpasswd",
            "/r/..;/o/secret",
            "/r/%2e%2e%00/o/secret",
            "/r/f%00",
        ] {
            served.refused(path).await;
        }
        // Nor do those of the path itself.
        for path in [
            "/files/../etc/passwd",
            "/files/download/%2e%2e/%2e%2e/etc/passwd",
            "/files/read/..%2f..?path=/r/f",
        ] {
            assert_eq!(served.get(path).await.status, 404, "{path}");
        }
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn no_absolute_path_leads_out() {
    local(async {
        let served = served().await;
        let secret = served.outside("o/secret");
        for path in ["/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "/r//etc/passwd", "file:///etc/passwd"]
        {
            served.refused(path).await;
        }
        served.refused(secret.to_str().unwrap()).await;
        served.refused(&format!("/r{}", secret.display())).await;
        // Not even the real path of what is attached.
        served.refused(&format!("{}/f", served.root().display())).await;
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn no_link_leads_out() {
    local(async {
        let served = served().await;
        let root = served.root();
        symlink("/etc/passwd", root.join("passwd")).unwrap();
        symlink("../o/secret", root.join("relative")).unwrap();
        symlink(served.outside("o"), root.join("directory")).unwrap();
        symlink("/", root.join("top")).unwrap();
        symlink("/proc/self/environ", root.join("environ")).unwrap();
        symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
        for name in
            ["passwd", "relative", "directory", "directory/secret", "top/etc/passwd", "environ", "magic"]
        {
            served.refused(&format!("/r/{name}")).await;
        }
        let list = served.get("/files/browse?path=/r").await;
        let list: Vec<serde_json::Value> = serde_json::from_slice(&list.body).unwrap();
        let passwd = list.iter().find(|info| info["path"] == "/r/passwd").unwrap();
        assert_eq!((&passwd["mode"], &passwd["size"]), (&"lrwxrwxrwx".into(), &11.into()));
        // One that stays is followed.
        symlink(root.join("f"), root.join("d/stays")).unwrap();
        served.get("/files/read?path=/r/d/stays&offset=8").await.is(200, JSON, r#"{"data":"89","offset":8}"#);
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn magic_links_of_proc_lead_nowhere() {
    local(async {
        let served = served().await;
        served.files.attach("/proc", "/proc/self").unwrap();
        let _open = fs::File::open(served.outside("o/secret")).unwrap();
        for name in ["root/etc/passwd", "cwd/Cargo.toml", "exe"] {
            served.refused(&format!("/proc/{name}")).await;
        }
        let list = served.get("/files/browse?path=/proc/fd").await;
        let list: Vec<serde_json::Value> = serde_json::from_slice(&list.body).unwrap();
        assert!(list.len() > 3);
        for info in list {
            served.refused(info["path"].as_str().unwrap()).await;
        }
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_fifo_holds_nobody_up() {
    local(async {
        let served = served().await;
        nix::unistd::mkfifo(&served.root().join("fifo"), Mode::S_IRWXU).unwrap();
        let text = "'/r/fifo' is neither a regular file nor a directory.\n";
        // More often than there are threads.
        for _ in 0..files::limits::THREADS {
            served.get("/files/read?path=/r/fifo&offset=0").await.is(403, TEXT, text);
            served.get("/files/download?path=/r/fifo").await.is(403, TEXT, text);
        }
        served.files.attach("/zero", "/dev/zero").unwrap();
        assert_eq!(served.get("/files/download?path=/zero").await.status, 403);
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_still_text() {
    local(async {
        let served = served().await;
        fs::write(served.root().join("bytes"), b"a\xff\x00\"\xe2\x82\xac").unwrap();
        let read = |offset: usize, length: usize| {
            format!("/files/read?path=/r/bytes&offset={offset}&length={length}")
        };
        for (offset, length, data) in [
            (0, 7, "a\u{fffd}\\u0000\\\"\u{20ac}"),
            (0, 6, "a\u{fffd}\\u0000\\\""),
            (4, 3, "\u{20ac}"),
            (4, 2, "\u{fffd}"),
            (5, 2, "\u{fffd}\u{fffd}"),
        ] {
            let body = format!("{{\"data\":\"{data}\",\"offset\":{offset}}}");
            served.get(&read(offset, length)).await.is(200, JSON, &body);
        }
        let answer = served.get("/files/download?path=/r/bytes").await;
        assert_eq!(answer.body, b"a\xff\x00\"\xe2\x82\xac");
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn big_files_are_downloaded_whole() {
    local(async {
        let served = served().await;
        let data: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
        fs::write(served.root().join("big.tar"), &data).unwrap();
        let answer = served.get("/files/download?path=/r/big.tar").await;
        assert_eq!(answer.status, 200);
        for line in [
            "content-length: 5000000\r\n",
            "content-type: application/x-tar\r\n",
            "content-disposition: attachment; filename=big.tar\r\n",
        ] {
            assert!(answer.head.contains(line), "{}", answer.head);
        }
        assert!(!answer.head.contains("transfer-encoding"), "{}", answer.head);
        assert!(answer.body == data);
        // Only asked for, it is not sent; nor is one that is too big to be.
        fs::File::create(served.root().join("huge")).unwrap().set_len(1 << 40).unwrap();
        let answer = served.ask("HEAD", "/files/download?path=/r/huge").await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert!(answer.head.contains("content-length: 1099511627776\r\n"), "{}", answer.head);
        fs::write(served.root().join("empty"), "").unwrap();
        served.get("/files/download?path=/r/empty").await.is(200, "application/octet-stream", "");
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn who_downloads_what_becomes_shorter_is_told_by_the_end() {
    local(async {
        let served = served().await;
        let path = served.root().join("shrinks");
        let size = 64 << 20;
        fs::File::create(&path).unwrap().set_len(size).unwrap();
        // The connection would go on, if the answer were whole.
        let mut stream = TcpStream::connect(served.node.address()).await.unwrap();
        let head = b"GET /files/download?path=/r/shrinks HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut bytes = vec![0; 1000];
        stream.read_exact(&mut bytes).await.unwrap();
        // Much of it waits for this client: neither the file nor its removal does.
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size / 2).unwrap();
        fs::remove_file(&path).unwrap();
        stream.read_to_end(&mut bytes).await.ok();
        let answer = Answer::read(&bytes);
        assert!(answer.head.contains(&format!("content-length: {size}\r\n")), "{}", answer.head);
        assert_eq!(answer.body.len() as u64, size / 2);
        served.node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_log_is_followed_as_it_grows() {
    local(async {
        let served = served().await;
        let path = served.root().join("log");
        let mut log = fs::File::create(&path).unwrap();
        let mut seen = String::new();
        for line in ["one\n", "two \u{20ac}\n", "three\n"] {
            log.write_all(line.as_bytes()).unwrap();
            let asked = format!("/slave(1)/files/read?path=/r/log&offset={}&length=50000", seen.len());
            let answer: serde_json::Value = serde_json::from_slice(&served.get(&asked).await.body).unwrap();
            assert_eq!(answer["offset"], seen.len());
            seen += answer["data"].as_str().unwrap();
        }
        assert_eq!(seen, "one\ntwo \u{20ac}\nthree\n");
        served.node.shutdown().await;
    })
    .await;
}

//! Finds the master that leads, whichever of them is asked.

use std::time::Duration;

use libactor::{Clock, Time};

use super::super::Failure;
use super::http::{self, Question, Reply};

/// A master that is well answers within this; a change waits for the disks of a majority.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before all are asked again while none leads.
const PAUSE: Duration = Duration::from_millis(500);
/// From one master to the next, before somebody else is asked.
const MOST_REDIRECTS: usize = 4;

/// The masters, as far as they are known.
#[derive(Debug)]
pub struct Masters {
    clock: Clock,
    /// As given.
    addresses: Vec<String>,
    /// The one that answered last.
    leader: Option<String>,
    /// How long to look for one that leads.
    limit: Duration,
}

impl Masters {
    /// Those at these addresses, `host:port`, and whom they send on to.
    pub fn new(addresses: Vec<String>, limit: Duration) -> Self {
        Self { clock: Clock::real(), addresses, leader: None, limit }
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Waits before the next look.
    pub async fn pause(&self) {
        self.clock.sleep(PAUSE).await;
    }

    /// Asks the one that leads. A question whose answer is lost is asked again: it must make no difference.
    ///
    /// # Errors
    /// None leads within the limit, or none answers.
    pub async fn ask(&mut self, question: &Question) -> Result<Reply, Failure> {
        let end = self.clock.now() + self.limit;
        loop {
            let mut why = Vec::new();
            let known = self.leader.take().into_iter().chain(self.addresses.clone());
            for address in known.collect::<Vec<_>>() {
                match self.ask_from(address, question).await {
                    Ok(reply) => return Ok(reply),
                    Err(silence) if !why.contains(&silence) => why.push(silence),
                    Err(_) => {}
                }
            }
            if self.clock.now() >= end {
                let why = why.join("; ");
                return Err(format!(
                    "no master answers that leads ({why}); start it, or name another with --master"
                )
                .into());
            }
            self.pause().await;
        }
    }

    /// Asks one, and whom it sends on to; or says why there is no answer of one that leads.
    async fn ask_from(&mut self, mut address: String, question: &Question) -> Result<Reply, String> {
        for _ in 0..MOST_REDIRECTS {
            let asked = http::ask(&address, question, PATIENCE).await;
            let reply = asked.map_err(|silence| format!("{address}: {silence}"))?;
            match (reply.status, reply.elsewhere) {
                (307, Some(elsewhere)) => address = elsewhere,
                (503, _) => return Err(format!("{address}: {}", reply.body)),
                (_, elsewhere) => {
                    self.leader = Some(address);
                    return Ok(Reply { elsewhere, ..reply });
                }
            }
        }
        Err(format!("{address}: sends on and on"))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// Answers each question with the next of these, the last for ever.
    async fn master(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        spawn_local(async move {
            let mut answers = answers.into_iter().peekable();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                assert!(stream.read(&mut head).await.unwrap() > 0);
                let answer = answers.peek().cloned().unwrap();
                if answers.len() > 1 {
                    answers.next();
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn elsewhere(address: &str) -> String {
        format!("HTTP/1.1 307 x\r\nLocation: //{address}/state-summary\r\nContent-Length: 0\r\n\r\n")
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn the_leader_is_found_whoever_is_asked() {
        run(async {
            let leader =
                master(vec![answer("503 x", "Master has not finished recovery"), answer("200 OK", "here")])
                    .await;
            let follower = master(vec![elsewhere(&leader)]).await;
            // Nobody is at the first address any more.
            let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
            let mut masters = Masters::new(vec![nobody, follower], Duration::from_secs(60));
            let reply = masters.ask(&Question::Get("/state-summary")).await.unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (200, "here"));
            assert_eq!(masters.leader, Some(leader));
        });
    }

    #[test]
    fn it_is_said_why_none_answers() {
        run(async {
            let leaderless = master(vec![answer("503 x", "No leader elected")]).await;
            let garbled = master(vec!["SSH-2.0\r\n".to_owned()]).await;
            let addresses = vec![leaderless.clone(), garbled.clone()];
            let mut masters = Masters::new(addresses, Duration::ZERO);
            let said = masters.ask(&Question::Get("/state-summary")).await.unwrap_err().to_string();
            let expected = format!(
                "({leaderless}: No leader elected; {garbled}: it does not speak HTTP: is that a master?)"
            );
            assert!(said.contains(&expected), "{said}");
            // Two that think that the other one leads.
            let around = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
            let one = master(vec![elsewhere(&around)]).await;
            let mut masters = Masters::new(vec![one], Duration::ZERO);
            assert!(masters.ask(&Question::Get("/state-summary")).await.is_err());
        });
    }
}

//! Masters as processes of this program.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Some masters of one group on this machine; ended with this value.
pub(super) struct Masters {
    program: PathBuf,
    directory: PathBuf,
    pub(super) addresses: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
}

impl Masters {
    pub(super) fn start(directory: &Path, count: usize) -> Result<Self, Box<dyn Error>> {
        // Bound together, so that no two get the same; free again before the masters take them.
        let listeners =
            (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        drop(listeners);
        let program = std::env::current_exe()?;
        let children = (0..count).map(|_| None).collect();
        let mut masters = Self { program, directory: directory.to_owned(), addresses, children };
        for index in 0..count {
            masters.begin(index)?;
        }
        Ok(masters)
    }

    /// Starts one, for the first time or again.
    pub(super) fn begin(&mut self, index: usize) -> Result<(), Box<dyn Error>> {
        let peers: Vec<String> =
            (1..).zip(&self.addresses).map(|(id, address)| format!("{id}={address}")).collect();
        let id = index + 1;
        let child = Command::new(&self.program)
            .args(["master", "--ip=127.0.0.1", "--logging_level=ERROR"])
            .arg(format!("--port={}", self.addresses[index].port()))
            .arg(format!("--id={id}"))
            .arg(format!("--peers={}", peers.join(",")))
            .arg(format!("--work_dir={}", self.directory.join(format!("master-{id}")).display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        self.children[index] = Some(child);
        Ok(())
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, index: usize) -> Result<(), Box<dyn Error>> {
        if let Some(mut child) = self.children[index].take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// As drivers take them.
    pub(super) fn list(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Drop for Masters {
    fn drop(&mut self) {
        for index in 0..self.children.len() {
            if let Err(error) = self.kill(index) {
                tracing::warn!(%error, "a master of the benchmark goes on");
            }
        }
    }
}

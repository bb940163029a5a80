//! The listening socket: who connects, and what it speaks.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::frame::DIAL_MAGIC;
use super::inbound;
use crate::Node;
use crate::complaint::Complaint;
use crate::http::{HttpServer, Sniffed};
use crate::limits::{FIRST_BYTE_TIMEOUT, MAX_HANDSHAKES};

/// Accepts for as long as the node is there. What speaks HTTP goes to `http`.
pub(crate) async fn accept(node: Node, listener: TcpListener, http: Arc<HttpServer>) {
    let undecided = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                node.complain(Complaint::AcceptFailed, &error);
                // Out of file descriptors, as a rule: some may come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let slot = node.connection_slots().clone().try_acquire_owned();
        let deciding = undecided.clone().try_acquire_owned();
        let (Ok(slot), Ok(deciding)) = (slot, deciding) else {
            node.complain(Complaint::TooManyConnections, &address);
            continue;
        };
        // An error means that the connection is gone, which its first read will find.
        let _ = stream.set_nodelay(true);
        node.spawn_task(sniff(node.clone(), Sniffed { stream, address, slot }, deciding, http.clone()));
    }
}

/// Looks at the first byte and hands the connection on.
async fn sniff(node: Node, sniffed: Sniffed, deciding: OwnedSemaphorePermit, http: Arc<HttpServer>) {
    match timeout(FIRST_BYTE_TIMEOUT, first_byte(&sniffed.stream)).await {
        Ok(Some(first)) if first == DIAL_MAGIC[0] => {
            let Sniffed { stream, address, slot } = sniffed;
            inbound::serve(node, stream, address, deciding).await;
            drop(slot);
        }
        // A method of HTTP, or what is meant as one and gets an answer that says so.
        Ok(Some(first)) if first.is_ascii_alphabetic() => {
            drop(deciding);
            http.serve(sniffed).await;
        }
        Ok(Some(_)) => node.complain(Complaint::BadPreface, &sniffed.address),
        Ok(None) => {}
        Err(_) => node.complain(Complaint::HandshakeTimeout, &sniffed.address),
    }
}

async fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0u8; 1];
    match stream.peek(&mut first).await {
        Ok(1) => Some(first[0]),
        _ => None,
    }
}

//! HTTP.

use std::io::{self, Read};
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::ProcessError;

/// The variable that names a file of certificates to trust. Source: OpenSSL.
pub(in crate::fetcher) const TRUSTED: &str = "SSL_CERT_FILE";
/// Where systems keep what they trust; where none is there, Mozilla's list is taken that the crate brings.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// Most redirections. Source: curl's users.
const MAX_REDIRECTS: u32 = 10;

/// Asks for it; what comes is its body.
pub(super) fn open(url: &str, stall_timeout: Duration) -> Result<Box<dyn Read>, ProcessError> {
    let said = |error: ureq::Error| ProcessError::Http(error.to_string());
    let config = ureq::Agent::config_builder()
        .max_redirects(MAX_REDIRECTS)
        // One that is used again for a redirection may be closed by then.
        .max_idle_connections(0)
        .user_agent(concat!("meseta/", env!("CARGO_PKG_VERSION")))
        .proxy(ureq::Proxy::try_from_env())
        .timeout_resolve(Some(stall_timeout))
        .timeout_connect(Some(stall_timeout))
        .timeout_recv_response(Some(stall_timeout))
        .timeout_per_read(Some(stall_timeout));
    // Reading certificates takes a moment; a redirection may lead to where they are needed.
    let config = config.tls_config(TlsConfig::builder().root_certs(trusted()?).build());
    let response = ureq::Agent::new_with_config(config.build()).get(url).call().map_err(said)?;
    let expected = response.body().content_length();
    Ok(Box::new(Whole { body: response.into_body().into_reader(), expected, read: 0 }))
}

fn trusted() -> Result<RootCerts, ProcessError> {
    let named = std::env::var(TRUSTED).ok();
    let text = match &named {
        Some(path) => {
            std::fs::read(path).map_err(|source| ProcessError::Read { path: path.into(), source })?
        }
        None => match SYSTEM.iter().find_map(|path| std::fs::read(path).ok()) {
            Some(text) => text,
            None => return Ok(RootCerts::WebPki),
        },
    };
    let certificates: Vec<Certificate<'static>> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    Ok(RootCerts::from(certificates))
}

/// A body that is not whole is an error, however the connection has ended.
struct Whole<R> {
    body: R,
    expected: Option<u64>,
    read: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(into)?;
        self.read += count as u64;
        match self.expected {
            Some(expected) if count == 0 && !into.is_empty() && self.read < expected => {
                let sentence = format!("{} of {expected} bytes came", self.read);
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, sentence))
            }
            _ => Ok(count),
        }
    }
}

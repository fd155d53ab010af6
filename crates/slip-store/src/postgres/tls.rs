//! TLS towards Postgres, by the library the rest of the house uses. A certificate is always verified: by the authority the address
//! names, or by those of the system.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

#[derive(Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    pub fn new(authority: Option<&Path>) -> Result<Tls, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = || {
            let builder = ClientConfig::builder_with_provider(provider.clone());
            builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())
        };
        let roots = match authority {
            Some(path) => from_file(path)?,
            None => {
                if let Ok(config) = builder()?.with_platform_verifier() {
                    return Ok(Tls(Arc::new(config.with_no_client_auth())));
                }
                // An empty image has no roots of its own.
                RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
            }
        };
        Ok(Tls(Arc::new(builder()?.with_root_certificates(roots).with_no_client_auth())))
    }
}

fn from_file(path: &Path) -> Result<RootCertStore, String> {
    let bad = |why: String| format!("sslrootcert: {}: {why}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))? {
        let certificate = certificate.map_err(|e| bad(e.to_string()))?;
        roots.add(certificate).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() { Err(bad("holds no certificate".to_owned())) } else { Ok(roots) }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Wrapped;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        // Asked of every connection, also of those that will not speak TLS: a socket of this machine has no name.
        Ok(Handshake {
            connector: TlsConnector::from(self.0.clone()),
            host: ServerName::try_from(host.to_owned()).ok(),
        })
    }
}

pub(super) struct Handshake {
    connector: TlsConnector,
    host: Option<ServerName<'static>>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Wrapped;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Wrapped>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let unnamed = || io::Error::new(io::ErrorKind::InvalidInput, "its host is not a name TLS can verify");
            let host = self.host.ok_or_else(unnamed)?;
            Ok(Wrapped(Box::new(self.connector.connect(host, stream).await?)))
        })
    }
}

/// A connection inside TLS.
pub(super) struct Wrapped(Box<tokio_rustls::client::TlsStream<Socket>>);

impl TlsStream for Wrapped {
    /// Binding the password's proof to the certificate guards against a certificate nobody should have accepted; ours are verified.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

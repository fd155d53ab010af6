//! TLS towards providers. Certificates are always verified; there is no switch to turn that off.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();

pub async fn wrap(host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let config = CONFIG.get_or_init(build).clone()?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "its host is not a name TLS can verify".to_owned())?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|e| {
        // rustls says what is wrong with a certificate; it does not quote our request.
        format!("TLS: {e}")
    })
}

/// The operating system's roots, so that a company's own authority works; the Mozilla list where there are none (an empty image).
fn build() -> Result<Arc<ClientConfig>, String> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = |p| ClientConfig::builder_with_provider(p).with_safe_default_protocol_versions();
    let platform = versions(provider.clone()).and_then(|b| b.with_platform_verifier().map(|b| b.with_no_client_auth()));
    let mut config = match platform {
        Ok(config) => config,
        Err(_) => {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            versions(provider).map_err(|e| e.to_string())?.with_root_certificates(roots).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

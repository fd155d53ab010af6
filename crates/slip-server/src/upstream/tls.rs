//! TLS towards providers. Certificates are always verified; there is no switch to turn that off.

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();

pub async fn wrap(host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let config = CONFIG.get_or_init(build).clone()?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "its host is not a name TLS can verify".to_owned())?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|e| {
        match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(wrong)) => refused(host, wrong),
            // rustls does not quote our request.
            _ => format!("TLS: {e}"),
        }
    })
}

/// What is wrong with the certificate of a host, and what whoever runs this gateway can do about it.
fn refused(host: &str, wrong: &CertificateError) -> String {
    use CertificateError::*;
    let (why, remedy) = match wrong {
        Expired | ExpiredContext { .. } => {
            ("it has expired", "whoever runs that host must renew it, unless the clock of this machine is wrong")
        }
        NotValidYet | NotValidYetContext { .. } => ("it is not valid yet", "is the clock of this machine right?"),
        NotValidForName | NotValidForNameContext { .. } => {
            ("it is for another name", "base_url must name the host as the certificate does")
        }
        Revoked => ("it was revoked", "whoever runs that host must replace it"),
        UnknownIssuer => (
            "nobody known here has signed it",
            "if it is right, add its authority to those of the operating system, or start the gateway with SSL_CERT_FILE naming a file \
             of authorities that has it",
        ),
        _ => return format!("the certificate of {host} was not accepted: {wrong}"),
    };
    format!("the certificate of {host} was not accepted: {why} ({remedy})")
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

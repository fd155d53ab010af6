//! Upstreams whose certificate is wrong: their fault and nobody else's, told with the host's name and what can be done.

use super::ask;
use super::sim;
use crate::harness::{Gateway, provider, scratch, with};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use slip_ir::Dialect;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A host that shows this certificate and has one answer for everybody.
struct Host {
    address: SocketAddr,
    /// Connections, and requests that came through one.
    called: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
}

impl Host {
    async fn show(chain: ServerConfig) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (called, served) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (called.clone(), served.clone());
        let acceptor = TlsAcceptor::from(Arc::new(chain));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counts.0.fetch_add(1, Ordering::SeqCst);
                let (acceptor, served) = (acceptor.clone(), counts.1.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = vec![0; 16 * 1024];
                    if stream.read(&mut request).await.is_ok_and(|n| n > 0) {
                        served.fetch_add(1, Ordering::SeqCst);
                        let body = json!({
                            "id": "x", "object": "chat.completion", "created": 1, "model": "one",
                            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
                            "usage": { "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 },
                        })
                        .to_string();
                        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                        let _ = stream.write_all(answer.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Host { address, called, served }
    }

    fn base_url(&self) -> String {
        format!("https://{}/v1", self.address)
    }

    fn counts(&self) -> (u64, u64) {
        (self.called.load(Ordering::SeqCst), self.served.load(Ordering::SeqCst))
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).expect("a name")
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params("authority.example");
    params.distinguished_name.push(DnType::CommonName, "an authority of one's own");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// What a host shows: signed by the authority, or by itself.
fn shown(params: &CertificateParams, authority: Option<&CertifiedIssuer<'static, KeyPair>>) -> ServerConfig {
    let key = KeyPair::generate().expect("a key");
    let certificate = match authority {
        Some(authority) => params.signed_by(&key, authority),
        None => params.self_signed(&key),
    };
    let certificate = certificate.expect("a certificate").der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.expect("TLS").with_no_client_auth().with_single_cert(vec![certificate], key);
    config.expect("a certificate and its key")
}

#[tokio::test]
async fn a_host_whose_certificate_is_wrong_is_passed_over_and_named() {
    let authority = authority();
    let expired = {
        let mut params = params("127.0.0.1");
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        params
    };
    let early = {
        let mut params = params("127.0.0.1");
        (params.not_before, params.not_after) = (date_time_ymd(2200, 1, 1), date_time_ymd(2201, 1, 1));
        params
    };
    let rows = [
        ("self-signed", shown(&params("127.0.0.1"), None), "nobody known here has signed it", "SSL_CERT_FILE"),
        ("expired", shown(&expired, Some(&authority)), "it has expired", "must renew it"),
        ("not yet valid", shown(&early, Some(&authority)), "it is not valid yet", "clock"),
        ("of another host", shown(&params("api.example.com"), Some(&authority)), "it is for another name", "base_url"),
    ];
    let dir = scratch();
    let trusted = dir.join("authority.pem");
    std::fs::write(&trusted, authority.pem()).expect("a file");
    let trusted = trusted.display().to_string();
    let good = sim(Dialect::OpenAiChat, None).await;
    for (what, chain, why, remedy) in rows {
        let host = Host::show(chain).await;
        let models = ["lab/one", "lab/two", "lab/three"];
        let config = provider("bad", Dialect::OpenAiChat, &host.base_url(), &models)
            + &provider("good", Dialect::OpenAiChat, &good.base_url(), &models);
        let gateway = Gateway::try_start(&config, &[("SSL_CERT_FILE", &trusted)]).expect("it starts");
        for (n, (model, stream)) in [("lab/one", false), ("lab/two", true)].into_iter().enumerate() {
            let got = gateway.chat(&ask(model, stream)).await;
            assert_eq!((got.status, got.header("x-provider-name")), (200, "good"), "{what}: {}", got.text());
            assert_eq!(host.counts(), (n as u64 + 1, 0), "{what}: called once, and nothing was said to it");
            let record = gateway.record(&got).await;
            let tries: Vec<(&Value, &Value)> = record["provider_responses"]
                .as_array()
                .expect("attempts")
                .iter()
                .map(|a| (&a["provider_name"], &a["error"]))
                .collect();
            assert_eq!(tries, [(&json!("bad"), &json!("upstream_failed")), (&json!("good"), &Value::Null)], "{what}");
        }
        let alone = gateway.chat(&with(ask("lab/three", false), json!({ "provider": { "only": ["bad"] } }))).await;
        assert_eq!((alone.status, host.counts()), (502, (3, 0)), "{what}: not once more: {}", alone.text());
        let error = alone.error();
        let says = error["message"].as_str().unwrap_or_default();
        for words in ["the certificate of 127.0.0.1 was not accepted", why, remedy] {
            assert!(says.contains(words), "{what}: {words}: {error}");
        }
        assert_eq!(error["metadata"]["reason"], "upstream_failed", "{what}: {error}");
        gateway.is_well(what).await;
    }
    // The same authority and the right name: it is the certificates above that are wrong, and what is advised helps.
    let host = Host::show(shown(&params("127.0.0.1"), Some(&authority))).await;
    let config = provider("bad", Dialect::OpenAiChat, &host.base_url(), &["lab/one"]);
    let gateway = Gateway::try_start(&config, &[("SSL_CERT_FILE", &trusted)]).expect("it starts");
    let got = gateway.chat(&with(ask("lab/one", false), json!({ "provider": {} }))).await;
    assert_eq!((got.status, host.counts()), (200, (1, 1)), "{}", got.text());
    let _ = std::fs::remove_dir_all(dir);
}

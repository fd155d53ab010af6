//! Tokens of Google, by its application default credentials: a service account's key, a person's login, or the machine's account.

use super::call::Question;
use super::{Fresh, Pass, Trouble};
use crate::clock;
use crate::config::Google as Conf;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKENS: &str = "https://oauth2.googleapis.com/token";
/// An assertion is used at once; Google allows an hour.
const ASSERTION_SECONDS: u64 = 600;
/// A file of credentials is two or three kilobytes.
const MAX_FILE: u64 = 64 * 1024;

pub struct Google {
    conf: Conf,
}

/// The files Google's own tools write. Other kinds exist: they are told apart, not understood.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount {
        client_email: String,
        private_key: String,
        private_key_id: Option<String>,
        token_uri: Option<String>,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: String,
        refresh_token: String,
        token_uri: Option<String>,
    },
    #[serde(other)]
    Other,
}

impl Google {
    pub fn new(conf: Conf) -> Google {
        Google { conf }
    }

    /// Files are read each time: whoever replaces one means the new one to be used.
    pub async fn fetch(&self) -> Result<Fresh, Trouble> {
        let (question, issuer, advice) = match self.file()? {
            Some(File::ServiceAccount { client_email, private_key, private_key_id, token_uri }) => {
                let url = token_uri.unwrap_or_else(|| TOKENS.to_owned());
                let now = clock::unix_ms() / 1000;
                let claims = json!({
                    "iss": client_email, "scope": SCOPE, "aud": url, "iat": now, "exp": now + ASSERTION_SECONDS,
                });
                let assertion = assertion(&private_key, private_key_id.as_deref(), &claims)?;
                let fields =
                    [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &*assertion)];
                (Question::form(url, &fields), "Google", "check the service account and its key")
            }
            Some(File::AuthorizedUser { client_id, client_secret, refresh_token, token_uri }) => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", &*client_id),
                    ("client_secret", &*client_secret),
                    ("refresh_token", &*refresh_token),
                ];
                let url = token_uri.unwrap_or_else(|| TOKENS.to_owned());
                (Question::form(url, &fields), "Google", "log in again: gcloud auth application-default login")
            }
            Some(File::Other) => {
                return Err(Trouble::new(
                    "its file of credentials is of a kind not understood here: service_account and authorized_user are",
                ));
            }
            None => {
                let path = "/computeMetadata/v1/instance/service-accounts/default/token";
                let question = Question::get(format!("http://{}{path}", self.conf.metadata));
                let question = question.header("metadata-flavor", "Google").of_metadata();
                (question, "Google's metadata service", "does this machine have a service account?")
            }
        };
        let answer = question.ask().await.map_err(|why| {
            let hint = match issuer {
                "Google" => "Google cannot be asked",
                _ => "there is no file of credentials, and no metadata service: set `credentials_file`",
            };
            Trouble::new(hint).detailed(why)
        })?;
        let token = answer.token(issuer, advice)?;
        let expires = Some(clock::unix_ms().saturating_add(token.seconds().saturating_mul(1000)));
        // The metadata service pads its tokens with dots, which are not part of them.
        Ok(Fresh { pass: Pass::bearer(token.access_token.trim_end_matches('.'))?, expires })
    }

    fn file(&self) -> Result<Option<File>, Trouble> {
        if let Some(path) = &self.conf.file {
            return read(path).map(Some);
        }
        match &self.conf.own {
            Some(path) if path.exists() => read(path).map(Some),
            _ => Ok(None),
        }
    }
}

fn read(path: &Path) -> Result<File, Trouble> {
    let shown = path.display().to_string();
    let size = std::fs::metadata(path).map(|m| m.len());
    let text = match size {
        Ok(size) if size > MAX_FILE => {
            return Err(Trouble::new("its file of credentials is too large to be one").detailed(shown));
        }
        _ => std::fs::read(path),
    };
    let text = text.map_err(|e| {
        Trouble::new("its file of credentials cannot be read: check `credentials_file`")
            .detailed(format!("{shown}: {e}"))
    })?;
    // serde's own words may quote the file.
    serde_json::from_slice(&text)
        .map_err(|_| Trouble::new("its file of credentials is not one of Google's").detailed(shown))
}

/// A signed statement of who asks (RFC 7523), by the key of a service account.
fn assertion(key: &str, id: Option<&str>, claims: &serde_json::Value) -> Result<String, Trouble> {
    let broken = |what: &str| Trouble::new(format!("the private key of its service account {what}"));
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| broken("is not one"))?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| broken("cannot be used"))?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(|| broken("is not an RSA key"))?;
    let head = match id {
        Some(id) => json!({ "alg": "RS256", "typ": "JWT", "kid": id }),
        None => json!({ "alg": "RS256", "typ": "JWT" }),
    };
    let encoded = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let stated = format!("{}.{}", encoded(&head), encoded(claims));
    let signature = signer.sign(stated.as_bytes()).map_err(|_| broken("does not sign"))?;
    Ok(format!("{stated}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

//! Verb 1, admit: who is calling, and may they call this route. Before any body is read.

use super::bounds;
use crate::App;
use crate::routes::Auth;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use slip_ir::{Fault, FaultKind};
use slip_store::{BadKey, Key, KeyKind, SecretKey};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Who is calling. There is no default caller: a failed check can only become a fault.
#[derive(Clone)]
pub enum Caller {
    /// Nobody in particular, on a route that allows it.
    Anyone,
    Key(Arc<Key>),
}

impl Caller {
    pub fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Caller::Key(key) => Some(key),
            Caller::Anyone => None,
        }
    }

    pub fn is_management(&self) -> bool {
        self.key().is_some_and(|k| k.kind == KeyKind::Management)
    }
}

const MISSING: &str = "Missing Authentication header: send `Authorization: Bearer <your key>`";

pub fn admit(app: &App, auth: Auth, headers: &HeaderMap, peer: SocketAddr, now_ms: u64) -> Result<Caller, Fault> {
    if auth == Auth::Open {
        return Ok(Caller::Anyone);
    }
    let presented = credential(headers)?;
    let caller = match (auth, presented) {
        (Auth::Public | Auth::Open, _) => return Ok(Caller::Anyone),
        (Auth::LocalOrManagement, None) if peer.ip().to_canonical().is_loopback() => return Ok(Caller::Anyone),
        (Auth::Catalogue, None) => return Ok(Caller::Anyone),
        (_, None) => return Err(Fault::caller(FaultKind::Unauthorised, MISSING)),
        (_, Some(secret)) => {
            let key = identify(app, secret, now_ms)?;
            bounds::of(app, &key).admits(peer.ip())?;
            Caller::Key(key)
        }
    };
    match auth {
        Auth::Key if caller.is_management() => Err(Fault::caller(
            FaultKind::Forbidden,
            "a management key cannot run models: use an API key (management keys administer, API keys spend)",
        )),
        Auth::Management | Auth::LocalOrManagement if !caller.is_management() => {
            Err(Fault::caller(FaultKind::Forbidden, "Only management keys can perform this operation"))
        }
        _ => Ok(caller),
    }
}

/// The key a secret opens, if it may be used now.
pub fn identify(app: &App, secret: &str, now_ms: u64) -> Result<Arc<Key>, Fault> {
    let refused = |says: &'static str| Fault::caller(FaultKind::Unauthorised, says);
    let Some(key) = app.store.keyring().find(secret, i64::try_from(now_ms).unwrap_or(i64::MAX)) else {
        return Err(match SecretKey::parse(secret) {
            // Only who knows all keys can say that one is wrong.
            Ok(_) if app.store.is_doubtful() => {
                let says = "the database of keys cannot be asked, and this key is not known here; try again";
                let mut fault = Fault::house(FaultKind::Busy, says);
                fault.retry_after = Some(Duration::from_secs(2));
                fault
            }
            Err(BadKey::Checksum) => {
                refused("invalid API key: its checksum does not match, so it was mistyped or cut short")
            }
            _ => refused("invalid API key"),
        });
    };
    if key.disabled {
        return Err(refused("this API key is disabled"));
    }
    if key.expired(i64::try_from(now_ms).unwrap_or(i64::MAX)) {
        return Err(refused("this API key has expired"));
    }
    if let Some(hash) = &key.detail.parent {
        let parent = app.store.keyring().by_hash(hash);
        if parent.is_none_or(|parent| parent.disabled || parent.expired(i64::try_from(now_ms).unwrap_or(i64::MAX))) {
            return Err(refused("the key this app was signed in with is gone, disabled or expired: sign in again"));
        }
    }
    Ok(key)
}

/// The one credential of a request, in whichever header the client's library puts it. Two different ones are refused: nobody should
/// have to guess which of them was checked.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let mut found: Option<&str> = None;
    for value in headers.get_all(AUTHORIZATION) {
        let text = value.to_str().map_err(|_| unreadable())?.trim();
        if text.is_empty() {
            continue;
        }
        let secret = match text.split_once(' ') {
            Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => secret.trim(),
            _ if text.eq_ignore_ascii_case("bearer") => "",
            Some(("AWS4-HMAC-SHA256", signed)) => access_key(signed).ok_or_else(unreadable)?,
            _ => {
                return Err(Fault::caller(
                    FaultKind::Unauthorised,
                    "the Authorization header must read `Bearer <your key>`",
                ));
            }
        };
        agree(&mut found, secret)?;
    }
    for name in ["x-api-key", "x-goog-api-key"] {
        for value in headers.get_all(name) {
            agree(&mut found, value.to_str().map_err(|_| unreadable())?.trim())?;
        }
    }
    Ok(found)
}

/// AWS's libraries send a bearer token over HTTPS alone. To a gateway on the same machine they sign instead, and name the access
/// key as it is: that is the caller's key here, which proves as much as a bearer token does.
fn access_key(signed: &str) -> Option<&str> {
    let credential = signed.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next()
}

fn agree<'a>(found: &mut Option<&'a str>, secret: &'a str) -> Result<(), Fault> {
    match *found {
        _ if secret.is_empty() => Ok(()),
        Some(other) if other != secret => {
            Err(Fault::caller(FaultKind::BadRequest, "two different API keys were sent; send one"))
        }
        _ => {
            *found = Some(secret);
            Ok(())
        }
    }
}

fn unreadable() -> Fault {
    Fault::caller(FaultKind::Unauthorised, "the credential header holds characters no key has")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn one_credential_in_any_header_and_never_two() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Result<Option<&'a str>, u16>);
        let rows: &[Row<'_>] = &[
            (&[], Ok(None)),
            (&[("authorization", "Bearer k1")], Ok(Some("k1"))),
            (&[("authorization", "bearer k1")], Ok(Some("k1"))),
            (&[("authorization", "Bearer ")], Ok(None)),
            (&[("authorization", "Bearer")], Ok(None)),
            (&[("authorization", "")], Ok(None)),
            (&[("authorization", "Basic abc")], Err(401)),
            (&[("authorization", "k1")], Err(401)),
            (
                &[(
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=k1/20261129/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00",
                )],
                Ok(Some("k1")),
            ),
            (&[("authorization", "AWS4-HMAC-SHA256 SignedHeaders=host")], Err(401)),
            (&[("x-api-key", "k1")], Ok(Some("k1"))),
            (&[("x-goog-api-key", "k1")], Ok(Some("k1"))),
            (&[("authorization", "Bearer k1"), ("x-api-key", "k1")], Ok(Some("k1"))),
            (&[("authorization", "Bearer k1"), ("x-api-key", "k2")], Err(400)),
            (&[("authorization", "Bearer k1"), ("authorization", "Bearer k2")], Err(400)),
        ];
        for (headers, want) in rows {
            let map: HeaderMap = headers
                .iter()
                .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
                .fold(HeaderMap::new(), |mut map, (n, v)| {
                    map.append(n, v);
                    map
                });
            let got = credential(&map).map_err(|f| f.kind.status());
            assert_eq!(got, *want, "{headers:?}");
        }
    }
}

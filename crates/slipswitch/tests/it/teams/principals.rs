//! Every route with everybody who could call it.

use super::{HOUSE, Own, management, own, prepared};
use crate::harness::{Gateway, KEY, MANAGEMENT};
use bytes::Bytes;
use http::Method;
use slip_server::routes::{Auth, ROUTES, Route};
use slip_store::{KeyDetail, NewKey};

/// What is wrong with whom.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Nobody,
    /// Not a key of this house, or one that opens nothing any more.
    Stranger,
    /// A good key, from where it may not be used.
    Elsewhere,
    Api,
    Management,
}

/// The status of whoever gets no further, by the promise of the route alone.
fn refusal(auth: Auth, who: Who) -> Option<u16> {
    match (auth, who) {
        (Auth::Public | Auth::Open, _) => None,
        (Auth::Catalogue | Auth::LocalOrManagement, Who::Nobody) => None,
        (_, Who::Nobody | Who::Stranger) => Some(401),
        (_, Who::Elsewhere) => Some(403),
        (Auth::Key, Who::Management) | (Auth::Management | Auth::LocalOrManagement, Who::Api) => Some(403),
        _ => None,
    }
}

/// Where an empty question is answered otherwise: names that are kept in the path, and Ollama's, which loads a model first.
const OTHERWISE: &[(&str, &str, u16)] = &[
    ("GET", "/generation", 400),
    ("GET", "/generation/content", 400),
    ("POST", "/keys/{hash}/rotate", 404),
    ("POST", "//model/{model...}", 404),
    ("POST", "//v1beta/models/{model...}", 404),
    ("POST", "//v1beta/{model...}", 404),
    ("POST", "/models/{model...}", 404),
    ("POST", "//api/chat", 404),
    ("POST", "//api/generate", 404),
    ("GET", "//auth", 400),
];

/// The status of an empty question by somebody who may ask it: what is named is not there, what must be said was not.
fn answer(route: &Route) -> u16 {
    let otherwise = OTHERWISE.iter().find(|(m, p, _)| (*m, *p) == (route.method.as_str(), route.pattern));
    match (otherwise, route.method.as_str()) {
        (Some((.., status)), _) => *status,
        (None, "GET" | "DELETE" | "PATCH") if route.pattern.contains('{') => 404,
        (None, "GET") => 200,
        _ => 400,
    }
}

#[tokio::test]
async fn every_route_admits_whom_it_says_and_nobody_else() {
    let (disabled, expired, away) = ("sk-that-is-disabled", "sk-that-has-expired", "sk-from-elsewhere");
    let (away_too, minted) = ("sk-manager-elsewhere", slip_store::SecretKey::from_bits([7; 32]));
    let mistyped = minted.expose().replace('Y', "Z").replace('1', "2").replace("sk-slip-v2", "sk-slip-v1");
    assert!(slip_store::SecretKey::parse(&mistyped).is_err() && mistyped != minted.expose());
    let detail = KeyDetail { addresses: vec!["10.0.0.0/8".into(), "2001:db8::/32".into()], ..KeyDetail::default() };
    let keys = vec![
        Own { disabled: true, ..own(disabled) },
        Own { new: NewKey { expires_ms: Some(super::TIME + 1), ..own(expired).new }, ..own(expired) },
        Own { new: NewKey { detail: detail.clone(), ..own(away).new }, ..own(away) },
        Own { new: NewKey { detail, ..management(away_too).new }, ..management(away_too) },
    ];
    let gateway = Gateway::start_in(prepared(keys).await, HOUSE);
    let everybody = [
        ("", Who::Nobody),
        ("sk-of-another-house", Who::Stranger),
        ("no", Who::Stranger),
        (&mistyped, Who::Stranger),
        (disabled, Who::Stranger),
        (expired, Who::Stranger),
        (away, Who::Elsewhere),
        (away_too, Who::Elsewhere),
        (KEY, Who::Api),
        (MANAGEMENT, Who::Management),
    ];
    let mut wrong = Vec::new();
    for route in ROUTES {
        let path = route.public().replace("{interval}", "daily");
        let path: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "nothing" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for (secret, who) in everybody {
            let bearer = format!("Bearer {secret}");
            let headers = if secret.is_empty() { vec![] } else { vec![("authorization", bearer.as_str())] };
            let body = if route.method == Method::GET { Bytes::new() } else { Bytes::from("{}") };
            let got = gateway.send(route.method.clone(), &path, &headers, body).await;
            let want = refusal(route.auth, who).unwrap_or_else(|| answer(route));
            if got.status != want {
                wrong.push(format!(
                    "{} {path} by {who:?} ({secret}): {}, not {want}: {}",
                    route.method,
                    got.status,
                    got.text()
                ));
            }
            let leaks = secret.len() > 8 && got.text().contains(secret);
            assert!(!leaks, "{path} repeats a key: {}", got.text());
        }
    }
    assert!(wrong.is_empty(), "{} answers are not as promised:\n{}", wrong.len(), wrong.join("\n"));
    let got =
        gateway.send(Method::GET, "/api/v1/key", &[("authorization", &format!("Bearer {away}"))], Bytes::new()).await;
    assert_eq!(got.error()["message"], "this key may not be used from the address 127.0.0.1");
}

//! Issuers that answer, lie, stay silent and come back, over real sockets.

use super::*;
use crate::config::{Entra as EntraConf, EntraWho, Google as GoogleConf, Proof, Secret};
use crate::upstream::parse_base;
use serde_json::{Value, json};
use slip_sim::{Script, Scripted};
use std::path::PathBuf;

const SECRET: &str = "client-secret-7f3a9d";

fn entra(authority: &str) -> Credential {
    Credential::Entra(EntraConf {
        authority: authority.to_owned(),
        scope: "https://cognitiveservices.azure.com/.default".to_owned(),
        who: EntraWho::Application { tenant: "t".into(), id: "app".into(), proof: Proof::Secret(Secret::new(SECRET)) },
    })
}

fn token(token: &str, seconds: u64) -> Script {
    Script::json(200, &json!({ "token_type": "Bearer", "access_token": token, "expires_in": seconds }))
}

fn target() -> Target {
    let (origin, prefix) = parse_base("https://bedrock-runtime.us-east-1.amazonaws.com", false).expect("a base");
    Target { origin: Arc::new(origin), prefix: prefix.as_str().into(), headers: [].into(), tap: None }
}

/// What a request would carry, or why not.
async fn admitted(keeper: &Keeper) -> Result<String, String> {
    let mut headers = Vec::new();
    match keeper.admit(&target(), "/x", b"{}", Duration::from_secs(5), &mut headers).await {
        Ok(()) => Ok(headers.iter().map(|(_, v)| v.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")),
        Err(failed) => {
            assert_eq!((failed.sent, failed.fault.kind), (Sent::NotSent, FaultKind::UpstreamAuth));
            assert_eq!(failed.fault.remedy, Remedy::Elsewhere);
            Err(failed.fault.says.into_owned())
        }
    }
}

async fn until(what: &str, done: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to this: {what}");
}

#[tokio::test]
async fn many_who_wait_for_the_first_token_are_one_question() {
    let issuer = Scripted::start().await.unwrap();
    issuer.always(token("first", 3600).slow(Duration::from_millis(200)));
    let keeper = Arc::new(Keeper::new("Azure", entra(&issuer.base_url())));
    keeper.start();
    keeper.start();
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let keeper = keeper.clone();
            tokio::spawn(async move { admitted(&keeper).await })
        })
        .collect();
    for one in waiting {
        assert_eq!(one.await.unwrap(), Ok("Bearer first".to_owned()));
    }
    let asked = issuer.journal().entries();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/t/oauth2/v2.0/token"));
    assert_eq!(
        String::from_utf8_lossy(&asked[0].body),
        "grant_type=client_credentials&client_id=app&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default\
         &client_secret=client-secret-7f3a9d"
    );
}

#[tokio::test]
async fn a_workload_shows_the_token_its_cluster_keeps_fresh() {
    let issuer = Scripted::start().await.unwrap();
    issuer.push(token("first", 2));
    issuer.always(token("second", 3600));
    let path = std::env::temp_dir().join(format!("slipswitch-{}-federated", std::process::id()));
    std::fs::write(&path, "one\n").unwrap();
    let conf = EntraConf {
        authority: issuer.base_url(),
        scope: "s".to_owned(),
        who: EntraWho::Application { tenant: "t".into(), id: "app".into(), proof: Proof::File(path.clone()) },
    };
    let keeper = Keeper::new("Azure", Credential::Entra(conf));
    keeper.start();
    assert_eq!(admitted(&keeper).await, Ok("Bearer first".to_owned()));
    std::fs::write(&path, "two\n").unwrap();
    until("the second token", async || admitted(&keeper).await == Ok("Bearer second".to_owned())).await;
    let shown: Vec<String> =
        issuer.journal().entries().iter().map(|e| String::from_utf8_lossy(&e.body).into_owned()).collect();
    let proof =
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=";
    assert!(shown[0].ends_with(&format!("{proof}one")) && shown[1].ends_with(&format!("{proof}two")), "{shown:?}");
    let _ = std::fs::remove_file(path);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let issuer = Scripted::start().await.unwrap();
    issuer.push(token("first", 3));
    issuer.always(token("second", 3600));
    let keeper = Keeper::new("Azure", entra(&issuer.base_url()));
    keeper.start();
    assert_eq!(admitted(&keeper).await, Ok("Bearer first".to_owned()));
    let began = clock::now();
    until("the second token", async || {
        let pass = admitted(&keeper).await;
        assert!(pass.is_ok(), "there was always one: {pass:?}");
        pass == Ok("Bearer second".to_owned())
    })
    .await;
    assert!(clock::now().duration_since(began) < Duration::from_millis(2900), "the first was good until then");
    assert_eq!(issuer.journal().entries().len(), 2);
}

#[tokio::test]
async fn an_issuer_that_fails_leaves_the_old_token_in_force_until_its_end() {
    let issuer = Scripted::start().await.unwrap();
    issuer.push(token("first", 3));
    let echo = json!({
        "error": "invalid_client",
        "error_description": format!("AADSTS7000215: Invalid client secret provided: {SECRET}"),
        "error_codes": [7000215],
    });
    issuer.always(Script::json(401, &echo));
    let keeper = Keeper::new("Azure", entra(&issuer.base_url()));
    keeper.start();
    assert_eq!(admitted(&keeper).await, Ok("Bearer first".to_owned()));
    until("a refused renewal", async || issuer.journal().entries().len() > 1).await;
    assert_eq!(admitted(&keeper).await, Ok("Bearer first".to_owned()), "it has not ended yet");
    until("the end of the first", async || admitted(&keeper).await.is_err()).await;
    let said = admitted(&keeper).await.unwrap_err();
    assert_eq!(
        said,
        "no credential for Azure: Microsoft Entra answered 401 (invalid_client, AADSTS7000215): \
         check `tenant`, `client_id` and `client_secret` under `entra`"
    );
    let asked = issuer.journal().entries().len();
    for _ in 0..100 {
        let _ = admitted(&keeper).await;
    }
    assert!(issuer.journal().entries().len() <= asked + 1, "requests ask nobody");
    // It comes back by itself.
    issuer.always(token("again", 3600));
    until("a new token", async || admitted(&keeper).await == Ok("Bearer again".to_owned())).await;
}

#[tokio::test]
async fn a_credential_that_a_provider_refuses_is_asked_for_anew_but_not_without_end() {
    let issuer = Scripted::start().await.unwrap();
    issuer.push(token("revoked", 3600));
    issuer.always(token("new", 3600));
    let mut keeper = Keeper::new("Azure", entra(&issuer.base_url()));
    Arc::get_mut(&mut keeper.shared).expect("not started").doubt = Duration::from_millis(300);
    keeper.start();
    assert_eq!(admitted(&keeper).await, Ok("Bearer revoked".to_owned()));
    let other = Fault::upstream(FaultKind::Overloaded, Remedy::Again, "busy");
    let refused = Fault::upstream(FaultKind::UpstreamAuth, Remedy::Elsewhere, "no");
    keeper.hear(&other);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(issuer.journal().entries().len(), 1, "an overload says nothing of credentials");
    keeper.hear(&refused);
    until("the new token", async || admitted(&keeper).await == Ok("Bearer new".to_owned())).await;
    for _ in 0..50 {
        keeper.hear(&refused);
        tokio::task::yield_now().await;
    }
    assert_eq!(issuer.journal().entries().len(), 2);
}

#[tokio::test]
async fn what_an_issuer_may_answer_instead_of_a_token() {
    let rows = [
        (Script::new(200, "text/html", "<html>login</html>"), "Microsoft Entra answered something that is not a token"),
        (token("two\r\nx: lines", 60), "the issuer answered without a usable token"),
        (token("", 60), "the issuer answered without a usable token"),
        (Script::new(500, "text/plain", format!("boom {SECRET}")), "Microsoft Entra answered 500: check"),
        (
            Script::new(302, "text/plain", "").header("location", "http://127.0.0.1:1/"),
            "Microsoft Entra answered 302: check",
        ),
        (Script::json(400, &json!({ "error": SECRET.repeat(9) })), "Microsoft Entra answered 400: check"),
    ];
    for (script, want) in rows {
        let issuer = Scripted::start().await.unwrap();
        issuer.always(script);
        let keeper = Keeper::new("Azure", entra(&issuer.base_url()));
        keeper.start();
        let said = admitted(&keeper).await.unwrap_err();
        assert!(said.starts_with(&format!("no credential for Azure: {want}")), "{said}");
        assert!(!said.contains(SECRET), "{said}");
        assert!(issuer.journal().entries().len() == 1, "a redirect is not followed");
    }
    let keeper = Keeper::new("Azure", entra("http://127.0.0.1:9"));
    keeper.start();
    assert_eq!(admitted(&keeper).await.unwrap_err(), "no credential for Azure: Microsoft Entra cannot be asked");
}

#[tokio::test]
async fn a_machines_identity_is_asked_of_its_metadata_service() {
    let machine = Scripted::start().await.unwrap();
    machine.always(Script::json(200, &json!({ "access_token": "mine", "expires_in": "86399" })));
    let conf = EntraConf {
        authority: machine.base_url(),
        scope: "https://cognitiveservices.azure.com/.default".to_owned(),
        who: EntraWho::Machine { id: Some("a b".into()) },
    };
    let keeper = Keeper::new("Azure", Credential::Entra(conf));
    keeper.start();
    assert_eq!(admitted(&keeper).await, Ok("Bearer mine".to_owned()));
    let asked = &machine.journal().entries()[0];
    assert_eq!(
        asked.path,
        "/metadata/identity/oauth2/token?api-version=2018-02-01\
         &resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=a%20b"
    );
    assert_eq!(asked.header("metadata"), Some("true"));

    machine.always(Script::json(200, &json!({ "access_token": "ya29.x....", "expires_in": 3599 })));
    let metadata = machine.addr().to_string();
    let keeper = Keeper::new("Vertex", Credential::Google(GoogleConf { file: None, own: None, metadata }));
    keeper.start();
    assert_eq!(admitted(&keeper).await, Ok("Bearer ya29.x".to_owned()));
    let asked = machine.journal().entries().pop().unwrap();
    assert_eq!(asked.path, "/computeMetadata/v1/instance/service-accounts/default/token");
    assert_eq!(asked.header("metadata-flavor"), Some("Google"));
}

fn file(name: &str, value: &Value) -> PathBuf {
    let path = std::env::temp_dir().join(format!("slipswitch-{}-{name}.json", std::process::id()));
    std::fs::write(&path, value.to_string()).unwrap();
    path
}

fn google(file: PathBuf) -> Keeper {
    let conf = GoogleConf { file: Some(file), own: None, metadata: "127.0.0.1:9".to_owned() };
    let keeper = Keeper::new("Vertex", Credential::Google(conf));
    keeper.start();
    keeper
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    let issuer = Scripted::start().await.unwrap();
    issuer.always(token("ya29.a", 3600));
    // Made for this test, and good for nothing else.
    let key = include_str!("../../tests/service-account.pem");
    let account = json!({
        "type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key": key,
        "private_key_id": "k1", "token_uri": format!("{}/token", issuer.base_url()), "project_id": "p",
    });
    let path = file("account", &account);
    let keeper = google(path.clone());
    assert_eq!(admitted(&keeper).await, Ok("Bearer ya29.a".to_owned()));
    let body = String::from_utf8(issuer.journal().entries()[0].body.to_vec()).unwrap();
    let assertion = body.split_once("&assertion=").unwrap().1;
    assert!(body.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"), "{body}");
    let parts: Vec<Vec<u8>> = assertion.split('.').map(decoded).collect();
    let head: Value = serde_json::from_slice(&parts[0]).unwrap();
    assert_eq!(head, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    let claims: Value = serde_json::from_slice(&parts[1]).unwrap();
    assert_eq!(claims["iss"], "a@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], account["token_uri"]);
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|t| t + 600));
    let stated = assertion.rsplit_once('.').unwrap().0;
    let public = decoded(include_str!("../../tests/service-account.pub").trim());
    let algorithm = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let rs256 = algorithm.mapping.iter().find(|(scheme, _)| *scheme == rustls::SignatureScheme::RSA_PKCS1_SHA256);
    rs256.unwrap().1[0]
        .verify_signature(&public, stated.as_bytes(), &parts[2])
        .expect("the signature is the account's");
    let _ = std::fs::remove_file(path);
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn what_is_wrong_with_a_file_of_credentials_is_told_without_what_is_in_it() {
    let key = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n";
    let account = |key: &str| json!({ "type": "service_account", "client_email": "a@b", "private_key": key });
    let rows = [
        (Some(account(key)), "the private key of its service account cannot be used"),
        (Some(account(SECRET)), "the private key of its service account is not one"),
        (
            Some(json!({ "type": "external_account", "secret": SECRET })),
            "its file of credentials is of a kind not understood here",
        ),
        (
            Some(json!({ "type": "authorized_user", "refresh_token": SECRET })),
            "its file of credentials is not one of Google's",
        ),
        (Some(json!(SECRET)), "its file of credentials is not one of Google's"),
        (None, "its file of credentials cannot be read: check `credentials_file`"),
    ];
    for (n, (text, want)) in rows.into_iter().enumerate() {
        let path = text.map_or_else(|| PathBuf::from("/nonexistent/x.json"), |text| file(&format!("bad-{n}"), &text));
        let keeper = google(path.clone());
        let said = admitted(&keeper).await.unwrap_err();
        assert!(said.starts_with(&format!("no credential for Vertex: {want}")), "{said}");
        let state = keeper.shared.state.borrow();
        assert!(!format!("{:?} {:?}", keeper.conf, state.trouble).contains(SECRET));
        drop(state);
        let _ = std::fs::remove_file(path);
    }
}

/// Reckoned again from the scheme's description, with other crates than those that sign.
#[test]
fn a_signature_is_the_one_anybody_would_reckon() {
    let keys = Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        Some("the-session".into()),
        None,
        "test",
    );
    let url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v1%3A0/converse-stream";
    let body = br#"{"messages":[]}"#;
    let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
    let headers = sign::sign(&keys, "us-east-1", "bedrock", url, body, now).unwrap();
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.to_str().unwrap()).unwrap();
    assert_eq!(header("x-amz-date"), "20150830T123600Z");
    assert_eq!(header("x-amz-security-token"), "the-session");
    assert!(headers.iter().all(|(_, v)| v.is_sensitive()));
    let scope = "20150830/us-east-1/bedrock/aws4_request";
    let names = "content-type;host;x-amz-date;x-amz-security-token";
    let canonical = format!(
        "POST\n/model/anthropic.claude-v1%253A0/converse-stream\n\ncontent-type:application/json\n\
         host:bedrock-runtime.us-east-1.amazonaws.com\nx-amz-date:20150830T123600Z\n\
         x-amz-security-token:the-session\n\n{names}\n{}",
        hex(&digest(body))
    );
    let stated = format!("AWS4-HMAC-SHA256\n20150830T123600Z\n{scope}\n{}", hex(&digest(canonical.as_bytes())));
    let secret = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
    let key = ["20150830", "us-east-1", "bedrock", "aws4_request"].iter().fold(secret, |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &stated));
    assert_eq!(
        header("authorization"),
        format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature={signature}")
    );
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    use hmac::Mac;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_token_is_renewed_five_minutes_ahead_or_half_way() {
    for (left, pause) in [(3_600_000, 3_300_000), (600_000, 300_000), (60_000, 30_000), (1_000, 1_000), (0, 1_000)] {
        assert_eq!(ahead(left), Duration::from_millis(pause), "{left}");
    }
    for (failures, most) in [(1, 1.2), (2, 2.4), (4, 9.6), (7, 72.0), (4_000_000_000, 72.0)] {
        let pause = backoff(failures).as_secs_f64();
        assert!(pause <= most && pause >= most / 1.5 - 0.01, "{failures}: {pause}");
    }
}

#[test]
fn nothing_shows_a_credential() {
    let pass = Pass::bearer("a-bearer-token-of-some-length").unwrap();
    let keys = Pass::Aws(Credentials::new("id", SECRET, Some(SECRET.into()), None, "test"));
    let keeper = Keeper::new("Azure", entra("http://127.0.0.1:9"));
    let shown = format!("{pass:?} {keys:?} {keeper:?} {:?}", keeper.conf);
    assert!(!shown.contains("a-bearer") && !shown.contains(SECRET), "{shown}");
}

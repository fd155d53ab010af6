//! Requests signed for AWS, verified by an independent reckoning, with credentials from each place the chain looks at.

use super::{ask, messages_reply};
use crate::harness::{Gateway, scratch};
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};
use slip_sim::{Entry, Script, Scripted};
use std::fmt::Write;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "the-session-token-c4ca4238";

/// A provider that speaks Anthropic in Bedrock's envelope, and signs.
fn config(upstream: &Scripted, aws: &str) -> String {
    format!(
        "[providers.cloud]\ndialect = \"anthropic\"\nenvelope = \"invoke-model\"\nbase_url = \"{}\"\nregion = \"us-east-1\"\n\
         aws = {aws}\nmodels = [{{ id = \"anthropic/claude\", upstream = \"anthropic.claude-v1:0\" }}]\n",
        upstream.base_url()
    )
}

/// Check the signature of a request as its receiver would: from the request itself and the shared secret. Gives the key's id.
fn verify(sent: &Entry, secret: &str) -> String {
    let authorization = sent.header("authorization").expect("it is signed");
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").expect("the scheme");
    let field = |name: &str| {
        let part = rest.split(", ").find_map(|part| part.strip_prefix(name)).expect("a field");
        part.strip_prefix('=').expect("a value").to_owned()
    };
    let (credential, names, signature) = (field("Credential"), field("SignedHeaders"), field("Signature"));
    let (id, scope) = credential.split_once('/').expect("a scope");
    for needed in ["content-type", "host", "x-amz-date"] {
        assert!(names.split(';').any(|name| name == needed), "{needed} is not signed: {names}");
    }
    let (path, query) = sent.path.split_once('?').unwrap_or((&sent.path, ""));
    let path = path.replace('%', "%25");
    let headers = names.split(';').fold(String::new(), |mut text, name| {
        let _ = writeln!(text, "{name}:{}", sent.header(name).expect("a signed header is sent").trim());
        text
    });
    let canonical = format!("POST\n{path}\n{query}\n{headers}\n{names}\n{}", hex(&Sha256::digest(&sent.body)));
    let date = sent.header("x-amz-date").expect("a date");
    let stated = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    assert_eq!(signature, hex(&mac(&key, &stated)), "the signature does not match:\n{canonical}");
    assert_eq!(scope, format!("{}/us-east-1/bedrock/aws4_request", &date[..8]));
    id.to_owned()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One request through a gateway with these variables: who signed it, and what was said.
async fn signed(upstream: &Scripted, aws: &str, env: &[(&str, &str)]) -> (Entry, String) {
    upstream.always(messages_reply());
    let mut all = vec![("SLIPSWITCH_LOG", "trace"), ("AWS_EC2_METADATA_DISABLED", "true")];
    all.extend(env);
    let gateway = Gateway::try_start(&config(upstream, aws), &all).unwrap_or_else(|said| panic!("{said}"));
    let got = gateway.chat(&ask("anthropic/claude")).await;
    assert_eq!((got.status, got.content().as_str()), (200, "hello"), "{}\n{}", got.text(), gateway.said());
    let sent = upstream.journal().entries().pop().expect("a request");
    assert_eq!(sent.path, "/model/anthropic.claude-v1%3A0/invoke");
    let said = gateway.said();
    for secret in [SECRET, SESSION] {
        assert!(!said.contains(secret), "the log shows {secret}");
    }
    (sent, said)
}

#[tokio::test]
async fn keys_of_the_configuration_and_of_the_environment_sign() {
    let upstream = Scripted::start().await.unwrap();
    let fixed = format!("{{ access_key_id = \"{ID}\", secret_access_key = \"{SECRET}\" }}");
    let (sent, _) = signed(&upstream, &fixed, &[]).await;
    assert_eq!(verify(&sent, SECRET), ID);
    assert_eq!(sent.header("x-amz-security-token"), None);
    let env = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", SESSION)];
    let (sent, _) = signed(&upstream, "{}", &env).await;
    assert_eq!(verify(&sent, SECRET), "AKIDENV");
    assert_eq!(sent.header("x-amz-security-token"), Some(SESSION));
}

#[tokio::test]
async fn a_profile_of_the_shared_files_signs() {
    let upstream = Scripted::start().await.unwrap();
    let dir = scratch();
    let file = dir.join("credentials");
    let text = format!(
        "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = other\n\
         [work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = {SECRET}\n"
    );
    std::fs::write(&file, text).unwrap();
    let env = [("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()), ("AWS_CONFIG_FILE", "/nonexistent")];
    let (sent, _) = signed(&upstream, "{ profile = \"work\" }", &env).await;
    assert_eq!(verify(&sent, SECRET), "AKIDWORK");
    let _ = std::fs::remove_dir_all(dir);
}

/// Credentials as containers and machines give them out, good for an hour from now.
fn temporary(id: &str) -> serde_json::Value {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id, "SecretAccessKey": SECRET, "Token": SESSION,
        "LastUpdated": "2026-11-29T00:00:00Z", "Expiration": format!("{:.0}", end),
    })
}

#[tokio::test]
async fn a_container_and_a_machine_give_out_what_signs() {
    let (upstream, issuer) = (Scripted::start().await.unwrap(), Scripted::start().await.unwrap());
    issuer.always(Script::json(200, &temporary("AKIDCONTAINER")));
    let url = format!("{}/credentials", issuer.base_url());
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token"),
    ];
    let (sent, said) = signed(&upstream, "{}", &env).await;
    assert_eq!(verify(&sent, SECRET), "AKIDCONTAINER");
    let asked = issuer.journal().entries().pop().unwrap();
    assert_eq!((asked.path.as_str(), asked.header("authorization")), ("/credentials", Some("container-token")));
    assert!(!said.contains("container-token"), "{said}");

    let machine = Scripted::start().await.unwrap();
    machine.push(Script::new(200, "text/plain", "imds-token").header("x-aws-ec2-metadata-token-ttl-seconds", "21600"));
    machine.push(Script::new(200, "text/plain", "the-role"));
    machine.push(Script::json(200, &temporary("AKIDMACHINE")));
    let url = machine.base_url();
    let env = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()), ("AWS_EC2_METADATA_DISABLED", "false")];
    let (sent, _) = signed(&upstream, "{}", &env).await;
    assert_eq!(verify(&sent, SECRET), "AKIDMACHINE");
    let asked = machine.journal().entries();
    let spoken: Vec<(&str, &str)> = asked.iter().map(|e| (e.method.as_str(), e.path.as_str())).collect();
    assert_eq!(spoken[0], ("PUT", "/latest/api/token"), "{spoken:?}");
    assert!(spoken.len() >= 3 && asked[1].header("x-aws-ec2-metadata-token") == Some("imds-token"), "{spoken:?}");
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_what_signs() {
    let (upstream, sts) = (Scripted::start().await.unwrap(), Scripted::start().await.unwrap());
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
         <Credentials><AccessKeyId>AKIDROLE</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <SessionToken>{SESSION}</SessionToken><Expiration>{end:.0}</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    sts.always(Script::new(200, "text/xml", answer));
    let dir = scratch();
    let file = dir.join("token");
    std::fs::write(&file, "web-identity-token").unwrap();
    let url = sts.base_url();
    let env = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ROLE_SESSION_NAME", "s"),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
    ];
    let (sent, said) = signed(&upstream, "{}", &env).await;
    assert_eq!(verify(&sent, SECRET), "AKIDROLE");
    let asked = sts.journal().entries().pop().unwrap();
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    assert!(
        form.contains("Action=AssumeRoleWithWebIdentity") && form.contains("WebIdentityToken=web-identity-token"),
        "{form}"
    );
    assert!(!said.contains("web-identity-token"), "{said}");
    let _ = std::fs::remove_dir_all(dir);
}

#[tokio::test]
async fn bedrock_converses_and_takes_claude_in_its_authors_words() {
    let upstream = Scripted::start().await.unwrap();
    let config =
        format!("[providers.amazon-bedrock]\nregion = \"us-east-1\"\nbase_url = \"{}\"\n", upstream.base_url());
    let env = [("AWS_ACCESS_KEY_ID", ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let gateway = Gateway::try_start(&config, &env).unwrap();
    let body = ask("amazon-bedrock/us.anthropic.claude-haiku-4-5-v1:0");
    let message = json!({ "role": "assistant", "content": [{ "text": "hello" }] });
    let usage = json!({ "inputTokens": 3, "outputTokens": 1, "totalTokens": 4 });
    upstream.always(Script::json(
        200,
        &json!({ "output": { "message": message }, "stopReason": "end_turn", "usage": usage, "metrics": { "latencyMs": 1 } }),
    ));
    let got = gateway.chat(&body).await;
    assert_eq!((got.status, got.content().as_str()), (200, "hello"), "{}", got.text());
    let sent = upstream.journal().entries().pop().unwrap();
    assert_eq!(sent.path, "/model/us.anthropic.claude-haiku-4-5-v1%3A0/converse");
    assert_eq!(verify(&sent, SECRET), ID);
    upstream.always(messages_reply());
    let got = gateway.post("/api/v1/messages", &body).await;
    assert!(got.status == 200 && got.text().contains("hello"), "{}", got.text());
    let sent = upstream.journal().entries().pop().unwrap();
    assert_eq!(sent.path, "/model/us.anthropic.claude-haiku-4-5-v1%3A0/invoke");
    assert_eq!(verify(&sent, SECRET), ID);
    // A bad or ended credential is ours, not the caller's.
    let expired = json!({ "message": "The security token included in the request is expired" });
    upstream.always(Script::json(403, &expired).header("x-amzn-errortype", "ExpiredTokenException"));
    let got = gateway.chat(&body).await;
    assert_eq!(
        (got.status, &got.error()["metadata"]["reason"]),
        (502, &json!("upstream_auth_failed")),
        "{}",
        got.text()
    );
}

#[tokio::test]
async fn a_key_of_bedrock_is_a_bearer_token() {
    let upstream = Scripted::start().await.unwrap();
    let config = format!(
        "[providers.amazon-bedrock]\nregion = \"us-east-1\"\nkey = \"bedrock-api-key-1\"\nbase_url = \"{}\"\n",
        upstream.base_url()
    );
    upstream.always(messages_reply());
    let gateway = Gateway::start(&config);
    let got = gateway.post("/api/v1/messages", &ask("amazon-bedrock/anthropic.claude-v1:0")).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let sent = upstream.journal().entries().pop().unwrap();
    assert_eq!(sent.header("authorization"), Some("Bearer bedrock-api-key-1"));
    assert_eq!(sent.header("x-amz-date"), None);
}

#[tokio::test]
async fn nobody_who_gives_any_is_a_502_and_nothing_is_sent() {
    let upstream = Scripted::start().await.unwrap();
    let env = [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", "/nonexistent")];
    let gateway = Gateway::try_start(&config(&upstream, "{}"), &env).unwrap();
    let got = gateway.chat(&ask("anthropic/claude")).await;
    assert_eq!(got.status, 502, "{}", got.text());
    let says = got.error()["message"].as_str().unwrap().to_owned();
    assert!(says.contains("cloud") && says.contains("AWS credentials"), "{says}");
    assert!(upstream.journal().entries().is_empty());
}

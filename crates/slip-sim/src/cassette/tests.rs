//! What is kept of an exchange, what is not, and who gets which answer.

use super::*;
use crate::tests::client::post;
use serde_json::json;

fn raw<'a>(path: &'a str, asked: &'a [(&'a str, &'a str)], body: &'a [u8], pieces: &'a [(u64, Bytes)]) -> Raw<'a> {
    Raw {
        provider: "lab",
        method: "POST",
        path,
        asked,
        body,
        status: 200,
        told: &[("content-type", "text/event-stream"), ("set-cookie", "a=b"), ("x-request-id", "req_1")],
        head_ms: 5,
        pieces,
        end: End::Whole,
    }
}

fn ask(body: &Value) -> Request {
    let text = body.to_string();
    let kind = [("content-type", "application/json")];
    tape::request(&raw("/v1/chat/completions", &kind, text.as_bytes(), &[]), &Scrub::default()).expect("fit")
}

#[test]
fn secrets_are_taken_out_and_nothing_else_is() {
    let scrub = Scrub::default().secrets(["Bearer own-(secret)/word"]).names([("acme-prod-7", "project")]);
    let rows = [
        ("my key is sk-proj-abcDEF0123456789 ok", "my key is [scrubbed] ok"),
        (r#"{"a":"line\nsk-abcdefgh12345678"}"#, r#"{"a":"line\n[scrubbed]"}"#),
        ("task-force-number-12345678", "task-force-number-12345678"),
        ("sk-is-a-prefix-of-many-words", "sk-is-a-prefix-of-many-words"),
        ("Authorization: Bearer abc123def456ghi", "Authorization: Bearer [scrubbed]"),
        ("bearer authentication is used", "bearer authentication is used"),
        (r#"{"password": "hunter2", "passwords": "fine"}"#, r#"{"password": "[scrubbed]", "passwords": "fine"}"#),
        (
            r#"{"arguments":"{\"api_key\": \"q\\\"x\", \"n\":1}"}"#,
            r#"{"arguments":"{\"api_key\": \"[scrubbed]\", \"n\":1}"}"#,
        ),
        (r#"{"password":{"type":"string"}}"#, r#"{"password":{"type":"string"}}"#),
        ("https://x.test/a?b=1&api_key=zzz&c=2", "https://x.test/a?b=1&api_key=[scrubbed]&c=2"),
        ("postgres://me:pw@db/x", "postgres://me:[scrubbed]@db/x"),
        ("https://x.test:8080/a@b", "https://x.test:8080/a@b"),
        ("AWS_SECRET_ACCESS_KEY=abcd/efgh+ijkl", "AWS_SECRET_ACCESS_KEY=[scrubbed]"),
        ("MAX_TOKEN=5", "MAX_TOKEN=5"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n.", "[scrubbed]\n."),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlMTIz!", "[scrubbed]!"),
        (
            "Rate limit reached in organization org-AbC123dEf456gHi on tokens",
            "Rate limit reached in organization [scrubbed] on tokens",
        ),
        ("an org-chart-for-everybody", "an org-chart-for-everybody"),
        ("say own-(secret)/word, or own-%28secret%29%2Fword", "say [scrubbed], or [scrubbed]"),
        ("/v1/projects/acme-prod-7/x", "/v1/projects/project/x"),
        (r#"{"token":"Hello","logprob":-1,"signature":"abc"}"#, r#"{"token":"Hello","logprob":-1,"signature":"abc"}"#),
    ];
    for (text, want) in rows {
        assert_eq!(scrub.text(text), want);
        assert_eq!(scrub.text(want), want, "once more changes nothing");
    }
}

#[test]
fn a_secret_across_chunks_goes_and_the_chunks_stay() {
    let text = "data: {\"a\":\"sk-abcdefgh12345678\"}\n\ndata: 2\n\n";
    for cut in 1..text.len() {
        let pieces = [(5, Bytes::from(text[..cut].to_owned())), (9, Bytes::from(text[cut..].to_owned()))];
        let made = tape(&raw("/x", &[], b"{}", &pieces), &Scrub::default()).expect("fit");
        let all: Vec<u8> = made.reply.chunks.iter().flat_map(|c| c.data.bytes().expect("bytes")).collect();
        assert_eq!(String::from_utf8_lossy(&all), "data: {\"a\":\"[scrubbed]\"}\n\ndata: 2\n\n", "{cut}");
        assert_eq!(made.reply.headers.keys().collect::<Vec<_>>(), ["content-type"]);
    }
    let binary = [(5, Bytes::from_static(b"\xff\xfesk-abcdefgh12345678"))];
    assert_eq!(tape(&raw("/x", &[], b"{}", &binary), &Scrub::default()), Err(Unfit::Secret));
}

#[test]
fn a_cassette_is_read_as_it_was_written() {
    let pieces = [(5, Bytes::from_static(b"data: \xc3")), (30, Bytes::from_static(b"\xbc\n\n"))];
    let asked = [("authorization", "Bearer zzzzzzzzzz"), ("Content-Type", "application/json"), ("x-title", "me")];
    let made = tape(&raw("/v1/x?b=1&a=2", &asked, br#"{"b":[1.0,2],"a":"x","user":"me"}"#, &pieces), &Scrub::default())
        .expect("fit");
    let text = made.write();
    assert_eq!(Cassette::parse(&text).expect("parses"), made);
    assert_eq!(text, Cassette::parse(&text).expect("parses").write());
    let text = String::from_utf8(text).expect("text");
    assert!(!text.contains("zzz") && !text.contains("x-title") && !text.contains("\"user\""), "{text}");
    assert!(text.starts_with("{\n  \"cassette\": 1,\n  \"address\": \""), "{text}");
    let later = text.replace("\"cassette\": 1", "\"cassette\": 2");
    assert!(Cassette::parse(later.as_bytes()).is_err_and(|e| e.to_string().contains("later version")));
}

#[test]
fn what_changes_from_run_to_run_means_nothing() {
    let one = ask(&json!({"model": "m-2024-08-06", "messages": [{"content":
        "at 2026-11-29T12:00:01.5Z (1764417601) for 7d7f2b8e-0000-4000-8000-1234567890ab, call_abcDEF123456"}], "user": "u1"}));
    let two = ask(&json!({"user": "u2", "messages": [{"content":
        "at 2025-01-02T03:04:05+01:00 (1700000000) for 00000000-1111-2222-3333-444444444444, call_zzzzzz999999"}], "model": "m-2024-08-06"}));
    assert_eq!(meaning::address("lab", &one), meaning::address("lab", &two));
    assert_ne!(meaning::wording("lab", &one), meaning::wording("lab", &two));
    for other in [
        json!({"model": "m-2024-08-07", "messages": []}),
        json!({"model": "m", "messages": [{"content": "room 12"}]}),
        json!({"model": "m", "messages": [{"content": "room 13"}]}),
        json!({"model": "m", "messages": [{"content": "room 13"}], "temperature": 0.5}),
        json!({"model": "m", "messages": [{"content": "call_me"}]}),
    ] {
        assert_ne!(meaning::address("lab", &one), meaning::address("lab", &ask(&other)), "{other}");
    }
    assert_ne!(meaning::address("lab", &one), meaning::address("other", &one));
    assert_eq!(meaning::steady("12:30:15 or 3:4, v1.2025-01-02, 10000000000"), "{time} or 3:4, v1.{time}, 10000000000");
}

fn kept(body: &Value, take: u32, said: &str) -> (String, Cassette) {
    let text = body.to_string();
    let kind = [("content-type", "application/json")];
    let pieces = [
        (5, Bytes::from(format!("data: {{\"content\":\"{said}\"}}\n\n"))),
        (40, Bytes::from_static(b"data: [DONE]\n\n")),
    ];
    let raw = raw("/v1/chat/completions", &kind, text.as_bytes(), &pieces);
    let made = Cassette { take, ..tape(&raw, &Scrub::default()).expect("fit") };
    (made.name(), made)
}

fn said(found: Result<&Cassette, shelf::Miss>) -> String {
    let cassette = found.unwrap_or_else(|miss| panic!("{}", miss.says));
    String::from_utf8_lossy(&cassette.reply.chunks[0].data.bytes().expect("bytes")).into_owned()
}

#[test]
fn several_takes_come_in_order_and_the_same_wording_goes_first() {
    let (one, two) = (json!({"q": "on 2026-01-01"}), json!({"q": "on 2026-01-02"}));
    let shelf = Shelf::of(vec![kept(&one, 1, "a"), kept(&one, 3, "c"), kept(&two, 2, "b")]);
    let found: Vec<String> = (0..3).map(|_| said(shelf.find("lab", &ask(&one)))).collect();
    assert!(found[0].contains("\"a\"") && found[1].contains("\"c\"") && found[2].contains("\"c\""), "{found:?}");
    assert!(said(shelf.find("lab", &ask(&two))).contains("\"b\""));
    let any = json!({"q": "on 2027-05-05"});
    let found: Vec<String> = (0..4).map(|_| said(shelf.find("lab", &ask(&any)))).collect();
    assert!(found[0].contains("\"a\"") && found[1].contains("\"b\"") && found[3].contains("\"c\""), "{found:?}");
}

#[test]
fn a_miss_names_the_nearest_and_what_is_different() {
    let near = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    let far = json!({"model": "n", "messages": [], "tools": [1, 2]});
    let (name, cassette) = kept(&near, 1, "a");
    let shelf = Shelf::of(vec![(name.clone(), cassette), kept(&far, 1, "b")]);
    let asked = json!({"model": "m", "messages": [{"role": "user", "content": "hallo"}], "n": 2});
    let says = shelf.find("lab", &ask(&asked)).expect_err("nothing").says;
    assert!(says.contains(&name), "{says}");
    assert!(says.contains(r#"messages[0].content: "hallo" here, "hello" in the cassette; n: only here"#), "{says}");
    assert_eq!(shelf.unused().len(), 2);
    assert!(Shelf::of(Vec::new()).find("lab", &ask(&asked)).is_err_and(|m| m.says.contains("none at all")));
}

#[tokio::test]
async fn a_player_says_again_what_was_said_or_fails_as_told() {
    let question = json!({"model": "m", "messages": []});
    let shelf = || Shelf::of(vec![kept(&question, 1, "hi")]);
    let player = Player::start(shelf(), PlayerConfig::default()).await.expect("starts");
    let got = post(player.addr(), "/lab/v1/chat/completions", &question).await;
    assert_eq!((got.status, got.chunks.len()), (200, 2), "{}", got.text());
    assert_eq!(got.text(), "data: {\"content\":\"hi\"}\n\ndata: [DONE]\n\n");
    let got = post(player.addr(), "/lab/v1/chat/completions", &json!({"model": "other"})).await;
    assert!(got.status == MISS && got.text().contains("no cassette"), "{}", got.text());
    assert_eq!((player.counts(), player.misses().len()), ((1, 1), 1));
    let rows = [
        ("lab=status:503:7", 503, "told"),
        ("error-200", 200, "\"error\""),
        ("no-done", 200, "data: {\"content\":\"hi\"}\n\n"),
        ("blank", 200, "data: {\"content\":\"\"}\n\ndata: [DONE]\n\n"),
        ("huge-event:3", 200, "data: {\"content\":\"xxxhi\"}\n\n"),
        ("other=status:503", 200, "hi"),
        ("status:503@0", 200, "hi"),
        ("end:1", 200, "data: {\"content\":\"hi\"}\n\n"),
        ("html:502", 502, "It works"),
        ("slow-headers:10ms", 200, "hi"),
    ];
    for (fault, status, words) in rows {
        let strikes = vec![fault.parse::<Strike>().expect(fault)];
        let player = Player::start(shelf(), PlayerConfig { strikes, ..PlayerConfig::default() }).await.expect("starts");
        let got = post(player.addr(), "/lab/v1/chat/completions", &question).await;
        assert_eq!(got.status, status, "{fault}: {}", got.text());
        assert!(got.text().contains(words), "{fault}: {}", got.text());
    }
    for bad in ["stal", "status:503@2", "x=stal:1"] {
        assert!(bad.parse::<Strike>().is_err(), "{bad}");
    }
    assert_eq!("lab=stall:3@0.5".parse::<Strike>().expect("parses").to_string(), "lab=stall:3@0.5");
}

//! Recorded pictures and sound through the whole house: what the provider answered, byte for byte or word for word, reaches a
//! client of OpenAI's and of OpenRouter's kind, with what it cost.

use super::report::{RECORDED, report};
use super::{Differences, Outcome, SECRET, Surface, builtin, errors, expected, model, upstream_model};
use crate::harness::{Gateway, Got, KEY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_sim::{Case, Replay, ReplayConfig, case};
use std::collections::BTreeMap;
use std::path::Path;

/// What was called, by the recorded path.
#[derive(Clone, Copy, PartialEq)]
enum Called {
    Draw,
    Edit,
    Speech,
    Transcription,
    Translation,
}

impl Called {
    fn of(case: &Case) -> Option<Called> {
        if !matches!(case.api.as_str(), "audio" | "images") {
            return None;
        }
        let path = case.path();
        let rows = [
            ("/images/edits", Called::Edit),
            ("/images", Called::Draw),
            ("/audio/speech", Called::Speech),
            ("/text-to-speech", Called::Speech),
            ("/speak", Called::Speech),
            ("/audio/translations", Called::Translation),
            ("/audio/transcriptions", Called::Transcription),
            ("/speech-to-text", Called::Transcription),
            ("/listen", Called::Transcription),
        ];
        rows.into_iter().find(|(part, _)| path.contains(part)).map(|(_, called)| called)
    }
}

/// A second of silence.
fn wav() -> Vec<u8> {
    let mut out =
        b"RIFF\x24\x7d\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\x7d\0\0".to_vec();
    out.resize(44 + 32_000, 0);
    out
}

#[tokio::test]
async fn recorded_pictures_and_sound_reach_every_client() {
    let Some(corpus) = std::env::var_os("SLIPSWITCH_CORPUS") else {
        println!("skipped: SLIPSWITCH_CORPUS is not set");
        return;
    };
    let mut cases = case::load(Path::new(&corpus)).expect("a corpus");
    cases.retain(|case| Called::of(case).is_some());
    let replay = Replay::start(cases.clone(), ReplayConfig::default()).await.expect("a replayed upstream");
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    for case in &cases {
        let outcome = walk(case, &replay).await;
        outcomes.insert(case.id.clone(), outcome);
    }
    let failed = report(RECORDED, &outcomes, &expected::load());
    assert_eq!(failed, 0, "recorded pictures and sound were not carried faithfully; see the list above");
}

fn provider(case: &Case, replay: &Replay) -> String {
    let known = ["deepgram", "elevenlabs"].into_iter().find(|slug| *slug == case.provider).or_else(|| builtin(case));
    let dialect = if known.is_none() { "dialect = \"openai-chat\"\n" } else { "" };
    let table = json!({ "id": model(case), "upstream": upstream_model(case),
        "price": { "input": "1", "output": "2", "second": "0.0001", "characters": "15", "image": "0.04" } });
    let models = toml::Value::try_from(vec![table]).expect("a table");
    format!(
        "[providers.\"{}\"]\n{dialect}base_url = \"{}/v1\"\nkey = {SECRET:?}\nallow_private = true\nmodels = {models}\n",
        known.unwrap_or("declared"),
        replay.case_url(&case.id),
    )
}

async fn walk(case: &Case, replay: &Replay) -> Outcome {
    let gateway = Gateway::start(&provider(case, replay));
    let mut outcome = Outcome::default();
    for leg in legs(case) {
        outcome.legs += 1;
        let mut found = Differences { prefix: leg.name.to_owned(), found: Vec::new() };
        replay.journal().clear();
        let key = format!("Bearer {KEY}");
        let headers = [("authorization", key.as_str()), ("content-type", leg.media_type.as_str())];
        let got = gateway.send(Method::POST, leg.path, &headers, Bytes::from(leg.body.clone())).await;
        judge(case, &leg, &got, &mut found);
        if leg.recorded {
            sent(case, replay, &mut found);
        }
        if got.status == 200 {
            let record = gateway.record(&got).await;
            let words = ["image", "tts", "stt"];
            if !words.contains(&record["api_type"].as_str().unwrap_or("")) || record["total_cost"].as_f64() == Some(0.0)
            {
                found.say("record", format!("{} cost {}", record["api_type"], record["total_cost"]));
            }
            let losses = record["slipswitch"]["losses"].as_array().cloned().unwrap_or_default();
            outcome.losses.extend(losses.iter().filter_map(|l| l.as_str()).map(str::to_owned));
        }
        outcome.failed.extend(found.found);
    }
    outcome
}

/// One request of one kind of client.
struct Leg {
    name: &'static str,
    path: &'static str,
    media_type: String,
    body: Vec<u8>,
    /// The body is the recorded one, but for the model's name.
    recorded: bool,
}

fn legs(case: &Case) -> Vec<Leg> {
    let known = case.request.body.is_object();
    let recorded = |mut body: Value| {
        body["model"] = model(case).into();
        body.to_string().into_bytes()
    };
    let asked = &case.request.body;
    let text = |name: &str, else_: &str| asked[name].as_str().filter(|t| !t.is_empty()).unwrap_or(else_).to_owned();
    let json_leg = |name, path, body: Value| Leg {
        name,
        path,
        media_type: "application/json".into(),
        body: body.to_string().into_bytes(),
        recorded: false,
    };
    let whole = |name, path| Leg {
        name,
        path,
        media_type: "application/json".into(),
        body: recorded(asked.clone()),
        recorded: true,
    };
    let stream = case.response.stream;
    match Called::of(case).expect("only such cases are kept") {
        Called::Draw => {
            let path = "/api/v1/images/generations";
            let plain = json!({ "model": model(case), "prompt": text("prompt", "a cat"), "stream": stream });
            let own = if known && !text("prompt", "").is_empty() {
                whole("openai", path)
            } else {
                json_leg("openai", path, plain.clone())
            };
            vec![own, json_leg("openrouter", "/api/v1/images", plain)]
        }
        Called::Edit => {
            let path = "/api/v1/images/edits";
            let picture = "data:image/png;base64,iVBORw0KGgo=";
            let plain = json!({ "model": model(case), "prompt": text("prompt", "a cat"), "stream": stream,
                "input_references": [{ "type": "image_url", "image_url": { "url": picture } }] });
            let own = if known {
                whole("openai", path)
            } else {
                json_leg(
                    "openai",
                    path,
                    json!({ "model": model(case), "prompt": "p", "images": [{ "image_url": picture }], "stream": stream }),
                )
            };
            vec![own, json_leg("openrouter", "/api/v1/images", plain)]
        }
        Called::Speech => {
            let path = "/api/v1/audio/speech";
            let mut plain = json!({ "model": model(case), "input": text("input", &text("text", "hello")), "voice": text("voice", "alloy") });
            if stream {
                plain["stream_format"] = "sse".into();
            }
            let own = known && case.path().contains("/audio/speech");
            vec![if own { whole("openai", path) } else { json_leg("openai", path, plain) }]
        }
        called => {
            let path = if called == Called::Translation {
                "/api/v1/audio/translations"
            } else {
                "/api/v1/audio/transcriptions"
            };
            let said: Value = serde_json::from_slice(&case.response.body).unwrap_or_default();
            let format = if case.response.framing == "text" {
                "text"
            } else if said["segments"].is_array() || said["words"].is_array() {
                "verbose_json"
            } else {
                "json"
            };
            let mut fields = vec![("model", model(case)), ("response_format", format.to_owned())];
            fields.extend(stream.then(|| ("stream", "true".to_owned())));
            let form = Leg {
                name: "form",
                path,
                media_type: "multipart/form-data; boundary=recorded".into(),
                body: form(&fields),
                recorded: false,
            };
            let audio = json!({ "data": STANDARD.encode(wav()), "format": "wav" });
            let inline =
                json!({ "model": model(case), "input_audio": audio, "response_format": format, "stream": stream });
            let own = known && asked["input_audio"].is_object();
            vec![form, if own { whole("inline", path) } else { json_leg("inline", path, inline) }]
        }
    }
}

fn form(fields: &[(&str, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, text) in fields {
        out.extend(
            format!("--recorded\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n").into_bytes(),
        );
    }
    out.extend_from_slice(b"--recorded\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n");
    out.extend(wav());
    out.extend_from_slice(b"\r\n--recorded--\r\n");
    out
}

/// The provider heard what was recorded, but for what means nothing.
fn sent(case: &Case, replay: &Replay, out: &mut Differences) {
    let Some(entry) = replay.journal().last() else { return out.say("sent", "nothing was asked of the provider") };
    let clean = |body: &Value| {
        let mut body = body.clone();
        if let Some(members) = body.as_object_mut() {
            members.retain(|name, value| !value.is_null() && name != "model" && !(name == "stream" && *value == false));
        }
        body
    };
    // Where a form was made of it there is nothing to hold against it.
    if entry.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        let (want, got) = (clean(&case.request.body), clean(&entry.json()));
        let known = ["deepgram", "elevenlabs"].contains(&case.provider.as_str()) || builtin(case).is_none();
        if want != got && !known {
            out.say("sent", format!("{:.200} became {:.200}", want.to_string(), got.to_string()));
        }
    }
}

fn judge(case: &Case, leg: &Leg, got: &Got, out: &mut Differences) {
    let heard = got.text();
    if heard.contains(SECRET) {
        out.say("leak", SECRET);
    }
    let body = &case.response.body;
    if case.response.status >= 400 {
        return errors::refused(case.response.status, body, Surface::Chat, got, out);
    }
    if got.status != 200 {
        return out.say("status", format!("{}: {:.300}", got.status, heard));
    }
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    match Called::of(case).expect("only such cases are kept") {
        _ if case.response.stream => streamed(body, got, out),
        Called::Speech => {
            let packed = ["audio_data", "audio", "audio_base64"].into_iter().find_map(|name| said[name].as_str());
            let want = packed.and_then(|text| STANDARD.decode(text).ok()).map_or_else(|| body.clone(), Bytes::from);
            if got.body != want {
                out.say("sound", format!("{} bytes became {}", want.len(), got.body.len()));
            }
            let told = case.response.headers.get("content-type").filter(|kind| kind.starts_with("audio/"));
            if told.is_some_and(|told| told != got.header("content-type"))
                || !got.header("content-type").starts_with("audio/")
            {
                out.say("content-type", got.header("content-type"));
            }
        }
        Called::Draw | Called::Edit => pictures(&said, leg, &got.json(), out),
        Called::Transcription | Called::Translation if case.response.framing == "text" => {
            out.same("text", &String::from_utf8_lossy(body), &heard);
        }
        Called::Transcription | Called::Translation => {
            let told = got.json();
            let transcript = &said["results"]["channels"][0]["alternatives"][0]["transcript"];
            let want = said["text"].as_str().or(transcript.as_str()).unwrap_or_default();
            out.same("text", want, told["text"].as_str().unwrap_or_default());
            for name in ["segments", "words"] {
                let texts = |list: &Value| -> Vec<String> {
                    let word =
                        |one: &Value| ["text", "word"].into_iter().find_map(|n| one[n].as_str()).map(str::to_owned);
                    list.as_array().into_iter().flatten().filter_map(word).collect()
                };
                if case.provider != "elevenlabs" && texts(&said[name]) != texts(&told[name]) {
                    out.say(name, format!("{:.200} became {:.200}", said[name].to_string(), told[name].to_string()));
                }
            }
            let seconds = ["seconds", "prompt_audio_seconds"].into_iter().find_map(|n| said["usage"][n].as_f64());
            if seconds.is_some_and(|s| {
                told["usage"]["seconds"].as_f64().or(told["usage"]["prompt_audio_seconds"].as_f64()) != Some(s)
            }) {
                out.say("usage", format!("{} became {}", said["usage"], told["usage"]));
            }
            if !told["usage"]["cost"].is_number() {
                out.say("cost", told["usage"].to_string());
            }
        }
    }
}

fn pictures(said: &Value, leg: &Leg, told: &Value, out: &mut Differences) {
    let count = |of: &Value| of["data"].as_array().map_or(0, Vec::len);
    if count(said) != count(told) {
        out.say("pictures", format!("{} became {}", count(said), count(told)));
    }
    for (want, got) in said["data"].as_array().into_iter().flatten().zip(told["data"].as_array().into_iter().flatten())
    {
        let names: &[&str] =
            if leg.name == "openrouter" { &["b64_json"] } else { &["b64_json", "url", "revised_prompt"] };
        if let Some(name) = names.iter().find(|name| !want[**name].is_null() && want[**name] != got[**name]) {
            out.say("picture", format!("{name} differs"));
        }
    }
    let tokens = |usage: &Value, names: [&str; 2]| names.into_iter().find_map(|n| usage[n].as_u64());
    for names in [["input_tokens", "prompt_tokens"], ["output_tokens", "completion_tokens"]] {
        let want = tokens(&said["usage"], names);
        if want.is_some() && want != tokens(&told["usage"], names) {
            out.say("usage", format!("{} became {}", said["usage"], told["usage"]));
        }
    }
}

/// Every event with content reaches the client, in order.
fn streamed(body: &[u8], got: &Got, out: &mut Differences) {
    let content = |event: &Value| {
        let names = ["delta", "audio", "b64_json", "text"];
        names.into_iter().find_map(|name| event[name].as_str()).map(str::to_owned)
    };
    let want: Vec<String> = super::read::values(body).iter().filter_map(content).collect();
    let told: Vec<String> = got.events().iter().filter_map(content).collect();
    if want != told {
        out.say("events", format!("{} became {}", want.len(), told.len()));
    }
}

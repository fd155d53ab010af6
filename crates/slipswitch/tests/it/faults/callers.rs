//! The same failures as every kind of caller hears of them: another endpoint's answer of which nothing shows that it is another's,
//! a refusal in the caller's own form, or an error inside the stream and behind it none of the words that end a good one.

use super::sim;
use crate::harness::{Gateway, Got, provider};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Fault, Sim, SimConfig};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::Semaphore;

const AT_ONCE: usize = 12;

/// One API that callers speak.
struct Surface {
    name: &'static str,
    path: fn(&str, bool) -> String,
    body: fn(&str, bool) -> Value,
    /// A refusal in its own form.
    refuses: fn(&Got) -> bool,
    /// An error inside a stream in its own form.
    breaks: fn(&str) -> bool,
    /// What only a stream that ended well says.
    ends: &'static str,
}

const QUESTION: &str = "count to 20";

fn messages(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "max_tokens": 60, "messages": [{ "role": "user", "content": QUESTION }] })
}

fn prompt(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "prompt": QUESTION })
}

fn coded(got: &Got) -> bool {
    let error = got.error();
    error["code"] == got.status && error["message"].is_string()
}

fn worded(got: &Got) -> bool {
    got.json()["message"].is_string()
}

/// OpenRouter ends a stream with `[DONE]` whatever came of it: what tells is the reason of the last choice.
fn last_choice(text: &str) -> bool {
    text.contains("\"finish_reason\":\"error\"") && text.contains("\"error\":{\"code\":")
}

fn last_line(text: &str) -> bool {
    let last = text.trim_end().rsplit('\n').next().unwrap_or_default();
    serde_json::from_str::<Value>(last).is_ok_and(|line| line["error"].is_string())
}

const SURFACES: &[Surface] = &[
    Surface {
        name: "chat",
        path: |_, _| "/api/v1/chat/completions".into(),
        body: messages,
        refuses: coded,
        breaks: last_choice,
        ends: "\"finish_reason\":\"stop\"",
    },
    Surface {
        name: "responses",
        path: |_, _| "/v1/responses".into(),
        body: |model, stream| json!({ "model": model, "stream": stream, "input": QUESTION }),
        refuses: |got| got.error()["message"].is_string(),
        breaks: |text| text.contains("\"type\":\"response.failed\""),
        ends: "\"type\":\"response.completed\"",
    },
    Surface {
        name: "messages",
        path: |_, _| "/v1/messages".into(),
        body: messages,
        refuses: |got| got.json()["type"] == "error" && got.error()["type"].is_string(),
        breaks: |text| text.contains("event: error\ndata: {\"type\":\"error\""),
        ends: "message_stop",
    },
    Surface {
        name: "gemini",
        path: |model, stream| {
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            format!("/v1beta/models/{}:{method}", model.replace('/', "%2F"))
        },
        body: |_, _| json!({ "contents": [{ "role": "user", "parts": [{ "text": QUESTION }] }] }),
        refuses: |got| got.error()["status"].is_string() && got.error()["code"] == got.status,
        breaks: |text| text.contains("\"error\":") && text.contains("\"status\":"),
        ends: "\"STOP\"",
    },
    Surface {
        name: "completions",
        path: |_, _| "/v1/completions".into(),
        body: prompt,
        refuses: coded,
        breaks: last_choice,
        ends: "\"finish_reason\":\"stop\"",
    },
    Surface {
        name: "ollama chat",
        path: |_, _| "/api/chat".into(),
        body: messages,
        refuses: |got| got.error().is_string(),
        breaks: last_line,
        ends: "\"done\":true",
    },
    Surface {
        name: "ollama generate",
        path: |_, _| "/api/generate".into(),
        body: prompt,
        refuses: |got| got.error().is_string(),
        breaks: last_line,
        ends: "\"done\":true",
    },
    Surface {
        name: "cohere",
        path: |_, _| "/v2/chat".into(),
        body: messages,
        refuses: worded,
        breaks: |text| text.contains("\"finish_reason\":\"ERROR\"") && text.contains("\"error\":\""),
        ends: "\"COMPLETE\"",
    },
    Surface {
        name: "bedrock",
        path: |model, stream| {
            format!("/model/{}/{}", model.replace('/', "%2F"), if stream { "converse-stream" } else { "converse" })
        },
        body: |_, _| json!({ "messages": [{ "role": "user", "content": [{ "text": QUESTION }] }] }),
        refuses: |got| worded(got) && !got.header("x-amzn-errortype").is_empty(),
        breaks: |text| text.contains(":exception-type"),
        ends: "messageStop",
    },
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// The other one's answer.
    Elsewhere,
    /// A refusal with this status.
    Refused(u16),
    /// What had come, and an error behind it.
    Broken,
    /// Anything else.
    Muddle,
}

use Seen::{Broken, Elsewhere, Refused};

/// Mode, whether there is another endpoint, what comes of it streamed and not, and how often the failing one is asked.
const ROWS: &[(&str, bool, Seen, Seen, u64)] = &[
    ("status:500", true, Elsewhere, Elsewhere, 1),
    ("status:429", true, Elsewhere, Elsewhere, 1),
    ("stall:0", true, Elsewhere, Elsewhere, 1),
    ("error-first", true, Elsewhere, Elsewhere, 1),
    ("auth", true, Elsewhere, Elsewhere, 1),
    ("empty", true, Elsewhere, Elsewhere, 1),
    ("status:400", true, Refused(400), Refused(400), 1),
    ("cut:5", true, Broken, Elsewhere, 1),
    ("stall:5", true, Broken, Elsewhere, 1),
    ("error:5", true, Broken, Elsewhere, 1),
    ("status:500", false, Refused(502), Refused(502), 2),
    ("status:429:30", false, Refused(429), Refused(429), 1),
    ("stall:0", false, Refused(504), Refused(504), 1),
    ("auth", false, Refused(502), Refused(502), 1),
];

fn seen(surface: &Surface, got: &Got, stream: bool) -> Seen {
    if got.status != 200 {
        return if (surface.refuses)(got) { Refused(got.status) } else { Seen::Muddle };
    }
    let text = got.text();
    let (ended, broke) = (text.contains(surface.ends), (surface.breaks)(&text));
    match (stream, ended, broke) {
        (true, false, true) if text.contains("tok5") && !text.contains("tok6") => Broken,
        (true, true, false) | (false, _, false) if text.contains("tok20") && !text.contains("bad") => {
            if got.header("x-provider-name") == "good" { Elsewhere } else { Seen::Muddle }
        }
        _ => Seen::Muddle,
    }
}

#[tokio::test]
async fn every_caller_hears_of_every_failure_in_its_own_words() {
    let good = sim(Dialect::OpenAiChat, None).await;
    let names: Vec<String> = (0..ROWS.len() * SURFACES.len() * 2).map(|n| format!("two/m{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut config = "[timeouts]\nfirst_content = \"1500ms\"\nidle = \"1500ms\"\ntotal = \"6s\"\n\n".to_owned()
        + &provider("good", Dialect::OpenAiChat, &good.base_url(), &names);
    let mut rows = Vec::new();
    for surface in SURFACES {
        for row in ROWS {
            for stream in [true, false] {
                // Somebody to blame for each, for whoever failed is remembered.
                let (n, dialect) = (rows.len(), [Dialect::OpenAiChat, Dialect::Anthropic][rows.len() % 2]);
                let paced = SimConfig { dialect, tokens_per_second: 500.0, ..SimConfig::default() };
                let bad = Sim::start(paced).await.expect("a socket");
                bad.set_fault(Some(Fault::parse(row.0).expect("a mode")));
                config += &provider(&format!("bad{n}"), dialect, &bad.base_url(), &[&format!("one/m{n}")]);
                let mut ends = vec![format!("one/m{n}")];
                ends.extend(row.1.then(|| format!("two/m{n}")));
                let _ =
                    write!(config, "[models.\"house/m{n}\"]\nendpoints = {ends:?}\nload_balancer = \"priority\"\n\n");
                rows.push((surface, row, stream, bad));
            }
        }
    }
    let (gateway, places) = (Arc::new(Gateway::start(&config)), Arc::new(Semaphore::new(AT_ONCE)));
    let mut all = tokio::task::JoinSet::new();
    for (n, (surface, (mode, others, streamed, plain, calls), stream, bad)) in rows.into_iter().enumerate() {
        let (gateway, places) = (gateway.clone(), places.clone());
        all.spawn(async move {
            let _place = places.acquire().await;
            let model = format!("house/m{n}");
            let got = gateway.post(&(surface.path)(&model, stream), &(surface.body)(&model, stream)).await;
            let want = if stream { *streamed } else { *plain };
            let (seen, asked) = (seen(surface, &got, stream), bad.journal().total());
            let told = want != Refused(429) || got.header("retry-after") == "30";
            (seen != want || asked != *calls || !told).then(|| {
                format!(
                    "{}, {mode}, others {others}, stream {stream}: {seen:?} in {asked} calls, not {want:?} in {calls}: {} {:?} {}",
                    surface.name,
                    got.status,
                    got.headers,
                    got.text()
                )
            })
        });
    }
    let wrong: Vec<String> = all.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
    let others = SURFACES.len() as u64
        * ROWS.iter().map(|row| [row.2, row.3].iter().filter(|s| **s == Elsewhere).count() as u64).sum::<u64>();
    assert_eq!(good.journal().total(), others, "nobody was asked without need");
}

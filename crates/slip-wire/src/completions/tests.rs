//! What prompts mean, how conversations become prompts, and how text comes back.

use super::*;
use crate::lens::{self, End, Lens};
use crate::{Peek, cross};
use serde_json::{Value, json};
use slip_ir::{Role, Turn};

fn stamp() -> Stamp {
    Stamp {
        id: "gen-1-abcdefghijklmnopqrst".into(),
        created: 1,
        model: "m/n".into(),
        provider: "P".into(),
        prompt_estimate: 7,
        ..Stamp::default()
    }
}

fn read(body: &Value) -> Result<Request, String> {
    Completions.decode_request(body.to_string().as_bytes()).map(|(request, _)| request).map_err(|m| m.to_string())
}

fn written(request: &Request) -> (Value, Vec<String>) {
    let (body, losses) = Completions.encode_request(request, &Quirks::OPENAI_CHAT);
    let body = serde_json::from_slice(&body).expect("a request is JSON");
    (body, losses.iter().map(|loss| loss.what.to_string()).collect())
}

#[test]
fn one_prompt_is_a_users_turn_and_the_rest_is_bound_to_the_dialect() {
    let rows = [
        (json!("hi"), false),
        (json!(["hi"]), false),
        (json!(["a", "b"]), true),
        (json!([1, 2, 3]), true),
        (json!([[1, 2], [3]]), true),
    ];
    for (prompt, bound) in rows {
        let request = read(&json!({"model": "m", "prompt": prompt})).expect("a request");
        assert_eq!(is_bound(&request), bound, "{prompt}");
        if !bound {
            assert_eq!(request.turns, [Turn::new(Role::User, vec![Block::text("hi")])], "{prompt}");
        }
        let (again, losses) = written(&request);
        let want = if bound { prompt.clone() } else { json!("hi") };
        assert_eq!((&again["prompt"], losses), (&want, vec![]), "{prompt}");
    }
}

#[test]
fn a_prompt_that_is_none_is_refused_by_path_and_reason() {
    let rows = [
        (json!({"model": "m"}), "prompt: expected a string, found nothing"),
        (json!({"prompt": 5}), "prompt: expected a string or an array, found a number"),
        (json!({"prompt": []}), "prompt: expected at least one prompt"),
        (json!({"prompt": ["a", 1]}), "prompt: expected strings, tokens, or lists of tokens"),
        (json!({"prompt": "a", "logprobs": 99}), "logprobs: expected at most 20, found: 99"),
        (json!({"prompt": "a", "logprobs": "1"}), "logprobs: expected an integer, found a string"),
        (json!({"prompt": "a", "n": "1"}), "n: expected an integer, found a string"),
    ];
    for (body, want) in rows {
        assert_eq!(read(&body).err().as_deref(), Some(want), "{body}");
    }
}

#[test]
fn parameters_survive_and_members_without_a_word_stay_in_the_dialect() {
    let body = json!({"model": "m", "prompt": "def f(", "suffix": "return x", "echo": true, "best_of": 2, "n": 1,
        "logprobs": 3, "max_tokens": 9, "temperature": 0.5, "stop": ["\n"], "stream": true, "seed": 4, "user": "u"});
    let request = read(&body).expect("a request");
    let (again, losses) = written(&request);
    let mut want = body.clone();
    want["stream_options"] = json!({"include_usage": true});
    assert_eq!((again, losses), (want, vec![]));
    let (crossed, lost) = cross(&request, Dialect::Completions, Dialect::OpenAiChat);
    let mut lost: Vec<_> = lost.iter().map(|loss| loss.what.as_ref()).collect();
    lost.sort_unstable();
    assert_eq!(lost, ["best_of", "echo", "suffix"]);
    let (chat, _) = crate::wire(Dialect::OpenAiChat).encode_request(&crossed, &Quirks::OPENAI_CHAT);
    let chat: Value = serde_json::from_slice(&chat).expect("JSON");
    assert_eq!(chat["messages"], json!([{"role": "user", "content": "def f("}]));
    assert_eq!((&chat["logprobs"], &chat["top_logprobs"]), (&json!(true), &json!(3)));
}

#[test]
fn a_conversation_becomes_a_transcript_and_says_so() {
    let chat = |messages: Value, more: Value| {
        let mut body = json!({"model": "m", "messages": messages});
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let wire = crate::wire(Dialect::OpenAiChat);
        let (request, _) = wire.decode_request(body.to_string().as_bytes()).expect("a chat");
        written(&request)
    };
    let user = json!({"role": "user", "content": "hi"});
    let (alone, losses) = chat(json!([user]), json!({}));
    assert_eq!((&alone["prompt"], &alone["stop"], losses), (&json!("hi"), &Value::Null, vec![]));
    let (talk, losses) = chat(
        json!([{"role": "system", "content": "Be brief."}, user, {"role": "assistant", "content": "ho"}, user]),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
    );
    assert_eq!(talk["prompt"], "System: Be brief.\n\nUser: hi\n\nAssistant: ho\n\nUser: hi\n\nAssistant:");
    assert_eq!(talk["stop"], json!(["\nUser:"]));
    assert_eq!(losses, ["messages", "tools"]);
    let (prefilled, _) = chat(json!([user, {"role": "assistant", "content": "Once"}]), json!({}));
    assert_eq!(prefilled["prompt"], "User: hi\n\nAssistant: Once");
}

const STREAM: &str = concat!(
    "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"model\":\"x\",\"choices\":[{\"index\":0,\"text\":\" Hi\",\"logprobs\":{\"tokens\":[\" Hi\"],\"token_logprobs\":[-0.5],\"top_logprobs\":[{\" Hi\":-0.5}],\"text_offset\":[4]},\"finish_reason\":null,\"stop_reason\":null}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"index\":0,\"text\":\"!\",\"finish_reason\":\"eos\"}],\"timings\":{\"a\":1}}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6}}\n\n",
    "data: [DONE]\n\n",
);

fn streamed(upstream: Dialect, caller: Dialect, bytes: &str) -> (Vec<Value>, crate::Tally) {
    let mut lens = Lens::new(upstream, caller, Arc::new(stamp()), &Quirks::OPENAI_CHAT);
    let mut out = BytesMut::new();
    lens.push(bytes.as_bytes(), &mut out);
    let tally = lens.end(End::Eof, &mut out);
    let text = String::from_utf8(out.to_vec()).expect("text");
    let mut events: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(events.pop(), Some("data: [DONE]"), "{text}");
    let parse = |event: &str| serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON");
    (events.into_iter().map(parse).collect(), tally)
}

#[test]
fn a_stream_of_the_same_dialect_keeps_its_choices_and_gets_our_name_price_and_ending() {
    let (chunks, tally) = streamed(Dialect::Completions, Dialect::Completions, STREAM);
    assert_eq!((tally.finish, tally.native.as_deref()), (Some(slip_ir::Finish::Stop), Some("eos")));
    assert_eq!(tally.usage.as_ref().map(|usage| (usage.input, usage.output)), Some((4, 2)));
    assert_eq!(chunks.len(), 3);
    for chunk in &chunks {
        assert_eq!((&chunk["id"], &chunk["object"]), (&json!(stamp().id), &json!("text_completion")));
        assert_eq!((&chunk["model"], &chunk["provider"]), (&json!("m/n"), &json!("P")));
    }
    assert_eq!(chunks[0]["choices"][0]["logprobs"]["text_offset"], json!([4]));
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[1]["choices"][0]["native_finish_reason"], "eos");
    assert_eq!(chunks[1]["timings"], json!({"a": 1}));
    assert_eq!(chunks[2]["usage"]["prompt_tokens"], 4);
    assert!(chunks[2]["usage"]["cost"].is_number());
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
}

#[test]
fn text_and_probabilities_cross_to_chat_and_back() {
    let (chunks, _) = streamed(Dialect::Completions, Dialect::OpenAiChat, STREAM);
    let deltas: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(deltas, " Hi!");
    let rows: Vec<&Value> = chunks.iter().map(|c| &c["choices"][0]["logprobs"]["content"]).collect();
    let rows: Vec<&&Value> = rows.iter().filter(|rows| rows.is_array()).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][0]["token"], " Hi");
    assert_eq!(rows[0][0]["top_logprobs"][0]["logprob"], -0.5);

    let chat = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"hm\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ab\"},\"logprobs\":{\"content\":[{\"token\":\"ab\",\"logprob\":-1,\"top_logprobs\":[]}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"c\"},\"logprobs\":{\"content\":[{\"token\":\"c\",\"logprob\":-2,\"top_logprobs\":[]}]},\"finish_reason\":\"length\"}]}\n\n",
    );
    let (chunks, _) = streamed(Dialect::OpenAiChat, Dialect::Completions, chat);
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, "abc");
    assert_eq!(chunks[0]["choices"][0]["reasoning"], "hm");
    let offsets: Vec<&Value> = chunks.iter().map(|c| &c["choices"][0]["logprobs"]["text_offset"]).collect();
    assert!(offsets.contains(&&json!([0])) && offsets.contains(&&json!([2])), "{offsets:?}");
    assert_eq!(chunks.last().map(|c| &c["choices"][0]["finish_reason"]), Some(&json!("length")));
}

#[test]
fn a_whole_reply_keeps_its_choices_in_the_same_dialect() {
    let body = json!({"id": "x", "object": "text.completion", "model": "u", "prompt": [], "choices": [
        {"text": "a", "index": 0, "finish_reason": "eos", "seed": 5}, {"text": "b", "index": 1, "finish_reason": "length", "logprobs": null}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}});
    let of = |upstream, caller, body: &Value| {
        let body = body.to_string();
        let got = lens::reply(upstream, caller, body.as_bytes(), &stamp(), &Quirks::OPENAI_CHAT).expect("a reply");
        serde_json::from_slice::<Value>(&got.0).expect("JSON")
    };
    let same = of(Dialect::Completions, Dialect::Completions, &body);
    assert_eq!((&same["object"], &same["model"]), (&json!("text_completion"), &json!("m/n")));
    assert_eq!((&same["choices"][0]["seed"], &same["choices"][0]["finish_reason"]), (&json!(5), &json!("stop")));
    assert_eq!(same["choices"][1]["text"], "b");
    assert!(same["usage"]["cost"].is_number());
    let chat = of(Dialect::Completions, Dialect::OpenAiChat, &body);
    assert_eq!(chat["choices"][1]["message"]["content"], "b");
    let back = of(Dialect::OpenAiChat, Dialect::Completions, &chat);
    assert_eq!((&back["choices"][0]["text"], &back["choices"][1]["finish_reason"]), (&json!("a"), &json!("length")));
}

#[test]
fn an_infill_answered_as_a_chat_is_text_all_the_same() {
    let chunks = concat!(
        "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a + b\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":3,\"total_tokens\":11}}\n\ndata: [DONE]\n\n",
    );
    let (told, tally) = streamed(Dialect::Completions, Dialect::Completions, chunks);
    assert_eq!((&told[0]["choices"][0]["text"], &told[0]["choices"][0]["delta"]), (&json!("a + b"), &Value::Null));
    assert_eq!(tally.usage.map(|usage| usage.output), Some(3));
    let body = json!({"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]});
    let body = body.to_string();
    let got = lens::reply(Dialect::Completions, Dialect::Completions, body.as_bytes(), &stamp(), &Quirks::OPENAI_CHAT);
    let got: Value = serde_json::from_slice(&got.expect("a reply").0).expect("JSON");
    assert_eq!((&got["object"], &got["choices"][0]["text"]), (&json!("text_completion"), &json!("x")));
}

#[test]
fn a_request_passed_on_asks_for_usage_and_leaves_our_members_behind() {
    let body = br#"{"model":"a/b","prompt":["x","y"],"provider":{"order":["p"]},"stream":true,"best_of":2,"stream_options":{},"logit_bias":{}}"#;
    let (peek, _) = Peek::of(Dialect::Completions, body, None).expect("a peek");
    let quirks = Quirks { refuses: vec!["logit_bias".into()].into(), ..Quirks::OPENAI_CHAT };
    let mut out = Vec::new();
    let losses = splice::splice(body, &peek, "b", &quirks, &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        r#"{"model":"b","prompt":["x","y"],"stream":true,"best_of":2,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(losses.len(), 1);
}

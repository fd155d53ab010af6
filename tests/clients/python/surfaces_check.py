"""The gateway's surfaces byte by byte, without any library: OpenRouter's stream, Anthropic's Messages, Gemini's generateContent."""

import json

from harness import (
    API, ASK_BOTH, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, ROOT, chat, check, each_model, has, http, png, run, same,
)  # fmt: skip

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


# OpenRouter's stream: what is null and what is absent matters to strict clients.


@each_model("a stream is framed as OpenRouter's: role in every delta, one usage chunk, then [DONE]")
def _(model):
    reply = chat(model, "count to 8", stream=True)
    same(reply.status, 200, "status")
    has(reply.headers["content-type"], "text/event-stream", "content-type")
    assert reply.headers["x-generation-id"], dict(reply.headers)
    events = reply.events()
    same(events[-1], (None, "[DONE]"), "last event")
    chunks = [json.loads(data) for _, data in events[:-1]]
    same({c["object"] for c in chunks}, {"chat.completion.chunk"})
    same({c["id"] for c in chunks}, {reply.headers["x-generation-id"]}, "ids")
    for chunk in chunks:
        same((chunk["model"], chunk["provider"]), (model, MODELS[model][2]))
        for choice in chunk["choices"]:
            assert "finish_reason" in choice and "native_finish_reason" in choice, choice
            same(choice["delta"].get("role"), "assistant", "role")
            assert "content" in choice["delta"], choice
        for member in ["system_fingerprint", "usage"]:
            assert member not in chunk or chunk[member] is not None, f"{member} is null: {chunk}"
    same([("usage" in c) for c in chunks], [False] * (len(chunks) - 1) + [True], "usage only in the last chunk")
    usage = chunks[-1]["usage"]
    assert isinstance(usage["cost"], float) and usage["is_byok"] is False, usage
    assert isinstance(usage["prompt_tokens_details"]["cached_tokens"], int), usage
    assert isinstance(usage["completion_tokens_details"]["reasoning_tokens"], int), usage


@each_model("streamed tool calls open with id, type and name, and go on with arguments alone")
def _(model):
    tools = [{"type": "function", "function": {"name": n, "parameters": CITY}} for n in ["get_weather", "get_time"]]
    chunks = [json.loads(d) for _, d in chat(model, ASK_BOTH, stream=True, tools=tools).events()[:-1]]
    pieces = [p for c in chunks for choice in c["choices"] for p in choice["delta"].get("tool_calls", [])]
    opened = set()
    for piece in pieces:
        if piece["index"] in opened:
            same(sorted(piece), ["function", "index"], "later piece")
            same(sorted(piece["function"]), ["arguments"], "later function")
        else:
            opened.add(piece["index"])
            same((piece["type"], bool(piece["id"]), bool(piece["function"]["name"])), ("function", True, True))
            assert isinstance(piece["function"]["arguments"], str), piece
    same(opened, {0, 1}, "indices")


@each_model("an error in mid-stream is a chunk with an integer code, then [DONE]", models=[*DIES, "sim/cut"])
def _(model):
    events = chat(model, "count to 40", stream=True).events()
    same(events[-1][1], "[DONE]", "last event")
    last = [json.loads(d) for _, d in events[:-1] if "error" in json.loads(d)]
    same(len(last), 1, "chunks with an error")
    error, [choice] = last[0]["error"], last[0]["choices"]
    assert isinstance(error["code"], int) and error["message"], error
    assert isinstance(error["metadata"]["error_type"], str), error
    same(choice["finish_reason"], "error", "finish_reason")


@check("a plain answer has system_fingerprint even when there is none, and tool calls have their index")
def _():
    for model in MODELS:
        assert "system_fingerprint" in chat(model, "hello").json(), model
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
        calls = chat(model, ASK_WEATHER, tools=tools).json()["choices"][0]["message"]["tool_calls"]
        same([c["index"] for c in calls], [0], model)


@check("JSON is taken with the content type curl -d sends, or with none")
def _():
    for kind in ["application/x-www-form-urlencoded", "", "text/plain"]:
        same(chat("sim/echo", "hello", headers={"content-type": kind}).status, 200, kind)


@check("errors are JSON envelopes with the status as an integer code")
def _():
    body = lambda data: http("POST", f"{API}/chat/completions", data)
    rows = [
        (chat("sim/echo", "hello", key=None), 401),
        (chat("sim/echo", "hello", key=BAD_KEY), 401),
        (chat("sim/nobody", "hello"), 400),
        (body(b"{not json"), 400),
        (body(b'{"model": "sim/echo", "model": "sim/claude", "messages": []}'), 400),
        (body({"model": 5, "messages": []}), 400),
        (chat("sim/both", "hello", provider={"only": ["nobody"]}), 404),
        (http("GET", "/api/v1/nothing/here"), 404),
        (http("GET", f"{API}/chat/completions"), 405),
        (http("GET", f"{API}/generation?id=gen-0-nothing"), 404),
        (http("GET", f"{API}/models", key=BAD_KEY), 401),
    ]
    for at, (reply, status) in enumerate(rows):
        same((reply.status, reply.headers["content-type"].split(";")[0]), (status, "application/json"), f"row {at}")
        error = reply.json()["error"]
        same((error["code"], bool(error["message"])), (status, True), f"row {at}")


@check("health, readiness, version and metrics answer")
def _():
    for path in ["/healthz", "/readyz", "/livez", "/version"]:
        same(http("GET", path, key=None).status, 200, path)
    metrics = http("GET", "/metrics", key=None)
    same(metrics.status, 200, "/metrics")
    has(metrics.body.decode(), "slipswitch_requests_total")


# Anthropic's Messages.


def messages(model, content, key=KEY, headers=None, **more):
    body = {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": content}], **more}
    sent = {"x-api-key": key, "anthropic-version": "2023-06-01", **(headers or {})}
    return http("POST", "/v1/messages", body, key=None, headers=sent)


@each_model("a message as Anthropic's clients send it")
def _(model):
    reply = messages(model, "hello", system="Be brief.").json()
    same((reply["type"], reply["role"], reply["stop_reason"]), ("message", "assistant", "end_turn"))
    same([(b["type"], b["text"]) for b in reply["content"]], [("text", "echo: hello")], "content")
    same(reply["usage"]["output_tokens"], 2, "output_tokens")
    assert reply["usage"]["input_tokens"] > 0 and reply["id"] and reply["model"], reply


@each_model("a message stream has Anthropic's events in their order, and no [DONE]")
def _(model):
    reply = messages(model, "count to 8", stream=True)
    events = [(name, json.loads(data)) for name, data in reply.events()]
    assert all(name == data["type"] for name, data in events), events
    names = [name for name, _ in events if name != "ping"]
    same((names[0], names[1]), ("message_start", "content_block_start"), "first events")
    same(names[-3:], ["content_block_stop", "message_delta", "message_stop"], "last events")
    same(set(names[2:-3]), {"content_block_delta"}, "events between")
    text = "".join(d["delta"]["text"] for n, d in events if n == "content_block_delta")
    same(text, " ".join(f"tok{n + 1}" for n in range(8)), "text")
    end = next(d for n, d in events if n == "message_delta")
    same((end["delta"]["stop_reason"], end["usage"]["output_tokens"]), ("end_turn", 8))


@each_model("a tool is used and answered in Anthropic's words")
def _(model):
    tools = [{"name": "get_weather", "description": "The weather", "input_schema": CITY}]
    reply = messages(model, ASK_WEATHER, tools=tools).json()
    same(reply["stop_reason"], "tool_use", "stop_reason")
    use = next(b for b in reply["content"] if b["type"] == "tool_use")
    same((use["name"], use["input"]), ("get_weather", {"city": "Paris"}))
    body = {
        "model": model,
        "max_tokens": 100,
        "tools": tools,
        "messages": [
            {"role": "user", "content": ASK_WEATHER},
            {"role": "assistant", "content": reply["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "18 degrees"}]},
        ],
    }
    final = http("POST", "/api/v1/messages", body).json()
    same(final["content"][0]["text"], "tool said: 18 degrees", "content")
    stream = messages(model, ASK_WEATHER, tools=tools, stream=True)
    parts = [json.loads(d) for _, d in stream.events()]
    arguments = "".join(p["delta"]["partial_json"] for p in parts if p.get("delta", {}).get("type") == "input_json_delta")
    same(json.loads(arguments), {"city": "Paris"}, "streamed input")


@each_model("thinking is shown to Anthropic's clients, and comes back")
def _(model):
    think = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    reply = messages(model, "hello", **think).json()
    # A signature that sits on text travels in a sealed block of its own.
    shown = [b["type"] for b in reply["content"] if b["type"] != "redacted_thinking"]
    same(shown, ["thinking", "text"], "blocks")
    has(reply["content"][0]["thinking"], "Let me think", "thinking")
    body = {
        "model": model,
        "max_tokens": 2000,
        **think,
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": reply["content"]},
            {"role": "user", "content": "again"},
        ],
    }
    again = http("POST", "/v1/messages", body)
    same(again.status, 200, f"status of the second turn, {again.body[:300]}")


@each_model("a picture is seen through Anthropic's surface")
def _(model):
    data = png(8, 9).split(",")[1]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    reply = messages(model, [image, {"type": "text", "text": "Look"}]).json()
    same(reply["content"][0]["text"], "I see an image of 8x9", "content")


@check("Anthropic's clients get Anthropic's errors")
def _():
    for reply, status, kind in [
        (messages("sim/claude", "hello", key=BAD_KEY), 401, "authentication_error"),
        (messages("sim/nobody", "hello"), 400, "invalid_request_error"),
        (messages("sim/limited", "hello"), 429, "rate_limit_error"),
    ]:
        same((reply.status, reply.json()["type"], reply.json()["error"]["type"]), (status, "error", kind))
    events = messages("sim/claude-dies", "count to 40", stream=True).events()
    name, data = events[-1]
    same((name, json.loads(data)["type"]), ("error", "error"), "last event of a broken stream")


# Gemini's generateContent.


def gemini(model, body, method="generateContent", query="", headers=None):
    if isinstance(body, str):
        body = {"contents": [{"role": "user", "parts": [{"text": body}]}]}
    return http("POST", f"/v1beta/models/{model}:{method}{query}", body, key=None,
                headers=headers or {"x-goog-api-key": KEY})  # fmt: skip


def text_of(reply):
    return "".join(p.get("text", "") for p in reply["candidates"][0]["content"]["parts"])


@each_model("content is generated as Gemini's clients ask for it")
def _(model):
    for name in [model, model.replace("/", "%2F")]:
        got = gemini(name, "hello")
        same(got.status, 200, f"status for {name}, {got.body[:300]}")
        reply = got.json()
        same((text_of(reply), reply["candidates"][0]["finishReason"]), ("echo: hello", "STOP"))
        same(reply["usageMetadata"]["candidatesTokenCount"], 2, "candidatesTokenCount")
        assert reply["usageMetadata"]["promptTokenCount"] > 0, reply["usageMetadata"]


@each_model("a Gemini stream is server-sent events with usage at its end")
def _(model):
    events = gemini(model, "count to 8", "streamGenerateContent", "?alt=sse").events()
    parts = [json.loads(data) for _, data in events]
    text = "".join(text_of(p) for p in parts if p.get("candidates") and "parts" in p["candidates"][0].get("content", {}))
    same(text, " ".join(f"tok{n + 1}" for n in range(8)), "text")
    same(parts[-1]["usageMetadata"]["candidatesTokenCount"], 8, "candidatesTokenCount")
    same(parts[-1]["candidates"][0]["finishReason"], "STOP", "finishReason")


@each_model("a function is called and answered in Gemini's words")
def _(model):
    tools = [{"functionDeclarations": [{"name": "get_weather", "description": "The weather", "parameters": CITY}]}]
    ask = {"role": "user", "parts": [{"text": ASK_WEATHER}]}
    reply = gemini(model, {"contents": [ask], "tools": tools}).json()
    content = reply["candidates"][0]["content"]
    call = next(p["functionCall"] for p in content["parts"] if "functionCall" in p)
    same((call["name"], call["args"]), ("get_weather", {"city": "Paris"}))
    answer = {"name": "get_weather", "response": {"result": "18 degrees"}}
    if call.get("id"):
        answer["id"] = call["id"]
    told = {"role": "user", "parts": [{"functionResponse": answer}]}
    final = gemini(model, {"contents": [ask, content, told], "tools": tools})
    has(text_of(final.json()), "18 degrees", "text")


@check("Gemini's clients get Gemini's errors, also for a key in the URL, where logs would keep it")
def _():
    reply = gemini("sim/gemini", "hello", query=f"?key={KEY}", headers={"x-nothing": "1"})
    same(reply.status, 400, "status with the key in the URL")
    has(reply.json()["error"]["message"], "not accepted in URLs", "message")
    for reply, status, word in [
        (gemini("sim/gemini", "hello", headers={"x-goog-api-key": BAD_KEY}), 401, "UNAUTHENTICATED"),
        (gemini("sim/limited", "hello"), 429, "RESOURCE_EXHAUSTED"),
    ]:
        error = reply.json()["error"]
        same((reply.status, error["code"], error["status"]), (status, status, word))


same(ROOT.startswith("http://127.0.0.1:"), True, "a loopback address")
run("surfaces")

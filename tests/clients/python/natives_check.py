"""The smaller dialects, through the libraries that speak them: openai's completions, ollama, cohere."""

import json

import cohere
import ollama
import openai
from harness import (
    API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, PLACE_SCHEMA, ROOT, TIME, TIMEOUT, WEATHER,
    check, each_model, has, http, png, raises, run, same, user,
)  # fmt: skip

BEARER = {"authorization": f"Bearer {KEY}"}
oai = openai.OpenAI(base_url=API, api_key=KEY, timeout=TIMEOUT, max_retries=0)
llama = ollama.Client(host=ROOT, headers=BEARER, timeout=TIMEOUT)
co = cohere.ClientV2(api_key=KEY, base_url=ROOT, timeout=TIMEOUT)

# One model for each provider that speaks a smaller dialect itself, and one for each of the larger ones.
ALL = [*MODELS, "sim/text", "sim/llama", "sim/command"]
TALKING = [*MODELS, "sim/llama", "sim/command"]


# Legacy completions.


@each_model("a prompt is completed, with its price", models=ALL)
def _(model):
    got = oai.completions.create(model=model, prompt="good day", max_tokens=50)
    same((got.object, got.choices[0].text, got.choices[0].finish_reason), ("text_completion", "echo: good day", "stop"))
    assert got.usage.completion_tokens > 0 and got.usage.model_extra["cost"] > 0, got.usage


@each_model("a prompt is completed as a stream", models=ALL)
def _(model):
    chunks = list(oai.completions.create(model=model, prompt="count to 8", stream=True))
    text = "".join(c.choices[0].text for c in chunks if c.choices)
    same(text, " ".join(f"tok{n}" for n in range(1, 9)))
    same(chunks[-1].usage.completion_tokens, 8, "tokens")
    assert all(c.choices for c in chunks), "a chunk without choices"


@check("several prompts and probabilities stay within the dialect")
def _():
    got = oai.completions.create(model="sim/text", prompt=["one", "two"], logprobs=2, max_tokens=9)
    same([c.index for c in got.choices], [0, 1])
    same(len(got.choices[0].logprobs.top_logprobs[0]), 2, "alternatives")
    error = raises(openai.BadRequestError, lambda: oai.completions.create(model="sim/echo", prompt=["one", "two"]))
    has(str(error), "several prompts")


@check("a chat with a model that only continues text")
def _():
    got = oai.chat.completions.create(model="sim/text", messages=user("good day"))
    same(got.choices[0].message.content, "echo: good day")


# Ollama.


@each_model("ollama chats", models=ALL)
def _(model):
    got = llama.chat(model=model, messages=user("good day"))
    same((got.message.content, got.done, got.done_reason), ("echo: good day", True, "stop"))
    assert got.prompt_eval_count > 0 and got.eval_count > 0, got


@each_model("ollama streams", models=ALL)
def _(model):
    parts = list(llama.chat(model=model, messages=user("count to 8"), stream=True, options={"num_predict": 5}))
    same("".join(p.message.content or "" for p in parts), "tok1 tok2 tok3 tok4 tok5")
    same([p.done for p in parts], [False] * (len(parts) - 1) + [True])
    same((parts[-1].done_reason, parts[-1].eval_count), ("length", 5))


@each_model("ollama's tools are called, and their results go back", models=TALKING)
def _(model):
    talk = user(ASK_BOTH)
    got = llama.chat(model=model, messages=talk, tools=[WEATHER, TIME])
    calls = [(c.function.name, dict(c.function.arguments)) for c in got.message.tool_calls]
    same(calls, [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Paris"})])
    talk.append(got.message)
    talk += [{"role": "tool", "tool_name": name, "content": f"{name} is fine"} for name, _ in calls]
    again = llama.chat(model=model, messages=talk, tools=[WEATHER, TIME])
    has(again.message.content, "get_weather is fine")
    has(again.message.content, "get_time is fine")


@each_model("ollama thinks, and answers in a format", models=TALKING)
def _(model):
    got = llama.chat(model=model, messages=user("hello there"), think=True)
    if model != "sim/command":
        has(got.message.thinking, "think")
    got = llama.chat(model=model, messages=user(ASK_PLACE), format=PLACE_SCHEMA)
    same(sorted(json.loads(got.message.content)), ["city", "degrees"])


@each_model("ollama sees a picture", models=["sim/echo", "sim/claude", "sim/gemini"])
def _(model):
    picture = png(3, 4).split(",")[1]
    got = llama.chat(model=model, messages=[{"role": "user", "content": "what is it", "images": [picture]}])
    has(got.message.content, "an image of 3x4")


@each_model("ollama generates", models=TALKING)
def _(model):
    got = llama.generate(model=model, prompt="good day", system="Be brief.")
    same((got.response, got.done), ("echo: good day", True))
    parts = list(llama.generate(model=model, prompt="count to 4", stream=True))
    same("".join(p.response for p in parts), "tok1 tok2 tok3 tok4")


@check("ollama lists models and shows one")
def _():
    names = {m.model for m in llama.list().models}
    assert set(ALL) <= names, names
    shown = llama.show("sim/echo")
    assert "completion" in shown.capabilities and "tools" in shown.capabilities, shown
    same(list(llama.ps().models), [])
    error = raises(ollama.ResponseError, lambda: llama.show("sim/nobody"))
    same(error.status_code, 404)


@check("ollama loads a model by saying nothing")
def _():
    got = llama.generate(model="sim/echo")
    same((got.done, got.done_reason, got.response), (True, "load", ""))
    raises(ollama.ResponseError, lambda: llama.generate(model="sim/nobody"))


@check("ollama hears errors, before the first word and after")
def _():
    error = raises(ollama.ResponseError, lambda: llama.chat(model="sim/nobody", messages=user("hi")))
    assert error.status_code in (400, 404) and error.error, error
    bad = ollama.Client(host=ROOT, headers={"authorization": f"Bearer {BAD_KEY}"})
    same(raises(ollama.ResponseError, lambda: bad.chat(model="sim/echo", messages=user("hi"))).status_code, 401)
    for model in DIES:
        heard = []
        body = lambda: heard.extend(llama.chat(model=model, messages=user("count to 40"), stream=True))
        assert raises(ollama.ResponseError, body).error, model
        has("".join(p.message.content for p in heard), "tok5")


@check("every line of an ollama stream is a value")
def _():
    reply = http("POST", "/api/chat", {"model": "sim/claude", "messages": user("count to 8")})
    same(reply.headers["content-type"], "application/x-ndjson", "content-type")
    lines = [json.loads(line) for line in reply.body.decode().splitlines()]
    same(lines[-1]["done"], True)


# Cohere.


@each_model("cohere chats", models=ALL)
def _(model):
    got = co.chat(model=model, messages=user("good day"))
    same((got.message.content[0].text, got.finish_reason), ("echo: good day", "COMPLETE"))
    assert got.usage.tokens.input_tokens > 0 and got.usage.tokens.output_tokens > 0, got.usage


@each_model("cohere streams", models=ALL)
def _(model):
    events = list(co.chat_stream(model=model, messages=user("count to 8"), max_tokens=5))
    same((events[0].type, events[-1].type), ("message-start", "message-end"))
    text = "".join(e.delta.message.content.text or "" for e in events if e.type == "content-delta")
    same(text, "tok1 tok2 tok3 tok4 tok5")
    same((events[-1].delta.finish_reason, events[-1].delta.usage.tokens.output_tokens), ("MAX_TOKENS", 5))


@each_model("cohere's tools are called, and their results go back", models=TALKING)
def _(model):
    tools = [WEATHER, TIME]
    got = co.chat(model=model, messages=user(ASK_BOTH), tools=tools)
    same(got.finish_reason, "TOOL_CALL")
    calls = got.message.tool_calls
    same([(c.function.name, json.loads(c.function.arguments)) for c in calls],
         [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Paris"})])  # fmt: skip
    talk = [*user(ASK_BOTH), got.message]
    talk += [{"role": "tool", "tool_call_id": c.id, "content": f"{c.function.name} is fine"} for c in calls]
    again = co.chat(model=model, messages=talk, tools=tools)
    has(again.message.content[-1].text, "get_time is fine")


@each_model("cohere streams its tool calls", models=TALKING)
def _(model):
    calls, current = [], None
    for event in co.chat_stream(model=model, messages=user(ASK_WEATHER), tools=[WEATHER]):
        if event.type == "tool-call-start":
            current = [event.delta.message.tool_calls.function.name, ""]
            calls.append(current)
        elif event.type == "tool-call-delta":
            current[1] += event.delta.message.tool_calls.function.arguments
    same([(name, json.loads(args)) for name, args in calls], [("get_weather", {"city": "Paris"})])


@each_model("cohere answers in a format", models=TALKING)
def _(model):
    shape = {"type": "json_object", "json_schema": PLACE_SCHEMA}
    got = co.chat(model=model, messages=user(ASK_PLACE), response_format=shape)
    same(sorted(json.loads(got.message.content[-1].text)), ["city", "degrees"])


@check("cohere hears errors, before the first word and after")
def _():
    error = raises(cohere.core.ApiError, lambda: co.chat(model="sim/nobody", messages=user("hi")))
    assert error.status_code in (400, 404), error
    bad = cohere.ClientV2(api_key=BAD_KEY, base_url=ROOT)
    raises(cohere.UnauthorizedError, lambda: bad.chat(model="sim/echo", messages=user("hi")))
    for model in DIES:
        last = list(co.chat_stream(model=model, messages=user("count to 40")))[-1]
        same((last.type, last.delta.finish_reason), ("message-end", "ERROR"))
        assert last.delta.error, last


@check("a stream that another endpoint goes on with is one stream (ollama)")
def _():
    said = "".join(p.message.content or "" for p in llama.chat(model="continued/ollama", messages=user("count to 8"), stream=True))
    assert said.startswith("tok1 tok2 tok3 tok4 tok5") and "echo: Your answer was cut off" in said, said


@check("a stream that another endpoint goes on with is one stream (cohere)")
def _():
    events = co.chat_stream(model="continued/cohere", messages=user("count to 8"))
    said = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
    assert said.startswith("tok1 tok2 tok3 tok4 tok5") and "echo: Your answer was cut off" in said, said


run("natives")

"""The `google-genai` package, against /v1beta with every dialect behind it."""

import asyncio
import base64
import json

from google import genai
from google.genai import errors, types
from harness import (
    ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, PLACE_SCHEMA, ROOT, TIMEOUT,
    check, each_model, has, png, raises, run, same,
)  # fmt: skip
from pydantic import BaseModel


def connect(key=KEY, **more):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=ROOT, timeout=TIMEOUT * 1000, **more))


client = connect()


def ask(model, contents, **config):
    return client.models.generate_content(model=model, contents=contents, config=config or None)


def flow(model, contents, **config):
    return list(client.models.generate_content_stream(model=model, contents=contents, config=config or None))


def gathered(chunks):
    """Every part as it came: what the package's own chats keep."""
    parts = [part for c in chunks for part in (c.candidates[0].content.parts or [] if c.candidates else [])]
    return types.Content(role="model", parts=parts)


def said(content):
    return "".join(part.text for part in content.parts if part.text and not part.thought)


def calls(content):
    return [part.function_call for part in content.parts if part.function_call]


def declared(*names):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    functions = [{"name": n, "description": f"{n} of a city", "parameters_json_schema": schema} for n in names]
    return {
        "tools": [types.Tool(function_declarations=functions)],
        "automatic_function_calling": {"disable": True},
    }


def answers(made, *results):
    parts = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": result}))
        for call, result in zip(made, results, strict=True)
    ]
    return types.Content(role="user", parts=parts)


@each_model("an answer has text, an end and usage")
def _(model):
    reply = ask(model, "hello", system_instruction="Be brief.", temperature=0.5)
    same((reply.text, reply.candidates[0].finish_reason), ("echo: hello", types.FinishReason.STOP))
    usage = reply.usage_metadata
    assert usage.prompt_token_count > 0 and usage.candidates_token_count == 2, usage
    same(usage.total_token_count, usage.prompt_token_count + 2, "total")


@each_model("a stream says what the plain answer says, with usage at its end")
def _(model):
    plain = ask(model, "count to 30")
    chunks = flow(model, "count to 30")
    same("".join(c.text or "" for c in chunks), plain.text, "text")
    same(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP, "finish")
    same(chunks[-1].usage_metadata.candidates_token_count, plain.usage_metadata.candidates_token_count, "usage")
    assert len(chunks) > 3, len(chunks)


@each_model("the address of older releases works as well, for calls and for the list")
def _(model):
    older = connect(api_version="v1beta")
    same(older.models.generate_content(model=model, contents="hello").text, "echo: hello")
    has([m.name for m in older.models.list()], f"models/{model}", "list")


@each_model("the cap on the output ends an answer")
def _(model):
    reply = ask(model, "count to 30", max_output_tokens=5)
    same(reply.candidates[0].finish_reason, types.FinishReason.MAX_TOKENS)


@each_model("a function is called and answered, streamed or not")
def _(model):
    config = declared("get_weather")
    question = types.Content(role="user", parts=[types.Part(text=ASK_WEATHER)])
    for content in [ask(model, ASK_WEATHER, **config).candidates[0].content, gathered(flow(model, ASK_WEATHER, **config))]:
        same([(c.name, c.args) for c in calls(content)], [("get_weather", {"city": "Paris"})], "calls")
        final = ask(model, [question, content, answers(calls(content), "18 degrees")], **config)
        same(final.text, "tool said: 18 degrees")


@each_model("two functions are called at once, and a mode is obeyed")
def _(model):
    config = declared("get_weather", "get_time")
    content = ask(model, ASK_BOTH, **config).candidates[0].content
    same([c.name for c in calls(content)], ["get_weather", "get_time"], "calls")
    question = types.Content(role="user", parts=[types.Part(text=ASK_BOTH)])
    final = ask(model, [question, content, answers(calls(content), "18 degrees", "noon")], **config)
    same(final.text, "tool said: 18 degrees; noon")
    forced = {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["get_time"]}}
    content = ask(model, "hello", tool_config=forced, **config).candidates[0].content
    same([c.name for c in calls(content)], ["get_time"], "forced")
    never = {"function_calling_config": {"mode": "NONE"}}
    same(calls(ask(model, ASK_WEATHER, tool_config=never, **config).candidates[0].content), [], "none")


@each_model("the package calls a Python function by itself, in a chat as well")
def _(model):
    seen = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        seen.append(city)
        return "18 degrees"

    same(ask(model, ASK_WEATHER, tools=[get_weather]).text, "tool said: 18 degrees", "plain")
    chat = client.chats.create(model=model, config={"tools": [get_weather]})
    same(chat.send_message(ASK_WEATHER).text, "tool said: 18 degrees", "chat")
    same(chat.send_message("hello").text, "echo: hello", "chat goes on")
    same(seen, ["Paris", "Paris"], "calls")


@each_model("thoughts are shown where they are asked for, streamed or not, and survive a function call")
def _(model):
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    thought = lambda content: "".join(p.text for p in content.parts if p.thought and p.text)
    has(thought(ask(model, "hello", thinking_config=thinking).candidates[0].content), "Let me think about: hello")
    has(thought(gathered(flow(model, "hello", thinking_config=thinking))), "Let me think about: hello", "streamed")
    shown = types.ThinkingConfig(include_thoughts=True)
    has(thought(ask(model, "hello", thinking_config=shown).candidates[0].content), "Let me think", "without a budget")
    config = {"thinking_config": thinking, **declared("get_weather")}
    question = types.Content(role="user", parts=[types.Part(text=ASK_WEATHER)])
    for content in [ask(model, ASK_WEATHER, **config).candidates[0].content, gathered(flow(model, ASK_WEATHER, **config))]:
        final = ask(model, [question, content, answers(calls(content), "fine")], **config)
        same(said(final.candidates[0].content), "tool said: fine")


@each_model("thoughts that are not asked for are not shown")
def _(model):
    silent = types.ThinkingConfig(thinking_budget=1024)
    for content in [ask(model, "hello", thinking_config=silent).candidates[0].content, gathered(flow(model, "hello", thinking_config=silent))]:
        same(([p.text for p in content.parts if p.thought and p.text], said(content)), ([], "echo: hello"))


class Place(BaseModel):
    city: str
    degrees: int


@each_model("an answer follows its schema, and the package parses it")
def _(model):
    reply = ask(model, ASK_PLACE, response_mime_type="application/json", response_schema=Place)
    same(reply.parsed, Place(city="Paris", degrees=21), "parsed")
    reply = ask(model, ASK_PLACE, response_mime_type="application/json", response_json_schema=PLACE_SCHEMA)
    same(json.loads(reply.text), {"city": "Paris", "degrees": 21}, "JSON Schema")


@each_model("pictures and documents are seen")
def _(model):
    image = types.Part.from_bytes(data=base64.b64decode(png(6, 7).split(",")[1]), mime_type="image/png")
    same(ask(model, ["Look", image]).text, "I see an image of 6x7", "image")
    pdf = types.Part.from_bytes(data=b"%PDF-1.4", mime_type="application/pdf")
    same(ask(model, ["Read", pdf]).text, "I see a file of 8 bytes", "document")


@each_model("an error in mid-stream is raised after what was said", models=[*DIES, "sim/cut"])
def _(model):
    text = []

    def read():
        for chunk in client.models.generate_content_stream(model=model, contents="count to 40"):
            text.append(chunk.text or "")

    error = raises(errors.APIError, read)
    same("".join(text), "tok1 tok2 tok3 tok4 tok5", "text")
    assert error.code >= 400 and error.message, error


@check("a bad key, an unknown model and a limited upstream are the errors of their kind")
def _():
    wrong = connect(BAD_KEY)
    error = raises(errors.ClientError, lambda: wrong.models.generate_content(model="sim/echo", contents="hello"))
    same((error.code, error.status), (401, "UNAUTHENTICATED"), "bad key")
    error = raises(errors.ClientError, lambda: ask("sim/nobody", "hello"))
    assert error.code in (400, 404), error
    has(error.message, "sim/nobody", "message")
    error = raises(errors.ClientError, lambda: ask("sim/limited", "hello"))
    same((error.code, error.status), (429, "RESOURCE_EXHAUSTED"), "limited")
    error = raises(errors.ServerError, lambda: ask("sim/busy", "hello"))
    same((error.code, error.status), (503, "UNAVAILABLE"), "busy")


@check("models are listed, and one is told")
def _():
    ids = {m.name.removeprefix("models/") for m in client.models.list(config={"page_size": 1000})}
    assert {*MODELS} <= ids, sorted(ids)[:20]
    has(client.models.get(model="sim/gemini").name, "sim/gemini", "name")


@each_model("the asynchronous client answers and streams many at once")
def _(model):
    async def one(n):
        stream = await client.aio.models.generate_content_stream(model=model, contents=f"count to {n}")
        return "".join([chunk.text or "" async for chunk in stream])

    async def all_of_them():
        plain = await client.aio.models.generate_content(model=model, contents="hello")
        return plain.text, await asyncio.gather(*(one(n) for n in range(1, 9)))

    plain, streamed = asyncio.run(all_of_them())
    same((plain, [t.split()[-1] for t in streamed]), ("echo: hello", [f"tok{n}" for n in range(1, 9)]))


@check("a stream that another endpoint goes on with is one stream")
def _():
    said = "".join(c.text or "" for c in flow("continued/gemini", "count to 8"))
    assert said.startswith("tok1 tok2 tok3 tok4 tok5") and "echo: Your answer was cut off" in said, said


run("genai-py")

"""The `anthropic` package, against /api/v1/messages with every dialect behind it."""

import asyncio
import json

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from harness import (
    ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, PLACE_SCHEMA, ROOT, TIMEOUT,
    check, each_model, has, png, raises, run, same, user,
)  # fmt: skip
from pydantic import BaseModel

# The package adds /v1/messages by itself: OpenRouter's users point it at /api.
BASE = f"{ROOT}/api"
client = Anthropic(api_key=KEY, base_url=BASE, timeout=TIMEOUT, max_retries=0)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "The weather in a city", "input_schema": CITY}
TIME = {"name": "get_time", "description": "The time in a city", "input_schema": CITY}
THINKING = {"type": "enabled", "budget_tokens": 1024}


def ask(model, content, **more):
    return client.messages.create(**{"model": model, "max_tokens": 4000, "messages": user(content), **more})


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


def uses(message):
    return [block for block in message.content if block.type == "tool_use"]


def answered(message, *results):
    blocks = [
        {"type": "tool_result", "tool_use_id": use.id, "content": result}
        for use, result in zip(uses(message), results, strict=True)
    ]
    return [{"role": "assistant", "content": message.content}, {"role": "user", "content": blocks}]


@each_model("a message has text, an end and usage")
def _(model):
    message = ask(model, "hello", system="Be brief.")
    same((text(message), message.stop_reason, message.role), ("echo: hello", "end_turn", "assistant"))
    assert message.usage.input_tokens > 0 and message.usage.output_tokens == 2, message.usage


@each_model("the newer address without a prefix works as well")
def _(model):
    same(text(Anthropic(api_key=KEY, base_url=ROOT, max_retries=0).messages.create(
        model=model, max_tokens=100, messages=user("hello"))), "echo: hello")  # fmt: skip


@each_model("a stream gathers to the plain message, usage included")
def _(model):
    plain = ask(model, "count to 30")
    with client.messages.stream(model=model, max_tokens=4000, messages=user("count to 30")) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    same((said, text(final)), (text(plain), text(plain)), "text")
    same(final.stop_reason, "end_turn", "stop_reason")
    same(final.usage.output_tokens, plain.usage.output_tokens, "output_tokens")
    same(final.usage.input_tokens, plain.usage.input_tokens, "input_tokens")


@each_model("raw events come in Anthropic's order")
def _(model):
    events = [e.type for e in ask(model, "count to 5", stream=True) if e.type != "ping"]
    same((events[0], events[-2], events[-1]), ("message_start", "message_delta", "message_stop"), "events")


@each_model("max_tokens and a stop sequence end a message")
def _(model):
    same(ask(model, "count to 30", max_tokens=5).stop_reason, "max_tokens")
    stopped = ask(model, "one END two", stop_sequences=["END"])
    same(text(stopped).strip(), "echo: one", "text")


@each_model("a tool is used and answered, streamed or not")
def _(model):
    first = ask(model, ASK_WEATHER, tools=[WEATHER])
    same((first.stop_reason, [(u.name, u.input) for u in uses(first)]), ("tool_use", [("get_weather", {"city": "Paris"})]))
    final = ask(model, "", messages=user(ASK_WEATHER) + answered(first, "18 degrees"), tools=[WEATHER])
    same(text(final), "tool said: 18 degrees")
    with client.messages.stream(model=model, max_tokens=4000, messages=user(ASK_WEATHER), tools=[WEATHER]) as stream:
        pieces = [e.partial_json for e in stream if e.type == "input_json"]
        streamed = stream.get_final_message()
    same([(u.name, u.input) for u in uses(streamed)], [("get_weather", {"city": "Paris"})], "streamed")
    same(json.loads("".join(pieces)), {"city": "Paris"}, "pieces")
    final = ask(model, "", messages=user(ASK_WEATHER) + answered(streamed, "18 degrees"), tools=[WEATHER])
    same(text(final), "tool said: 18 degrees", "after the stream")


@each_model("two tools are used at once and answered together; a choice is obeyed")
def _(model):
    first = ask(model, ASK_BOTH, tools=[WEATHER, TIME])
    same([u.name for u in uses(first)], ["get_weather", "get_time"], "tools")
    final = ask(model, "", messages=user(ASK_BOTH) + answered(first, "18 degrees", "noon"), tools=[WEATHER, TIME])
    same(text(final), "tool said: 18 degrees; noon")
    if model != "sim/gemini":  # Google has no such wish.
        single = {"type": "auto", "disable_parallel_tool_use": True}
        same(len(uses(ask(model, ASK_BOTH, tools=[WEATHER, TIME], tool_choice=single))), 1, "one at a time")
    forced = ask(model, "hello", tools=[WEATHER, TIME], tool_choice={"type": "tool", "name": "get_time"})
    same([u.name for u in uses(forced)], ["get_time"], "forced")
    same(uses(ask(model, ASK_WEATHER, tools=[WEATHER], tool_choice={"type": "none"})), [], "none")


# The runner sends only what is new, and the whole once it is told that nobody kept the rest.
@each_model("the package's own tool runner gets to the end, with the conversation kept elsewhere or not")
def _(model):
    seen = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: where
        """
        seen.append(city)
        return "18 degrees"

    for more in [{}, {"thread": False}]:
        seen.clear()
        runner = client.beta.messages.tool_runner(
            model=model, max_tokens=4000, tools=[get_weather], messages=user(ASK_WEATHER), **more
        )
        same((text(runner.until_done()), seen), ("tool said: 18 degrees", ["Paris"]), str(more))


@each_model("thinking is shown, streamed or not, and goes back unchanged with a tool's answer")
def _(model):
    message = ask(model, "hello", thinking=THINKING)
    thoughts = [b for b in message.content if b.type == "thinking"]
    has("".join(t.thinking for t in thoughts), "Let me think about: hello")
    same((message.content[0].type, text(message)), ("thinking", "echo: hello"), "order")
    with client.messages.stream(model=model, max_tokens=4000, messages=user(ASK_WEATHER), tools=[WEATHER], thinking=THINKING) as stream:
        told = "".join(e.thinking for e in stream if e.type == "thinking")
        streamed = stream.get_final_message()
    has(told, "Let me think about", "streamed")
    final = ask(model, "", messages=user(ASK_WEATHER) + answered(streamed, "fine"), tools=[WEATHER], thinking=THINKING)
    same(text(final), "tool said: fine")


@each_model("adaptive thinking with an effort is taken, and thoughts that shall not be shown are not")
def _(model):
    message = ask(model, "hello", thinking={"type": "adaptive"}, output_config={"effort": "high"})
    has("".join(b.thinking for b in message.content if b.type == "thinking"), "Let me think about")
    silent = ask(model, "hello", thinking={"type": "adaptive", "display": "omitted"})
    same(("".join(b.thinking for b in silent.content if b.type == "thinking"), text(silent)), ("", "echo: hello"))


class Place(BaseModel):
    city: str
    degrees: int


@each_model("an answer follows its schema, and the package parses it")
def _(model):
    schema = {"format": {"type": "json_schema", "schema": PLACE_SCHEMA}}
    same(json.loads(text(ask(model, ASK_PLACE, output_config=schema))), {"city": "Paris", "degrees": 21})
    parsed = client.messages.parse(model=model, max_tokens=4000, messages=user(ASK_PLACE), output_format=Place)
    same(parsed.parsed_output, Place(city="Paris", degrees=21))


@each_model("pictures and documents are seen")
def _(model):
    data = png(6, 7).split(",")[1]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    same(text(ask(model, [{"type": "text", "text": "Look"}, image])), "I see an image of 6x7", "image")
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}}
    same(text(ask(model, [{"type": "text", "text": "Read"}, pdf])), "I see a file of 8 bytes", "document")


@each_model("marks for the prompt cache are taken, and counted where there is one")
def _(model):
    system = [{"type": "text", "text": f"A long preamble for {model}. " * 60, "cache_control": {"type": "ephemeral"}}]
    for _ in range(2):
        message = ask(model, "hello", system=system)
        same(text(message), "echo: hello")
    if model == "sim/claude":
        assert message.usage.cache_read_input_tokens > 0, message.usage


@each_model("an error in mid-stream is raised after what was said", models=[*DIES, "sim/cut"])
def _(model):
    said = []

    def read():
        with client.messages.stream(model=model, max_tokens=4000, messages=user("count to 40")) as stream:
            said.extend(stream.text_stream)

    error = raises(anthropic.APIStatusError, read)
    same("".join(said), "tok1 tok2 tok3 tok4 tok5", "text")
    same(error.body["type"], "error", "body")
    assert error.body["error"]["type"] and error.body["error"]["message"], error.body


@check("a bad key, an unknown model and a bad request are the errors of their kind")
def _():
    wrong = Anthropic(api_key=BAD_KEY, base_url=BASE, max_retries=0)
    hello = {"model": "sim/echo", "max_tokens": 100, "messages": user("hello")}
    error = raises(anthropic.AuthenticationError, lambda: wrong.messages.create(**hello))
    same(error.body["error"]["type"], "authentication_error", "type")
    bearer = Anthropic(auth_token=KEY, api_key=None, base_url=BASE, max_retries=0)
    same(text(bearer.messages.create(**hello)), "echo: hello", "bearer")
    error = raises(anthropic.APIStatusError, lambda: ask("sim/nobody", "hello"))
    assert error.status_code in (400, 404), error
    has(error.message, "sim/nobody", "message")
    error = raises(anthropic.BadRequestError, lambda: ask("sim/claude", "hello", messages=[]))
    same(error.body["error"]["type"], "invalid_request_error", "type")


@check("a limited upstream and one that is down are typed, and are asked again by the package")
def _():
    error = raises(anthropic.RateLimitError, lambda: ask("sim/limited", "hello"))
    same((error.body["error"]["type"], error.response.headers["retry-after"]), ("rate_limit_error", "1"))
    has(error.request_id, "gen-", "request id of an error")
    has(ask("sim/echo", "hello")._request_id, "gen-", "request id")
    error = raises(anthropic.InternalServerError, lambda: ask("sim/busy", "hello"))
    assert error.status_code >= 500, error
    same(text(ask("house/steady", "hello")), "echo: hello", "fallback")


@check("models are listed, and one is told")
def _():
    page = client.models.list(limit=1000)
    ids = {m.id for m in page.data}
    assert {*MODELS} <= ids, sorted(ids)[:20]
    same(client.models.retrieve("sim/claude").id, "sim/claude", "id")


@each_model("the asynchronous client streams many at once")
def _(model):
    async def one(quick, n):
        async with quick.messages.stream(model=model, max_tokens=4000, messages=user(f"count to {n}")) as stream:
            return text(await stream.get_final_message())

    async def all_of_them():
        async with AsyncAnthropic(api_key=KEY, base_url=BASE, timeout=TIMEOUT, max_retries=0) as quick:
            return await asyncio.gather(*(one(quick, n) for n in range(1, 9)))

    same([t.split()[-1] for t in asyncio.run(all_of_them())], [f"tok{n}" for n in range(1, 9)])


@check("a stream that another endpoint goes on with is one stream")
def _():
    with client.messages.stream(model="continued/messages", max_tokens=4000, messages=user("count to 8")) as stream:
        said = "".join(stream.text_stream)
    assert said.startswith("tok1 tok2 tok3 tok4 tok5") and "echo: Your answer was cut off" in said, said


run("anthropic-py")

"""The `litellm` package, with its OpenRouter and its OpenAI-compatible providers."""

import json
import os

# Prices come from a file inside the package; without this, importing it asks the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
from pydantic import BaseModel  # noqa: E402

from harness import (  # noqa: E402
    API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, TIME, TIMEOUT, WEATHER,
    check, each_model, has, near, png, price_of, raises, run, same, user,
)  # fmt: skip

litellm.suppress_debug_info = True
litellm.telemetry = False


def ask(model, text, key=KEY, messages=None, via="openrouter", **more):
    return litellm.completion(model=f"{via}/{model}", messages=messages or user(text), api_base=API, api_key=key,
                              timeout=TIMEOUT, num_retries=0, **more)  # fmt: skip


@each_model("a plain answer has text, usage and the gateway's cost")
def _(model):
    reply = ask(model, "hello")
    same((reply.choices[0].message.content, reply.choices[0].finish_reason), ("echo: hello", "stop"))
    same(reply.usage.completion_tokens, 2, "completion_tokens")
    near(reply.usage.cost, price_of(model, reply.usage.prompt_tokens, 2), "usage.cost")
    near(reply._hidden_params["response_cost"], reply.usage.cost, "response_cost")


@each_model("a stream says what the plain answer says")
def _(model):
    plain = ask(model, "count to 30")
    chunks = list(ask(model, "count to 30", stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks)
    same(whole.choices[0].message.content, plain.choices[0].message.content, "content")
    same(whole.choices[0].finish_reason, "stop", "finish_reason")
    same(whole.usage.completion_tokens, plain.usage.completion_tokens, "completion_tokens")


@each_model("the OpenAI-compatible provider works as well")
def _(model):
    same(ask(model, "hello", via="openai").choices[0].message.content, "echo: hello", "plain")
    parts = [c.choices[0].delta.content or "" for c in ask(model, "hello", via="openai", stream=True) if c.choices]
    same("".join(parts), "echo: hello", "streamed")


@each_model("a tool call goes round, streamed or not")
def _(model):
    plain = ask(model, ASK_WEATHER, tools=[WEATHER])
    streamed = litellm.stream_chunk_builder(list(ask(model, ASK_WEATHER, tools=[WEATHER], stream=True)))
    for how, reply in [("plain", plain), ("streamed", streamed)]:
        same(reply.choices[0].finish_reason, "tool_calls", f"finish_reason, {how}")
        message = reply.choices[0].message
        [call] = message.tool_calls
        same((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}), how)
        told = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
        final = ask(model, "", messages=[*user(ASK_WEATHER), message.model_dump(), told], tools=[WEATHER])
        same(final.choices[0].message.content, "tool said: 18 degrees", f"content, {how}")


@each_model("two tools are called at once")
def _(model):
    calls = ask(model, ASK_BOTH, tools=[WEATHER, TIME]).choices[0].message.tool_calls
    same([c.function.name for c in calls], ["get_weather", "get_time"], "calls")


class Place(BaseModel):
    city: str
    degrees: int


@each_model("structured output follows its class")
def _(model):
    reply = ask(model, ASK_PLACE, response_format=Place)
    same(Place.model_validate_json(reply.choices[0].message.content), Place(city="Paris", degrees=21), "content")


@each_model("reasoning is shown, streamed or not")
def _(model):
    has(ask(model, "hello", reasoning_effort="high").choices[0].message.reasoning_content, "Let me think", "plain")
    chunks = ask(model, "hello", reasoning_effort="high", stream=True)
    parts = [getattr(c.choices[0].delta, "reasoning_content", None) or "" for c in chunks if c.choices]
    has("".join(parts), "Let me think about: hello", "streamed")


@each_model("a picture is seen")
def _(model):
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": png(6, 7)}}]
    reply = ask(model, "", messages=[{"role": "user", "content": parts}])
    same(reply.choices[0].message.content, "I see an image of 6x7", "content")


@check("models is a list to fall back on, and provider chooses")
def _():
    same(ask("sim/busy", "hello", models=["sim/claude"]).choices[0].message.content, "echo: hello", "content")
    reply = ask("sim/both", "hello", extra_body={"provider": {"order": ["sim-openai"]}})
    same(reply.model.removeprefix("openrouter/"), "sim/both", "model")


@check("a bad key is an authentication error")
def _():
    raises(litellm.AuthenticationError, lambda: ask("sim/echo", "hello", key=BAD_KEY))
    raises(litellm.AuthenticationError, lambda: list(ask("sim/echo", "hello", key=BAD_KEY, stream=True)))


@check("an unknown model is a bad request")
def _():
    has(str(raises(litellm.BadRequestError, lambda: ask("sim/nobody", "hello"))), "sim/nobody")


@check("a limited upstream is a rate limit error")
def _():
    raises(litellm.RateLimitError, lambda: ask("sim/limited", "hello"))


@each_model("an error in mid-stream is raised after what was said", models=[*DIES, "sim/cut"])
def _(model):
    text = ""
    try:
        for chunk in ask(model, "count to 40", stream=True):
            text += chunk.choices[0].delta.content or ""
    except Exception as error:  # noqa: BLE001 - which class it is depends on the release
        assert type(error).__module__.startswith("litellm"), repr(error)
    else:
        raise AssertionError(f"the stream ended as if nothing had happened, after {text!r}")
    same(text, "tok1 tok2 tok3 tok4 tok5", "text")


run("litellm")

"""LangChain's models: `langchain-openai`, `langchain-openrouter` and `langchain-anthropic`, with every dialect behind each."""

import asyncio

from harness import (
    API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, ROOT, TIMEOUT, check, has, png, run, same,
)  # fmt: skip
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langchain_openrouter import ChatOpenRouter
from pydantic import BaseModel


def openai(model, key=KEY, **more):
    return ChatOpenAI(model=model, api_key=key, base_url=API, timeout=TIMEOUT, max_retries=0, **more)


def openrouter(model, key=KEY, **more):
    return ChatOpenRouter(model=model, api_key=key, base_url=API, timeout=TIMEOUT * 1000, max_retries=0, **more)


def claude(model, key=KEY, **more):
    return ChatAnthropic(model=model, api_key=key, base_url=ROOT, timeout=TIMEOUT, max_retries=0, **{"max_tokens": 4000, **more})


MAKERS = {"openai": openai, "openrouter": openrouter, "anthropic": claude}


def each(name, models=tuple(MODELS), makers=tuple(MAKERS)):
    """Once per package and model; the body takes what makes a model, and the model's name."""

    def register(body):
        for maker in makers:
            for model in models:
                check(f"{name} ({maker}, {model})")(lambda make=MAKERS[maker], model=model: body(make, model))

    return register


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


@tool
def get_time(city: str) -> str:
    """The time in a city."""
    return f"noon in {city}"


class Place(BaseModel):
    """A place and how warm it is."""

    city: str
    degrees: int


def gathered(stream):
    whole = None
    for chunk in stream:
        whole = chunk if whole is None else whole + chunk
    return whole


@each("an answer has text and usage, and a stream says the same")
def _(make, model):
    chat = make(model)
    plain = chat.invoke([SystemMessage("Be brief."), HumanMessage("count to 30")])
    same(plain.text.split()[-1], "tok30", "text")
    assert plain.usage_metadata["input_tokens"] > 0 and plain.usage_metadata["output_tokens"] == 30, plain.usage_metadata
    streamed = gathered(make(model, stream_usage=True).stream([SystemMessage("Be brief."), HumanMessage("count to 30")]))
    assert isinstance(streamed, AIMessageChunk), streamed
    same(streamed.text, plain.text, "streamed")
    same(streamed.usage_metadata["output_tokens"], 30, "usage of the stream")


@each("tools are called and answered, streamed or not")
def _(make, model):
    chat = make(model).bind_tools([get_weather, get_time])
    for first in [chat.invoke(ASK_WEATHER), gathered(chat.stream(ASK_WEATHER))]:
        same([(c["name"], c["args"]) for c in first.tool_calls], [("get_weather", {"city": "Paris"})], "calls")
        result = get_weather.invoke(first.tool_calls[0])
        assert isinstance(result, ToolMessage), result
        final = chat.invoke([HumanMessage(ASK_WEATHER), first, result])
        same(final.text, "tool said: 18 degrees in Paris")
    both = chat.invoke(ASK_BOTH)
    same([c["name"] for c in both.tool_calls], ["get_weather", "get_time"], "both")


@each("an answer follows a schema")
def _(make, model):
    for method in ["json_schema", "function_calling"]:
        same(make(model).with_structured_output(Place, method=method).invoke(ASK_PLACE), Place(city="Paris", degrees=21), method)


@each("a picture is seen")
def _(make, model):
    image = {"type": "image", "base64": png(6, 7).split(",")[1], "mime_type": "image/png"}
    message = HumanMessage(content=[{"type": "text", "text": "Look"}, image])
    same(make(model).invoke([message]).text, "I see an image of 6x7")


@each("thoughts come apart from the text", makers=["anthropic"])
def _(make, model):
    chat = make(model, thinking={"type": "enabled", "budget_tokens": 1024})
    for message in [chat.invoke("hello"), gathered(chat.stream("hello"))]:
        thoughts = "".join(b.get("reasoning", "") for b in message.content_blocks if b["type"] == "reasoning")
        same((thoughts, message.text), ("Let me think about: hello", "echo: hello"))


@each("reasoning is asked for and kept apart from the text", makers=["openrouter"])
def _(make, model):
    chat = make(model, reasoning={"effort": "low"})
    for message in [chat.invoke("hello"), gathered(chat.stream("hello"))]:
        same((message.additional_kwargs["reasoning_content"], message.text), ("Let me think about: hello", "echo: hello"))


@each("an error in mid-stream is raised after what was said", models=[*DIES, "sim/cut"], makers=["openai", "anthropic"])
def _(make, model):
    said = []
    try:
        for chunk in make(model).stream("count to 40"):
            said.append(chunk.text)
    except Exception as error:  # noqa: BLE001 - each package has an error of its own
        same("".join(said), "tok1 tok2 tok3 tok4 tok5", "text")
        assert str(error), error
        return
    raise AssertionError(f"nothing was raised after {said}")


# The package raises such an error only where it comes without choices; OpenRouter sends it with one.
@each("an error in mid-stream is seen in how it ended", models=[*DIES, "sim/cut"], makers=["openrouter"])
def _(make, model):
    whole = gathered(make(model).stream("count to 40"))
    same((whole.text, whole.response_metadata["finish_reason"]), ("tok1 tok2 tok3 tok4 tok5", "error"))


@each("a bad key is told as one", models=["sim/echo"])
def _(make, model):
    try:
        make(model, key=BAD_KEY).invoke("hello")
    except Exception as error:  # noqa: BLE001
        same(error.status_code, 401, "status")
        return
    raise AssertionError("nothing was raised")


@each("many are asked at once", models=["sim/claude"])
def _(make, model):
    replies = asyncio.run(make(model).abatch([f"count to {n}" for n in range(1, 7)]))
    same([r.text.split()[-1] for r in replies], [f"tok{n}" for n in range(1, 7)])


@check("OpenRouter's routing goes through (openrouter)")
def _():
    chat = openrouter("sim/both", openrouter_provider={"order": ["sim-openai"], "allow_fallbacks": False})
    same(chat.invoke("hello").text, "echo: hello")
    same(openrouter("house/steady").invoke("hello").text, "echo: hello", "fallback")


run("langchain-py")

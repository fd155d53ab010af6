"""Libraries that agents are built with: `pydantic-ai` over three dialects, and `llm` as a library."""

import asyncio
import os
import tempfile

from harness import (
    API, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, ROOT, TIMEOUT, check, each_model, has, raises, run, same,
)  # fmt: skip
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openrouter import OpenRouterProvider
from anthropic import AsyncAnthropic
from google.genai import Client
from openai import AsyncOpenAI


def openai(model, key=KEY, **more):
    client = AsyncOpenAI(api_key=key, base_url=API, timeout=TIMEOUT, max_retries=0)
    return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client), **more)


def openrouter(model, key=KEY, **more):
    client = AsyncOpenAI(api_key=key, base_url=API, timeout=TIMEOUT, max_retries=0)
    return OpenRouterModel(model, provider=OpenRouterProvider(openai_client=client), **more)


def claude(model, key=KEY, **more):
    client = AsyncAnthropic(api_key=key, base_url=ROOT, timeout=TIMEOUT, max_retries=0)
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client), **more)


def gemini(model, key=KEY, **more):
    return GoogleModel(model, provider=GoogleProvider(client=Client(api_key=key, http_options={"base_url": ROOT})), **more)


# One for all checks: clients that outlive their loop complain at the end.
loop = asyncio.Runner()

MAKERS = {"openai": openai, "openrouter": openrouter, "anthropic": claude, "google": gemini}


def each(name, models=tuple(MODELS), makers=tuple(MAKERS)):
    """Once per dialect spoken and model; the body takes what makes a model, and the model's name."""

    def register(body):
        for maker in makers:
            for model in models:
                check(f"{name} ({maker}, {model})")(lambda make=MAKERS[maker], model=model: loop.run(body(make, model)))

    return register


class Place(BaseModel):
    city: str
    degrees: int


@each("an agent answers, and streams the same, with usage")
async def _(make, model):
    agent = Agent(make(model), instructions="Be brief.")
    plain = await agent.run("count to 30")
    same((plain.output.split()[-1], plain.usage.output_tokens), ("tok30", 30))
    async with agent.run_stream("count to 30") as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    same("".join(pieces), plain.output, "streamed")
    same(stream.usage.output_tokens, 30, "usage of the stream")


@each("an agent uses its tools to the end, and goes on with the conversation")
async def _(make, model):
    agent, seen = Agent(make(model)), []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather in a city."""
        seen.append(city)
        return "18 degrees"

    @agent.tool_plain
    def ping() -> str:
        """Takes nothing."""
        return "pong"

    first = await agent.run(ASK_WEATHER)
    has(first.output, "18 degrees")
    same(seen, ["Paris"], "calls")
    second = await agent.run("hello", message_history=first.all_messages())
    same(second.output, "echo: hello", "second")
    async with agent.run_stream(ASK_WEATHER) as stream:
        has(await stream.get_output(), "18 degrees", "streamed")


@each("an answer follows its type, natively and as a tool")
async def _(make, model):
    # What a model can do is looked up by its name, and these names nobody knows.
    able = {"supports_json_schema_output": True, "supports_tools": True}
    for way in [NativeOutput, ToolOutput]:
        agent = Agent(make(model, profile=able), output_type=way(Place))
        same((await agent.run(ASK_PLACE)).output, Place(city="Paris", degrees=21), way.__name__)


THINKING = {
    "openai": {"openai_reasoning_effort": "low"},
    "openrouter": {"openrouter_reasoning": {"effort": "low"}},
    "anthropic": {"anthropic_thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000},
    "google": {"google_thinking_config": {"include_thoughts": True, "thinking_budget": 1024}},
}


@each("thoughts are parts of their own and go back with a tool's answer", makers=["openrouter", "anthropic", "google"])
async def _(make, model):
    settings = next(THINKING[name] for name, maker in MAKERS.items() if maker is make)
    agent = Agent(make(model), model_settings=settings)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return "18 degrees"

    for ask in [agent.run, agent_stream(agent)]:
        result = await ask(ASK_WEATHER)
        parts = [part for message in result.all_messages() for part in message.parts]
        thoughts = "".join(part.content for part in parts if isinstance(part, ThinkingPart))
        has(thoughts, "Let me think about")
        has(result.output, "18 degrees")


def agent_stream(agent):
    """The whole of a run whose every answer is streamed."""

    async def ask(prompt):
        async with agent.run_stream_events(prompt) as events:
            results = [event.result async for event in events if event.event_kind == "agent_run_result"]
        return results[0]

    return ask


@each("a bad key is an HTTP error", models=["sim/echo"])
async def _(make, model):
    try:
        await Agent(make(model, BAD_KEY)).run("hello")
    except ModelHTTPError as error:
        same(error.status_code, 401, "status")
        return
    raise AssertionError("nothing was raised")


@each("an error in mid-stream is raised after what was said", models=DIES)
async def _(make, model):
    said = []
    try:
        async with Agent(make(model)).run_stream("count to 40") as stream:
            async for piece in stream.stream_text(delta=True, debounce_by=None):
                said.append(piece)
    except Exception as error:  # noqa: BLE001 - the library lets its client's error through
        same("".join(said), "tok1 tok2 tok3 tok4 tok5", "text")
        assert str(error), error
        return
    raise AssertionError(f"nothing was raised after {said}")


# `llm`, whose models are told in a file of its own.


def llm_models():
    os.environ["LLM_USER_PATH"] = tempfile.mkdtemp()
    lines = []
    for model in MODELS:
        lines += [f"- model_id: {model.replace('/', '-')}", f"  model_name: {model}", f"  api_base: {API}"]
        lines += ["  api_key_name: slipswitch", "  supports_tools: true", "  supports_schema: true"]
    with open(os.path.join(os.environ["LLM_USER_PATH"], "extra-openai-models.yaml"), "w") as file:
        file.write("\n".join(lines))
    import llm

    return llm


llm = llm_models()


def known(model):
    return llm.get_model(model.replace("/", "-"))


@each_model("llm answers, streams and calls tools")
def _(model):
    plain = known(model).prompt("hello", stream=False, key=KEY)
    same(plain.text(), "echo: hello")
    same("".join(known(model).prompt("count to 12", stream=True, key=KEY)).split()[-1], "tok12", "streamed")

    def get_weather(city: str) -> str:
        """The weather in a city."""
        return "18 degrees"

    chain = known(model).conversation().chain(ASK_WEATHER, tools=[get_weather], key=KEY)
    same(chain.text().strip(), "tool said: 18 degrees", "tools")


@each_model("llm answers by a schema")
def _(model):
    import json

    same(json.loads(known(model).prompt(ASK_PLACE, schema=Place, stream=False, key=KEY).text()), {"city": "Paris", "degrees": 21})


@check("llm is told of a bad key")
def _():
    import openai as package

    raises(package.AuthenticationError, lambda: known("sim/echo").prompt("hello", stream=False, key=BAD_KEY).text())


run("agents")

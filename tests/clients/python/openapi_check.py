"""Live answers against OpenRouter's published contract, whose file SLIPSWITCH_OPENROUTER_OPENAPI names."""

import json
import os
import sys

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from harness import (
    API, ASK_BOTH, ASK_PLACE, BAD_KEY, DIES, MODELS, PLACE_SCHEMA, TIME, WEATHER, chat, check, each_model, http, run, same,
)  # fmt: skip

path = os.environ.get("SLIPSWITCH_OPENROUTER_OPENAPI")
if not path:
    print("skipped: SLIPSWITCH_OPENROUTER_OPENAPI is not set")
    sys.exit(0)

with open(path, encoding="utf-8") as file:
    contract = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

# The one thing that is not ours to keep: the contract lists the providers OpenRouter has, and a gateway has its own.
NAMES = {"provider_name", "ProviderName"}


def loosened(node):
    if isinstance(node, dict):
        return {
            key: {"type": "string"} if key in NAMES and isinstance(value, dict) and "enum" in value else loosened(value)
            for key, value in node.items()
        }
    return [loosened(item) for item in node] if isinstance(node, list) else node


contract = loosened(contract)


def answers(method, route, status, kind="application/json"):
    return contract["paths"][route][method]["responses"][str(status)]["content"][kind]["schema"]


def fits(document, schema, what):
    """The document is valid; if not, the innermost reasons."""
    validator = Draft202012Validator({**schema, "components": contract["components"]})
    reasons = []
    for error in validator.iter_errors(document):
        deepest = best_match([error]) or error
        reasons.append(f"{deepest.json_path}: {deepest.message[:160]}")
    assert not reasons, f"{what}: {len(reasons)} breaches: " + "; ".join(reasons[:4])


def get(route, status=200, url=None, key=True):
    reply = http("GET", API + (url or route), **({} if key is True else {"key": key}))
    same(reply.status, status, f"status of {url or route}")
    fits(reply.json(), answers("get", route, status), url or route)
    return reply.json()


def streamed(reply):
    events = reply.events()
    same(events[-1][1], "[DONE]", "last event")
    return [json.loads(data) for _, data in events[:-1]]


def chunks_fit(reply):
    schema = answers("post", "/chat/completions", 200, "text/event-stream")
    chunks = streamed(reply)
    wrapped = "data" in schema.get("properties", {}) or "ChatStreamingResponse" in schema.get("$ref", "")
    for at, chunk in enumerate(chunks):
        fits({"data": chunk} if wrapped else chunk, schema, f"chunk {at} of {len(chunks)}")


ASKS = {
    "text": ("hello", {}),
    "tools": (ASK_BOTH, {"tools": [WEATHER, TIME]}),
    "reasoning": ("hello", {"reasoning": {"effort": "high"}}),
    "a schema": (ASK_PLACE, {"response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE_SCHEMA}}}),
    "a limit": ("count to 50", {"max_tokens": 5}),
}  # fmt: skip


@each_model("plain answers fit: text, tools, reasoning, a schema, a limit")
def _(model):
    for what, (text, more) in ASKS.items():
        reply = chat(model, text, **more)
        same(reply.status, 200, f"status of {what}")
        fits(reply.json(), answers("post", "/chat/completions", 200), what)


@each_model("streams fit: text, tools, reasoning, a schema, a limit")
def _(model):
    for text, more in ASKS.values():
        chunks_fit(chat(model, text, stream=True, **more))


@check("logprobs fit")
def _():
    fits(chat("sim/echo", "hello", logprobs=True).json(), answers("post", "/chat/completions", 200), "plain")
    chunks_fit(chat("sim/echo", "hello", logprobs=True, stream=True))


@each_model("an error in mid-stream fits", models=[*DIES, "sim/cut"])
def _(model):
    chunks_fit(chat(model, "count to 40", stream=True))


@check("the list of models fits")
def _():
    listed = get("/models")
    assert len(listed["data"]) >= 5, listed


@check("a model, its endpoints and the count fit")
def _():
    get("/model/{author}/{slug}", url="/model/sim/echo")
    for slug in ["echo", "both", "claude", "gemini"]:
        get("/models/{author}/{slug}/endpoints", url=f"/models/sim/{slug}/endpoints")
    get("/models/count")


@check("providers and endpoints without retention fit")
def _():
    get("/providers")
    get("/endpoints/zdr")


@each_model("a generation fits, streamed or not")
def _(model):
    for stream in [False, True]:
        reply = chat(model, "hello", stream=stream)
        get("/generation", url=f"/generation?id={reply.headers['x-generation-id']}")


@check("the key fits")
def _():
    get("/key")


@check("errors fit their status")
def _():
    rows = [
        (chat("sim/echo", "hello", key=None), 401),
        (chat("sim/echo", "hello", key=BAD_KEY), 401),
        (chat("sim/nobody", "hello"), 400),
        (chat("sim/both", "hello", provider={"only": ["nobody"]}), 404),
        (chat("sim/limited", "hello"), 429),
    ]
    for reply, status in rows:
        same(reply.status, status, "status")
        fits(reply.json(), answers("post", "/chat/completions", status), f"status {status}")
    get("/generation", 404, url="/generation?id=gen-0-nothing")
    get("/key", 401, key=BAD_KEY)
    busy = chat("sim/busy", "hello")
    fits(busy.json(), answers("post", "/chat/completions", busy.status), f"status {busy.status}")


run("contract")

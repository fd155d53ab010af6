"""What every script here shares: checks that are counted, the gateway's address, and the questions asked of it.

A check prints `ok <name>` or `FAIL <name>: why`; the runner counts these lines. Checks run one after the other, in the order in
which they were written; an argument runs only those whose name contains it.
"""

import base64
import gc
import json
import os
import struct
import sys
import time
import traceback
import urllib.error
import urllib.request
import zlib

API = os.environ["SLIPSWITCH_API"]
ROOT = API.removesuffix("/api/v1")
KEY = os.environ["SLIPSWITCH_KEY"]
BAD_KEY = "sk-slip-v1-this-key-was-never-issued-0000"

# No answer of a simulated provider takes longer.
TIMEOUT = 20

# One model per upstream dialect, with its prices (USD per million tokens, in and out) and who serves it.
MODELS = {
    "sim/echo": (0.2, 0.6, "Sim OpenAI"),
    "sim/claude": (3, 15, "Sim Anthropic"),
    "sim/gemini": (0.3, 2.5, "Sim Gemini"),
}
DIES = ["sim/echo-dies", "sim/claude-dies", "sim/gemini-dies"]
# The Responses dialect has its own upstream beside them, whose bytes such a caller gets as they came.
ANSWERS = [*MODELS, "sim/answers"]
ANSWERS_DIE = [*DIES, "sim/answers-dies"]

_checks = []


def check(name):
    """Register a check under a name that is a sentence about behaviour."""

    def register(body):
        _checks.append((name, body))
        return body

    return register


def each_model(name, models=tuple(MODELS)):
    """Register a check once per model; the body takes the model."""

    def register(body):
        for model in models:
            _checks.append((f"{name} ({model})", lambda model=model: body(model)))
        return body

    return register


def run(suite):
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = 0
    # A stream that a library left unread is closed by the collector, and httpcore then takes the lock of its pool: for good, where
    # that happens to be held. So the collector works between the checks.
    gc.disable()
    for name, body in _checks:
        if wanted not in name:
            continue
        gc.collect()
        try:
            body()
            print(f"ok {suite}: {name}", flush=True)
        except Exception as error:  # noqa: BLE001 - whatever a library throws is a finding
            failed += 1
            why = " ".join(f"{type(error).__name__}: {error}".split())
            where = traceback.extract_tb(error.__traceback__)
            mine = [f for f in where if os.path.basename(f.filename).endswith("_check.py")]
            line = f" (line {mine[-1].lineno})" if mine else ""
            print(f"FAIL {suite}: {name}: {why[:600]}{line}", flush=True)
    sys.exit(1 if failed else 0)


def same(got, want, what="value"):
    assert got == want, f"{what} is {got!r}, not {want!r}"


def has(got, part, what="text"):
    assert got is not None and part in got, f"{what} lacks {part!r}: {got!r}"


def near(got, want, what="number"):
    assert got is not None and abs(got - want) <= 1e-9 + 1e-6 * abs(want), f"{what} is {got!r}, not {want!r}"


def raises(kind, body):
    """The error, which must be of that kind and nothing wider."""
    try:
        body()
    except kind as error:
        return error
    raise AssertionError(f"nothing was raised, expected {kind}")


def price_of(model, prompt, completion):
    per_in, per_out, _ = MODELS[model]
    return (prompt * per_in + completion * per_out) / 1e6


def user(text):
    return [{"role": "user", "content": text}]


def png(width, height):
    """A picture of that size, as a data URL."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\x00" + b"\xff\x00\x00" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def tool(name, description, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


WEATHER = tool("get_weather", "The weather in a city", city={"type": "string"})
TIME = tool("get_time", "The time in a city", city={"type": "string"})
ASK_WEATHER = "What is the weather in Paris?"
ASK_BOTH = "Please call get_weather and get_time for Paris"

PLACE_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
ASK_PLACE = "It is 21 degrees in Paris today"


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The stream as (event name or None, data) pairs; comments are left out."""
        out = []
        for block in self.body.decode().replace("\r\n", "\n").split("\n\n"):
            name, data = None, []
            for line in block.split("\n"):
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].removeprefix(" "))
            if data:
                out.append((name, "\n".join(data)))
        return out


def http(method, url, body=None, key=KEY, headers=None):
    """One plain request without any library. A `url` that starts with / stands at the gateway's root."""
    url = ROOT + url if url.startswith("/") else url
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json"} if data is not None else {}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    sent.update(headers or {})
    request = urllib.request.Request(url, data=data, method=method, headers=sent)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def chat(model, text, key=KEY, headers=None, **more):
    return http("POST", f"{API}/chat/completions", {"model": model, "messages": user(text), **more}, key, headers)


def within(seconds, body):
    """What `body` returns once it returns something; an assertion after that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        got = body()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"nothing within {seconds} s")

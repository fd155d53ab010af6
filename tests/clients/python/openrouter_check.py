"""The `openrouter` package: generated from OpenRouter's contract, and strict about every member of an answer."""

import json

from openrouter import OpenRouter, components, errors

from harness import (
    API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, PLACE_SCHEMA, TIME, TIMEOUT, WEATHER,
    check, each_model, has, near, png, price_of, raises, run, same, user,
)  # fmt: skip

client = OpenRouter(api_key=KEY, server_url=API, retry_config=None, timeout_ms=TIMEOUT * 1000)


def ask(model, text, **more):
    return client.chat.send(model=model, messages=user(text), **more)


def gathered(stream):
    out = {"text": "", "reasoning": "", "calls": {}, "finish": None, "usage": None, "error": None}
    with stream as events:
        for chunk in events:
            out["id"] = chunk.id
            out["usage"] = chunk.usage or out["usage"]
            out["error"] = chunk.error or out["error"]
            for choice in chunk.choices:
                out["text"] += choice.delta.content or ""
                out["reasoning"] += choice.delta.reasoning or ""
                out["finish"] = choice.finish_reason or out["finish"]
                for piece in choice.delta.tool_calls or []:
                    call = out["calls"].setdefault(int(piece.index), {"id": None, "name": None, "arguments": ""})
                    call["id"] = piece.id or call["id"]
                    call["name"] = (piece.function and piece.function.name) or call["name"]
                    call["arguments"] += (piece.function and piece.function.arguments) or ""
    return out


@each_model("a plain answer is valid, with usage and cost")
def _(model):
    reply = ask(model, "hello")
    choice = reply.choices[0]
    same((choice.message.content, choice.finish_reason), ("echo: hello", "stop"))
    same((reply.model, reply.usage.completion_tokens), (model, 2))
    near(reply.usage.cost, price_of(model, reply.usage.prompt_tokens, 2), "cost")


@each_model("every chunk of a stream is valid, and together they say what the plain answer says")
def _(model):
    plain = ask(model, "count to 30")
    got = gathered(ask(model, "count to 30", stream=True))
    same((got["text"], got["finish"]), (plain.choices[0].message.content, "stop"))
    near(got["usage"].cost, plain.usage.cost, "cost")


@each_model("a tool call goes round, and two are called at once")
def _(model):
    reply = ask(model, ASK_WEATHER, tools=[WEATHER])
    message = reply.choices[0].message
    [call] = message.tool_calls
    same((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}))
    final = client.chat.send(
        model=model,
        tools=[WEATHER],
        messages=[
            *user(ASK_WEATHER),
            components.ChatAssistantMessage(role="assistant", content=None, tool_calls=message.tool_calls),
            {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"},
        ],
    )
    same(final.choices[0].message.content, "tool said: 18 degrees", "content")
    both = ask(model, ASK_BOTH, tools=[WEATHER, TIME]).choices[0].message.tool_calls
    same([c.function.name for c in both], ["get_weather", "get_time"], "calls")


@each_model("streamed tool calls are valid")
def _(model):
    got = gathered(ask(model, ASK_BOTH, tools=[WEATHER, TIME], stream=True))
    same(got["finish"], "tool_calls", "finish_reason")
    same([(c["name"], json.loads(c["arguments"])) for _, c in sorted(got["calls"].items())],
         [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Paris"})], "calls")  # fmt: skip


@each_model("structured output follows its schema")
def _(model):
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": PLACE_SCHEMA}}
    reply = ask(model, ASK_PLACE, response_format=wanted)
    same(json.loads(reply.choices[0].message.content), {"city": "Paris", "degrees": 21}, "content")


@each_model("reasoning is shown, with valid details, and can be sent back")
def _(model):
    think = {"effort": "medium"}
    reply = ask(model, ASK_WEATHER, tools=[WEATHER], reasoning=think)
    message = reply.choices[0].message
    has(message.reasoning, "Let me think", "reasoning")
    assert message.reasoning_details, "no reasoning_details"
    has(gathered(ask(model, "hello", reasoning=think, stream=True))["reasoning"], "Let me think", "streamed reasoning")
    told = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "18 degrees"}
    final = client.chat.send(model=model, messages=[*user(ASK_WEATHER), message, told], tools=[WEATHER], reasoning=think)
    same(final.choices[0].message.content, "tool said: 18 degrees", "content")


@each_model("a picture is seen")
def _(model):
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": png(4, 5)}}]
    reply = client.chat.send(model=model, messages=[{"role": "user", "content": parts}])
    same(reply.choices[0].message.content, "I see an image of 4x5", "content")


@check("models and provider choose who answers")
def _():
    reply = ask("sim/busy", "hello", models=["sim/limited", "sim/gemini"])
    same(reply.model, "sim/gemini", "model")
    reply = ask("sim/both", "hello", provider={"order": ["sim-openai"], "allow_fallbacks": False})
    near(reply.usage.cost, (reply.usage.prompt_tokens * 3 + 2 * 12) / 1e6, "cost of sim-openai")


@check("models, endpoints and providers are valid lists")
def _():
    page = client.models.list()
    models = page.result.data if hasattr(page, "result") else page.data
    assert {*MODELS} <= {m.id for m in models}, [m.id for m in models][:20]
    endpoints = client.endpoints.list(author="sim", slug="both").data
    same(sorted(e.provider_name for e in endpoints.endpoints), ["Sim Anthropic", "Sim OpenAI"], "endpoints")
    has([p.slug for p in client.providers.list().data], "sim-openai", "providers")


@check("a single model and the count are valid")
def _():
    same(client.models.get(author="sim", slug="echo").data.id, "sim/echo", "id")
    assert client.models.count().data.count >= 5


@each_model("a generation and the key can be looked up")
def _(model):
    reply = ask(model, "hello")
    data = client.generations.get_generation(id=reply.id).data
    same((data.id, data.model), (reply.id, model))
    near(data.total_cost, reply.usage.cost, "total_cost")
    key = client.api_keys.get_current_key_metadata().data
    assert key.usage > 0 and key.label, key


@check("a bad key, an unknown model and no endpoint are the errors of their status")
def _():
    wrong = OpenRouter(api_key=BAD_KEY, server_url=API, retry_config=None, timeout_ms=TIMEOUT * 1000)
    raises(errors.UnauthorizedResponseError, lambda: wrong.chat.send(model="sim/echo", messages=user("hello")))
    unknown = raises(errors.BadRequestResponseError, lambda: ask("sim/nobody", "hello"))
    has(unknown.data.error.message, "sim/nobody")
    raises(errors.NotFoundResponseError, lambda: ask("sim/both", "hello", provider={"only": ["sim-gemini"]}))
    raises(errors.NotFoundResponseError, lambda: client.generations.get_generation(id="gen-1-none"))


@check("a limited upstream is the error of its status")
def _():
    raises(errors.TooManyRequestsResponseError, lambda: ask("sim/limited", "hello", retries=None))


@each_model("an error in mid-stream arrives as a valid chunk", models=[*DIES, "sim/cut"])
def _(model):
    got = gathered(ask(model, "count to 40", stream=True))
    same(got["text"], "tok1 tok2 tok3 tok4 tok5", "text")
    assert got["error"] is not None, "no chunk carried an error"
    same((got["finish"], got["error"].code >= 400), ("error", True))


# --- Responses ---

FLAT_WEATHER = {"type": "function", **WEATHER["function"]}


def answer(model, input, **more):
    return client.beta.responses.send(model=model, input=input, **more)


@each_model("responses: an answer is valid, with usage and cost")
def _(model):
    reply = answer(model, "hello", tools=[FLAT_WEATHER], instructions="Be brief.")
    same((reply.output[-1].content[0].text, reply.status, reply.model), ("echo: hello", "completed", model))
    near(reply.usage.cost, price_of(model, reply.usage.input_tokens, 2), "cost")


@each_model("responses: every event of a stream is valid")
def _(model):
    for text, more in [("count to 30", {}), (ASK_WEATHER, {"tools": [FLAT_WEATHER]}), ("hello", {"reasoning": {"effort": "high"}})]:
        kinds = []
        with answer(model, text, stream=True, **more) as events:
            for event in events:
                kinds.append(event.type)
        same((kinds[0], kinds[-1]), ("response.created", "response.completed"), text)


run("openrouter-py")

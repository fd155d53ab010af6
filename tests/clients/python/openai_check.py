"""The `openai` package: what most programs use."""

import asyncio
import json

import openai
from pydantic import BaseModel

from harness import (
    ANSWERS, ANSWERS_DIE, API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, TIME, TIMEOUT, WEATHER,
    check, each_model, has, http, near, png, price_of, raises, run, same, user, within,
)  # fmt: skip

client = openai.OpenAI(base_url=API, api_key=KEY, max_retries=0, timeout=TIMEOUT)


def ask(model, text, **more):
    return client.chat.completions.create(model=model, messages=user(text), **more)


def gathered(stream):
    """The stream put together by hand, as programs do."""
    out = {"text": "", "calls": {}, "finish": None, "usage": None, "reasoning": "", "details": [], "chunks": 0}
    for chunk in stream:
        out["chunks"] += 1
        out["id"], out["model"] = chunk.id, chunk.model
        if chunk.usage is not None:
            out["usage"] = chunk.usage
        for choice in chunk.choices:
            delta = choice.delta
            out["text"] += delta.content or ""
            out["reasoning"] += getattr(delta, "reasoning", None) or ""
            out["details"] += getattr(delta, "reasoning_details", None) or []
            out["finish"] = choice.finish_reason or out["finish"]
            for piece in delta.tool_calls or []:
                call = out["calls"].setdefault(piece.index, {"id": None, "name": None, "arguments": ""})
                call["id"] = piece.id or call["id"]
                call["name"] = piece.function.name or call["name"]
                call["arguments"] += piece.function.arguments or ""
    return out


@each_model("a plain answer has text, usage, cost, model and provider")
def _(model):
    reply = ask(model, "hello")
    choice = reply.choices[0]
    same(choice.message.content, "echo: hello", "content")
    same((choice.finish_reason, choice.message.role), ("stop", "assistant"))
    same((reply.object, reply.model, reply.provider), ("chat.completion", model, MODELS[model][2]))
    assert reply.id.startswith("gen-"), reply.id
    usage = reply.usage
    same(usage.completion_tokens, 2, "completion_tokens")
    same(usage.total_tokens, usage.prompt_tokens + 2, "total_tokens")
    near(usage.cost, price_of(model, usage.prompt_tokens, 2), "cost")


@each_model("a stream says what the plain answer says, with usage at its end")
def _(model):
    plain = ask(model, "count to 30")
    stream = gathered(ask(model, "count to 30", stream=True, stream_options={"include_usage": True}))
    same(stream["text"], plain.choices[0].message.content, "text")
    same(stream["finish"], "stop", "finish_reason")
    assert stream["chunks"] > 5, f"only {stream['chunks']} chunks"
    for field in ["prompt_tokens", "completion_tokens", "total_tokens", "cost"]:
        same(getattr(stream["usage"], field), getattr(plain.usage, field), field)
    assert stream["id"].startswith("gen-") and stream["id"] != plain.id, stream["id"]


@each_model("a stream carries usage without being asked")
def _(model):
    same(gathered(ask(model, "hello", stream=True))["usage"].completion_tokens, 2)


def answer_calls(model, question, tools, calls, results, **more):
    """Send the calls and their results back; the final answer."""
    assistant = {"role": "assistant", "content": None, "tool_calls": calls, **more}
    told = [{"role": "tool", "tool_call_id": c["id"], "content": r} for c, r in zip(calls, results)]
    messages = [*user(question), assistant, *told]
    return client.chat.completions.create(model=model, messages=messages, tools=tools)


@each_model("a tool call goes out, its result goes back, and the answer follows")
def _(model):
    reply = ask(model, ASK_WEATHER, tools=[WEATHER])
    choice = reply.choices[0]
    same(choice.finish_reason, "tool_calls", "finish_reason")
    [call] = choice.message.tool_calls
    same((call.type, call.function.name), ("function", "get_weather"))
    same(json.loads(call.function.arguments), {"city": "Paris"}, "arguments")
    final = answer_calls(model, ASK_WEATHER, [WEATHER], [call.model_dump(exclude_unset=True)], ["18 degrees"])
    same(final.choices[0].message.content, "tool said: 18 degrees", "content")


@each_model("a streamed tool call is put together and answered")
def _(model):
    got = gathered(ask(model, ASK_WEATHER, tools=[WEATHER], stream=True))
    same(got["finish"], "tool_calls", "finish_reason")
    same(list(got["calls"]), [0], "indices")
    call = got["calls"][0]
    same((call["name"], json.loads(call["arguments"])), ("get_weather", {"city": "Paris"}))
    made = {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
    final = answer_calls(model, ASK_WEATHER, [WEATHER], [made], ["18 degrees"])
    same(final.choices[0].message.content, "tool said: 18 degrees", "content")


@each_model("two tools are called at once, streamed or not")
def _(model):
    tools = [WEATHER, TIME]
    plain = ask(model, ASK_BOTH, tools=tools).choices[0].message.tool_calls
    same([c.function.name for c in plain], ["get_weather", "get_time"], "plain")
    assert len({c.id for c in plain}) == 2, f"ids are not distinct: {[c.id for c in plain]}"
    streamed = gathered(ask(model, ASK_BOTH, tools=tools, stream=True))["calls"]
    same([(i, c["name"], json.loads(c["arguments"])) for i, c in sorted(streamed.items())],
         [(0, "get_weather", {"city": "Paris"}), (1, "get_time", {"city": "Paris"})], "streamed")  # fmt: skip
    final = answer_calls(model, ASK_BOTH, tools, [c.model_dump(exclude_unset=True) for c in plain], ["18", "noon"])
    same(final.choices[0].message.content, "tool said: 18; noon", "content")


# Gemini has no such switch.
@each_model("parallel_tool_calls false gives one call", models=["sim/echo", "sim/claude"])
def _(model):
    reply = ask(model, ASK_BOTH, tools=[WEATHER, TIME], parallel_tool_calls=False)
    same(len(reply.choices[0].message.tool_calls), 1, "calls")


@each_model("tool_choice is kept: none, required, one by name")
def _(model):
    tools = [WEATHER, TIME]
    none = ask(model, ASK_WEATHER, tools=tools, tool_choice="none")
    same((none.choices[0].message.tool_calls, none.choices[0].message.content), (None, f"echo: {ASK_WEATHER}"))
    required = ask(model, "hello", tools=tools, tool_choice="required")
    same(len(required.choices[0].message.tool_calls), 1, "required")
    named = ask(model, ASK_WEATHER, tools=tools, tool_choice={"type": "function", "function": {"name": "get_time"}})
    same([c.function.name for c in named.choices[0].message.tool_calls], ["get_time"], "named")


@each_model("a list of no tools is as good as none")
def _(model):
    same(ask(model, "hello", tools=[]).choices[0].message.content, "echo: hello", "content")


@each_model("the streaming helper puts a tool call together")
def _(model):
    with client.chat.completions.stream(model=model, messages=user(ASK_WEATHER), tools=[WEATHER]) as stream:
        for _event in stream:
            pass
        final = stream.get_final_completion()
    [call] = final.choices[0].message.tool_calls
    same((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris"}))
    same((final.choices[0].finish_reason, final.usage.completion_tokens > 0), ("tool_calls", True))


class Place(BaseModel):
    city: str
    degrees: int


@each_model("structured output is parsed into its class")
def _(model):
    reply = client.chat.completions.parse(model=model, messages=user(ASK_PLACE), response_format=Place)
    same(reply.choices[0].message.parsed, Place(city="Paris", degrees=21), "parsed")
    same(reply.choices[0].finish_reason, "stop", "finish_reason")


@each_model("structured output is parsed from a stream")
def _(model):
    with client.chat.completions.stream(model=model, messages=user(ASK_PLACE), response_format=Place) as stream:
        final = stream.get_final_completion()
    same(final.choices[0].message.parsed, Place(city="Paris", degrees=21), "parsed")


@each_model("a JSON object comes back where one is asked for", models=["sim/echo", "sim/gemini"])
def _(model):
    reply = ask(model, "hello", response_format={"type": "json_object"})
    same(json.loads(reply.choices[0].message.content), {"echo": "hello"}, "content")


@each_model("reasoning is shown and counted")
def _(model):
    reply = ask(model, "hello", extra_body={"reasoning": {"effort": "high"}})
    message = reply.choices[0].message
    has(message.reasoning, "Let me think about: hello", "reasoning")
    same(message.content, "echo: hello", "content")
    assert message.reasoning_details, "no reasoning_details"
    assert reply.usage.completion_tokens_details.reasoning_tokens > 0, reply.usage
    stream = gathered(ask(model, "hello", extra_body={"reasoning": {"effort": "high"}}, stream=True))
    same((stream["reasoning"], stream["text"]), (message.reasoning, message.content), "stream")
    assert stream["usage"].completion_tokens_details.reasoning_tokens > 0, stream["usage"]


@each_model("reasoning_effort is understood, and reasoning can be kept out")
def _(model):
    has(ask(model, "hello", reasoning_effort="low").choices[0].message.reasoning, "Let me think", "reasoning")
    hidden = ask(model, "hello", extra_body={"reasoning": {"effort": "low", "exclude": True}}).choices[0].message
    same((getattr(hidden, "reasoning", None), hidden.content), (None, "echo: hello"))


@each_model("reasoning with its signatures survives a tool call round trip")
def _(model):
    think = {"reasoning": {"effort": "medium"}}
    reply = ask(model, ASK_WEATHER, tools=[WEATHER], extra_body=think)
    message = reply.choices[0].message.model_dump(exclude_unset=True)
    told = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "18 degrees"}
    final = client.chat.completions.create(
        model=model, messages=[*user(ASK_WEATHER), message, told], tools=[WEATHER], extra_body=think
    )
    same(final.choices[0].message.content, "tool said: 18 degrees", "content")


@each_model("a picture is seen")
def _(model):
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": png(2, 3)}}]
    reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
    same(reply.choices[0].message.content, "I see an image of 2x3", "content")


@each_model("a system message and earlier turns are taken along")
def _(model):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    reply = client.chat.completions.create(model=model, messages=messages)
    same(reply.choices[0].message.content, "echo: three", "content")
    assert reply.usage.prompt_tokens > ask(model, "three").usage.prompt_tokens, reply.usage


@each_model("stop and the token limit end an answer, and it says so")
def _(model):
    stopped = ask(model, "count to 10", stop=["tok4"]).choices[0]
    same((stopped.message.content.rstrip(), stopped.finish_reason), ("tok1 tok2 tok3", "stop"))
    for limit in [{"max_tokens": 5}, {"max_completion_tokens": 5}]:
        cut = ask(model, "count to 50", **limit).choices[0]
        same((cut.message.content, cut.finish_reason), ("tok1 tok2 tok3 tok4 tok5", "length"), str(limit))


@each_model("sampling parameters are accepted")
def _(model):
    reply = ask(model, "hello", temperature=0.3, top_p=0.9, seed=7, frequency_penalty=0.1, presence_penalty=0.1,
                user="somebody", extra_body={"top_k": 40})  # fmt: skip
    same(reply.choices[0].message.content, "echo: hello", "content")


@check("n gives two answers, streamed or not")
def _():
    reply = ask("sim/echo", "hello", n=2)
    want = ["echo: hello", "echo 2: hello"]
    same([(c.index, c.message.content) for c in reply.choices], list(enumerate(want)), "plain")
    texts = {}
    for chunk in ask("sim/echo", "hello", n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    same(texts, dict(enumerate(want)), "streamed")


@check("logprobs come back")
def _():
    tokens = ask("sim/echo", "hello", logprobs=True, top_logprobs=2).choices[0].logprobs.content
    same(([t.token for t in tokens], len(tokens[0].top_logprobs)), (["echo:", " hello"], 2))
    streamed = []
    for chunk in ask("sim/echo", "hello", logprobs=True, stream=True):
        streamed += [t.token for c in chunk.choices if c.logprobs for t in c.logprobs.content or []]
    same(streamed, ["echo:", " hello"], "streamed")


@check("models are listed")
def _():
    listed = {m.id: m for m in client.models.list()}
    for model in [*MODELS, "sim/both"]:
        assert model in listed, f"{model} is not among {sorted(listed)[:20]}"
    model = listed["sim/echo"]
    same((model.pricing["prompt"], model.pricing["completion"]), ("0.0000002", "0.0000006"), "pricing")


@check("a bad key is an authentication error")
def _():
    wrong = openai.OpenAI(base_url=API, api_key=BAD_KEY, max_retries=0, timeout=TIMEOUT)
    raises(openai.AuthenticationError, lambda: wrong.chat.completions.create(model="sim/echo", messages=user("hello")))
    stream = lambda: wrong.chat.completions.create(model="sim/echo", messages=user("hello"), stream=True)
    same(raises(openai.AuthenticationError, stream).status_code, 401, "status")


@check("an unknown model is a bad request that names it")
def _():
    error = str(raises(openai.BadRequestError, lambda: ask("sim/nobody", "hello")))
    has(error, "sim/nobody")
    has(error, "is not a valid model ID")
    raises(openai.BadRequestError, lambda: ask("sim/nobody", "hello", stream=True))


@check("a request without messages is a bad request")
def _():
    raises(openai.BadRequestError, lambda: client.chat.completions.create(model="sim/echo", messages=[]))


@check("an upstream that is busy or limited is told as such")
def _():
    limited = raises(openai.RateLimitError, lambda: ask("sim/limited", "hello"))
    assert limited.response.headers.get("retry-after"), dict(limited.response.headers)
    busy = raises(openai.InternalServerError, lambda: ask("sim/busy", "hello"))
    assert busy.status_code in (502, 503), busy.status_code
    has(busy.body["metadata"]["provider_name"].lower(), "busy", "provider_name")


def broken(model):
    text = ""
    try:
        for chunk in ask(model, "count to 40", stream=True):
            for choice in chunk.choices:
                text += choice.delta.content or ""
    except openai.APIError as error:
        return text, error
    raise AssertionError(f"the stream ended as if nothing had happened, after {text!r}")


@each_model("an error in mid-stream is raised after what was said", models=[*DIES, "sim/cut"])
def _(model):
    text, error = broken(model)
    same(text, "tok1 tok2 tok3 tok4 tok5", "text")
    assert isinstance(error.body, dict) and isinstance(error.body.get("code"), int), error.body


@each_model("what a broken stream delivered is counted", models=[*DIES, "sim/cut"])
def _(model):
    id = None
    try:
        for chunk in ask(model, "count to 40", stream=True):
            id = chunk.id
    except openai.APIError:
        pass
    data = within(3, lambda: recorded(id))
    # The provider never came to say how much it was: an estimate, but of what went out.
    assert 4 <= data["tokens_completion"] <= 8, data["tokens_completion"]
    assert data["total_cost"] > 0, data["total_cost"]


def recorded(id):
    """The record of a generation, once it is there."""
    got = http("GET", f"{API}/generation?id={id}")
    return got.json()["data"] if got.status == 200 else None


@check("models is a list to fall back on")
def _():
    for more in [{}, {"stream": True}]:
        reply = ask("sim/busy", "hello", extra_body={"models": ["sim/limited", "sim/claude"]}, **more)
        if more:
            got = gathered(reply)
            same((got["text"], got["model"]), ("echo: hello", "sim/claude"), "streamed")
        else:
            same((reply.choices[0].message.content, reply.model), ("echo: hello", "sim/claude"), "plain")


@check("one name over several endpoints falls back among them")
def _():
    for _ in range(4):
        same(ask("house/steady", "hello").choices[0].message.content, "echo: hello", "content")


@check("provider.order, only, ignore and sort choose who answers")
def _():
    rows = [
        ({"order": ["sim-openai"]}, "Sim OpenAI"),
        ({"order": ["sim-anthropic"]}, "Sim Anthropic"),
        ({"order": ["Sim OpenAI"]}, "Sim OpenAI"),
        ({"only": ["sim-openai"]}, "Sim OpenAI"),
        ({"ignore": ["sim-openai"]}, "Sim Anthropic"),
        ({"sort": "price"}, "Sim Anthropic"),
        ({"max_price": {"prompt": 2}}, "Sim Anthropic"),
    ]
    for provider, want in rows:
        for stream in [False, True]:
            reply = ask("sim/both", "hello", extra_body={"provider": provider}, stream=stream)
            got = next(iter(reply)).provider if stream else reply.provider
            same(got, want, f"{provider} stream={stream}")
    same(ask("sim/both:floor", "hello").provider, "Sim Anthropic", ":floor")


@check("nobody left is a 404 that says who was removed by what")
def _():
    error = raises(
        openai.NotFoundError,
        lambda: ask("sim/both", "hello", extra_body={"provider": {"max_price": {"prompt": 0.01}}}),
    )
    has(str(error), "sim-openai")
    has(str(error), "max_price")


@each_model("a generation can be looked up as soon as its answer is there")
def _(model):
    reply = ask(model, "hello")
    streamed = gathered(ask(model, "hello", stream=True))
    for id, usage in [(reply.id, reply.usage), (streamed["id"], streamed["usage"])]:
        got = http("GET", f"{API}/generation?id={id}")
        same(got.status, 200, f"status of {id}")
        data = got.json()["data"]
        same((data["id"], data["model"], data["provider_name"]), (id, model, MODELS[model][2]))
        near(data["total_cost"], usage.cost, "total_cost")
        same((data["tokens_prompt"], data["tokens_completion"]), (usage.prompt_tokens, usage.completion_tokens))


@check("the generation's id is in the headers, streamed or not")
def _():
    raw = client.chat.completions.with_raw_response.create(model="sim/echo", messages=user("hello"))
    same(raw.headers.get("x-generation-id"), raw.parse().id, "x-generation-id")
    raw = client.chat.completions.with_raw_response.create(model="sim/echo", messages=user("hello"), stream=True)
    same(raw.headers.get("x-generation-id"), gathered(raw.parse())["id"], "x-generation-id of a stream")


@check("the asynchronous client streams twenty answers at once")
def _():
    async def one(other, model, n):
        text = ""
        stream = await other.chat.completions.create(model=model, messages=user(f"count to {n}"), stream=True)
        async for chunk in stream:
            text += "".join(c.delta.content or "" for c in chunk.choices)
        return text

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=API, api_key=KEY, max_retries=0, timeout=TIMEOUT) as other:
            models = list(MODELS)
            return await asyncio.gather(*(one(other, models[n % 3], n + 1) for n in range(20)))

    for n, text in enumerate(asyncio.run(all_of_them())):
        same(text, " ".join(f"tok{i + 1}" for i in range(n + 1)), f"text of {n}")


@check("a stream can be left in the middle")
def _():
    stream = ask("sim/slow", "count to 500", stream=True)
    for _, chunk in zip(range(5), stream):
        id = chunk.id
    stream.close()
    same(ask("sim/echo", "hello").choices[0].message.content, "echo: hello", "the next answer")
    data = within(3, lambda: recorded(id))
    same(data["cancelled"], True, "cancelled")
    assert 1 <= data["tokens_completion"] < 100, data["tokens_completion"]


@check("the /v1 prefix alone works as well")
def _():
    other = openai.OpenAI(base_url=API.replace("/api/v1", "/v1"), api_key=KEY, max_retries=0, timeout=TIMEOUT)
    reply = other.chat.completions.create(model="sim/echo", messages=user("hello"))
    same(reply.choices[0].message.content, "echo: hello", "content")


# --- Responses ---

FLAT_WEATHER = {"type": "function", "strict": False, **WEATHER["function"]}
FLAT_TIME = {"type": "function", "strict": False, **TIME["function"]}
SEALED = {"include": ["reasoning.encrypted_content"], "store": False}


def answer(model, input, **more):
    return client.responses.create(model=model, input=input, **more)


def told(stream):
    """The events of a stream, and the response the last of them holds."""
    events = list(stream)
    same([e.sequence_number for e in events], list(range(len(events))), "sequence numbers")
    return events, events[-1].response


@each_model("responses: a plain answer has text, usage and what was asked", models=ANSWERS)
def _(model):
    reply = answer(model, "hello", temperature=0.5, metadata={"a": "b"})
    same((reply.output_text, reply.status, reply.object), ("echo: hello", "completed", "response"))
    same((reply.usage.output_tokens, reply.usage.total_tokens), (2, reply.usage.input_tokens + 2))
    same((reply.error, reply.incomplete_details), (None, None))
    if model in MODELS:
        assert reply.id.startswith("gen-"), reply.id
        same((reply.model, reply.temperature, reply.metadata, reply.tools), (model, 0.5, {"a": "b"}, []))
        near(reply.usage.cost, price_of(model, reply.usage.input_tokens, 2), "cost")


@each_model("responses: a stream says what the plain answer says", models=ANSWERS)
def _(model):
    plain = answer(model, "count to 30")
    events, last = told(answer(model, "count to 30", stream=True))
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    same((text, last.output_text), (plain.output_text, plain.output_text), "text")
    same(last.usage.output_tokens, plain.usage.output_tokens, "output_tokens")
    kinds = [e.type for e in events]
    same(kinds[:4], ["response.created", "response.in_progress", "response.output_item.added",
                     "response.content_part.added"])  # fmt: skip
    same(kinds[-4:], ["response.output_text.done", "response.content_part.done", "response.output_item.done",
                      "response.completed"])  # fmt: skip


@each_model("responses: the streaming helper gathers the answer", models=ANSWERS)
def _(model):
    with client.responses.stream(model=model, input="count to 5") as stream:
        for _event in stream:
            pass
        same(stream.get_final_response().output_text, "tok1 tok2 tok3 tok4 tok5", "text")


@each_model("responses: tool calls go round, streamed or not, with their reasoning", models=ANSWERS)
def _(model):
    tools = [FLAT_WEATHER, FLAT_TIME]
    for stream in [False, True]:
        reply = answer(model, ASK_BOTH, tools=tools, reasoning={"effort": "low"}, stream=stream, **SEALED)
        reply = told(reply)[1] if stream else reply
        calls = [item for item in reply.output if item.type == "function_call"]
        same([(c.name, json.loads(c.arguments)) for c in calls],
             [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Paris"})], f"calls, stream={stream}")  # fmt: skip
        assert any(item.type == "reasoning" for item in reply.output), reply.output
        history = [*user(ASK_BOTH), *(item.model_dump(exclude_unset=True) for item in reply.output)]
        history += [{"type": "function_call_output", "call_id": c.call_id, "output": r} for c, r in zip(calls, ["18", "noon"])]
        final = answer(model, history, tools=tools, reasoning={"effort": "low"}, **SEALED)
        same(final.output_text, "tool said: 18; noon", f"content, stream={stream}")


@each_model("responses: a free-text tool is called with its text", models=ANSWERS)
def _(model):
    tool = {"type": "custom", "name": "apply_patch", "description": "Edit files", "format": {"type": "text"}}
    for stream in [False, True]:
        reply = answer(model, "please apply patch", tools=[tool], stream=stream)
        reply = told(reply)[1] if stream else reply
        [call] = [item for item in reply.output if item.type != "reasoning"]
        same((call.type, call.name), ("custom_tool_call", "apply_patch"))
        assert call.input and not call.input.startswith("{"), call.input
        output = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"}
        history = [*user("please apply patch"), call.model_dump(exclude_unset=True), output]
        same(answer(model, history, tools=[tool]).output_text, "tool said: done", "content")


@each_model("responses: structured output is parsed into its class", models=ANSWERS)
def _(model):
    reply = client.responses.parse(model=model, input=ASK_PLACE, text_format=Place)
    same(reply.output_parsed, Place(city="Paris", degrees=21), "parsed")


@each_model("responses: reasoning is shown and counted", models=ANSWERS)
def _(model):
    reply = answer(model, "hello", reasoning={"effort": "high", "summary": "auto"})
    [thought] = [item for item in reply.output if item.type == "reasoning"][:1]
    texts = [part.text for part in [*thought.summary, *(thought.content or [])]]
    same("".join(texts), "Let me think about: hello", "reasoning")
    assert reply.usage.output_tokens_details.reasoning_tokens > 0, reply.usage
    events, _last = told(answer(model, "hello", reasoning={"effort": "high", "summary": "auto"}, stream=True))
    kinds = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")
    same("".join(e.delta for e in events if e.type in kinds), "".join(texts), "streamed")


@each_model("responses: instructions, earlier turns and a picture are taken along", models=ANSWERS)
def _(model):
    parts = [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": png(2, 3), "detail": "auto"}]
    earlier = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    reply = answer(model, [*earlier, {"role": "user", "content": parts}], instructions="Be brief.")
    same(reply.output_text, "I see an image of 2x3", "content")


@each_model("responses: the token limit ends an answer, and it says so", models=ANSWERS)
def _(model):
    cut = answer(model, "count to 50", max_output_tokens=16)
    same((cut.status, cut.incomplete_details.reason), ("incomplete", "max_output_tokens"))
    same(cut.output_text.split()[-1], "tok16", "text")


@check("responses: what would need a memory is refused, and a bad key is")
def _():
    for more in [{"store": True}, {"previous_response_id": "resp_1"}, {"background": True}]:
        error = raises(openai.BadRequestError, lambda: answer("sim/echo", "hello", **more))
        has(str(error), next(iter(more)))
    wrong = openai.OpenAI(base_url=API, api_key=BAD_KEY, max_retries=0, timeout=TIMEOUT)
    raises(openai.AuthenticationError, lambda: wrong.responses.create(model="sim/echo", input="hello"))
    raises(openai.RateLimitError, lambda: answer("sim/limited", "hello"))


@each_model("responses: an error in mid-stream is raised after what was said", models=[*ANSWERS_DIE, "sim/cut"])
def _(model):
    text = ""
    try:
        for event in answer(model, "count to 40", stream=True):
            text += event.delta if event.type == "response.output_text.delta" else ""
    except openai.APIError as error:
        same(text, "tok1 tok2 tok3 tok4 tok5", "text")
        assert error.message, error
        return
    raise AssertionError(f"the stream ended as if nothing had happened, after {text!r}")


@check("a stream that another endpoint goes on with is one stream")
def _():
    chunks = list(ask("continued/chat", "count to 8", stream=True))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said.startswith("tok1 tok2 tok3 tok4 tok5") and "echo: Your answer was cut off" in said, said
    same(len({c.id for c in chunks}), 1, "ids")


@check("responses: a stream that another endpoint goes on with is one stream")
def _():
    events = list(client.responses.create(model="continued/responses", input="count to 8", stream=True))
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert said.startswith("tok1 tok2 tok3 tok4 tok5") and "echo: Your answer was cut off" in said, said
    same(events[-1].response.output_text, said, "the whole of it at the end")


run("openai-py")

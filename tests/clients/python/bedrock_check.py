"""boto3, as a program written for Amazon Bedrock uses it: another key and another endpoint are all that changes. Over plain HTTP it
sends no bearer token, so that the gateway's key is its access key."""

import base64
import json
import os

from harness import ASK_BOTH, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, ROOT, check, each_model, has, http, png, raises, run, same

os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

import boto3  # noqa: E402 - it reads the environment
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError, EventStreamError  # noqa: E402

# The others, and one that is Bedrock itself.
ALL = [*MODELS, "sim/nova"]
SPEC = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def client(key=KEY):
    config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=20)
    keys = {"aws_access_key_id": key, "aws_secret_access_key": "not-looked-at"}
    return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=ROOT, config=config, **keys)


bedrock = client()


def user(*blocks):
    return {"role": "user", "content": [{"text": b} if isinstance(b, str) else b for b in blocks]}


def tools(*names):
    return {"tools": [{"toolSpec": {"name": n, "description": f"{n} of a city", "inputSchema": {"json": SPEC}}} for n in names]}


def gathered(stream):
    """What the events of a stream come to, in the form of a plain reply."""
    blocks, reply, inputs = {}, {}, {}
    for event in stream:
        [(name, inner)] = event.items()
        at = inner.get("contentBlockIndex")
        if name == "messageStart":
            same(inner["role"], "assistant", "role")
        elif name == "contentBlockStart":
            blocks[at] = dict(inner["start"])
        elif name == "contentBlockDelta":
            block, delta = blocks.setdefault(at, {}), inner["delta"]
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
            if "toolUse" in delta:
                inputs[at] = inputs.get(at, "") + delta["toolUse"]["input"]
            for member, value in delta.get("reasoningContent", {}).items():
                thought = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {})
                thought[member] = thought.get(member, "") + value
        elif name == "messageStop":
            reply["stopReason"] = inner["stopReason"]
        elif name == "metadata":
            reply["usage"] = inner["usage"]
    for at, text in inputs.items():
        blocks[at]["toolUse"]["input"] = json.loads(text or "{}")
    reply["content"] = [blocks[at] for at in sorted(blocks)]
    return reply


def ask(model, messages, stream, **more):
    if stream:
        return gathered(bedrock.converse_stream(modelId=model, messages=messages, **more)["stream"])
    reply = bedrock.converse(modelId=model, messages=messages, **more)
    return {"content": reply["output"]["message"]["content"], "stopReason": reply["stopReason"], "usage": reply["usage"]}


def both(name):
    """A check per model, plain and streamed."""

    def register(body):
        for stream in [False, True]:
            how = "streamed" if stream else "plain"
            each_model(f"{name}, {how}", models=ALL)(lambda model, stream=stream: body(model, stream))
        return body

    return register


@both("a question is answered and counted")
def _(model, stream):
    reply = ask(model, [user("hello")], stream, system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 50})
    same(reply["content"], [{"text": "echo: hello"}], "content")
    same(reply["stopReason"], "end_turn", "stopReason")
    usage = reply["usage"]
    same(usage["outputTokens"], 2, "outputTokens")
    same(usage["totalTokens"], usage["inputTokens"] + usage["outputTokens"], "totalTokens")


@both("a cap and a stop sequence are kept")
def _(model, stream):
    reply = ask(model, [user("count to 9")], stream, inferenceConfig={"maxTokens": 3, "temperature": 0.5})
    same((reply["content"], reply["stopReason"]), ([{"text": "tok1 tok2 tok3"}], "max_tokens"))
    reply = ask(model, [user("count to 9")], stream, inferenceConfig={"stopSequences": [" tok3"]})
    same(reply["content"], [{"text": "tok1 tok2"}], "content")


@both("tools are called, and their results are read")
def _(model, stream):
    config = tools("get_weather", "get_time")
    messages = [user(ASK_BOTH)]
    reply = ask(model, messages, stream, toolConfig=config)
    calls = [b["toolUse"] for b in reply["content"] if "toolUse" in b]
    same(([c["name"] for c in calls], reply["stopReason"]), (["get_weather", "get_time"], "tool_use"))
    same([c["input"] for c in calls], [{"city": "Paris"}] * 2, "input")
    results = [{"toolResult": {"toolUseId": c["toolUseId"], "content": [{"text": "fine"}]}} for c in calls]
    messages += [{"role": "assistant", "content": reply["content"]}, user(*results)]
    again = ask(model, messages, stream, toolConfig=config)
    has("".join(b.get("text", "") for b in again["content"]), "fine")
    forced = ask(model, [user("talk to me")], stream, toolConfig={**config, "toolChoice": {"tool": {"name": "get_time"}}})
    same([b["toolUse"]["name"] for b in forced["content"]], ["get_time"], "the tool that was named")


@each_model("reasoning comes signed, and goes back as it came", models=["sim/claude"])
def _(model):
    config = tools("get_weather")
    fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    more = {"toolConfig": config, "additionalModelRequestFields": fields, "inferenceConfig": {"maxTokens": 4000}}
    for stream in [False, True]:
        messages = [user(ASK_WEATHER)]
        reply = ask(model, messages, stream, **more)
        thought = reply["content"][0]["reasoningContent"]["reasoningText"]
        assert thought["text"] and thought["signature"], thought
        call = reply["content"][-1]["toolUse"]
        result = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"json": {"sky": "fine"}}]}}
        messages += [{"role": "assistant", "content": reply["content"]}, user(result)]
        again = ask(model, messages, stream, **more)
        has("".join(b.get("text", "") for b in again["content"]), "fine")


@both("a picture is seen")
def _(model, stream):
    data = base64.b64decode(png(2, 3).split(",")[1])
    reply = ask(model, [user("what is it?", {"image": {"format": "png", "source": {"bytes": data}}})], stream)
    has(reply["content"][0]["text"], "2x3")


@both("a schema is followed")
def _(model, stream):
    schema = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}'
    structure = {"jsonSchema": {"name": "place", "schema": schema}}
    output = {"textFormat": {"type": "json_schema", "structure": structure}}
    reply = ask(model, [user("tell me about Paris")], stream, outputConfig=output)
    same(reply["content"], [{"text": '{"city":"Paris"}'}], "content")


MAKERS = {
    "anthropic": (
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]},
        lambda reply: reply["content"][0]["text"],
        lambda event: event.get("delta", {}).get("text", ""),
    ),
    "nova": (
        {"messages": [user("hello")], "inferenceConfig": {"maxTokens": 50}},
        lambda reply: reply["output"]["message"]["content"][0]["text"],
        lambda event: event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""),
    ),
    "titan": (
        {"inputText": "hello", "textGenerationConfig": {"maxTokenCount": 50}},
        lambda reply: reply["results"][0]["outputText"],
        lambda event: event.get("outputText", ""),
    ),
}


@each_model("invoke_model takes the bodies of several makers, whole and streamed", models=ALL)
def _(model):
    for maker, (body, whole, piece) in MAKERS.items():
        asked = {"modelId": model, "body": json.dumps(body), "contentType": "application/json"}
        reply = json.loads(bedrock.invoke_model(**asked)["body"].read())
        has(whole(reply), "echo: hello", maker)
        events = [json.loads(e["chunk"]["bytes"]) for e in bedrock.invoke_model_with_response_stream(**asked)["body"]]
        has("".join(piece(event) for event in events), "echo: hello", f"{maker}, streamed")


@check("refusals are the exceptions of AWS, with their words")
def _():
    say = lambda using=bedrock, **more: using.converse(**{"modelId": "sim/echo", "messages": [user("hello")], **more})
    rows = [
        (lambda: say(client(BAD_KEY)), "UnrecognizedClientException", 401),
        (lambda: say(modelId="sim/nobody"), "ResourceNotFoundException", 400),
        (lambda: say(messages=[]), "ValidationException", 400),
        (lambda: say(modelId="sim/limited"), "ThrottlingException", 429),
        (lambda: say(modelId="sim/busy"), "ServiceUnavailableException", 503),
    ]
    for at, (body, code, status) in enumerate(rows):
        error = raises(ClientError, body).response
        got = (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], bool(error["Error"]["Message"]))
        same(got, (code, status, True), f"row {at}")


@check("the bearer token that is sent over HTTPS is taken as well")
def _():
    reply = http("POST", "/model/sim%2Fecho/converse", {"messages": [user("hello")]})
    same((reply.status, reply.json()["output"]["message"]["content"]), (200, [{"text": "echo: hello"}]))
    refused = http("POST", "/model/sim%2Fecho/converse", {"messages": [user("hello")]}, key=BAD_KEY)
    same((refused.status, refused.headers["x-amzn-errortype"]), (401, "UnrecognizedClientException"))


@each_model("an error in mid-stream is raised where it happens", models=[*DIES, "sim/nova-dies"])
def _(model):
    seen = []

    def read():
        for event in bedrock.converse_stream(modelId=model, messages=[user("count to 40")])["stream"]:
            seen.append(event)

    error = raises(EventStreamError, read)
    has(str(error), "Exception")
    text = "".join(e["contentBlockDelta"]["delta"].get("text", "") for e in seen if "contentBlockDelta" in e)
    has(text, "tok1 tok2")


@check("a stream that another endpoint goes on with is one stream")
def _():
    stream = bedrock.converse_stream(modelId="continued/converse", messages=[user("count to 8")])["stream"]
    said = "".join(e["contentBlockDelta"]["delta"].get("text", "") for e in stream if "contentBlockDelta" in e)
    assert said.startswith("tok1 tok2 tok3 tok4 tok5") and "echo: Your answer was cut off" in said, said


run("boto3")

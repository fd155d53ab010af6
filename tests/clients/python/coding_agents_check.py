"""What programs that write code send, as it was seen on the wire: Claude Code and Codex.

Where the `claude` program is installed (or CLAUDE_CODE names it), it is run for real as well.
"""

import json
import os
import shutil
import subprocess
import tempfile

from harness import BAD_KEY, KEY, MODELS, ROOT, check, each_model, has, http, run, same

BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,effort-2025-11-24"
)
ASIDES = "mid-conversation-tool-changes-2026-07-01"
HEADERS = {
    "accept": "application/json",
    "user-agent": "claude-cli/2.1.332 (external, sdk-cli)",
    "x-app": "cli",
    "x-claude-code-session-id": "a68161ff-95a6-4cc4-8987-d83e24c6b5a1",
    "x-stainless-arch": "x64",
    "x-stainless-lang": "js",
    "x-stainless-os": "Linux",
    "x-stainless-package-version": "0.128.0",
    "x-stainless-retry-count": "0",
    "x-stainless-runtime": "node",
    "x-stainless-timeout": "600",
    "anthropic-dangerous-direct-browser-access": "true",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": BETAS,
}
EPHEMERAL = {"type": "ephemeral"}
SCHEMA = "https://json-schema.org/draft/2020-12/schema"
# Names that are in no question here, so that none is called unless it is named.
NAMES = ["Agent", "Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "Skill", "TodoWrite", "WebFetch", "Write"]


def block(text, mark=False):
    return {"type": "text", "text": text} | ({"cache_control": EPHEMERAL} if mark else {})


def tool(name):
    properties = {
        "file_path": {"description": "The absolute path", "type": "string"},
        "limit": {"description": "How many lines", "type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991},
        "mode": {"type": "string", "enum": ["replace", "insert"]},
        "rest": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "string"}},
    }
    schema = {
        "$schema": SCHEMA,
        "type": "object",
        "properties": properties,
        "required": ["file_path"],
        "additionalProperties": False,
    }
    return {"name": name, "description": f"{name}: what it does, at length. " * 20, "input_schema": schema}


def claude(model, messages, betas=BETAS, tools=(), key=KEY, **more):
    body = {
        "model": model,
        "messages": messages,
        "system": [
            block("x-anthropic-billing-header: cc_version=2.1.332.bd3; cc_entrypoint=sdk-cli;"),
            block("You are a Claude agent, built on Anthropic's Claude Agent SDK.", mark=True),
            block("You are an agent working with the user toward their goals. " * 40, mark=True),
        ],
        "tools": [*tools],
        "metadata": {"user_id": json.dumps({"device_id": "8267", "account_uuid": "", "session_id": "a681"})},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
        **more,
    }
    sent = {**HEADERS, "anthropic-beta": betas, "x-api-key": key}
    return http("POST", f"{ROOT}/api/v1/messages?beta=true", body, key=None, headers=sent)


def gathered(reply):
    """The blocks of a streamed message, as Claude Code keeps them."""
    same(reply.status, 200, f"status ({reply.body[:300]})")
    blocks, stop = [], None
    for name, data in reply.events():
        data = json.loads(data)
        if name == "content_block_start":
            blocks.append(dict(data["content_block"]))
            same(data["index"], len(blocks) - 1, "index")
        elif name == "content_block_delta":
            delta = data["delta"]
            member = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature",
                      "input_json_delta": "partial_json"}[delta["type"]]  # fmt: skip
            blocks[data["index"]][member] = blocks[data["index"]].get(member, "") + delta[member]
        elif name == "message_delta":
            stop = data["delta"]["stop_reason"]
    for kept in blocks:
        if (written := kept.pop("partial_json", None)) is not None:
            kept["input"] = json.loads(written or "{}")
    return blocks, stop


def asked(text, mark=True):
    reminder = "<system-reminder>\nThe date is 2026-11-29.\n</system-reminder>"
    return [{"role": "user", "content": [block(reminder), block(text, mark)]}]


@each_model("Claude Code's question is answered, and the answer is the last block")
def _(model):
    blocks, stop = gathered(claude(model, asked("hello")))
    same(stop, "end_turn", "stop_reason")
    has(blocks[-1].get("text"), "hello", f"last block of {blocks}")
    same([b["thinking"] for b in blocks if b["type"] == "thinking" and b["thinking"]], [], "thoughts that were shown")


@each_model("words of the system in the middle of the conversation are taken where they are switched on")
def _(model):
    messages = [{"role": "user", "content": "hello"}, {"role": "system", "content": [block("# Environment\nLinux")]}]
    blocks, _ = gathered(claude(model, messages, betas=f"{BETAS},{ASIDES}"))
    same(blocks[-1]["text"], "echo: hello")


@each_model("Claude Code's tools are called and answered, twice over")
def _(model):
    tools = [tool(name) for name in NAMES]
    messages = asked("use Read, please", mark=False)
    for _ in range(2):
        blocks, stop = gathered(claude(model, messages, tools=tools))
        uses = [b for b in blocks if b["type"] == "tool_use"]
        same((stop, [u["name"] for u in uses], list(uses[0]["input"])), ("tool_use", ["Read"], ["file_path"]))
        results = [{"type": "tool_result", "tool_use_id": u["id"], "content": [block("1\timport os")]} for u in uses]
        results[-1]["cache_control"] = EPHEMERAL
        messages = [*messages, {"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
        blocks, stop = gathered(claude(model, messages, tools=tools))
        same((stop, blocks[-1]["text"]), ("end_turn", "tool said: 1\timport os"))
        messages = [*messages, {"role": "assistant", "content": blocks}, *asked("use Read again, please", mark=False)]


@check("a bad key is told as Claude Code expects it")
def _():
    reply = claude("sim/claude", asked("hello"), key=BAD_KEY)
    same((reply.status, reply.json()["error"]["type"]), (401, "authentication_error"))


# Codex.


def codex(model, items, **more):
    body = {
        "model": model,
        "instructions": "You are a coding agent running in the Codex CLI. " * 20,
        "input": items,
        "tools": [
            {"type": "function", "name": "shell", "description": "Runs a command", "strict": False, "parameters": {
                "type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}},
                "timeout_ms": {"type": "number"}}, "required": ["command"], "additionalProperties": False}},
            {"type": "custom", "name": "apply_patch", "description": "Edits files", "format": {
                "type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019a0000-0000-7000-8000-000000000000",
        "text": {"verbosity": "medium"},
        "client_metadata": {"x-codex-installation-id": "0000"},
        **more,
    }  # fmt: skip
    sent = {"originator": "codex_exec", "user-agent": "codex_exec/0.171.0", "session_id": "019a", "accept": "text/event-stream"}
    return http("POST", "/api/v1/responses", body, headers=sent)


def items_of(reply):
    same(reply.status, 200, f"status ({reply.body[:300]})")
    events = [json.loads(data) for _, data in reply.events() if data != "[DONE]"]
    same((events[0]["type"], events[-1]["type"]), ("response.created", "response.completed"))
    return [e["item"] for e in events if e["type"] == "response.output_item.done"]


def message(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


@each_model("Codex's question is answered, its tool called and answered")
def _(model):
    said = items_of(codex(model, [message("<environment_context>Linux</environment_context>"), message("hello")]))
    # Two messages in a row are one to some providers.
    same(next(i for i in said if i["type"] == "message")["content"][0]["text"].split()[-1], "hello")
    question = [message("call shell")]
    said = items_of(codex(model, question))
    call = next(i for i in said if i["type"] == "function_call")
    same((call["name"], bool(json.loads(call["arguments"])["command"])), ("shell", True))
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}
    said = items_of(codex(model, [*question, *said, result]))
    same(next(i for i in said if i["type"] == "message")["content"][0]["text"], "tool said: ok")


# The program itself.

PROGRAM = os.environ.get("CLAUDE_CODE") or shutil.which("claude")


def run_claude(model, prompt, *args):
    with tempfile.TemporaryDirectory() as home:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "ANTHROPIC_BASE_URL": f"{ROOT}/api",
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "NO_PROXY": "127.0.0.1",
        }
        command = [PROGRAM, "-p", prompt, "--model", model, *args]
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout


if PROGRAM:

    @each_model("Claude Code itself prints the answer, and goes round with a tool")
    def _(model):
        has(run_claude(model, "hello out there", "--tools", ""), "hello out there", "output")
        has(run_claude(model, "use Read", "--tools", "Read"), "tool said: ", "output")

else:
    print("skipped: Claude Code itself is not installed (npm install -g @anthropic-ai/claude-code)")


run("coding-agents")

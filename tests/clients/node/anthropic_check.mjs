// The `@anthropic-ai/sdk` package, against /api/v1/messages with every dialect behind it.

import Anthropic from "@anthropic-ai/sdk";
import {
  API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, CITY, DIES, KEY, MODELS, PARIS, PLACE_SCHEMA, TIMEOUT,
  check, eachModel, has, png, raises, run, same, truly, user,
} from "./harness.mjs";

const baseURL = API.replace("/v1", "");
const connect = (apiKey = KEY) => new Anthropic({ apiKey, baseURL, timeout: TIMEOUT, maxRetries: 0 });
const client = connect();
const body = (model, content, more = {}) => ({ model, max_tokens: 4000, messages: user(content), ...more });
const ask = (...args) => client.messages.create(body(...args));
const text = (message) => message.content.filter((b) => b.type === "text").map((b) => b.text).join("");
const uses = (message) => message.content.filter((b) => b.type === "tool_use");
const tool = (name) => ({ name, description: `${name} of a city`, input_schema: CITY });
const TOOLS = [tool("get_weather"), tool("get_time")];

const answered = (question, message, ...results) => [
  ...user(question),
  { role: "assistant", content: message.content },
  {
    role: "user",
    content: uses(message).map((u, at) => ({ type: "tool_result", tool_use_id: u.id, content: results[at] })),
  },
];

eachModel("a message has text, an end and usage; a stream gathers to the same", async (model) => {
  const plain = await ask(model, "count to 30", { system: "Be brief." });
  same([plain.stop_reason, plain.usage.output_tokens], ["end_turn", 30]);
  const stream = client.messages.stream(body(model, "count to 30", { system: "Be brief." }));
  let said = "";
  stream.on("text", (piece) => (said += piece));
  const final = await stream.finalMessage();
  same([said, text(final)], [text(plain), text(plain)], "text");
  same(final.usage.output_tokens, 30, "output_tokens");
  same(final.usage.input_tokens, plain.usage.input_tokens, "input_tokens");
});

eachModel("tools are used and answered, streamed or not", async (model) => {
  const stream = client.messages.stream(body(model, ASK_BOTH, { tools: TOOLS }));
  for (const first of [await ask(model, ASK_BOTH, { tools: TOOLS }), await stream.finalMessage()]) {
    const want = [["get_weather", { city: "Paris" }], ["get_time", { city: "Paris" }]];
    same(uses(first).map((u) => [u.name, u.input]), want, "calls");
    const messages = answered(ASK_BOTH, first, "18 degrees", "noon");
    same(text(await ask(model, "", { tools: TOOLS, messages })), "tool said: 18 degrees; noon");
  }
});

eachModel("thinking is shown and goes back unchanged with a tool's answer", async (model) => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const stream = client.messages.stream(body(model, ASK_WEATHER, { tools: TOOLS, thinking }));
  let thought = "";
  stream.on("thinking", (piece) => (thought += piece));
  const first = await stream.finalMessage();
  has(thought, "Let me think about", "thoughts");
  const messages = answered(ASK_WEATHER, first, "fine");
  same(text(await ask(model, "", { tools: TOOLS, thinking, messages })), "tool said: fine");
});

eachModel("an answer follows its schema, and a picture is seen", async (model) => {
  const output_config = { format: { type: "json_schema", schema: PLACE_SCHEMA } };
  same(JSON.parse(text(await ask(model, ASK_PLACE, { output_config }))), PARIS);
  const source = { type: "base64", media_type: "image/png", data: png(6, 7).split(",")[1] };
  same(text(await ask(model, [{ type: "text", text: "Look" }, { type: "image", source }])), "I see an image of 6x7");
});

eachModel("an error in mid-stream is thrown after what was said", async (model) => {
  const stream = client.messages.stream(body(model, "count to 40"));
  let said = "";
  stream.on("text", (piece) => (said += piece));
  const error = await raises(Anthropic.APIError, () => stream.finalMessage());
  same(said, "tok1 tok2 tok3 tok4 tok5", "text");
  truly(error.error?.error?.message, "no message");
}, [...DIES, "sim/cut"]);

check("a bad key, an unknown model and a limited upstream are errors of their kind", async () => {
  const refused = await raises(Anthropic.AuthenticationError, () => connect(BAD_KEY).messages.create(body("sim/echo", "hello")));
  same(refused.error.error.type, "authentication_error", "type");
  has((await raises(Anthropic.APIError, () => ask("sim/nobody", "hello"))).message, "sim/nobody", "message");
  const limited = await raises(Anthropic.RateLimitError, () => ask("sim/limited", "hello"));
  same(limited.headers.get("retry-after"), "1", "retry-after");
  has(limited.requestID, "gen-", "request id");
});

check("models are listed, page by page", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  truly(Object.keys(MODELS).every((id) => ids.includes(id)), ids.slice(0, 20));
});

await run("anthropic-js");

// The `@openrouter/sdk` package: every answer is checked by a schema generated from OpenRouter's contract.

import { OpenRouter } from "@openrouter/sdk";
import * as errors from "@openrouter/sdk/models/errors";
import {
  API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, MODELS, PARIS, PLACE_SCHEMA, TIME, TIMEOUT, WEATHER,
  check, eachModel, has, near, png, priceOf, raises, run, same, truly, user,
} from "./harness.mjs";

const settings = { serverURL: API, retryConfig: { strategy: "none" }, timeoutMs: TIMEOUT };
const client = new OpenRouter({ apiKey: KEY, ...settings });
const send = (chatRequest) => client.chat.send({ chatRequest });
const ask = (model, text, more = {}) => send({ model, messages: user(text), ...more });

async function gathered(stream) {
  const out = { text: "", reasoning: "", calls: [], finish: null, usage: null, error: null };
  for await (const chunk of stream) {
    out.usage = chunk.usage ?? out.usage;
    out.error = chunk.error ?? out.error;
    for (const choice of chunk.choices) {
      out.text += choice.delta.content ?? "";
      out.reasoning += choice.delta.reasoning ?? "";
      out.finish = choice.finishReason ?? out.finish;
      for (const piece of choice.delta.toolCalls ?? []) {
        const call = (out.calls[piece.index] ??= { arguments: "" });
        call.name = piece.function?.name ?? call.name;
        call.arguments += piece.function?.arguments ?? "";
      }
    }
  }
  return out;
}

eachModel("a plain answer is valid, with usage and cost", async (model) => {
  const reply = await ask(model, "hello");
  same([reply.choices[0].message.content, reply.choices[0].finishReason], ["echo: hello", "stop"]);
  same([reply.model, reply.usage.completionTokens], [model, 2]);
  near(reply.usage.cost, priceOf(model, reply.usage.promptTokens, 2), "cost");
});

eachModel("every chunk of a stream is valid, and together they say what the plain answer says", async (model) => {
  const plain = await ask(model, "count to 30");
  const got = await gathered(await ask(model, "count to 30", { stream: true }));
  same([got.text, got.finish], [plain.choices[0].message.content, "stop"]);
  near(got.usage.cost, plain.usage.cost, "cost");
});

eachModel("a tool call goes round, and two are called at once", async (model) => {
  const { message } = (await ask(model, ASK_WEATHER, { tools: [WEATHER] })).choices[0];
  const [call] = message.toolCalls;
  same([call.function.name, JSON.parse(call.function.arguments)], ["get_weather", { city: "Paris" }]);
  const told = { role: "tool", toolCallId: call.id, content: "18 degrees" };
  const final = await send({ model, tools: [WEATHER], messages: [...user(ASK_WEATHER), message, told] });
  same(final.choices[0].message.content, "tool said: 18 degrees", "content");
  const both = await ask(model, ASK_BOTH, { tools: [WEATHER, TIME] });
  same(both.choices[0].message.toolCalls.map((c) => c.function.name), ["get_weather", "get_time"], "calls");
  const got = await gathered(await ask(model, ASK_BOTH, { tools: [WEATHER, TIME], stream: true }));
  const want = [["get_weather", { city: "Paris" }], ["get_time", { city: "Paris" }]];
  same(got.calls.map((c) => [c.name, JSON.parse(c.arguments)]), want, "streamed");
  same(got.finish, "tool_calls", "finishReason");
});

eachModel("structured output follows its schema", async (model) => {
  const responseFormat = { type: "json_schema", jsonSchema: { name: "place", strict: true, schema: PLACE_SCHEMA } };
  const reply = await ask(model, ASK_PLACE, { responseFormat });
  same(JSON.parse(reply.choices[0].message.content), PARIS, "content");
});

eachModel("reasoning is shown, with valid details, and can be sent back", async (model) => {
  const reasoning = { effort: "medium" };
  const { message } = (await ask(model, ASK_WEATHER, { tools: [WEATHER], reasoning })).choices[0];
  has(message.reasoning, "Let me think", "reasoning");
  truly(message.reasoningDetails?.length, "reasoningDetails");
  has((await gathered(await ask(model, "hello", { reasoning, stream: true }))).reasoning, "Let me think", "streamed");
  const told = { role: "tool", toolCallId: message.toolCalls[0].id, content: "18 degrees" };
  const final = await send({ model, reasoning, tools: [WEATHER], messages: [...user(ASK_WEATHER), message, told] });
  same(final.choices[0].message.content, "tool said: 18 degrees", "content");
});

eachModel("a picture is seen", async (model) => {
  const content = [{ type: "text", text: "Look" }, { type: "image_url", imageUrl: { url: png(4, 5) } }];
  const reply = await send({ model, messages: [{ role: "user", content }] });
  same(reply.choices[0].message.content, "I see an image of 4x5", "content");
});

check("models and provider choose who answers", async () => {
  same((await ask("sim/busy", "hello", { models: ["sim/limited", "sim/gemini"] })).model, "sim/gemini");
  const { usage } = await ask("sim/both", "hello", { provider: { order: ["sim-openai"], allowFallbacks: false } });
  near(usage.cost, (usage.promptTokens * 3 + 2 * 12) / 1e6, "cost of sim-openai");
});

check("models, endpoints and providers are valid lists", async () => {
  const ids = [];
  for await (const page of await client.models.list()) ids.push(...(page.result ?? page).data.map((m) => m.id));
  for (const model of Object.keys(MODELS)) has(ids, model, "ids");
  const { data } = await client.endpoints.list({ author: "sim", slug: "both" });
  same(data.endpoints.map((e) => e.providerName).sort(), ["Sim Anthropic", "Sim OpenAI"], "endpoints");
  has((await client.providers.list()).data.map((p) => p.slug), "sim-openai", "providers");
  same((await client.models.get({ author: "sim", slug: "echo" })).data.id, "sim/echo", "a single model");
  truly((await client.models.count()).data.count >= 5, "count");
});

eachModel("a generation and the key can be looked up", async (model) => {
  const reply = await ask(model, "hello");
  const { data } = await client.generations.getGeneration({ id: reply.id });
  same([data.id, data.model], [reply.id, model]);
  near(data.totalCost, reply.usage.cost, "totalCost");
  const key = (await client.apiKeys.getCurrentKeyMetadata()).data;
  truly(key.usage > 0 && key.label, "usage and label");
});

check("a bad key, an unknown model, no endpoint and a limited upstream are the errors of their status", async () => {
  const wrong = new OpenRouter({ apiKey: BAD_KEY, ...settings });
  const chatRequest = { model: "sim/echo", messages: user("hello") };
  await raises(errors.UnauthorizedResponseError, () => wrong.chat.send({ chatRequest }));
  has((await raises(errors.BadRequestResponseError, () => ask("sim/nobody", "hello"))).error.message, "sim/nobody");
  await raises(errors.NotFoundResponseError, () => ask("sim/both", "hello", { provider: { only: ["sim-gemini"] } }));
  await raises(errors.TooManyRequestsResponseError, () => ask("sim/limited", "hello"));
});

eachModel("an error in mid-stream arrives as a valid chunk", async (model) => {
  const got = await gathered(await ask(model, "count to 40", { stream: true }));
  same([got.text, got.finish], ["tok1 tok2 tok3 tok4 tok5", "error"]);
  truly(got.error?.code >= 400, "error code");
}, [...DIES, "sim/cut"]);

// --- Responses ---

const flat = (tool) => ({ type: "function", ...tool.function });
const said = ({ output }) => output.find((item) => item.type === "message").content[0].text;
const answer = (model, input, more = {}) => client.beta.responses.send({ responsesRequest: { model, input, ...more } });

eachModel("responses: an answer is valid, with usage and cost", async (model) => {
  const reply = await answer(model, "hello", { instructions: "Be brief.", tools: [flat(WEATHER)], temperature: 0.5 });
  same([said(reply), reply.status], ["echo: hello", "completed"]);
  same([reply.model, reply.instructions, reply.tools.length], [model, "Be brief.", 1]);
  near(reply.usage.cost, priceOf(model, reply.usage.inputTokens, 2), "cost");
  truly(reply.usage.costDetails.upstreamInferenceInputCost > 0, "costDetails");
});

eachModel("responses: every event of a stream is known", async (model) => {
  const asks = [["count to 30", {}], [ASK_BOTH, { tools: [flat(WEATHER), flat(TIME)] }],
    ["hello", { reasoning: { effort: "high" } }]];
  for (const [text, more] of asks) {
    const kinds = [];
    let last = null;
    for await (const event of await answer(model, text, { ...more, stream: true })) {
      truly(!event.isUnknown && event.type !== "UNKNOWN", JSON.stringify(event.raw ?? event).slice(0, 300));
      kinds.push(event.type);
      last = event.response ?? last;
    }
    same([kinds[0], kinds.at(-1)], ["response.created", "response.completed"], text);
    near(last.usage.cost, priceOf(model, last.usage.inputTokens, last.usage.outputTokens), "cost");
  }
});

eachModel("responses: tool calls go round with their reasoning", async (model) => {
  const more = { tools: [flat(WEATHER)], reasoning: { effort: "medium" } };
  const { output } = await answer(model, ASK_WEATHER, more);
  const call = output.find((item) => item.type === "function_call");
  same([call.name, JSON.parse(call.arguments)], ["get_weather", { city: "Paris" }]);
  const result = { type: "function_call_output", callId: call.callId, output: "18 degrees" };
  const final = await answer(model, [...user(ASK_WEATHER), ...output, result], more);
  same(said(final), "tool said: 18 degrees", "content");
});

eachModel("responses: an error in mid-stream arrives as an event that is known", async (model) => {
  const events = [];
  for await (const event of await answer(model, "count to 40", { stream: true })) events.push(event);
  const text = events.filter((e) => e.type === "response.output_text.delta").map((e) => e.delta).join("");
  same([text, events.at(-1).type], ["tok1 tok2 tok3 tok4 tok5", "response.failed"]);
  truly(events.every((e) => !e.isUnknown && e.type !== "UNKNOWN"), "an event is unknown");
}, [...DIES, "sim/cut"]);

await run("openrouter-js");

// Vercel's `ai` with `@openrouter/ai-sdk-provider`.

import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { APICallError, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from "ai";
import {
  API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, CITY, DIES, KEY, MODELS, PARIS, PLACE_SCHEMA,
  check, eachModel, has, near, png, priceOf, raises, run, same, truly, user,
} from "./harness.mjs";

// What is deprecated in the newest release is what most programs still call.
globalThis.AI_SDK_LOG_WARNINGS = false;

const openrouter = createOpenRouter({ apiKey: KEY, baseURL: API, compatibility: "strict" });
const model = (id, more = {}) => openrouter.chat(id, { usage: { include: true }, ...more });
const ask = (id, prompt, more = {}, settings) =>
  generateText({ model: model(id, settings), prompt, maxRetries: 0, ...more });
const flow = (id, prompt, more = {}, settings) =>
  streamText({ model: model(id, settings), prompt, maxRetries: 0, onError: () => {}, ...more });

function tools(seen = []) {
  const one = (name, answer) =>
    tool({
      description: `${name} of a city`,
      inputSchema: jsonSchema(CITY),
      execute: async (input) => {
        seen.push([name, input]);
        return answer;
      },
    });
  return { get_weather: one("get_weather", "18 degrees"), get_time: one("get_time", "noon") };
}

eachModel("a plain answer has text, usage, cost and provider", async (id) => {
  const { text, finishReason, usage, providerMetadata } = await ask(id, "hello");
  same([text, finishReason], ["echo: hello", "stop"]);
  same(usage.outputTokens, 2, "outputTokens");
  near(providerMetadata.openrouter.usage.cost, priceOf(id, usage.inputTokens, 2), "cost");
  same(providerMetadata.openrouter.provider, MODELS[id][2], "provider");
});

eachModel("a stream says what the plain answer says, with usage at its end", async (id) => {
  const plain = await ask(id, "count to 30");
  const stream = flow(id, "count to 30");
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  same([text, await stream.finishReason], [plain.text, "stop"]);
  same((await stream.usage).outputTokens, plain.usage.outputTokens, "outputTokens");
  const cost = (metadata) => metadata.openrouter.usage.cost;
  near(cost(await stream.providerMetadata), cost(plain.providerMetadata), "cost");
});

eachModel("tools are called and the final answer follows, streamed or not", async (id) => {
  const want = [["get_weather", { city: "Paris" }]];
  for (const how of [ask, flow]) {
    const seen = [];
    const result = await how(id, ASK_WEATHER, { tools: tools(seen), stopWhen: stepCountIs(3) });
    has(await result.text, "18 degrees", `text, ${how.name}`);
    same(seen, want, `calls, ${how.name}`);
    same((await result.steps).length, 2, `steps, ${how.name}`);
  }
});

eachModel("two tools are called at once, streamed or not", async (id) => {
  for (const how of [ask, flow]) {
    const seen = [];
    const result = await how(id, ASK_BOTH, { tools: tools(seen), stopWhen: stepCountIs(3) });
    const text = await result.text;
    has(text, "18 degrees", `text, ${how.name}`);
    has(text, "noon", `text, ${how.name}`);
    same(seen.map(([name]) => name).sort(), ["get_time", "get_weather"], `calls, ${how.name}`);
  }
});

eachModel("an object follows its schema, streamed or not", async (id) => {
  const wanted = { model: model(id), schema: jsonSchema(PLACE_SCHEMA), prompt: ASK_PLACE, maxRetries: 0 };
  same((await generateObject(wanted)).object, PARIS, "plain");
  const stream = streamObject(wanted);
  for await (const _ of stream.partialObjectStream);
  same(await stream.object, PARIS, "streamed");
});

eachModel("reasoning is shown, streamed or not, and survives a tool call", async (id) => {
  const settings = { reasoning: { effort: "medium" } };
  has((await ask(id, "hello", {}, settings)).reasoningText, "Let me think about: hello", "plain");
  let thought = "";
  for await (const part of flow(id, "hello", {}, settings).fullStream) {
    if (part.type === "reasoning-delta") thought += part.text;
  }
  has(thought, "Let me think about: hello", "streamed");
  for (const how of [ask, flow]) {
    const result = await how(id, ASK_WEATHER, { tools: tools(), stopWhen: stepCountIs(3) }, settings);
    has(await result.text, "18 degrees", `text, ${how.name}`);
  }
});

eachModel("a picture is seen", async (id) => {
  const content = [{ type: "text", text: "Look" }, { type: "image", image: png(6, 7) }];
  const { text } = await generateText({ model: model(id), messages: [{ role: "user", content }], maxRetries: 0 });
  same(text, "I see an image of 6x7");
});

check("models and provider choose who answers", async () => {
  const fallback = await ask("sim/busy", "hello", {}, { models: ["sim/limited", "sim/gemini"] });
  same(fallback.response.modelId, "sim/gemini", "model");
  for (const [order, want] of [["sim-openai", "Sim OpenAI"], ["sim-anthropic", "Sim Anthropic"]]) {
    const reply = await ask("sim/both", "hello", {}, { provider: { order: [order] } });
    same(reply.providerMetadata.openrouter.provider, want, order);
  }
});

check("a bad key, an unknown model and a limited upstream are API errors of their status", async () => {
  const wrong = createOpenRouter({ apiKey: BAD_KEY, baseURL: API });
  const refused = () => generateText({ model: wrong.chat("sim/echo"), prompt: "hello", maxRetries: 0 });
  same((await raises(APICallError, refused)).statusCode, 401);
  const unknown = await raises(APICallError, () => ask("sim/nobody", "hello"));
  same(unknown.statusCode, 400);
  has(unknown.message, "sim/nobody", "message");
  const limited = await raises(APICallError, () => ask("sim/limited", "hello"));
  same([limited.statusCode, limited.isRetryable], [429, true]);
});

eachModel("an error in mid-stream is told after what was said", async (id) => {
  let text = "";
  const told = [];
  for await (const part of flow(id, "count to 40").fullStream) {
    if (part.type === "text-delta") text += part.text;
    if (part.type === "error") told.push(part.error);
  }
  same(text, "tok1 tok2 tok3 tok4 tok5", "text");
  truly(told.length > 0, "no error part");
}, [...DIES, "sim/cut"]);

check("turns of a conversation are taken along", async () => {
  const messages = [...user("one"), { role: "assistant", content: "two" }, ...user("three")];
  same((await generateText({ model: model("sim/claude"), messages, maxRetries: 0 })).text, "echo: three");
});

await run("ai-sdk");

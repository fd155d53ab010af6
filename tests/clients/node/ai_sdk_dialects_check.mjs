// Vercel's `ai` with the providers of three dialects: `@ai-sdk/openai-compatible`, `@ai-sdk/anthropic`, `@ai-sdk/google`.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import {
  API, ASK_PLACE, ASK_WEATHER, BAD_KEY, CITY, DIES, KEY, MODELS, PARIS, PLACE_SCHEMA,
  check, has, png, raises, run, same, truly,
} from "./harness.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const ROOT = API.replace("/api/v1", "");
const PROVIDERS = {
  compatible: (id, apiKey = KEY) =>
    createOpenAICompatible({ name: "slipswitch", apiKey, baseURL: API, supportsStructuredOutputs: true, includeUsage: true })(id),
  anthropic: (id, apiKey = KEY) => createAnthropic({ apiKey, baseURL: API })(id),
  google: (id, apiKey = KEY) => createGoogleGenerativeAI({ apiKey, baseURL: `${ROOT}/v1beta` })(id),
};
const THINKING = {
  compatible: { slipswitch: { reasoningEffort: "low" } },
  anthropic: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
  google: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } },
};

// Once per provider and model; the body takes what is given to `ai`, and the provider's name.
function each(name, body, models = Object.keys(MODELS)) {
  for (const [provider, make] of Object.entries(PROVIDERS)) {
    for (const id of models) {
      check(`${name} (${provider}, ${id})`, () => body({ model: make(id), maxRetries: 0 }, provider));
    }
  }
}

const tools = () => ({
  get_weather: tool({ description: "weather of a city", inputSchema: jsonSchema(CITY), execute: async () => "18 degrees" }),
});

each("an answer has text and usage, and a stream says the same", async (to) => {
  const plain = await generateText({ ...to, prompt: "count to 30" });
  same([plain.finishReason, plain.usage.outputTokens], ["stop", 30]);
  const stream = streamText({ ...to, prompt: "count to 30" });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  same([text, (await stream.usage).outputTokens], [plain.text, 30], "streamed");
});

each("tools are called and thoughts shown, to the final answer, streamed or not", async (to, provider) => {
  for (const how of [generateText, streamText]) {
    const wanted = { ...to, prompt: ASK_WEATHER, tools: tools(), stopWhen: stepCountIs(3), providerOptions: THINKING[provider] };
    const result = await how(wanted);
    has(await result.text, "18 degrees", `text, ${how.name}`);
    const steps = await result.steps;
    same(steps.length, 2, `steps, ${how.name}`);
    has(steps[0].reasoningText, "Let me think about", `thoughts, ${how.name}`);
  }
});

each("an object follows its schema, and a picture is seen", async (to) => {
  same((await generateObject({ ...to, schema: jsonSchema(PLACE_SCHEMA), prompt: ASK_PLACE })).object, PARIS);
  const content = [{ type: "text", text: "Look" }, { type: "image", image: png(6, 7) }];
  same((await generateText({ ...to, messages: [{ role: "user", content }] })).text, "I see an image of 6x7");
});

each("an error in mid-stream is told after what was said", async (to) => {
  let text = "";
  const told = [];
  for await (const part of streamText({ ...to, prompt: "count to 40", onError: () => {} }).fullStream) {
    if (part.type === "text-delta") text += part.text;
    if (part.type === "error") told.push(part.error);
  }
  same(text, "tok1 tok2 tok3 tok4 tok5", "text");
  truly(told.length > 0, "no error part");
}, DIES);

for (const [provider, make] of Object.entries(PROVIDERS)) {
  check(`a bad key is an API error of its status (${provider})`, async () => {
    const ask = () => generateText({ model: make("sim/echo", BAD_KEY), prompt: "hello", maxRetries: 0 });
    same((await raises(APICallError, ask)).statusCode, 401);
  });
}

each("a stream that another endpoint goes on with is one stream", async (to) => {
  let said = "";
  for await (const piece of streamText({ ...to, prompt: "count to 8" }).textStream) said += piece;
  truly(said.startsWith("tok1 tok2 tok3 tok4 tok5") && said.includes("echo: Your answer was cut off"), said);
}, ["continued/ai-sdk"]);

await run("ai-sdk-dialects");

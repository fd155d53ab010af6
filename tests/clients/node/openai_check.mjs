// The `openai` package for JavaScript.

import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import {
  ANSWERS, ANSWERS_DIE, API, ASK_BOTH, ASK_PLACE, ASK_WEATHER, BAD_KEY, CITY, DIES, KEY, MODELS, PARIS, TIME, TIMEOUT, WEATHER,
  check, eachModel, has, near, png, priceOf, raises, run, same, truly, user,
} from "./harness.mjs";

const client = new OpenAI({ baseURL: API, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
const ask = (model, text, more = {}) => client.chat.completions.create({ model, messages: user(text), ...more });

async function gathered(stream) {
  const out = { text: "", reasoning: "", calls: [], finish: null, usage: null, chunks: 0 };
  for await (const chunk of stream) {
    out.chunks += 1;
    out.id = chunk.id;
    out.model = chunk.model;
    out.provider = chunk.provider;
    out.usage = chunk.usage ?? out.usage;
    for (const choice of chunk.choices) {
      out.text += choice.delta.content ?? "";
      out.reasoning += choice.delta.reasoning ?? "";
      out.finish = choice.finish_reason ?? out.finish;
      for (const piece of choice.delta.tool_calls ?? []) {
        const call = (out.calls[piece.index] ??= { arguments: "" });
        call.id = piece.id ?? call.id;
        call.name = piece.function.name ?? call.name;
        call.arguments += piece.function.arguments ?? "";
      }
    }
  }
  return out;
}

eachModel("a plain answer has text, usage, cost, model and provider", async (model) => {
  const reply = await ask(model, "hello");
  const [choice] = reply.choices;
  same([choice.message.content, choice.finish_reason], ["echo: hello", "stop"]);
  same([reply.model, reply.provider, reply.object], [model, MODELS[model][2], "chat.completion"]);
  same(reply.usage.completion_tokens, 2, "completion_tokens");
  near(reply.usage.cost, priceOf(model, reply.usage.prompt_tokens, 2), "cost");
});

eachModel("a stream says what the plain answer says, with usage at its end", async (model) => {
  const plain = await ask(model, "count to 30");
  const got = await gathered(await ask(model, "count to 30", { stream: true }));
  same([got.text, got.finish], [plain.choices[0].message.content, "stop"]);
  truly(got.chunks > 5, "chunks");
  same(got.usage.completion_tokens, plain.usage.completion_tokens, "completion_tokens");
  near(got.usage.cost, plain.usage.cost, "cost");
});

eachModel("a tool call goes round, streamed or not", async (model) => {
  const [plain] = (await ask(model, ASK_WEATHER, { tools: [WEATHER] })).choices;
  same(plain.finish_reason, "tool_calls", "finish_reason");
  const streamed = await gathered(await ask(model, ASK_WEATHER, { tools: [WEATHER], stream: true }));
  same(streamed.finish, "tool_calls", "finish_reason of the stream");
  const [{ id, name, arguments: args }] = streamed.calls;
  for (const call of [plain.message.tool_calls[0], { id, type: "function", function: { name, arguments: args } }]) {
    same([call.function.name, JSON.parse(call.function.arguments)], ["get_weather", { city: "Paris" }]);
    const messages = [
      ...user(ASK_WEATHER),
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: call.id, content: "18 degrees" },
    ];
    const final = await client.chat.completions.create({ model, messages, tools: [WEATHER] });
    same(final.choices[0].message.content, "tool said: 18 degrees", "content");
  }
});

eachModel("two tools are called at once, streamed or not", async (model) => {
  const tools = [WEATHER, TIME];
  const [plain] = (await ask(model, ASK_BOTH, { tools })).choices;
  same(plain.message.tool_calls.map((c) => c.function.name), ["get_weather", "get_time"], "plain");
  const streamed = await gathered(await ask(model, ASK_BOTH, { tools, stream: true }));
  const want = [["get_weather", { city: "Paris" }], ["get_time", { city: "Paris" }]];
  same(streamed.calls.map((c) => [c.name, JSON.parse(c.arguments)]), want, "streamed");
});

eachModel("the tool runner calls the function and returns the final answer", async (model) => {
  for (const stream of [false, true]) {
    const seen = [];
    const weather = {
      type: "function",
      function: {
        name: "get_weather",
        description: "The weather in a city",
        parameters: CITY,
        parse: JSON.parse,
        function: (args) => {
          seen.push(args);
          return "18 degrees";
        },
      },
    };
    const runner = client.chat.completions.runTools({ model, messages: user(ASK_WEATHER), tools: [weather], stream });
    same(await runner.finalContent(), "tool said: 18 degrees", `content, stream=${stream}`);
    same(seen, [{ city: "Paris" }], `arguments, stream=${stream}`);
  }
});

eachModel("structured output is parsed by its schema, streamed or not", async (model) => {
  const Place = z.object({ city: z.string(), degrees: z.int() });
  const body = { model, messages: user(ASK_PLACE), response_format: zodResponseFormat(Place, "place") };
  same((await client.chat.completions.parse(body)).choices[0].message.parsed, PARIS, "plain");
  const final = await client.chat.completions.stream(body).finalChatCompletion();
  same(final.choices[0].message.parsed, PARIS, "streamed");
});

eachModel("reasoning is shown and counted, streamed or not", async (model) => {
  const more = { reasoning: { effort: "high" } };
  const plain = await ask(model, "hello", more);
  has(plain.choices[0].message.reasoning, "Let me think about: hello", "reasoning");
  truly(plain.usage.completion_tokens_details.reasoning_tokens > 0, "reasoning_tokens");
  const streamed = await gathered(await ask(model, "hello", { ...more, stream: true }));
  same([streamed.reasoning, streamed.text], [plain.choices[0].message.reasoning, "echo: hello"]);
});

eachModel("a picture is seen", async (model) => {
  const content = [{ type: "text", text: "Look" }, { type: "image_url", image_url: { url: png(2, 3) } }];
  const reply = await client.chat.completions.create({ model, messages: [{ role: "user", content }] });
  same(reply.choices[0].message.content, "I see an image of 2x3", "content");
});

check("n gives two answers", async () => {
  const reply = await ask("sim/echo", "hello", { n: 2 });
  same(reply.choices.map((c) => c.message.content), ["echo: hello", "echo 2: hello"]);
});

check("models are listed", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  for (const model of Object.keys(MODELS)) has(ids, model, "ids");
});

check("a bad key, an unknown model, a limited and a busy upstream are the errors of their status", async () => {
  const wrong = new OpenAI({ baseURL: API, apiKey: BAD_KEY, maxRetries: 0, timeout: TIMEOUT });
  await raises(OpenAI.AuthenticationError, () => wrong.chat.completions.create({ model: "sim/echo", messages: user("x") }));
  await raises(OpenAI.AuthenticationError, () => wrong.models.list());
  has((await raises(OpenAI.BadRequestError, () => ask("sim/nobody", "hello"))).message, "sim/nobody");
  await raises(OpenAI.RateLimitError, () => ask("sim/limited", "hello"));
  await raises(OpenAI.InternalServerError, () => ask("sim/busy", "hello"));
});

eachModel("an error in mid-stream is thrown after what was said", async (model) => {
  let text = "";
  await raises(OpenAI.APIError, async () => {
    for await (const chunk of await ask(model, "count to 40", { stream: true })) {
      text += chunk.choices.map((c) => c.delta.content ?? "").join("");
    }
  });
  same(text, "tok1 tok2 tok3 tok4 tok5", "text");
}, [...DIES, "sim/cut"]);

check("models and provider choose who answers", async () => {
  same((await ask("sim/busy", "hello", { models: ["sim/limited", "sim/gemini"] })).model, "sim/gemini");
  for (const [order, want] of [["sim-openai", "Sim OpenAI"], ["sim-anthropic", "Sim Anthropic"]]) {
    const provider = { order: [order] };
    same((await ask("sim/both", "hello", { provider })).provider, want, order);
    same((await gathered(await ask("sim/both", "hello", { provider, stream: true }))).provider, want, order);
  }
});

check("a stream can be left in the middle", async () => {
  const stream = await ask("sim/slow", "count to 500", { stream: true });
  let chunks = 0;
  for await (const _ of stream) if (++chunks === 5) break;
  same((await ask("sim/echo", "hello")).choices[0].message.content, "echo: hello", "the next answer");
});

// --- Responses ---

const flat = (tool) => ({ type: "function", strict: false, ...tool.function });
const answer = (model, input, more = {}) => client.responses.create({ model, input, ...more });

async function told(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  same(events.map((e) => e.sequence_number), events.map((_, n) => n), "sequence numbers");
  return { events, last: events.at(-1).response };
}

eachModel("responses: a stream says what the plain answer says", async (model) => {
  const plain = await answer(model, "count to 30");
  truly(plain.output_text.endsWith("tok30"), "output_text");
  const { events, last } = await told(await answer(model, "count to 30", { stream: true }));
  const deltas = events.filter((e) => e.type === "response.output_text.delta").map((e) => e.delta);
  same([deltas.join(""), last.status], [plain.output_text, "completed"]);
  same(last.usage.output_tokens, plain.usage.output_tokens, "output_tokens");
  if (MODELS[model]) near(last.usage.cost, priceOf(model, last.usage.input_tokens, last.usage.output_tokens), "cost");
}, ANSWERS);

eachModel("responses: tool calls go round, streamed or not", async (model) => {
  const more = { tools: [flat(WEATHER), flat(TIME)], reasoning: { effort: "low" }, store: false,
    include: ["reasoning.encrypted_content"] };
  for (const stream of [false, true]) {
    const got = await answer(model, ASK_BOTH, { ...more, stream });
    const { output } = stream ? (await told(got)).last : got;
    const calls = output.filter((item) => item.type === "function_call");
    same(calls.map((c) => [c.name, JSON.parse(c.arguments)]),
      [["get_weather", { city: "Paris" }], ["get_time", { city: "Paris" }]], `calls, stream=${stream}`);
    const results = calls.map((c, n) => ({ type: "function_call_output", call_id: c.call_id, output: ["18", "noon"][n] }));
    const final = await answer(model, [...user(ASK_BOTH), ...output, ...results], more);
    same(final.output_text, "tool said: 18; noon", `content, stream=${stream}`);
  }
}, ANSWERS);

eachModel("responses: structured output is parsed by its schema", async (model) => {
  const Place = z.object({ city: z.string(), degrees: z.int() });
  const text = { format: zodTextFormat(Place, "place") };
  same((await client.responses.parse({ model, input: ASK_PLACE, text })).output_parsed, PARIS, "parsed");
  const stream = client.responses.stream({ model, input: ASK_PLACE, text });
  same((await stream.finalResponse()).output_parsed, PARIS, "streamed");
}, ANSWERS);

check("responses: a bad key and a wish for memory are refused", async () => {
  const wrong = new OpenAI({ baseURL: API, apiKey: BAD_KEY, maxRetries: 0, timeout: TIMEOUT });
  await raises(OpenAI.AuthenticationError, () => wrong.responses.create({ model: "sim/echo", input: "x" }));
  await raises(OpenAI.BadRequestError, () => answer("sim/echo", "hello", { previous_response_id: "resp_1" }));
});

eachModel("responses: an error in mid-stream is thrown after what was said", async (model) => {
  let text = "";
  await raises(OpenAI.APIError, async () => {
    for await (const event of await answer(model, "count to 40", { stream: true })) {
      text += event.type === "response.output_text.delta" ? event.delta : "";
    }
  });
  same(text, "tok1 tok2 tok3 tok4 tok5", "text");
}, [...ANSWERS_DIE, "sim/cut"]);

await run("openai-js");

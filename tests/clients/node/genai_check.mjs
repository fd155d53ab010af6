// The `@google/genai` package, against Gemini's paths with every dialect behind them.

import { ApiError, FinishReason, GoogleGenAI } from "@google/genai";
import {
  API, ASK_PLACE, ASK_WEATHER, BAD_KEY, CITY, DIES, KEY, MODELS, PARIS, PLACE_SCHEMA,
  check, eachModel, has, png, raises, run, same, truly,
} from "./harness.mjs";

const connect = (apiKey = KEY) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: API.replace("/api/v1", "") } });
const client = connect();
const ask = (model, contents, config = {}) => client.models.generateContent({ model, contents, config });
const flow = async (model, contents, config = {}) => {
  const chunks = [];
  for await (const chunk of await client.models.generateContentStream({ model, contents, config })) chunks.push(chunk);
  return chunks;
};
const parts = (chunks) => chunks.flatMap((c) => c.candidates?.[0]?.content?.parts ?? []);
const tools = [{ functionDeclarations: [{ name: "get_weather", description: "weather", parametersJsonSchema: CITY }] }];

eachModel("an answer has text, an end and usage; a stream says the same", async (model) => {
  const plain = await ask(model, "count to 30");
  same([plain.candidates[0].finishReason, plain.usageMetadata.candidatesTokenCount], [FinishReason.STOP, 30]);
  const chunks = await flow(model, "count to 30");
  same(chunks.map((c) => c.text ?? "").join(""), plain.text, "text");
  same(chunks.at(-1).usageMetadata.candidatesTokenCount, 30, "usage");
});

eachModel("a function is called and answered, thoughts and all, streamed or not", async (model) => {
  const config = { tools, thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } };
  for (const said of [parts([await ask(model, ASK_WEATHER, config)]), parts(await flow(model, ASK_WEATHER, config))]) {
    has(said.filter((p) => p.thought).map((p) => p.text ?? "").join(""), "Let me think about", "thoughts");
    const { id, name, args } = said.find((p) => p.functionCall).functionCall;
    same([name, args], ["get_weather", { city: "Paris" }], "call");
    const response = { functionResponse: { id, name, response: { output: "18 degrees" } } };
    const contents = [
      { role: "user", parts: [{ text: ASK_WEATHER }] },
      { role: "model", parts: said },
      { role: "user", parts: [response] },
    ];
    same((await ask(model, contents, config)).text, "tool said: 18 degrees");
  }
});

eachModel("an answer follows its schema, and a picture is seen", async (model) => {
  const config = { responseMimeType: "application/json", responseJsonSchema: PLACE_SCHEMA };
  same(JSON.parse((await ask(model, ASK_PLACE, config)).text), PARIS);
  const image = { inlineData: { mimeType: "image/png", data: png(6, 7).split(",")[1] } };
  same((await ask(model, [{ text: "Look" }, image])).text, "I see an image of 6x7");
});

eachModel("an error in mid-stream is thrown after what was said", async (model) => {
  let said = "";
  const read = async () => {
    const stream = await client.models.generateContentStream({ model, contents: "count to 40" });
    for await (const chunk of stream) said += chunk.text ?? "";
  };
  const error = await raises(Error, read);
  same(said, "tok1 tok2 tok3 tok4 tok5", "text");
  truly(error.message, "no message");
}, [...DIES, "sim/cut"]);

check("a bad key and a limited upstream are errors of their kind, and models are listed", async () => {
  const refused = () => connect(BAD_KEY).models.generateContent({ model: "sim/echo", contents: "hello" });
  same((await raises(ApiError, refused)).status, 401, "bad key");
  same((await raises(ApiError, () => ask("sim/limited", "hello"))).status, 429, "limited");
  const names = [];
  for await (const model of await client.models.list()) names.push(model.name.replace("models/", ""));
  truly(Object.keys(MODELS).every((id) => names.includes(id)), names.slice(0, 20));
});

check("a stream that another endpoint goes on with is one stream", async () => {
  const said = (await flow("continued/gemini-js", "count to 8")).map((c) => c.text ?? "").join("");
  truly(said.startsWith("tok1 tok2 tok3 tok4 tok5") && said.includes("echo: Your answer was cut off"), said);
});

await run("genai-js");

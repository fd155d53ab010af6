// What models do besides talking, through `openai` and `@openrouter/sdk`.

import OpenAI from "openai";
import { OpenRouter } from "@openrouter/sdk";
import { API, KEY, TIMEOUT, check, near, raises, run, same, truly } from "./harness.mjs";

const one = new OpenAI({ baseURL: API, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
const two = new OpenRouter({ apiKey: KEY, serverURL: API, retryConfig: { strategy: "none" }, timeoutMs: TIMEOUT });

const TEXTS = ["the cat sat on the mat", "a cat sat on a mat", "quarterly revenue forecast"];
const DOCUMENTS = ["a stone", "the red fox", "a fox"];

const dot = (a, b) => a.reduce((sum, x, n) => sum + x * b[n], 0);

function checkVectors(vectors) {
  same(vectors.map((v) => v.length), [64, 64, 64], "dimensions");
  truly(dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]) + 0.2, "similar texts are near");
}

check("openai: vectors, packed as its default, with usage and cost", async () => {
  const got = await one.embeddings.create({ model: "sim/vectors", input: TEXTS });
  checkVectors(got.data.map((d) => d.embedding));
  same([got.model, got.usage.prompt_tokens], ["sim/vectors", 15]);
  near(got.usage.cost, (15 * 0.2) / 1e6, "cost");
  const plain = await one.embeddings.create({ model: "sim/vectors", input: TEXTS[0], encoding_format: "float" });
  truly(plain.data[0].embedding.every((x, n) => Math.abs(x - got.data[0].embedding[n]) < 1e-6), "the same as floats");
});

check("openai: moderation says what was found", async () => {
  const got = await one.moderations.create({ model: "sim/judges", input: ["I hate it", "hello"] });
  same(got.results.map((r) => r.flagged), [true, false], "flagged");
});

check("openai: a model that talks makes no vectors", async () => {
  await raises(OpenAI.NotFoundError, () => one.moderations.create({ model: "sim/vectors", input: "x" }));
});

check("@openrouter/sdk: vectors fit the contract", async () => {
  const got = await two.embeddings.generate({ requestBody: { model: "sim/vectors", input: TEXTS } });
  checkVectors(got.data.map((d) => d.embedding));
  near(got.usage.cost, (15 * 0.2) / 1e6, "cost");
});

check("@openrouter/sdk: a ranking fits the contract", async () => {
  const requestBody = { model: "sim/ranks", query: "red fox", documents: DOCUMENTS, topN: 2 };
  const got = await two.rerank.rerank({ requestBody });
  same(got.results.map((r) => [r.index, r.document.text]), [[1, "the red fox"], [2, "a fox"]]);
  near(got.usage.cost, 0.002, "cost");
});

await run("services-js");

// What every script here shares: checks that are counted, the gateway's address, and the questions asked of it.
//
// A check prints `ok <name>` or `FAIL <name>: why`; the runner counts these lines. Checks run one after the other, in the order in
// which they were written; an argument runs only those whose name contains it.

import { isDeepStrictEqual } from "node:util";
import zlib from "node:zlib";

export const API = process.env.SLIPSWITCH_API;
export const KEY = process.env.SLIPSWITCH_KEY;
export const BAD_KEY = "sk-slip-v1-this-key-was-never-issued-0000";

// No answer of a simulated provider takes longer.
export const TIMEOUT = 20_000;

// One model per upstream dialect, with its prices (USD per million tokens, in and out) and who serves it.
export const MODELS = {
  "sim/echo": [0.2, 0.6, "Sim OpenAI"],
  "sim/claude": [3, 15, "Sim Anthropic"],
  "sim/gemini": [0.3, 2.5, "Sim Gemini"],
};
export const DIES = ["sim/echo-dies", "sim/claude-dies", "sim/gemini-dies"];
// The Responses dialect has its own upstream beside them, whose bytes such a caller gets as they came.
export const ANSWERS = [...Object.keys(MODELS), "sim/answers"];
export const ANSWERS_DIE = [...DIES, "sim/answers-dies"];

const checks = [];

export function check(name, body) {
  checks.push([name, body]);
}

// Once per model; the body takes the model.
export function eachModel(name, body, models = Object.keys(MODELS)) {
  for (const model of models) check(`${name} (${model})`, () => body(model));
}

export async function run(suite) {
  const wanted = process.argv[2] ?? "";
  let failed = 0;
  for (const [name, body] of checks.filter(([name]) => name.includes(wanted))) {
    try {
      await limited(body());
      console.log(`ok ${suite}: ${name}`);
    } catch (error) {
      failed += 1;
      const cause = error.cause?.message ? ` (${error.cause.message})` : "";
      const why = `${error.name}: ${error.message}${cause}`.replace(/\s+/g, " ").slice(0, 600);
      const line = /_check\.mjs:(\d+)/.exec(error.stack ?? "")?.[1];
      console.log(`FAIL ${suite}: ${name}: ${why}${line ? ` (line ${line})` : ""}`);
    }
  }
  // Connections kept alive would hold the process.
  process.exit(failed ? 1 : 0);
}

function limited(work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${TIMEOUT} ms`)), TIMEOUT);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export function same(got, want, what = "value") {
  if (!isDeepStrictEqual(got, want)) {
    throw new Error(`${what} is ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
  }
}

export function has(got, part, what = "text") {
  if (!got?.includes(part)) throw new Error(`${what} lacks ${JSON.stringify(part)}: ${JSON.stringify(got)}`);
}

export function near(got, want, what = "number") {
  if (!(Math.abs(got - want) <= 1e-9 + 1e-6 * Math.abs(want))) throw new Error(`${what} is ${got}, not ${want}`);
}

export function truly(value, what) {
  if (!value) throw new Error(`${what}: ${JSON.stringify(value)}`);
}

// The error, which must be of that kind. Packages that may be installed twice over offer `isInstance` in place of `instanceof`.
export async function raises(kind, body) {
  try {
    await body();
  } catch (error) {
    if (kind.isInstance?.(error) ?? error instanceof kind) return error;
    throw error;
  }
  throw new Error(`nothing was thrown, expected ${kind.name}`);
}

export function priceOf(model, prompt, completion) {
  const [perIn, perOut] = MODELS[model];
  return (prompt * perIn + completion * perOut) / 1e6;
}

export const user = (text) => [{ role: "user", content: text }];

// A picture of that size, as a data URL.
export function png(width, height) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length, 0);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, 200)]);
  const rows = zlib.deflateSync(Buffer.concat(Array(height).fill(row)));
  const mark = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [mark, chunk("IHDR", head), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))];
  return `data:image/png;base64,${Buffer.concat(parts).toString("base64")}`;
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

export const CITY = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tool = (name, description) => ({ type: "function", function: { name, description, parameters: CITY } });
export const WEATHER = tool("get_weather", "The weather in a city");
export const TIME = tool("get_time", "The time in a city");
export const ASK_WEATHER = "What is the weather in Paris?";
export const ASK_BOTH = "Please call get_weather and get_time for Paris";

export const PLACE_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};
export const ASK_PLACE = "It is 21 degrees in Paris today";
export const PARIS = { city: "Paris", degrees: 21 };

// The `openai` package for JavaScript again: pictures, speech and what is heard of it.

import OpenAI, { toFile } from "openai";
import { API, BAD_KEY, KEY, TIMEOUT, check, has, near, png, raises, run, same, truly } from "./harness.mjs";

const STUDIO = "sim/studio";
const TEXT = "The quick brown fox jumps over the lazy dog.";
const client = new OpenAI({ baseURL: API, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });

const isPng = (text) => truly(Buffer.from(text, "base64").subarray(1, 4).toString() === "PNG", "a PNG");
const say = (more = {}) => client.audio.speech.create({ model: STUDIO, voice: "alloy", input: TEXT, ...more });
const spoken = async (more) => Buffer.from(await (await say(more)).arrayBuffer());
const sound = async () => toFile(await spoken({ response_format: "wav" }), "talk.wav");

check("a picture is made, with what it cost", async () => {
  const made = await client.images.generate({ model: STUDIO, prompt: "a red panda", n: 2, size: "64x64" });
  same(made.data.length, 2);
  isPng(made.data[1].b64_json);
  near(made.usage.cost, 0.08, "cost");
});

check("a picture comes in sketches", async () => {
  const kinds = [];
  const asked = { model: STUDIO, prompt: "a fox", size: "64x64", stream: true, partial_images: 1 };
  for await (const event of await client.images.generate(asked)) kinds.push(event.type);
  same(kinds, ["image_generation.partial_image", "image_generation.completed"]);
});

check("a picture is changed", async () => {
  const image = await toFile(Buffer.from(png(8, 8).split(",")[1], "base64"), "a.png", { type: "image/png" });
  const made = await client.images.edit({ model: STUDIO, prompt: "bluer", size: "64x64", image });
  isPng(made.data[0].b64_json);
});

check("a bad request for a picture names what is wrong", async () => {
  const error = await raises(OpenAI.BadRequestError, () => client.images.generate({ model: STUDIO, prompt: "" }));
  has(error.message, "prompt");
  const stranger = client.withOptions({ apiKey: BAD_KEY });
  await raises(OpenAI.AuthenticationError, () => stranger.images.generate({ model: STUDIO, prompt: "a" }));
});

check("speech is bytes of the kind that was asked for", async () => {
  same((await spoken()).subarray(0, 3).toString(), "ID3");
  same((await spoken({ response_format: "wav" })).subarray(0, 4).toString(), "RIFF");
  same((await spoken({ response_format: "pcm" })).length, TEXT.length * 960);
});

check("speech is streamed", async () => {
  const whole = await spoken({ response_format: "wav" });
  const response = await say({ response_format: "wav" });
  same(response.headers.get("content-type"), "audio/wav");
  const pieces = [];
  for await (const piece of response.body) pieces.push(piece);
  truly(Buffer.concat(pieces).equals(whole), "the same sound");
});

check("what was said is heard again", async () => {
  const heard = await client.audio.transcriptions.create({ model: STUDIO, file: await sound() });
  same(heard.text, TEXT);
  near(heard.usage.cost, 0.0001, "cost");
  const text = await client.audio.transcriptions.create({ model: STUDIO, file: await sound(), response_format: "text" });
  same(text.trim(), TEXT);
});

check("what is heard is streamed", async () => {
  let text = "";
  const asked = { model: STUDIO, file: await sound(), stream: true };
  for await (const event of await client.audio.transcriptions.create(asked)) text += event.delta ?? "";
  same(text, TEXT);
});

check("what is heard is put into English", async () => {
  const heard = await client.audio.translations.create({ model: STUDIO, file: await sound() });
  same(heard.text, `in English: ${TEXT}`);
});

await run("media-js");

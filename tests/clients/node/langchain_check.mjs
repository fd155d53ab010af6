// LangChain's `@langchain/openai`, with every dialect behind it.

import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import {
  API, ASK_PLACE, ASK_WEATHER, BAD_KEY, DIES, KEY, PARIS, PLACE_SCHEMA, TIMEOUT, WEATHER,
  check, eachModel, png, raises, run, same, truly,
} from "./harness.mjs";

const chat = (model, apiKey = KEY) =>
  new ChatOpenAI({ model, apiKey, configuration: { baseURL: API }, timeout: TIMEOUT, maxRetries: 0 });

const gathered = async (stream) => {
  let whole;
  for await (const chunk of stream) whole = whole ? whole.concat(chunk) : chunk;
  return whole;
};

eachModel("an answer has text and usage, and a stream says the same", async (id) => {
  const plain = await chat(id).invoke("count to 30");
  same(plain.usage_metadata.output_tokens, 30, "output_tokens");
  const streamed = await gathered(await chat(id).stream("count to 30"));
  same(streamed.content, plain.content, "text");
  same(streamed.usage_metadata.output_tokens, 30, "usage of the stream");
});

eachModel("tools are called and answered, streamed or not", async (id) => {
  const model = chat(id).bindTools([WEATHER]);
  for (const first of [await model.invoke(ASK_WEATHER), await gathered(await model.stream(ASK_WEATHER))]) {
    same(first.tool_calls.map((c) => [c.name, c.args]), [["get_weather", { city: "Paris" }]], "calls");
    const result = new ToolMessage({ content: "18 degrees", tool_call_id: first.tool_calls[0].id });
    const final = await model.invoke([new HumanMessage(ASK_WEATHER), first, result]);
    same(final.content, "tool said: 18 degrees");
  }
});

eachModel("an answer follows a schema, and a picture is seen", async (id) => {
  for (const method of ["jsonSchema", "functionCalling"]) {
    const model = chat(id).withStructuredOutput({ title: "place", ...PLACE_SCHEMA }, { method });
    same(await model.invoke(ASK_PLACE), PARIS, method);
  }
  const content = [{ type: "text", text: "Look" }, { type: "image_url", image_url: { url: png(6, 7) } }];
  same((await chat(id).invoke([new HumanMessage({ content })])).content, "I see an image of 6x7");
});

eachModel("an error in mid-stream is thrown after what was said", async (id) => {
  let said = "";
  const read = async () => {
    for await (const chunk of await chat(id).stream("count to 40")) said += chunk.content;
  };
  truly((await raises(Error, read)).message, "no message");
  same(said, "tok1 tok2 tok3 tok4 tok5", "text");
}, [...DIES, "sim/cut"]);

check("a bad key is told as one", async () => {
  same((await raises(Error, () => chat("sim/echo", BAD_KEY).invoke("hello"))).status, 401);
});

await run("langchain-js");

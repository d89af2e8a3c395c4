// Calls of the official openai client, by the names that the tests know.
import OpenAI from "openai";

const messages = [{ role: "user", content: "one two three" }];
const parameters = { type: "object", properties: { city: { type: "string" } } };
const tools = [{ type: "function", function: { name: "weather", parameters } }];

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

const calls = (client, model) => ({
  chat: async () => (await client.chat.completions.create({ model, messages })).choices[0],
  stream: async () => textOf(await client.chat.completions.create({ model, messages, stream: true })),
  tools: async () => {
    const runner = client.chat.completions.stream({ model, messages, tools, tool_choice: "required" });
    const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
    return { finish_reason, functions: message.tool_calls.map((each) => each.function) };
  },
  vision: async () => {
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } };
    const content = [{ type: "text", text: "what is it" }, image];
    return (await client.chat.completions.create({ model, messages: [{ role: "user", content }] })).choices[0];
  },
  embeddings: async () => {
    const answer = await client.embeddings.create({ model, input: ["a", "b"], dimensions: 4 });
    return answer.data.map((item) => item.embedding.length);
  },
  respond: async () => {
    const kinds = [];
    const stream = await client.responses.create({ model, input: "Say hi", stream: true });
    for await (const event of stream) kinds.push(event.type === "response.output_text.delta" ? event.delta : event.type);
    return kinds;
  },
  models: async () => {
    const names = [];
    for await (const each of client.models.list()) names.push(each.id);
    return names;
  },
  responses: async () => (await client.responses.create({ model, input: "Say hi" })).output_text,
  structured: async () => {
    const json_schema = { name: "answer", schema: parameters, strict: true };
    const response_format = { type: "json_schema", json_schema };
    return (await client.chat.completions.parse({ model, messages, response_format })).choices[0].message.parsed;
  },
  leave: async () => {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
    return "left";
  },
  headers: async () => {
    const { data, response, request_id } = await client.chat.completions.create({ model, messages }).withResponse();
    return { id: data.id, request_id, attempts: response.headers.get("x-modelbus-attempts") };
  },
});

export const errors = OpenAI.APIError;

export function openai({ router, apiKey, model, retries }) {
  return calls(new OpenAI({ baseURL: `${router}/v1`, apiKey, maxRetries: retries }), model);
}

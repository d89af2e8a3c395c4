// Calls of the official anthropic client, by the names that the tests know.
import Anthropic from "@anthropic-ai/sdk";

const messages = [{ role: "user", content: "one two three" }];
const input_schema = { type: "object", properties: { city: { type: "string" } } };
const tools = [{ name: "weather", input_schema }];

const calls = (client, asked) => ({
  message: async () => client.messages.create(asked),
  stream: async () => {
    const kinds = [];
    const stream = client.messages.stream(asked).on("streamEvent", (event) => kinds.push(event.type));
    return { message: await stream.finalMessage(), kinds };
  },
  tools: async () => client.messages.create({ ...asked, tools, tool_choice: { type: "any" } }),
  streamedTools: async () =>
    client.messages.stream({ ...asked, tools, tool_choice: { type: "any" } }).finalMessage(),
  result: async () => {
    const said = await client.messages.create({ ...asked, tools, tool_choice: { type: "any" } });
    const [{ id }] = said.content;
    const result = { type: "tool_result", tool_use_id: id, content: "It is sunny" };
    const turns = [...messages, { role: "assistant", content: said.content }, { role: "user", content: [result] }];
    return client.messages.create({ ...asked, tools, messages: turns });
  },
  count: async () => client.messages.countTokens({ model: asked.model, messages }),
  leave: async () => {
    for await (const event of await client.messages.create({ ...asked, stream: true })) {
      if (event.type === "content_block_delta") break;
    }
    return "left";
  },
});

export const errors = Anthropic.APIError;

export function anthropic({ router, apiKey, model, retries }) {
  const client = new Anthropic({ baseURL: router, apiKey, maxRetries: retries });
  return calls(client, { model, max_tokens: 100, messages });
}

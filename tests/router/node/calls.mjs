// Makes calls of the official clients until its input ends: a line of JSON says which, a line of JSON what came of it.
import { createInterface } from "node:readline";

import { anthropic, errors as AnthropicError } from "./anthropic.mjs";
import { openai, errors as OpenAIError } from "./openai.mjs";

const clients = { anthropic, openai };
const pool = Symbol.for("undici.globalDispatcher.1");

// A router that ends waits for no connection that is kept for later, so none is.
async function closeConnections() {
  const Pool = globalThis[pool].constructor;
  await globalThis[pool].destroy();
  globalThis[pool] = new Pool();
}

async function outcome({ client, call, ...options }) {
  try {
    return { answer: await clients[client](options)[call]() };
  } catch (error) {
    if (!(error instanceof OpenAIError || error instanceof AnthropicError)) return { broken: `${error.stack}` };
    const { status, code, type, param, message, requestID } = error;
    const waits = error.headers?.get("retry-after");
    return { error: { name: error.constructor.name, status, code, type, param, message, requestID, waits } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const told = await outcome(JSON.parse(line));
  await closeConnections();
  console.log(JSON.stringify(told));
}

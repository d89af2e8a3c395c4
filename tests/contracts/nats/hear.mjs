// The documents' ten lines in JavaScript: hears events of models, and says what they are.
import { connect } from "@nats-io/transport-node";

const [servers, user, pass] = process.argv.slice(2);
const connection = await connect({ servers, user, pass });
const heard = connection.subscribe("model.*");
await connection.flush();
console.log("listening");
for await (const message of heard) console.log(message.subject, message.headers.get("ce-id"), message.json().name);

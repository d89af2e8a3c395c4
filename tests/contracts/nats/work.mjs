// The documents' team in JavaScript: works off its durable consumer, and says what it got.
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const [servers, user, pass] = process.argv.slice(2);
const connection = await connect({ servers, user, pass, inboxPrefix: `_INBOX_${user}` });
const consumer = await jetstream(connection).consumers.get("USAGE", user);
for await (const message of await consumer.consume()) {
  console.log(message.seq, message.headers.get("ce-id"));
  message.ack();
}

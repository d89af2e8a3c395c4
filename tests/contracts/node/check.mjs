import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const found = diagnostics.map(({ severity, message, path }) => ({ severity, message, path: path.join('.') }));
const messages = document ? document.allMessages().all().map((message) => message.id()) : [];
process.stdout.write(JSON.stringify({ found, messages }));

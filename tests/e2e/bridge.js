"use strict";
// Runs calls of published SDKs for Python, which starts it once: a line of JSON in, a line out.
//
// In: {"client": "acquire" | "manage" | "hash", ...}, as the module of that name takes it.
// Out: {"value": ...}, or {"error": text, "status": number} where the SDK failed.

const readline = require("readline");

const clients = {
  acquire: require("./acquire"),
  manage: require("./manage"),
  hash: require("./hash"),
};

async function answer(line) {
  const asked = JSON.parse(line);
  try {
    const value = await clients[asked.client](asked);
    return { value: value === undefined ? null : value };
  } catch (error) {
    return { error: String((error && error.message) || error), status: error && error.statusCode };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
  }
}

main();

// What the test gives to a script, what the script asks of the test, and its result.
import { createInterface } from "node:readline";

/** What the test said when it started the script. */
export const facts = JSON.parse(process.argv[2]);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

/** Asks the test, and waits for what it says. */
export async function ask(question) {
  say(question);
  return JSON.parse((await lines.next()).value);
}

/** Sends a person to `url`; gives what came back: `{ url }`, or `{ url, form }` where it was posted. */
export const send = (url) => ask({ ask: "authorize", url: String(url) });

/** Gives the test what `work` results in; a failure is told whole. */
export async function run(work) {
  try {
    say({ result: await work() });
    process.exit(0);
  } catch (error) {
    console.error(error, error.cause ?? "", error.error_description ?? "");
    process.exit(1);
  }
}

/** The error that `promise` ends with; one that does not end with any is a failure. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    const body = error.cause ?? {};
    return { error: error.error ?? body.error ?? String(error), status: error.status ?? null };
  }
  throw new Error("it was not refused");
}

/** A private key of this JWK, as WebCrypto takes it. */
export async function privateKey(jwk) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["sign"]);
  return { key, kid: jwk.kid };
}

// Packages from where `cargo xtask test` puts them; this folder has none of its own.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.PORTCULLIS_TEST_PARTS, "package.json"));

/** The module `name`, whether it is ESM or CommonJS. */
export async function part(name) {
  const module = await import(pathToFileURL(require.resolve(name)).href);
  return module.default ?? module;
}

/** Says that the script is ready, and what a test has to know. */
export function ready(facts) {
  process.stdout.write(JSON.stringify(facts) + "\n");
}

/** Listens on a free port of 127.0.0.1, or on `port`, and gives the port. */
export function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server.address().port));
  });
}

// @modelcontextprotocol/conformance imports `globSync` from `fs`, which Node.js has from version 22 on, for a command that
// is not used here. Older versions get a function that fails when it is called.
//
//   node --import ./glob.mjs …
import fs from "node:fs";
import { register } from "node:module";

if (!fs.globSync) {
  const shim = `export * from "node:fs"; export { default } from "node:fs";
    export function globSync() { throw new Error("not here"); }`;
  const hooks = `export async function resolve(name, context, next) {
    return name === "fs" && !context.parentURL?.startsWith("data:")
      ? { url: "data:text/javascript," + encodeURIComponent(${JSON.stringify(shim)}), shortCircuit: true }
      : next(name, context);
  }`;
  register("data:text/javascript," + encodeURIComponent(hooks));
}

// A new ES256 key: the private JWK, and the JWK set that a client registers.
import { facts, run } from "./dialogue.mjs";

await run(async () => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const name = { kid: facts.kid, alg: "ES256", use: "sig" };
  return { key: { kty, crv, x, y, d, ...name }, jwks: { keys: [{ kty, crv, x, y, ...name }] } };
});

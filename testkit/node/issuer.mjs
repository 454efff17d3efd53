// A real issuer: oidc-provider with one confidential client that gets JWT access tokens by
// client_credentials for the audience AUDIENCE.
//
//   node issuer.mjs AUDIENCE [PORT]
//
// Beside its own endpoints: POST /test/rotate puts a new key of each algorithm first and keeps the old ones,
// POST /test/withdraw drops all but the newest. The algorithm of a token is chosen by the client: `es256` or
// `rs256`, both with the secret `secret-of-the-test-client`.

import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { listen, part, ready } from "./parts.mjs";

const [audience, port] = process.argv.slice(2);
const Provider = await part("oidc-provider").then((module) => module.Provider ?? module);

let number = 0;
function newKeys() {
  number += 1;
  const make = (type, options, alg) => {
    const { privateKey } = generateKeyPairSync(type, options);
    const kid = `${alg.toLowerCase()}-${number}-${randomUUID().slice(0, 8)}`;
    return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
  };
  return [make("ec", { namedCurve: "P-256" }, "ES256"), make("rsa", { modulusLength: 2048 }, "RS256")];
}

const client = (id) => ({
  client_id: id,
  client_secret: "secret-of-the-test-client",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: "client_secret_post",
});

function provider(issuer, keys) {
  const own = new Provider(issuer, {
    clients: [client("es256"), client("rs256")],
    jwks: { keys },
    scopes: ["read", "write"],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "https://api.test", // any absolute URI; the audience is the test's
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, _resource, client) => ({
          scope: "read write",
          audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: 300,
          jwt: { sign: { alg: client.clientId === "rs256" ? "RS256" : "ES256" } },
        }),
      },
    },
    ttl: { ClientCredentials: 300 },
  });
  return own.callback();
}

let keys = newKeys();
let handle;
const server = createServer((request, response) => {
  if (request.method === "POST" && request.url.startsWith("/test/")) {
    keys = request.url === "/test/rotate" ? [...newKeys(), ...keys] : keys.slice(0, 2);
    handle = provider(issuer, keys);
    response.end(JSON.stringify({ kids: keys.map((key) => key.kid) }));
    return;
  }
  handle(request, response);
});
const issuer = `http://127.0.0.1:${await listen(server, Number(port ?? 0))}`;
handle = provider(issuer, keys);
ready({ url: issuer });

// An OpenID provider at which people sign in: oidc-provider with its own pages, and one confidential client, `us` with the
// secret `shared`.
//
//   node provider.mjs
//
// Whoever types a name there is `NAME@example.com`; the address was verified unless the name begins with `eve`, and who
// begins with `anna` is in the groups `Ops Team` and `administrator`. Beside its own endpoints: POST /test/redirect with a
// URI in the body takes that as the client's redirect URI.

import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { listen, part, ready } from "./parts.mjs";

const Provider = await part("oidc-provider").then((module) => module.Provider ?? module);
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const keys = [{ ...privateKey.export({ format: "jwk" }), kid: "k1", alg: "ES256", use: "sig" }];

function provider(issuer, redirect) {
  const own = new Provider(issuer, {
    clients: [{
      client_id: "us",
      client_secret: "shared",
      redirect_uris: [redirect],
      id_token_signed_response_alg: "ES256",
    }],
    jwks: { keys },
    scopes: ["openid", "email", "profile", "groups"],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    pkce: { required: () => true },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        name: id,
        email: `${id}@example.com`,
        email_verified: !id.startsWith("eve"),
        groups: id.startsWith("anna") ? ["Ops Team", "administrator"] : [],
      }),
    }),
  });
  return own.callback();
}

let handle;
const server = createServer((request, response) => {
  if (request.method === "POST" && request.url === "/test/redirect") {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      handle = provider(issuer, body);
      response.end("{}");
    });
    return;
  }
  handle(request, response);
});
const issuer = `http://127.0.0.1:${await listen(server)}`;
handle = provider(issuer, "https://nowhere.example/");
ready({ url: issuer });

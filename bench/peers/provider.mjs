// The peer of the authority's measurements: oidc-provider in memory, one confidential client.
//
//   node provider.mjs PARTS PORT

import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [parts, port] = process.argv.slice(2);
const require = createRequire(resolve(parts, "package.json"));
const { Provider } = await import(require.resolve("oidc-provider"));
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: "bench",
    client_secret: "secret-of-the-bench",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: "client_secret_post",
  }],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" }] },
  scopes: ["read"],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "https://api.test",
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "read",
        audience: "https://api.test",
        accessTokenFormat: "jwt",
        accessTokenTTL: 300,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
createServer(provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("ready"));

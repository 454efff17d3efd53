// The client of npm's @modelcontextprotocol/sdk. It knows the URL of a server; who issues tokens for it, and how, it finds
// out by itself.
import { part } from "../../../../../testkit/node/parts.mjs";
import { facts, run, send } from "./dialogue.mjs";

const { Client } = await part("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = await part(
  "@modelcontextprotocol/sdk/client/streamableHttp.js",
);
const { UnauthorizedError } = await part("@modelcontextprotocol/sdk/client/auth.js");

const kept = { client: facts.client_id ? { client_id: facts.client_id } : undefined };
const asked = [];
const provider = {
  redirectUrl: facts.redirect_uri,
  clientMetadata: {
    client_name: "Agent",
    redirect_uris: [facts.redirect_uri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  redirectToAuthorization: (url) => void (kept.url = url),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
};

/** Notes which addresses the package asks, in which order. */
async function noting(input, init) {
  const response = await fetch(input, init);
  asked.push(`${init?.method ?? "GET"} ${input} ${response.status}`);
  return response;
}

async function connect() {
  const options = { authProvider: provider, fetch: noting };
  const transport = new StreamableHTTPClientTransport(new URL(facts.url), options);
  const client = new Client({ name: "agent", version: "1" });
  try {
    await client.connect(transport);
    return { client, transport };
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    return { transport };
  }
}

await run(async () => {
  const first = await connect();
  if (first.client) throw new Error("the server let a stranger in");
  const back = new URL((await send(kept.url)).url);
  await first.transport.finishAuth(back.searchParams.get("code"));
  const { client, transport } = await connect();
  if (!client) throw new Error("the server refuses its own token");
  const tools = await client.listTools();
  const answer = await client.callTool({ name: "whoami", arguments: {} });
  const result = { asked, url: String(kept.url), client: kept.client, tokens: kept.tokens };
  result.tools = tools.tools.map((tool) => tool.name);
  result.answer = JSON.parse(answer.content[0].text);
  await transport.terminateSession();
  await client.close();
  return result;
});

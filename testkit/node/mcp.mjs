// An MCP server (streamable HTTP) that knows nothing of OAuth: what stands before it says who calls.
//
//   node mcp.mjs PATH
import { part, ready, listen } from "./parts.mjs";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const { McpServer } = await part("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = await part(
  "@modelcontextprotocol/sdk/server/streamableHttp.js",
);
const [path] = process.argv.slice(2);
const sessions = new Map();

function start() {
  const server = new McpServer({ name: "orders", version: "1" });
  server.registerTool("whoami", { description: "Says who calls" }, (extra) => {
    const headers = extra.requestInfo.headers;
    const facts = {
      subject: headers["portcullis-subject"] ?? null,
      scopes: headers["portcullis-scopes"] ?? null,
      authorization: headers.authorization ?? null,
    };
    return { content: [{ type: "text", text: JSON.stringify(facts) }] };
  });
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  return server.connect(transport).then(() => transport);
}

const http = createServer(async (request, response) => {
  if (new URL(request.url, "http://localhost").pathname !== path) {
    return response.writeHead(404).end();
  }
  const known = sessions.get(request.headers["mcp-session-id"]);
  await (known ?? (await start())).handleRequest(request, response);
});
ready({ url: `http://127.0.0.1:${await listen(http)}` });

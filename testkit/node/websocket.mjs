// WebSocket peers.
//
//   node websocket.mjs serve [CERT KEY]                  echoes every message, with the headers it was opened with first
//   node websocket.mjs call URL AUTHORIZATION N [CA]     sends N messages of growing size, expects each back

import { part, ready, listen } from "./parts.mjs";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";

const ws = await part("ws");
const [mode, url, authorization, count, ca] = process.argv.slice(2);

if (mode === "serve") {
  // With files: a certificate and its key.
  const server = url
    ? createSecureServer({ cert: readFileSync(url), key: readFileSync(authorization) })
    : createServer();
  server.on("request", (_request, response) => response.writeHead(426).end());
  new ws.WebSocketServer({ server }).on("connection", (socket, request) => {
    socket.send(JSON.stringify(request.headers));
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
  ready({ url: `${url ? "https" : "http"}://127.0.0.1:${await listen(server)}` });
} else {
  const headers = authorization ? { authorization } : {};
  const socket = new ws.WebSocket(url, { headers, ...(ca ? { ca: readFileSync(ca) } : {}) });
  const messages = [];
  let wake = () => {};
  socket.on("message", (data) => {
    messages.push(data);
    wake();
  });
  socket.on("error", (error) => {
    console.error(error.message);
    process.exit(1);
  });
  socket.on("close", (code) => {
    console.error(`closed with ${code}`);
    process.exit(1);
  });
  const next = async () => {
    while (messages.length === 0) await new Promise((resolve) => (wake = resolve));
    return messages.shift();
  };
  socket.once("unexpected-response", (_request, response) => {
    console.log(JSON.stringify({ status: response.statusCode }));
    process.exit(1);
  });
  const opened = JSON.parse(await next());
  for (let round = 0; round < Number(count ?? 1); round += 1) {
    const sent = Buffer.alloc(1 << Math.min(round, 20), round);
    socket.send(sent);
    const back = await next();
    if (!sent.equals(back)) throw new Error(`message ${round} came back changed`);
  }
  console.log(JSON.stringify({ status: 101, headers: opened }));
  process.exit(0);
}

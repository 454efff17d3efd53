// An HTTP/2-only server, and a client that says how a stream ended.
//
//   node http2.mjs serve [CERT KEY]     without files in plain, by prior knowledge
//   node http2.mjs get URL              one request; prints status, bytes of body, trailers, how it ended

import { readFileSync } from "node:fs";
import { connect, constants, createSecureServer, createServer } from "node:http2";
import { listen, ready } from "./parts.mjs";

const [mode, ...rest] = process.argv.slice(2);

function answer(stream, headers) {
  const kind = headers[":path"].split("/")[2];
  stream.on("error", () => {});
  if (kind === "broken") {
    // Half an answer, then a reset.
    stream.respond({ ":status": 200, "content-length": 1000 });
    stream.write("half", () => setTimeout(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 50));
  } else if (kind === "refused") {
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
  } else if (kind === "goodbye") {
    // The connection ends with this answer.
    stream.respond({ ":status": 200 });
    stream.end("goodbye", () => stream.session.close());
  } else if (kind === "empty") {
    stream.respond({ ":status": 204 }, { endStream: true });
  } else if (kind === "hold") {
    // A stream without end.
    stream.respond({ ":status": 200 });
    stream.write("held");
  } else if (kind === "trailers") {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "11" }));
    stream.end("hello world");
  } else {
    let length = 0;
    const chunks = [];
    stream.on("data", (chunk) => {
      length += chunk.length;
      if (length <= 1 << 20) chunks.push(chunk);
    });
    stream.on("end", () => {
      stream.respond({ ":status": 200, "x-length": length, "x-authority": headers[":authority"] });
      stream.end(Buffer.concat(chunks));
    });
  }
}

if (mode === "serve") {
  const [cert, key] = rest;
  // Few streams, so that a handful of requests needs a second connection.
  const settings = { maxConcurrentStreams: 4 };
  const server = cert
    ? createSecureServer({ cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: false, settings })
    : createServer({ settings });
  server.on("stream", answer);
  server.on("sessionError", () => {});
  ready({ url: `${cert ? "https" : "http"}://127.0.0.1:${await listen(server)}` });
} else {
  const url = new URL(rest[0]);
  const session = connect(url.origin);
  session.on("error", () => {});
  const stream = session.request({ ":path": url.pathname });
  const result = { status: 0, bytes: 0, trailers: {}, reset: 0 };
  stream.on("response", (headers) => (result.status = headers[":status"]));
  stream.on("data", (chunk) => (result.bytes += chunk.length));
  stream.on("trailers", (trailers) => (result.trailers = { ...trailers }));
  stream.on("error", () => {});
  stream.on("close", () => {
    result.reset = stream.rstCode;
    console.log(JSON.stringify(result));
    process.exit(0);
  });
}

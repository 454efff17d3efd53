// gRPC peers over HTTP/2 without TLS.
//
//   node grpc.mjs serve
//   node grpc.mjs call HOST:PORT AUTHORIZATION     one call of each kind; prints what came back
//   node grpc.mjs once HOST:PORT AUTHORIZATION     one call; prints its status

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { part, ready } from "./parts.mjs";

const grpc = await part("@grpc/grpc-js");
const loader = await part("@grpc/proto-loader");
const file = join(dirname(fileURLToPath(import.meta.url)), "echo.proto");
const { Echo } = grpc.loadPackageDefinition(loader.loadSync(file)).echo;
const [mode, address, authorization] = process.argv.slice(2);

function count(number) {
  const trailers = new grpc.Metadata();
  trailers.set("x-count", String(number));
  return trailers;
}

function serve() {
  const server = new grpc.Server();
  server.addService(Echo.service, {
    Once: (call, done) => done(null, call.request, count(1)),
    Many: (call) => {
      for (let number = 0; number < 100; number += 1) call.write(call.request);
      call.end(count(100));
    },
    Chat: (call) => {
      let number = 0;
      call.on("data", (text) => {
        number += 1;
        call.write(text);
      });
      call.on("end", () => call.end(count(number)));
    },
    Refuse: (_call, done) => done({ code: grpc.status.PERMISSION_DENIED, details: "no" }),
  });
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    ready({ url: `http://127.0.0.1:${port}` });
  });
}

const client = () => new Echo(address, grpc.credentials.createInsecure());
const metadata = () => {
  const values = new grpc.Metadata();
  if (authorization) values.set("authorization", authorization);
  return values;
};

function unary(name) {
  return new Promise((resolve) => {
    const result = { code: 0, text: null, count: null };
    const call = client()[name]({ text: "hello" }, metadata(), (error, answer) => {
      result.code = error?.code ?? 0;
      result.text = answer?.text ?? null;
    });
    call.on("status", (status) => {
      result.code = status.code;
      result.count = status.metadata.get("x-count")[0] ?? null;
      setImmediate(() => resolve(result));
    });
  });
}

function stream(call, send) {
  return new Promise((resolve) => {
    const result = { code: 0, messages: 0, count: null };
    call.on("data", () => {
      result.messages += 1;
    });
    call.on("error", () => {});
    call.on("status", (status) => {
      result.code = status.code;
      result.count = status.metadata.get("x-count")[0] ?? null;
      resolve(result);
    });
    send?.(call);
  });
}

if (mode === "serve") {
  serve();
} else if (mode === "once") {
  console.log(JSON.stringify(await unary("Once")));
  process.exit(0);
} else {
  const chat = (call) => {
    for (let number = 0; number < 10; number += 1) call.write({ text: `message ${number}` });
    call.end();
  };
  console.log(JSON.stringify({
    once: await unary("Once"),
    many: await stream(client().Many({ text: "hello" }, metadata())),
    chat: await stream(client().Chat(metadata()), chat),
    refuse: await unary("Refuse"),
  }));
  process.exit(0);
}

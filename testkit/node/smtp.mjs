// A mail server: npm's smtp-server, and mailparser to read what it got.
//
//   node smtp.mjs OPTIONS     JSON: folder (where messages go, 1.json, 2.json, …), secure (TLS at once), starttls,
//                             cert, key (PEM files), user, password (asked for where given), refuse (a reply code)

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { part, ready } from "./parts.mjs";

const { SMTPServer } = await part("smtp-server");
const { simpleParser } = await part("mailparser");
const asked = JSON.parse(process.argv[2]);

const disabled = [];
if (!asked.starttls) disabled.push("STARTTLS");
if (!asked.user) disabled.push("AUTH");

let count = 0;
const server = new SMTPServer({
  secure: Boolean(asked.secure),
  ...(asked.cert ? { cert: readFileSync(asked.cert), key: readFileSync(asked.key) } : {}),
  disabledCommands: disabled,
  authOptional: !asked.user,
  authMethods: asked.methods ?? ["PLAIN", "LOGIN"],
  disableReverseLookup: true,
  onAuth(auth, _session, done) {
    if (auth.username === asked.user && auth.password === asked.password) return done(null, { user: auth.username });
    return done(new Error("these do not belong together"));
  },
  onRcptTo(address, _session, done) {
    if (!asked.refuse) return done();
    const error = new Error(`${address.address} is not here`);
    error.responseCode = asked.refuse;
    return done(error);
  },
  onData(stream, session, done) {
    const pieces = [];
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", async () => {
      const raw = Buffer.concat(pieces);
      const mail = await simpleParser(raw);
      count += 1;
      const seen = {
        from: session.envelope.mailFrom.address,
        to: session.envelope.rcptTo.map((it) => it.address),
        hello: session.hostNameAppearsAs,
        secure: session.secure,
        user: session.user ?? null,
        headers: mail.headerLines.map((it) => it.line),
        subject: mail.subject,
        fromName: mail.from.value[0].name,
        text: mail.text,
        html: mail.html,
        attachments: mail.attachments.length,
        raw: raw.toString("latin1"),
      };
      writeFileSync(join(asked.folder, `${count}.json`), JSON.stringify(seen));
      done();
    });
  },
});
server.on("error", () => {});
server.listen(0, "127.0.0.1", () => ready({ port: server.server.address().port }));

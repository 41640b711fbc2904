// npm's smtp-server for benchmarks/edge: throws messages away, or relays them with nodemailer to PORT of 127.0.0.1.
//     node edge_server.js [PORT]     with NODE_PATH naming the folder of smtp-server and nodemailer
// It prints its port, serves until SIGTERM, then prints how many messages it took.
"use strict";
const { SMTPServer } = require("smtp-server");

const nextHop = Number(process.argv[2] || 0);
let count = 0;
let transport = null;
if (nextHop) {
  transport = require("nodemailer").createTransport({
    pool: true, host: "127.0.0.1", port: nextHop, secure: false, ignoreTLS: true, maxConnections: 20, maxMessages: Infinity,
  });
}

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ["STARTTLS", "AUTH"],
  disableReverseLookup: true,
  logger: false,
  onData(stream, session, callback) {
    const chunks = [];
    stream.on("data", (chunk) => { if (transport) chunks.push(chunk); });
    stream.on("end", () => {
      count += 1;
      if (!transport) return callback();
      const envelope = {
        from: session.envelope.mailFrom.address,
        to: session.envelope.rcptTo.map((recipient) => recipient.address),
      };
      transport.sendMail({ envelope, raw: Buffer.concat(chunks) }, (error) => callback(error || undefined));
    });
  },
});
server.on("error", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.server.address().port));
process.on("SIGTERM", () => { console.log(count); process.exit(0); });

// Node's tls as one end of an interop conversation: "peer.mjs server|client FLAGS", as every peer
// program here.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { parseArgs } from "node:util";

const names = [
  "ca", "payload", "cert", "key", "pkcs12", "suites", "groups", "key-shares", "alpn", "style",
  "rounds", "require-client-cert", "update-keys", "exporter-label", "exporter-context",
  "exporter-length", "port", "tls", "no-ems", "connections",
];
const role = process.argv[2];
const { values: flags } = parseArgs({
  args: process.argv.slice(3),
  options: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
});
const payload = readFileSync(flags.payload);
const rounds = Number(flags.rounds);
const http = flags.style === "http";
const aliases = { secp256r1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };

const say = (value) => console.log(JSON.stringify(value));
const fail = (error) => {
  say({ error: String(error?.stack ?? error) });
  process.exit(1);
};
process.on("uncaughtException", fail);
setTimeout(() => fail(new Error("the conversation took too long")), 28_000).unref();

// Of TLS 1.2, OpenSSL's names: ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-CHACHA20-POLY1305.
const opensslName = (name) => {
  if (!name.includes("_WITH_")) return name;
  const [means, cipher] = name.replace("TLS_", "").split("_WITH_");
  const short = cipher.replace("AES_", "AES").replace("POLY1305_SHA256", "POLY1305");
  return (means === "RSA" ? short : `${means}_${short}`).replaceAll("_", "-");
};

const options = {
  minVersion: flags.tls,
  maxVersion: flags.tls,
  ca: readFileSync(flags.ca),
  ...(flags.cert && { cert: readFileSync(flags.cert), key: readFileSync(flags.key) }),
  ...(flags.suites && { ciphers: flags.suites.split(",").map(opensslName).join(":") }),
  ...(flags.groups && {
    ecdhCurve: flags.groups.split(",").map((group) => aliases[group] ?? group).join(":"),
  }),
  ...(flags.alpn && { ALPNProtocols: flags.alpn.split(",") }),
};

if (role === "server") {
  const server = tls.createServer({
    ...options,
    requestCert: Boolean(flags["require-client-cert"]),
    rejectUnauthorized: true,
  });
  server.on("tlsClientError", fail);
  server.on("secureConnection", (socket) => {
    server.close();
    converse(socket, "server");
  });
  server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
} else {
  const socket = tls.connect(
    { ...options, host: "127.0.0.1", port: Number(flags.port), servername: "localhost" },
    () => converse(socket, "client"),
  );
  socket.on("error", fail);
}

function converse(socket, as) {
  let pending = Buffer.alloc(0);
  let expected = http ? -1 : payload.length; // -1: an HTTP head comes first
  const chunks = [];
  let size = 0;
  const received = [];
  socket.on("error", fail);
  if (as === "client") sendRequest(socket);
  socket.on("data", (chunk) => {
    if (expected < 0) {
      pending = Buffer.concat([pending, chunk]);
      const end = pending.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = pending.subarray(0, end).toString("latin1");
      expected = Number(/^content-length:\s*(\d+)/im.exec(head)[1]);
      if (/^expect:/im.test(head)) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      chunk = pending.subarray(end + 4);
      pending = Buffer.alloc(0);
    }
    chunks.push(chunk);
    size += chunk.length;
    if (size < expected) return;
    if (size > expected) fail(new Error(`${size} bytes came where ${expected} were due`));
    const body = Buffer.concat(chunks.splice(0));
    size = 0;
    if (http) expected = -1;
    received.push(createHash("sha256").update(body).digest("hex"));
    if (as === "server") {
      if (http) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
    } else if (received.length < rounds) {
      sendRequest(socket);
    }
    if (received.length === rounds) {
      const report = describe(socket, received);
      socket.end(() => {
        say(report);
        if (as === "client") socket.destroy();
      });
    }
  });
}

function sendRequest(socket) {
  if (http) {
    socket.write(`POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${payload.length}\r\n\r\n`);
  }
  socket.write(payload);
}

function describe(socket, received) {
  const report = {
    received,
    version: socket.getProtocol(),
    suite: socket.getCipher().standardName,
    alpn: socket.alpnProtocol || null,
    peer_subject: socket.getPeerCertificate().subject?.CN ?? null,
  };
  const ephemeral = socket.getEphemeralKeyInfo();
  if (ephemeral?.name) report.group = ephemeral.name;
  if (flags["exporter-label"]) {
    const context = Buffer.from(flags["exporter-context"] ?? "", "hex");
    const length = Number(flags["exporter-length"]);
    report.exporter = socket
      .exportKeyingMaterial(length, flags["exporter-label"], context)
      .toString("hex");
  }
  return report;
}

// The fan against Evolu's relay, in messages of its own library: each client has one message in flight and hears the
// others of its owner.
//
//     node evolu_load.mjs PORT OWNERS CLIENTS BYTES WARM SECONDS      one line of JSON

import { randomBytes } from "node:crypto";
import { createId, createRandomBytes } from "@evolu/common";
import {
  MessageType,
  SubscriptionFlags,
  createOwnerSecret,
  createProtocolMessageBuffer,
  createProtocolMessageFromCrdtMessages,
  createSharedOwner,
  createTimestamp,
  parseProtocolHeader,
} from "@evolu/common/local-first";
import { WebSocket } from "ws";

const [port, owners, clients, bytes, warm, seconds] = process.argv.slice(2).map(Number);
const deps = { randomBytes: createRandomBytes() };
const counts = { acked: 0, arrived: 0 };
const HEADER = 1 + 16 + 1; // version, owner, kind; the code of an error follows where it is a response

const message = (owner, nodeId, counter) =>
  createProtocolMessageFromCrdtMessages(deps)(owner, [
    {
      timestamp: createTimestamp({ millis: Date.now(), counter: counter % 65_536, nodeId }),
      change: { table: "t", id: createId(deps), values: { v: randomBytes(bytes) }, isInsert: true, isDelete: null },
    },
  ]);

const fail = (reason) => {
  console.error(reason);
  process.exit(1);
};

const connected = (owner) =>
  new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    const nodeId = randomBytes(8).toString("hex");
    let counter = 0;
    let next = message(owner, nodeId, counter);
    const push = () => {
      socket.send(next);
      next = message(owner, nodeId, ++counter);
    };
    const subscription = { messageType: MessageType.Request, subscriptionFlag: SubscriptionFlags.Subscribe };
    socket.on("open", () => socket.send(createProtocolMessageBuffer(owner.id, subscription).unwrap()));
    socket.once("message", () => {
      socket.on("message", (data) => {
        const header = parseProtocolHeader(data);
        if (!header.ok) fail("an answer that cannot be read");
        if (header.value.messageType === MessageType.Broadcast) return void counts.arrived++;
        if (data[HEADER] !== 0) fail(`refused with code ${data[HEADER]}`);
        counts.acked++;
        push();
      });
      resolve(push);
    });
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => fail("the relay hung up"));
  });

const pause = (length) => new Promise((resolve) => setTimeout(resolve, length * 1000));

const all = [];
for (let owner = 0; owner < owners; owner++) {
  const shared = createSharedOwner(createOwnerSecret(deps));
  for (let client = 0; client < clients; client++) all.push(connected(shared));
}
for (const push of await Promise.all(all)) push();
await pause(warm);
const begin = performance.now();
const before = counts.acked;
await pause(seconds);
console.log(
  JSON.stringify({
    acked: counts.acked - before,
    seconds: (performance.now() - begin) / 1000,
    all_acked: counts.acked,
    all_arrived: counts.arrived,
  }),
);
process.exit();

// Evolu's relay with its defaults, on loopback and in the folder it is started in: prints its port, ends with its input.
//
// Its own SQLite driver is compiled when it is installed. This one runs the same statements on the SQLite inside Node:
// the relay takes any driver, and sets nothing itself, so both keep a rollback journal and sync at every commit.

import { Server } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { createConsole, ok } from "@evolu/common";
import { createRelayDeps, createRun, startRelay } from "@evolu/nodejs";

const listen = Server.prototype.listen; // the relay has no setting for the address
Server.prototype.listen = function (port) {
  return listen.call(this, port, "127.0.0.1");
};

const createSqliteDriver = (name) => () => {
  const database = new DatabaseSync(`${name}.db`);
  const prepared = new Map();
  const statement = (sql) => {
    if (!prepared.has(sql)) prepared.set(sql, database.prepare(sql));
    return prepared.get(sql);
  };
  return ok({
    exec: ({ sql, parameters }) => {
      const one = statement(sql);
      if (one.columns().length) return { rows: one.all(...parameters), changes: 0 };
      return { rows: [], changes: Number(one.run(...parameters).changes) };
    },
    [Symbol.dispose]: () => database.close(),
  });
};

const run = createRun({ ...createRelayDeps(), createSqliteDriver, console: createConsole({ level: "error" }) });
const relay = await run.orThrow(startRelay({ port: 0, isOwnerWithinQuota: () => true }));
console.log(relay.port);
process.stdin.on("end", () => process.exit()).resume();

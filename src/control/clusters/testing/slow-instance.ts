import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listenForRequests } from "../../../common/request-socket.ts";

/** A stand-in for the process of an instance: `… instance run FOLDER`. It takes a while to answer, and ends when it is told to stop. */

const folder = process.argv.at(-1) ?? "";
const stopped = Promise.withResolvers<void>();
await sleep(500);
await using _socket = await listenForRequests({
  path: join(folder, "instance.sock"),
  answer: async (request) => {
    if (JSON.stringify(request).includes('"stop"')) stopped.resolve();
    return {
      pid: process.pid,
      startedAt: "2026-11-21T12:00:00Z",
      specVersion: 1,
      phase: "starting",
      backups: [],
    };
  },
  graceMs: 1000,
});
await stopped.promise;

import { connect } from "node:net";

/**
 * How many requests a Ceph gateway has taken since it started, from its own counter (`rgw.req` of `perf dump` at its
 * administration socket): no proxy stands between a contender and the store, so counting costs nothing.
 */
export async function countRequests(socketPath: string): Promise<number> {
  const dump = JSON.parse(await askDaemon(socketPath, "perf dump")) as Readonly<
    Record<string, Readonly<Record<string, unknown>>>
  >;
  const requests = Object.entries(dump).find(
    ([section]) => section.startsWith("rgw") || section.startsWith("client.rgw"),
  );
  const count = requests?.[1]["req"];
  if (typeof count !== "number") throw new Error(`the gateway's counters have no "req"`);
  return count;
}

/** The protocol of Ceph's admin sockets: a command in JSON ended by NUL; the answer behind its length in four bytes. */
async function askDaemon(socketPath: string, prefix: string): Promise<string> {
  const chunks: Buffer[] = [];
  const socket = connect(socketPath);
  socket.write(`${JSON.stringify({ prefix, format: "json" })}\0`);
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).subarray(4).toString("utf8");
}

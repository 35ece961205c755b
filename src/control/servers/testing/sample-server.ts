import type { AgentStatus } from "../../../agent/agent-status.ts";
import type { AttachedPostgres, AttachedStatus } from "../../../instance/attached/attached-status.ts";
import { resourceOf } from "../../backups/testing/sample-objects.ts";
import type { ResourceDraft } from "../../resources/resource.ts";
import { viewServer, type ServerView } from "../server-view.ts";

/** Servers as people apply them, and what the process beside one says; all in the namespace `production`. */

export function serverDraft(
  spec: Readonly<Record<string, unknown>> = {},
  annotations: Readonly<Record<string, string>> = {},
): ResourceDraft {
  return {
    apiVersion: "tidemark.dev/v1alpha1",
    kind: "Server",
    namespace: "production",
    name: "main",
    annotations,
    content: { spec: { dataDirectory: "/data", stores: [{ name: "store" }], ...spec } },
  };
}

export function serverView(...given: Parameters<typeof serverDraft>): ServerView {
  return viewServer(resourceOf(serverDraft(...given)));
}

export const sampleCommand = "exec /bin/sh /data.tidemark/7/archive.sh %p %f";

export function postgresStatus(change: Partial<AttachedPostgres> = {}): AttachedPostgres {
  return {
    version: "17.6",
    role: "primary",
    systemIdentifier: "7",
    timeline: 1,
    startedAt: "2026-11-21T11:00:00.000Z",
    archiveMode: "on",
    archivingBy: "agent",
    archiver: {},
    ...change,
  };
}

export function archivingStatus(change: Partial<AgentStatus> = {}): AgentStatus {
  return {
    pid: 1,
    systemIdentifier: "7",
    dataDirectory: "/data",
    startedAt: "2026-11-21T11:00:00.000Z",
    waitingFiles: 0,
    waitingBytes: 0,
    drainPerSecond: 0,
    growthBytesPerSecond: 0,
    freeBytes: 1,
    lastArchived: { name: "000000010000000000000001", at: "2026-11-21T11:30:00.000Z" },
    refused: [],
    policy: "all",
    repositories: [],
    rssBytes: 1,
    ...change,
  };
}

/** Of one that is as it should be. */
export function attachedStatus(change: Partial<AttachedStatus> = {}): AttachedStatus {
  return {
    pid: 1,
    startedAt: "2026-11-21T11:00:00.000Z",
    specVersion: 1,
    systemIdentifier: "7",
    archiveCommand: sampleCommand,
    postgres: postgresStatus(),
    archiving: archivingStatus(),
    backups: [],
    ...change,
  };
}

import { formatPath, type FieldPath } from "../../manifest-object.ts";
import type { Rule } from "../rule.ts";
import { isSetAt, listAt, recordAt, textAt } from "../world.ts";

/** What a Cluster itself must say. */

const bootstraps: Rule = {
  id: "several-bootstraps",
  severity: "error",
  summary: "more than one way to bootstrap",
  explanation:
    'A Cluster is made by exactly one of initdb, recovery and pg_basebackup; without any, by initdb. CloudNativePG refuses two: "Only one bootstrap method can be specified at a time".',
  *check(world) {
    for (const object of world.clusters) {
      const methods = Object.keys(recordAt(object, "spec", "bootstrap") ?? {});
      if (methods.length > 1) {
        yield {
          object,
          path: ["spec", "bootstrap"],
          message: `only one bootstrap method can be specified at a time: ${methods.join(", ")}`,
        };
      }
    }
  },
};

const storageSize: Rule = {
  id: "missing-storage-size",
  severity: "error",
  summary: "a Cluster without the size of its storage",
  explanation:
    'CloudNativePG refuses it: "Size not configured. Please add it, or a storage request in the pvcTemplate." An excerpt of a Cluster, as guides show it, is no manifest.',
  *check(world) {
    for (const object of world.clusters) {
      const tablespaces = listAt(object, "spec", "tablespaces").map((_item, index): FieldPath => [
        "spec",
        "tablespaces",
        index,
        "storage",
      ]);
      const wal: FieldPath = ["spec", "walStorage"];
      const volumes = [["spec", "storage"], ...(isSetAt(object, ...wal) ? [wal] : []), ...tablespaces];
      for (const path of volumes) {
        if (isSetAt(object, ...path, "size")) continue;
        if (isSetAt(object, ...path, "pvcTemplate", "resources", "requests", "storage")) continue;
        yield {
          object,
          path,
          message: `${formatPath([...path, "size"])} is not given: CloudNativePG refuses it`,
          hint: `Write ${formatPath([...path, "size"])}: 10Gi, for example.`,
        };
      }
    }
  },
};

const databaseAndOwner: Rule = {
  id: "database-without-owner",
  severity: "error",
  summary: "a database without its owner, or the other way round",
  explanation: "Of recovery and pg_basebackup, database and owner go together.",
  *check(world) {
    for (const object of world.clusters) {
      for (const method of ["recovery", "pg_basebackup"]) {
        const path = ["spec", "bootstrap", method];
        const database = textAt(object, ...path, "database");
        const owner = textAt(object, ...path, "owner");
        if ((database === undefined) === (owner === undefined)) continue;
        yield {
          object,
          path,
          message:
            owner === undefined
              ? "you need to specify the database owner user"
              : "you need to specify the database name",
        };
      }
    }
  },
};

const nameLength: Rule = {
  id: "bad-cluster-name",
  severity: "error",
  summary: "a name that a Cluster cannot have",
  explanation:
    "The name of a Cluster is a DNS label of at most 50 characters: lower-case letters, digits and hyphens, a letter first.",
  *check(world) {
    for (const object of world.clusters) {
      if (
        object.name === "" ||
        (/^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(object.name) && object.name.length <= 50)
      )
        continue;
      yield {
        object,
        path: ["metadata", "name"],
        message: `"${object.name}" is not a name of at most 50 lower-case letters, digits and hyphens that begins with a letter`,
      };
    }
  },
};

/** They belong to whoever runs the cluster (FixedConfigurationParameters of CloudNativePG 1.30). */
const fixedParameters: ReadonlySet<string> = new Set([
  "allow_system_table_mods",
  "archive_cleanup_command",
  "archive_command",
  "archive_mode",
  "bonjour",
  "bonjour_name",
  "cluster_name",
  "config_file",
  "data_directory",
  "data_sync_retry",
  "event_source",
  "external_pid_file",
  "hba_file",
  "hot_standby",
  "ident_file",
  "jit_provider",
  "listen_addresses",
  "log_destination",
  "log_directory",
  "log_file_mode",
  "log_filename",
  "log_rotation_age",
  "log_rotation_size",
  "log_truncate_on_rotation",
  "logging_collector",
  "pg_failover_slots.primary_dsn",
  "pg_failover_slots.standby_slot_names",
  "port",
  "primary_conninfo",
  "primary_slot_name",
  "promote_trigger_file",
  "recovery_end_command",
  "recovery_min_apply_delay",
  "restart_after_crash",
  "restore_command",
  "shared_preload_libraries",
  "ssl",
  "ssl_ca_file",
  "ssl_cert_file",
  "ssl_crl_file",
  "ssl_dh_params_file",
  "ssl_key_file",
  "ssl_passphrase_command",
  "ssl_passphrase_command_supports_reload",
  "ssl_prefer_server_ciphers",
  "stats_temp_directory",
  "synchronized_standby_slots",
  "synchronous_standby_names",
  "syslog_facility",
  "syslog_ident",
  "syslog_sequence_numbers",
  "syslog_split_messages",
  "temp_tablespaces",
  "unix_socket_directories",
  "unix_socket_group",
  "unix_socket_permissions",
]);

const fixedParameter: Rule = {
  id: "fixed-parameter",
  severity: "error",
  summary: "a PostgreSQL parameter that may not be set",
  explanation:
    'archive_command, archive_mode, restore_command, the recovery targets, port and directories belong to the operator: "Can\'t set fixed configuration parameter".',
  *check(world) {
    for (const object of world.clusters) {
      const path = ["spec", "postgresql", "parameters"];
      for (const name of Object.keys(recordAt(object, ...path) ?? {})) {
        if (!fixedParameters.has(name) && !name.startsWith("recovery_target")) continue;
        yield { object, path: [...path, name], message: `can't set fixed configuration parameter "${name}"` };
      }
    }
  },
};

const walLevel: Rule = {
  id: "wal-level",
  severity: "error",
  summary: "a wal_level with which nothing can be archived",
  explanation:
    "WAL of the level minimal leaves out what a restore needs. CloudNativePG archives always, so it refuses it: `wal_level` is `logical`, its default, or `replica`.",
  *check(world) {
    for (const object of world.clusters) {
      const path = ["spec", "postgresql", "parameters", "wal_level"];
      const level = textAt(object, ...path);
      if (level === undefined || level === "logical" || level === "replica") continue;
      yield {
        object,
        path,
        message: `wal_level "${level}" cannot be archived: it should be set at logical or replica`,
      };
    }
  },
};

const deprecatedOptions: Rule = {
  id: "initdb-options",
  severity: "warning",
  summary: "options for initdb as a list, which is deprecated",
  explanation:
    "With `bootstrap.initdb.options` CloudNativePG reads none of the other settings of the new database (dataChecksums, encoding, locale, walSegmentSize); the list is deprecated. Write the fields.",
  *check(world) {
    for (const object of world.clusters) {
      const path = ["spec", "bootstrap", "initdb", "options"];
      if (listAt(object, ...path).length === 0) continue;
      yield {
        object,
        path,
        message:
          "options is deprecated, and encoding, locale, dataChecksums and walSegmentSize are not read beside it",
        hint: "Write them as fields of initdb.",
      };
    }
  },
};

export const clusterRules: readonly Rule[] = [
  bootstraps,
  storageSize,
  databaseAndOwner,
  nameLength,
  fixedParameter,
  walLevel,
  deprecatedOptions,
];

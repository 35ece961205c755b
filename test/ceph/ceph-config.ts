/** The configuration of a Ceph cluster for tests: the smallest that stores objects, everything in one directory. */
export interface CephPorts {
  readonly monitorV2: number;
  readonly monitorV1: number;
  readonly http: number;
  readonly https: number;
}

export function formatCephConfig(directory: string, fsid: string, ports: CephPorts): string {
  const settings = {
    fsid,
    mon_host: monitorAddresses(ports),
    mon_initial_members: "a",
    public_addr: "127.0.0.1",
    cluster_addr: "127.0.0.1",

    // No keys between the daemons: this cluster lives on loopback for minutes. Without the next line but one the gateway
    // would hang, because the monitor's default for clients is an encrypted connection, which needs keys.
    auth_cluster_required: "none",
    auth_service_required: "none",
    auth_client_required: "none",
    ms_mon_client_mode: "crc",
    keyring: `${directory}/keyring`,

    run_dir: directory,
    admin_socket: `${directory}/$name.asok`,
    log_file: `${directory}/$name.log`,
    pid_file: `${directory}/$name.pid`,
    mon_data: `${directory}/mon`,
    osd_data: `${directory}/osd`,
    rgw_data: `${directory}/rgw`,
    // The monitor stops itself on a machine whose disk is nearly full.
    mon_data_avail_warn: "0",
    mon_data_avail_crit: "0",

    osd_objectstore: "bluestore",
    bluestore_block_create: "true",
    bluestore_block_size: String(40 * 1024 ** 3),
    bluestore_block_wal_create: "false",
    bluestore_block_db_create: "false",
    osd_memory_target: String(896 * 1024 ** 2),

    mon_allow_pool_size_one: "true",
    osd_pool_default_size: "1",
    osd_pool_default_min_size: "1",
    osd_pool_default_pg_num: "8",
    osd_pool_default_pg_autoscale_mode: "off",
    osd_crush_chooseleaf_type: "0",

    rgw_frontends: [
      "beast",
      `endpoint=127.0.0.1:${ports.http}`,
      `ssl_endpoint=127.0.0.1:${ports.https}`,
      `ssl_certificate=${directory}/tls.crt`,
      `ssl_private_key=${directory}/tls.key`,
    ].join(" "),
  };
  return `[global]\n${Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join("")}`;
}

export function monitorAddresses(ports: CephPorts): string {
  return `[v2:127.0.0.1:${ports.monitorV2},v1:127.0.0.1:${ports.monitorV1}]`;
}

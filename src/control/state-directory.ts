import { createHash } from "node:crypto";
import { lstat, mkdir, readFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { writeDurableFile } from "../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";

/**
 * Where a control plane keeps everything, and how its commands find it: they look for its socket in the same directory, by
 * the same rule.
 */

/** A Unix socket's path may have 107 bytes on Linux and 103 elsewhere. */
const longestSocketPathBytes = 100;

export interface StateDirectoryOptions {
  /** `--state`. */
  readonly state?: string | undefined;
}

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Undefined where there are no users. */
  readonly uid: number | undefined;
}

const ownSurroundings = (): Surroundings => ({ env: process.env, uid: process.getuid?.() });

/**
 * The state directory, as an absolute path: `--state`, else TIDEMARK_STATE, else `/var/lib/tidemark` for root and
 * `$XDG_STATE_HOME/tidemark` or `~/.local/state/tidemark` for others. It need not exist.
 */
export function stateDirectory(
  { state }: StateDirectoryOptions,
  { env, uid }: Surroundings = ownSurroundings(),
): string {
  const named = state ?? nonEmpty(env["TIDEMARK_STATE"]);
  if (named !== undefined) return resolve(named);
  if (uid === 0) return "/var/lib/tidemark";
  const base = nonEmpty(env["XDG_STATE_HOME"]);
  // By the XDG rules a relative path is not valid and has to be ignored.
  return base !== undefined && isAbsolute(base)
    ? join(base, "tidemark")
    : join(nonEmpty(env["HOME"]) ?? homedir(), ".local", "state", "tidemark");
}

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);

/**
 * For the control plane: the path to listen on, `<state>/control.sock`, or one in a private folder of the temporary directory
 * where that is too long for a socket. The folder is made. Throws `config` when somebody else has it.
 */
export async function chooseControlSocket(directory: string): Promise<string> {
  const wanted = directSocket(directory);
  if (fits(wanted)) return wanted;
  const hash = createHash("sha256").update(resolve(directory)).digest("hex").slice(0, 12);
  const name = `tidemark-control-${process.getuid?.() ?? 0}-${hash}`;
  const short = join(tmpdir(), name, "control.sock");
  const path = fits(short) ? short : join("/tmp", name, "control.sock");
  await makePrivateFolder(dirname(path));
  return path;
}

/** Says in `<state>/control.json` who serves the directory, and where. */
export async function announceControl(
  directory: string,
  control: { readonly pid: number; readonly socket: string },
): Promise<void> {
  await writeDurableFile(controlFile(directory), `${JSON.stringify(control)}\n`, 0o600);
}

export interface ControlAnnouncement {
  readonly pid: number;
  readonly socket: string;
}

/** What was announced last, by a control plane that may be gone. Undefined when there never was one. */
export async function readControl(directory: string): Promise<ControlAnnouncement | undefined> {
  const path = controlFile(directory);
  try {
    return parseControl(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    if (error instanceof SyntaxError) return undefined;
    throw fileError("read", path, error);
  }
}

export interface SocketOptions extends StateDirectoryOptions {
  /** `--socket`. */
  readonly socket?: string | undefined;
}

/**
 * For commands: the socket of the control plane: `--socket`, else TIDEMARK_SOCKET, else that of the state directory. Whether
 * anybody listens there is not looked at. Throws `control-unreachable` when its place cannot be found out.
 */
export async function findControlSocket(
  options: SocketOptions,
  surroundings: Surroundings = ownSurroundings(),
): Promise<string> {
  const named = options.socket ?? nonEmpty(surroundings.env["TIDEMARK_SOCKET"]);
  if (named !== undefined) return resolve(named);
  const directory = stateDirectory(options, surroundings);
  const wanted = directSocket(directory);
  if (fits(wanted)) return wanted;
  const control = await readControl(directory).catch((cause: unknown) => {
    throw new EngineError("control-unreachable", `could not find the control plane of "${directory}"`, {
      cause,
      hint: "It may belong to another user: run the command as that user, or as root.",
    });
  });
  if (control !== undefined) return control.socket;
  throw new EngineError("control-unreachable", `no control plane has used "${directory}"`, {
    hint: "Start one with: tidemark up.",
  });
}

function parseControl(value: unknown): ControlAnnouncement | undefined {
  if (typeof value !== "object" || value === null || !("pid" in value) || !("socket" in value))
    return undefined;
  const { pid, socket } = value;
  return typeof pid === "number" && typeof socket === "string" ? { pid, socket } : undefined;
}

const controlFile = (directory: string): string => join(directory, "control.json");
const directSocket = (directory: string): string => join(directory, "control.sock");
const fits = (path: string): boolean => Buffer.byteLength(path) <= longestSocketPathBytes;

/** In a directory that everybody may write to, somebody else could have made it, or put a link in its place. */
async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if (systemErrorCode(error) !== "EEXIST") throw fileError("make", path, error);
  });
  const stats = await lstat(path);
  const isOurs = stats.uid === process.getuid?.() && stats.isDirectory() && (stats.mode & 0o077) === 0;
  if (isOurs) return;
  throw new EngineError("config", `"${path}" belongs to somebody else, or others may use it`, {
    hint: "Remove it: it is the folder for the control plane's socket.",
  });
}

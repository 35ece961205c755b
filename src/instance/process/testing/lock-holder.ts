import { instanceFolder } from "../../instance-folder.ts";
import { lockFolder } from "../folder-lock.ts";

/** Takes the lock of a folder, says so, and stays until it is killed: FOLDER. */
using _lock = await lockFolder(instanceFolder(process.argv[2] ?? ""));
process.stdout.write("locked\n");
await new Promise<void>((resolve) => setTimeout(resolve, 60_000));

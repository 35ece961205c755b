/** What every member of a tar archive says about itself. */
export interface TarCommon {
  /**
   * As in the archive, without the slash that ends a directory's name: `base/5/1259`, `./PG_VERSION`, `.` for the root.
   * When reading it is whatever the archive says; pass it through `safeTarPath` before touching a file system.
   */
  readonly path: string;
  /** Permission bits with set-user-ID, set-group-ID and sticky: `mode & 0o7777`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Names of owner and group; empty when not known. */
  readonly userName: string;
  readonly groupName: string;
  /** Whole seconds since 1970. */
  readonly mtimeSeconds: number;
}

export interface TarFile extends TarCommon {
  readonly kind: "file";
  /** Length of the body that follows. */
  readonly sizeBytes: number;
}

export interface TarDirectory extends TarCommon {
  readonly kind: "directory";
}

export interface TarSymlink extends TarCommon {
  readonly kind: "symlink";
  /** The text of the link, unchecked. */
  readonly linkPath: string;
}

/** A further name of a member that came earlier; only read, never written. */
export interface TarHardLink extends TarCommon {
  readonly kind: "hardlink";
  /** `path` of the earlier member. */
  readonly linkPath: string;
}

/** A device or FIFO; only read, never written. It has no body. */
export interface TarSpecial extends TarCommon {
  readonly kind: "special";
  /** `3` character device, `4` block device, `6` FIFO. */
  readonly typeFlag: string;
}

/** What we write. */
export type TarEntry = TarFile | TarDirectory | TarSymlink;

/** What archives may hold. */
export type TarMember = TarEntry | TarHardLink | TarSpecial;

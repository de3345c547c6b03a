/** A file, folder or link of the file system in memory, as Emscripten's MEMFS keeps it. */
interface FileNode {
  mode: number;
  atime: number;
  mtime: number;
  ctime: number;
  /** Of a folder its entries, of a file its bytes. */
  contents: Record<string, FileNode> | Uint8Array;
  usedBytes?: number;
  link?: string;
}

/** What of Emscripten's `FS` is used. */
export interface FileSystem {
  readonly root: FileNode;
  readonly streams: readonly unknown[];
  isDir(mode: number): boolean;
  isFile(mode: number): boolean;
  isLink(mode: number): boolean;
  /** Of a link, its own node. */
  lookupPath(path: string): { readonly node: FileNode };
  cwd(): string;
  chdir(path: string): void;
  mkdir(path: string): void;
  rmdir(path: string): void;
  unlink(path: string): void;
  symlink(target: string, path: string): void;
  writeFile(path: string, bytes: Uint8Array): void;
}

/** One node: its path, mode and three times; its length where it is a file that is not as it was at the start, its target where it is a link. */
type SavedNode = readonly [path: string, mode: number, times: readonly number[], rest: number | string | null];

export interface SavedFiles {
  readonly cwd: string;
  readonly nodes: readonly SavedNode[];
}

export interface SessionFiles {
  /** Whether a file is open, which cannot be saved. */
  readonly open: boolean;
  /** @param keep is given the bytes of each file, in order */
  save(keep: (bytes: Uint8Array) => void): SavedFiles;
  /** @param next gives the bytes of each file, in order */
  restore(saved: SavedFiles, next: (length: number) => Uint8Array): void;
}

/** The files of a session, which are no part of CPython's own memory. Made right after the start: what is there then is not the session's. */
export function makeSessionFiles(fs: FileSystem): SessionFiles {
  const { keys } = Object;
  /** Kept by the loader itself, and no place for anybody's files. */
  const devices = ['/dev', '/proc'];
  /** Of a mode, what says which kind of node it is. */
  const kind = 0o170000;
  const folder = 0o040000;

  function walk(see: (path: string, node: FileNode) => void, path = '', node = fs.root): void {
    for (const name of keys(node.contents)) {
      const below = `${path}/${name}`;
      if (devices.includes(below)) continue;
      const child = (node.contents as Record<string, FileNode>)[name] as FileNode;
      see(below, child);
      if (fs.isDir(child.mode)) walk(see, below, child);
    }
  }
  const original = new Map<string, { readonly node: FileNode; readonly contents: unknown; readonly mtime: number }>();
  walk((path, node) => original.set(path, { node, contents: node.contents, mtime: node.mtime }));
  const streams = new Set(fs.streams);

  const isOriginal = (path: string, node: FileNode): boolean => {
    const known = original.get(path);
    return (
      known?.node === node &&
      (!fs.isFile(node.mode) || (known.contents === node.contents && known.mtime === node.mtime))
    );
  };
  const timesOf = ({ atime, mtime, ctime }: FileNode): number[] => [atime, mtime, ctime];

  function remove(path: string, node: FileNode): void {
    if (!fs.isDir(node.mode)) {
      fs.unlink(path);
      return;
    }
    for (const name of keys(node.contents))
      remove(`${path}/${name}`, (node.contents as Record<string, FileNode>)[name] as FileNode);
    fs.rmdir(path);
  }

  return {
    get open() {
      return fs.streams.some((stream) => stream !== null && stream !== undefined && !streams.has(stream));
    },
    save(keep) {
      const nodes: SavedNode[] = [];
      walk((path, node) => {
        let rest: number | string | null = null;
        if (fs.isLink(node.mode)) rest = node.link as string;
        else if (fs.isFile(node.mode) && !isOriginal(path, node)) {
          rest = node.usedBytes as number;
          keep((node.contents as Uint8Array).subarray(0, rest));
        }
        nodes.push([path, node.mode, timesOf(node), rest]);
      });
      return { cwd: fs.cwd(), nodes };
    },
    restore({ cwd, nodes }, next) {
      const kinds = new Map<string, number>([
        ['', folder],
        ...nodes.map(([path, mode]) => [path, mode & kind] as const),
      ]);
      for (const [path, { node }] of original) {
        // What was in a folder that is gone went with it.
        const stays = !kinds.has(path.slice(0, path.lastIndexOf('/'))) || kinds.get(path) === (node.mode & kind);
        if (!stays) {
          remove(path, node);
          original.delete(path);
        }
      }
      for (const [path, mode, , rest] of nodes) {
        if (fs.isDir(mode)) {
          if (!original.has(path)) fs.mkdir(path);
        } else if (typeof rest === 'string') {
          if (!original.has(path)) fs.symlink(rest, path);
        } else if (rest !== null) fs.writeFile(path, next(rest));
      }
      // Last of all, because to put something into a folder changes its times.
      for (const [path, mode, [atime = 0, mtime = 0, ctime = 0]] of nodes)
        Object.assign(fs.lookupPath(path).node, { mode, atime, mtime, ctime });
      fs.chdir(cwd);
    },
  };
}

/** Makes the isolates of a host whose cordon is Python's. */
import { setFlagsFromString } from 'node:v8';
import { Isolate } from '../isolate.ts';
import type { IsolateSpec } from '../protocol.ts';
import { pythonFiles } from './files.ts';
import { type ImageAssets, openImage } from './image.ts';
import { PackageFiles } from './package-files.ts';
import { pythonPrelude } from './prelude.ts';
import { makeSnapshot, type Snapshot } from './snapshot.ts';
import { readSnapshot, snapshotFileName } from './snapshot-file.ts';

const MIB = 1024 * 1024;
const WASM_PAGE = 65_536;
const STACK_KIB = 65_536;
/** What the engine's own side of CPython takes of the isolate's JavaScript heap: its scripts, and the standard library in memory. */
const ENGINE_HEAP_MIB = 64;
/** On a busy machine an isolate is long in the making, and none is given up for that. */
const INSTALL_MS = 60_000;

type PythonSpec = Pick<IsolateSpec, 'heapMiB' | 'platform' | 'capabilities' | 'packages'>;

export class PythonIsolates {
  readonly #snapshot: Snapshot;
  readonly #packages: PackageFiles;
  #isCodeShared = false;

  private constructor(snapshot: Snapshot, packages: PackageFiles) {
    this.#snapshot = snapshot;
    this.#packages = packages;
  }

  /**
   * @param folder where the daemon keeps snapshots; where it has none yet, CPython is started in this process
   * @param heapMiB the most that one isolate may use
   * @param told the name of the snapshot, and whether there was one
   * @param packages what isolates can be made with
   */
  static async load(
    folder: string | undefined,
    heapMiB: number,
    told: (name: string, found: boolean) => void,
    packages = new PackageFiles(),
  ): Promise<PythonIsolates> {
    let snapshot = folder === undefined ? undefined : readSnapshot(folder);
    told(snapshotFileName(), snapshot !== undefined);
    snapshot ??= await makeSnapshot();
    const isolates = new PythonIsolates(snapshot, packages);
    // A cell runs on a stack of its own, so that it can be held up; V8 makes it as large as the smaller of these. CPython's own bound of
    // recursion is to be met first: where V8's is, the interpreter ends.
    for (const flag of ['stack-size', 'wasm-stack-switching-stack-size']) setFlagsFromString(`--${flag}=${STACK_KIB}`);
    // Guest code can reach the memory itself through the loader's own module, past what CPython asks before it grows.
    setFlagsFromString(`--wasm-max-mem-pages=${Math.ceil(isolates.#heapBytesMax(heapMiB) / WASM_PAGE)}`);
    return isolates;
  }

  /** What CPython itself takes is not the session's. */
  #heapBytesMax(heapMiB: number): number {
    return Math.ceil((this.#snapshot.bytes.byteLength + heapMiB * MIB) / WASM_PAGE) * WASM_PAGE;
  }

  /** The same, where another session's life goes on from its image; undefined where that cannot be used. */
  makeFrom(encoded: string, spec: PythonSpec): Isolate | undefined {
    const image = openImage(encoded);
    return image && this.make(spec, image);
  }

  /** An isolate with CPython in it; what is entered next waits until that is done. */
  make(
    { heapMiB, platform, capabilities, packages = [] }: PythonSpec,
    image: ImageAssets | { readonly image: null; readonly imageHead: null } = { image: null, imageHead: null },
  ): Isolate {
    const { program, library, lock, runner } = pythonFiles();
    const heapBytesMax = this.#heapBytesMax(heapMiB);
    const assets = {
      ...{ program: program(), library, lock, runner, made: null, heapBytesMax },
      snapshot: this.#snapshot.bytes,
      occupied: JSON.stringify(this.#snapshot.occupied),
      ...image,
      ...this.#packages.assetsOf(packages),
    };
    const heldBytes = (image.image?.byteLength ?? 0) + this.#packages.bytesOf(packages);
    const isolate = new Isolate(heapMiB + ENGINE_HEAP_MIB + Math.ceil(heldBytes / MIB), pythonPrelude(), assets);
    void isolate.enter(INSTALL_MS, ['install', 0, '', JSON.stringify({ platform, capabilities })]);
    return isolate;
  }

  /**
   * Once this one has started, new isolates are made with what V8 has compiled for that, which takes a third of the time off.
   *
   * @param isUnused whether nobody's code has come into it
   */
  async shareCode(isolate: Isolate, isUnused: () => boolean): Promise<void> {
    if (this.#isCodeShared) return;
    const { end } = await isolate.enter(INSTALL_MS, ['probe', 0, '']);
    if (this.#isCodeShared || end !== 'returned' || !isUnused()) return;
    this.#isCodeShared = true;
    isolate.shareCode(pythonPrelude());
  }
}

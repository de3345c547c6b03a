/** The text that makes a bare isolate one that runs Python: the platform of JavaScript, and CPython on top of it. */
import { preludeOf } from '../javascript/prelude.ts';
import { pythonFiles } from './files.ts';
import { makeInstaller } from './guest/install-packages.ts';
import { makePython } from './guest/make-python.ts';
import { makeEnvironment } from './guest/python-environment.ts';
import { makeTakeImage } from './guest/python-image.ts';
import { makeSessionFiles } from './guest/session-files.ts';
import { makeSignalReader } from './guest/signal-reader.ts';

let prelude: string | undefined;

/** Like `PRELUDE`. The isolate's assets are in the global `assets`, which this takes away. */
export function pythonPrelude(): string {
  prelude ??= preludeOf(
    `(() => { const { assets } = globalThis; delete globalThis.assets; return (${makePython})(assets, ${pythonFiles().engine}, (${makeEnvironment})(assets, ${makeSignalReader}), { makeTakeImage: (${makeTakeImage}), makeSessionFiles: (${makeSessionFiles}), makeInstaller: (${makeInstaller}) }); })()`,
  );
  return prelude;
}

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const entry = fileURLToPath(import.meta.resolve('./_doomed-main.ts'));

test('code that no timeout ends makes its isolate stuck, and is not told as a lack of memory', async (t) => {
  const child = spawn(process.execPath, ['--no-node-snapshot', entry], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  t.is(await text(child.stdout), 'stuck: The isolate runs in code of the engine that cannot be interrupted.\n');
});

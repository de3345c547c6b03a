import test from 'ava';
import { CapabilitySession } from '../../../_capability-session.ts';

const answer = { status: 0, signal: null, stdout: 'out', stderr: '', truncated: false };
const session = new CapabilitySession(['exec'], () => answer);
test.after.always(() => session.close());

test.serial('exec takes text or bytes for the standard input, and gives the answer as it is', async (t) => {
  t.deepEqual(await session.run("await exec('git', ['status'])"), answer);
  t.deepEqual(session.calls.at(-1), ['exec', 'git', ['status']]);
  await session.run("await exec('git')");
  t.deepEqual(session.calls.at(-1), ['exec', 'git', []]);
  await session.run("await exec('git', [], { stdin: 'a', timeoutMs: 5 })");
  t.deepEqual(session.calls.at(-1)?.[3], { stdin: { text: 'a' }, timeoutMs: 5 });
  await session.run("await exec('git', [], { stdin: new Uint8Array([1]), timeoutMs: undefined })");
  t.deepEqual(session.calls.at(-1)?.[3], { stdin: { base64: 'AQ==' } });
  t.is(
    await session.run("await exec('git', [], { stdin: 5 })"),
    'TypeError: The option stdin of exec() must be a string, an ArrayBuffer or a view of one.',
  );
});

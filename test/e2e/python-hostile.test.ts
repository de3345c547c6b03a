/** Programs of Python that would never end or never fit: each ends as its limit says, and the other sessions go on. */
import test from 'ava';
import { FileDaemon } from './_file-daemon.ts';

const file = new FileDaemon(test);

const STOPPED = /^(TIMED_OUT|CPU_EXCEEDED)$/;
const programs: Record<string, { readonly source: string; readonly code: RegExp; readonly name?: string }> = {
  'a loop': { source: 'while True: pass', code: STOPPED },
  'a sum that C computes': { source: 'sum(range(10**12))', code: STOPPED },
  'a list that is larger than memory': { source: 'x = [0]*10**9', code: /^RUNTIME_ERROR$/, name: 'MemoryError' },
  'a loop that catches everything': {
    source: 'while True:\n  try:\n    while True: pass\n  except BaseException: pass',
    code: STOPPED,
  },
};

for (const [what, { source, code, name }] of Object.entries(programs)) {
  test.serial(
    `${what} ends with its session as it was, and the other sessions answer meanwhile and after`,
    async (t) => {
      t.timeout(120_000);
      const limits = { cellCpuMsMax: 2000, cellWallMsMax: 10_000 };
      const hostile = await file.session({ language: 'python', limits });
      // One in the host of the hostile one, one in the other.
      const others = await Promise.all(Array.from({ length: 2 }, () => file.session({ language: 'python' })));
      for (const [index, other] of others.entries()) await other.value(`kept = ${index}`);
      await hostile.value('kept = "before"');
      const { result } = await hostile.start(`kept_too = 1\n${source}`, 'hostile');
      const meanwhile = await file.session();
      t.deepEqual(await meanwhile.value('1 + 1'), { kind: 'json', json: 2 });
      const { error } = await result;
      t.regex(error?.code ?? '', code);
      if (name !== undefined) t.is(error?.name, name);
      t.deepEqual(await hostile.value('kept'), { kind: 'json', json: 'before' });
      for (const [index, other] of others.entries()) {
        t.deepEqual(await other.value('kept'), { kind: 'json', json: index });
      }
      t.is(await file.answersAnother(), 2);
      for (const { sessionId } of [hostile, meanwhile, ...others])
        await file.client.call('session.close', { sessionId });
    },
  );
}

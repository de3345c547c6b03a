import anyTest, { type TestFn } from 'ava';
import type { SessionEvent } from '../../client/protocol.ts';
import { Guest, sharedDaemon } from '../harness/shared-daemon.ts';
import { answered, endOf, QUICK, testAttacks } from './attack-table.ts';

const test = anyTest as TestFn;
const shared = sharedDaemon(test);

/** What takes memory until it is stopped may meet any of the limits first; one text alone may do with its preview. */
const ENDED = /^(string '|MEMORY_EXCEEDED|CPU_EXCEEDED|TIMED_OUT|HOST_CRASHED|SESSION_LOST|RUNTIME_ERROR RangeError)/;
const roomy = { limits: { cellCpuMsMax: 3000, cellWallMsMax: 6000 } };

testAttacks(test, shared, [
  ...Object.entries({
    objects: 'const a = []; for (;;) a.push({ a: 1, b: [2] })',
    'a Map': 'const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })',
    'a text that doubles': "let s = 'x'; for (;;) s += s",
    'texts that are kept': "const s = []; for (let i = 0; ; i++) s.push('x'.repeat(1e6) + i)",
    'array buffers': 'const b = []; for (;;) b.push(new Uint8Array(1e6))',
    closures: 'let f = () => 1; for (;;) f = ((g) => () => g)(f), (globalThis.kept ??= []).push(f)',
    'one huge text': "'x'.repeat(2 ** 29 - 24)",
    'one huge typed array': 'new Uint8Array(2 ** 31)',
    'an array as long as a buffer':
      'const b = new ArrayBuffer(40 << 20); const v = new Array(b.byteLength); for (let i = 0; i < v.length; i++) v[i] = i',
  }).map(([what, source]) => ({ title: `D01: growth of ${what} ends`, cells: [source], end: ENDED, session: roomy })),
  {
    title: 'D03: an array as long as a buffer is not more than the session may have',
    cells: ['const ab = new ArrayBuffer(100 << 20); const v = new Array(ab.byteLength); for (;;) v.push(...v)'],
    end: ENDED,
    session: roomy,
  },
  {
    title: 'D05: WebAssembly memories beyond what there is end',
    cells: [
      'const m = []; for (;;) { const w = new WebAssembly.Memory({ initial: 1000 }); new Uint8Array(w.buffer).fill(1); m.push(w) }',
    ],
    end: ENDED,
    session: { level: 'trusted', limits: { cellCpuMsMax: 10_000, cellWallMsMax: 20_000 } },
  },
  {
    title: 'D05: there is no WebAssembly below trusted',
    cells: ['typeof WebAssembly'],
    end: '"undefined"',
    session: { level: 'standard' },
  },
  {
    title: 'D05: a buffer reserves nothing where resizing is not granted',
    cells: [
      `const B = new ArrayBuffer(1).constructor;
       [new ArrayBuffer(8, { maxByteLength: 1e9 }), Reflect.construct(B, [8, { maxByteLength: 1e9 }]), new (class extends B {})(8, { maxByteLength: 1e9 })]
         .map((b) => [b.resizable, b.maxByteLength, typeof b.resize])`,
    ],
    end: '[[false,8,"undefined"],[false,8,"undefined"],[false,8,"undefined"]]',
  },
  {
    title: 'D06: twenty thousand formatters are counted',
    cells: ['const f = []; for (let i = 0; i < 20000; i++) f.push(new Intl.DateTimeFormat()); f.length'],
    end: /^(20000|MEMORY_EXCEEDED|CPU_EXCEEDED|TIMED_OUT|HOST_CRASHED)/,
  },
  {
    title: 'D06: a flood of registered symbols ends',
    cells: ["for (let i = 0; ; i++) Symbol.for('k' + i)"],
    end: ENDED,
  },
  {
    title: 'D09: a Proxy with traps that spin is stopped while it is logged',
    cells: [
      'console.log(new Proxy({}, { get() { for (;;); }, ownKeys() { for (;;); }, getPrototypeOf() { for (;;); } }))',
    ],
    end: /^(undefined undefined|CPU_EXCEEDED|TIMED_OUT)/,
  },
  {
    title: 'D09: a text of 100 MB does not fit the memory of the session',
    cells: ["console.log('x'.repeat(1e8))"],
    end: /^(undefined undefined|MEMORY_EXCEEDED|HOST_CRASHED|CPU_EXCEEDED)/,
  },
  {
    title: 'D09: an object of 100,000 keys is logged in a bounded text',
    cells: ["const big = {}; for (let i = 0; i < 1e5; i++) big['k' + i] = i; console.log(big); 1"],
    end: '1',
    session: roomy,
  },
  {
    title: 'D10: a flood of calls that nobody awaits meets a limit with a name',
    cells: ['for (let i = 0; i < 1e6; i++) input()'],
    end: /^RUNTIME_ERROR RangeError: Too many calls are waiting for an answer: at most \d+ at once/,
    session: { level: 'restricted', limits: QUICK },
  },
  {
    title: 'D11: a hundred thousand timers meet a limit with a name',
    cells: ['for (let i = 0; i < 1e5; i++) setTimeout(() => {}, 1e6)'],
    end: /^RUNTIME_ERROR RangeError: .*timers/,
  },
  {
    title: 'D11: intervals of no delay leave the session usable',
    cells: ['for (let i = 0; i < 100; i++) setInterval(() => { for (let j = 0; j < 1e4; j++); }, 0); 1', '[1]'],
    end: /^(\[1\]|CPU_EXCEEDED|TIMED_OUT)/,
  },
]);

const ofSession = (sessionId: string) => (event: SessionEvent) => event.sessionId === sessionId;

test.serial('D01: the cell that took the memory is the one that is ended, and none after it', async (t) => {
  // When isolated-vm comes to look at the memory is a matter of luck.
  for (let round = 0; round < 6; round++) {
    const guest = await Guest.open(shared().client, roomy);
    await guest.run('var kept = 7');
    t.regex(endOf(await guest.run("'x'.repeat(2 ** 29 - 24)")).slice(0, 2000), /^MEMORY_EXCEEDED/);
    t.is(endOf(await guest.run('kept')), '7');
    await guest.close();
  }
});

test.serial('D09: output stops at the limit to the byte, says so once, and the cell goes on', async (t) => {
  const { client } = shared();
  const guest = await Guest.open(client, { limits: { cellOutputBytesMax: 1000 } });
  for (const source of [
    "console.log('x'.repeat(5000)); 7",
    "for (let i = 0; i < 5000; i++) print('xyz'); 7",
    "for (let i = 0; i < 5000; i++) console.error('\u00e9\u00e9'); 7",
    "for (let i = 0; i < 500; i++) { console.log('out'); console.error('err'); display(i); log(i) } 7",
  ]) {
    client.events.length = 0;
    const { value, output, executionId } = await guest.run(source);
    t.deepEqual(value, { kind: 'json', json: 7 }, source);
    t.true(output.truncated);
    const events = client.events.filter(ofSession(guest.sessionId));
    t.is(events.filter(({ kind }) => kind === 'output.truncated').length, 1);
    const written = events.reduce((sum, event) => {
      if (event.kind === 'output' || event.kind === 'log') return sum + Buffer.byteLength(event.text);
      return event.kind === 'display' ? sum + JSON.stringify(event.data).length : sum;
    }, 0);
    t.true(written <= 1000 && written > 900, `${written} bytes`);
    t.true(events.every((event) => !('executionId' in event) || event.executionId === executionId));
  }
  t.deepEqual((await guest.run("console.log('again')")).output, { stdout: 'again\n', stderr: '', truncated: false });
});

test.serial('I15: the result of a cell comes after all its output, and its end is told once', async (t) => {
  const { client } = shared();
  const guest = await Guest.open(client);
  for (const source of [
    'for (let i = 0; i < 200; i++) console.log(i)',
    'for (let i = 0; i < 20; i++) { console.log(i); await null }',
    'for (let i = 0; i < 3; i++) { console.log(i); await new Promise((resolve) => setTimeout(resolve, 1)) }',
    'setTimeout(() => console.log("late"), 5); 1',
  ]) {
    client.events.length = 0;
    const { executionId } = await guest.run(source);
    const seen = client.events.filter(ofSession(guest.sessionId));
    const end = seen.findIndex(({ kind }) => kind === 'execution.finished');
    t.is(seen[0]?.kind, 'execution.started', source);
    t.true(end > 0, source);
    t.true(seen.slice(1, end).every((event) => event.kind === 'output' && event.executionId === executionId));
    // On a busy machine what was left behind may have come by now.
    t.true(seen.slice(end + 1).every((event) => event.kind === 'output' && event.executionId === null));
  }
  const late = await client.event((event) => event.kind === 'output' && event.text === 'late\n');
  t.is('executionId' in late ? late.executionId : undefined, null, 'what comes after the end belongs to no cell');
});

test.serial('I18: output that looks like a frame of the protocol or a control sequence is a text', async (t) => {
  const guest = await Guest.open(shared().client);
  const hostile = '{"jsonrpc":"2.0","id":1,"result":{}}\n\u001b]52;c;aGk=\u0007\u0000\r\n\ud800';
  const { output, value } = await guest.run(`console.log(${JSON.stringify(hostile)}); ${JSON.stringify(hostile)}`);
  t.deepEqual(value, { kind: 'json', json: hostile });
  t.is(output.stdout.replace('\ufffd', '\ud800'), `${hostile}\n`);
});

test.serial('D15: what one session does to its memory is in the audit of nobody else', async (t) => {
  const { client } = shared();
  const [greedy, other] = [await Guest.open(client, roomy), await Guest.open(client)];
  await other.run('var kept = 1');
  const result = await greedy.run("const s = []; for (let i = 0; ; i++) s.push('x'.repeat(1e5) + i)");
  t.regex(endOf(result), ENDED);
  t.is(endOf(await answered(other)), '2');
  t.is(endOf(await answered(greedy)), '2');
});

import test from 'ava';
import { CapabilitySession } from '../../_capability-session.ts';

const doc = (name: string, summary: string, globals: readonly string[] = [name]) => ({
  name,
  summary,
  signature: `function ${name}(…): Promise<unknown>;`,
  globals,
});
const docs = [
  doc('fetch', 'Fetches a URL.', ['fetch', 'Headers', 'Request', 'Response', 'ReadableStream']),
  doc('kv', 'Keeps values.'),
  doc('hash', 'Not granted.'),
];
const session = new CapabilitySession(['fetch', 'kv', 'undocumented'], () => null, docs);
test.after.always(() => session.close());

test.serial('help() lists what the session was given, and how it writes', async (t) => {
  const text = await session.output('help()');
  t.true(text.startsWith('This session was given:\n  fetch  Fetches a URL.\n  kv     Keeps values.\nOutput:\n'), text);
  for (const name of ['print', 'console', 'display', 'log', 'help']) t.true(text.includes(`\n  ${name}`), name);
  t.false(text.includes('hash'));
});

test.serial('help tells of a capability by its name, by its value and by each of its globals', async (t) => {
  const known = 'function fetch(…): Promise<unknown>;\n\nFetches a URL.\n';
  for (const subject of ['fetch', "'fetch'", 'Headers', "'Response'"])
    t.is(await session.output(`help(${subject})`), known);
  t.is(await session.output('help(kv)'), 'function kv(…): Promise<unknown>;\n\nKeeps values.\n');
  t.is(await session.output("help('hash')"), 'Nothing of this session is called hash.\n');
  t.is(await session.output('help(undocumented)'), 'undocumented()\n');
  t.is(await session.output("help('print')"), 'print(...values): writes a line to the standard output.\n');
});

test.serial('help tells the head of any other function and the first comment in it', async (t) => {
  await session.run(`
    function add(a, b) { // Adds two numbers.
      return a + b; }
    async function later(x = { a: 1 }) {
      /** Waits. */
      // Not this one.
    }
    function block() {
      /*
       * Says more.
       */
    }
    const arrow = (a) => a; class Thing extends Map { method() {} }`);
  t.is(await session.output('help(add)'), 'function add(a, b)\n  Adds two numbers.\n');
  t.is(await session.output('help(block)'), 'function block()\n  Says more.\n');
  t.is(await session.output('help(arrow)'), 'arrow: (a) =>\n');
  t.is(await session.output("help('Thing')"), 'class Thing extends Map\n');
  t.regex(await session.output('help(later)'), /^async function later\(.*\n {2}Waits\.\n$/);
  t.is(await session.output('help(parseInt)'), 'parseInt()\n');
  t.is(await session.output('help([1])'), 'Array: [ 1 ]\n');
  t.is(await session.output('help(undefined)'), 'undefined: undefined\n');
});

test.serial('what is granted later brings its own help, and what is withdrawn is listed no more', async (t) => {
  session.grant(['kv', 'hash', 'sleep'], [doc('sleep', 'Waits.'), doc('kv', 'Keeps more.')]);
  const text = await session.output('help()');
  t.true(text.includes('  sleep  Waits.\n'));
  t.true(text.includes('  hash   Not granted.\n'));
  t.true(text.includes('  kv     Keeps more.\n'), 'a later text replaces an earlier one');
  t.false(text.includes('fetch'));
});

test.serial('help holds in a realm that was poisoned, and comes with print only', async (t) => {
  t.is(
    await session.output(
      "for (const p of ['trim', 'slice', 'split', 'indexOf']) String.prototype[p] = () => { throw 1 }; Object.defineProperty(Object.prototype, 'value', { get() { throw 2 } }); JSON.parse = null; help(kv)",
    ),
    'function kv(…): Promise<unknown>;\n\nKeeps more.\n',
  );
  const { host } = session;
  host.open('silent', { outputs: ['log'] });
  t.like((await host.run('silent', 'typeof help + typeof print')).outcome, { json: '"undefinedundefined"' });
  host.tell({ kind: 'isolate.dispose', isolate: 'silent' });
});

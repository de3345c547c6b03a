import test from 'ava';
import { CapabilitySession } from './_capability-session.ts';

const session = new CapabilitySession(['approve', 'read_file'], (name) => (name === 'approve' ? true : { text: '' }));
test.after.always(() => session.close());

const positions = (name: string): (string | undefined)[] =>
  session.host.said.flatMap((said) => (said.kind === 'call' && said.name === name ? [said.position] : []));

test.serial('a call of a patient capability says where in the user’s code it stands, and no other does', async (t) => {
  await session.run("await approve('before'); 1");
  t.deepEqual(positions('approve'), [undefined], 'not patient yet');
  session.grant(['approve', 'read_file'], [], ['approve']);
  await session.run("const ask = () =>\n  approve('really?');\nawait ask();\nawait read_file('/a')");
  t.is(positions('approve').at(-1), 'cell:2:2:3');
  t.deepEqual(positions('read_file'), [undefined]);
  await session.run('await ask()');
  t.is(positions('approve').at(-1), 'cell:2:2:3', 'the innermost frame is that of the cell that made the function');
  await session.run("await null;\n  await approve('again')");
  t.is(positions('approve').at(-1), 'cell:4:2:9');
  await session.run('const host = { approve };\n[1].map(host.approve);\n1');
  t.is(positions('approve').at(-1), 'cell:5:2:5');
  session.grant(['approve', 'read_file'], [], []);
  await session.run("await approve('no longer')");
  t.is(positions('approve').at(-1), undefined);
});

test.serial('the position is had though stacks were tampered with, and what was tampered with stays so', async (t) => {
  session.grant(['approve'], [], ['approve']);
  const cell = session.host.said.filter(({ kind }) => kind === 'cell.done').length + 1;
  t.deepEqual(
    await session.run(`
      Error.stackTraceLimit = 0; Error.prepareStackTrace = () => 'cell:77:1:1';
      Object.defineProperty(Object.prototype, 'prepareStackTrace', { value: () => '    at x (cell:78:1:1)', configurable: true });
      await approve('tampered');
      [Error.stackTraceLimit, typeof Error.prepareStackTrace]`),
    [0, 'function'],
  );
  t.is(positions('approve').at(-1), `cell:${cell}:4:13`);
  await session.run('delete Object.prototype.prepareStackTrace; Object.freeze(Error); 1');
  t.is(await session.run("await approve('frozen')"), true);
  t.is(positions('approve').at(-1), undefined, 'rather none than what a guest wrote');
});

import { FakeDaemon } from './fake-daemon.ts';

// Stands in for daemon/main.ts: the flags that the command line starts it with, a line when it is ready, and its end
// when its stdin closes. A cell `"fail"` makes the whole daemon die.
const args = process.argv.slice(2);
const stateDir = args[args.indexOf('--state-dir') + 1] ?? '';
if (args[0] !== 'serve' || !args.includes('--until-stdin-closes') || !args.includes('--ready-json')) {
  process.stderr.write(`pyrepl3: unexpected ${args.join(' ')}\n`);
  process.exit(2);
}
if (process.env['FAKE_DAEMON_FAILS']) {
  process.stderr.write('warming up\npyrepl3: the disk is full\n');
  process.exit(1);
}
const daemon = await FakeDaemon.listen(stateDir);
daemon.script = (source) => {
  if (source === '"fail"') process.exit(1);
  if (source === '"args"') return args;
  return source === '"where"' ? stateDir : JSON.parse(source);
};
process.stdout.write('starting\n{"ready":true}\n');
process.stdin.on('end', () => process.exit(0)).resume();

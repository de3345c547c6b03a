import test from 'ava';
import { CapabilitySession } from '../../../_capability-session.ts';

const session = new CapabilitySession(['sleep'], () => null);
test.after.always(() => session.close());

test.serial('sleep takes what the daemon takes, and gives undefined', async (t) => {
  t.is(await session.run("await sleep('3d') === undefined"), true);
  t.deepEqual(session.calls.at(-1), ['sleep', '3d']);
});

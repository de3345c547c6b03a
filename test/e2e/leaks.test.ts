import { readdirSync } from 'node:fs';
import test from 'ava';
import { DaemonProcess } from '../harness/daemon-process.ts';
import { childrenOf, descriptorsOf, residentMiB, until } from '../harness/processes.ts';
import { Guest } from '../harness/shared-daemon.ts';

const SESSIONS = 200;
const ROUNDS = 20;
/** Memory is compared once caches and pools are as large as they get. */
const WARM_ROUND = 10;

test('200 sessions opened, used and closed 20 times over leave nothing behind', async (t) => {
  t.timeout(170_000);
  const daemon = await DaemonProcess.start(t);
  const pid = Number(daemon.child.pid);
  const client = await daemon.connect();
  const admin = await daemon.connect('admin');
  const filesAtStart = readdirSync(daemon.stateDir).sort();
  let warm = { mib: 0, hosts: 0, descriptors: 0 };

  for (let round = 1; round <= ROUNDS; round++) {
    const values = await Promise.all(
      Array.from({ length: SESSIONS }, async (_, index) => {
        const guest = await Guest.open(client);
        const value = await guest.json(`let kept = ${index}; console.log(kept); kept + 1`);
        await guest.close();
        return value;
      }),
    );
    t.deepEqual(
      values,
      Array.from({ length: SESSIONS }, (_, index) => index + 1),
    );
    client.events.length = 0;
    if (round === WARM_ROUND) {
      await settled();
      warm = { mib: residentMiB(pid), hosts: childrenOf(pid).length, descriptors: descriptorsOf(pid).length };
    }
  }

  await settled();
  const stats = await admin.call('daemon.stats', {});
  t.is(stats.sessions, 0);
  t.is(stats.executions, SESSIONS * ROUNDS);
  t.deepEqual(stats.hosts.map((host) => host.pid).sort(), childrenOf(pid).sort(), 'every child is a host of the pool');
  t.true(childrenOf(pid).length <= Math.max(warm.hosts, 3), 'no more hosts than after the first rounds');
  // Those of hosts that ended last are closed a few seconds later.
  await until(() => descriptorsOf(pid).length <= warm.descriptors + 4);
  t.deepEqual(readdirSync(daemon.stateDir).sort(), filesAtStart);
  const mib = residentMiB(pid);
  t.log(`the daemon: ${Math.round(warm.mib)} MiB after round ${WARM_ROUND}, ${Math.round(mib)} MiB after ${ROUNDS}`);
  t.true(mib < warm.mib * 1.25 + 20);

  /** Hosts that are not needed any more have ended, and the pool knows it. */
  async function settled(): Promise<void> {
    await until(async () => {
      const { hosts, sessions } = await admin.call('daemon.stats', {});
      const cordons = hosts.filter(({ cordon }) => cordon !== null);
      return sessions === 0 && cordons.length <= 1 && hosts.length === childrenOf(pid).length;
    });
  }
});

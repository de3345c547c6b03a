/** Makes and settles promises, opens and closes sessions in a file, and says what it was told was done; for a test that kills it. */
import { systemClock } from '../../../daemon/clock.ts';
import { DurableStore } from '../../../daemon/durability/durable-store.ts';
import { local } from '../../../daemon/durability/resonate.ts';

const [file = '', name = ''] = process.argv.slice(2);
const log = (line: string): unknown => process.stderr.write(`${line}\n`);
const { promises, sessions } = await local({ store: DurableStore.open({ file, log }), clock: systemClock, log });
sessions.onRecover(async () => 'open');
const say = (act: string, key: string): unknown => process.stdout.write(`${act} ${key}\n`);

async function lane(of: number): Promise<void> {
  for (let number = 0; ; number++) {
    const key = `${name}-${of}-${number}`;
    await promises.create(key, key, null);
    say('created', key);
    await sessions.open(key);
    say('opened', key);
    if (number % 2 === 0) continue;
    await promises.settle(key, key);
    say('settled', key);
    await sessions.close(key);
    say('closed', key);
  }
}
await Promise.all([0, 1, 2, 3].map(lane));

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Resonate } from '@resonatehq/sdk/async';
import test from 'ava';
import { newStateMachine, PROTOCOL_VERSION, type Request, SDK_VERSION } from '../../../daemon/durability/sdk.ts';
import { sdkLogger } from '../../../daemon/durability/sdk-logger.ts';
import { root } from '../../tidy/repo-files.ts';

test('the versions that we name are those of the SDK that is installed', async (t) => {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/@resonatehq/sdk/package.json'), 'utf8'));
  t.is(version, SDK_VERSION);
  const sent: Request[] = [];
  const network = {
    unicast: 'a',
    anycast: 'a',
    match: (target: string) => target,
    init: async () => undefined,
    stop: async () => undefined,
    recv: () => undefined,
    send: async (request: Request) => {
      sent.push(request);
      throw new Error('sent');
    },
  };
  const resonate = new Resonate({ network: network as never });
  await t.throwsAsync(resonate.promises.get('a'));
  await resonate.stop();
  t.is(sent[0]?.head.version, PROTOCOL_VERSION);
});

test('the state machine that the SDK hides is there, and each is its own', (t) => {
  const [one, other] = [newStateMachine(), newStateMachine()];
  const head = { corrId: '', version: '' };
  const data = { id: 'a', timeoutAt: 2, param: {}, tags: {} };
  t.is(one.apply(1, { kind: 'promise.create', head, data }).response.head.status, 200);
  t.true(one.promises.has('a'));
  t.false(other.promises.has('a'));
});

test('of the SDK the operator is told warnings and errors, each once a minute', (t) => {
  let nowMs = 0;
  const said: string[] = [];
  const logger = sdkLogger(
    (line) => said.push(line),
    () => nowMs,
  );
  logger.debug({}, 'd');
  logger.info({}, 'i');
  for (let times = 0; times < 3; times++) logger.warn({ error: 'e' }, 'w');
  logger.error({}, 'w');
  logger.warn({ error: 'This daemon does not hold the task' }, 'onMessage failed');
  t.deepEqual(said, ['Resonate: w: e', 'Resonate: w']);
  nowMs = 60_000;
  logger.warn({ error: 'e' }, 'w');
  t.is(said.length, 3);
  for (let number = 0; number < 200; number++) logger.error({}, `x${'x'.repeat(1000)}${number}`);
  t.true(said.every((line) => line.length <= 500));
});

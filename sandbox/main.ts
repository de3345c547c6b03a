/** Entry of a sandbox host process: gives the host its powers and nothing else. Started by the daemon. */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { lineChannel } from './channel.ts';
import { SandboxHost, warmUp } from './host.ts';

// A spinning isolate makes process.exit() hang, so a host whose daemon is gone ends itself the only way that always works.
const end = (): void => void process.kill(process.pid, 'SIGKILL');
// Node itself would call process.exit(): on an error of ours, and on one of the channel, which a dying daemon may break first.
process.on('uncaughtException', (error) => {
  try {
    writeSync(2, `${error.stack}\n`);
  } catch {
    // Nobody reads it any more.
  }
  end();
});
/** Node's permission model denies every socket but this one, which was open before. */
const channel = lineChannel(new Socket({ fd: 3, readable: true, writable: true }), (flush) => void setImmediate(flush));
channel.onClose(end);
const clock = { nowMs: Date.now, monotonicMs: () => performance.now() };
await warmUp(clock);
new SandboxHost(channel, {
  ...clock,
  processCpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  v8: process.versions.v8,
  snapshotFolder: process.argv[2],
}).start();

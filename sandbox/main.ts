/** Entry of a sandbox host process: gives the host its powers and nothing else. Started by the daemon through `fork`. */
import { writeSync } from 'node:fs';
import { ipcChannel } from './channel.ts';
import { SandboxHost } from './host.ts';

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
const channel = ipcChannel(process, (flush) => void setImmediate(flush));
channel.onClose(end);
new SandboxHost(channel, {
  nowMs: Date.now,
  monotonicMs: () => performance.now(),
  processCpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  v8: process.versions.v8,
}).start();

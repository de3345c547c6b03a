/** Entry of a sandbox host process: gives the host its powers and nothing else. Started by the daemon through `fork`. */
import { ipcChannel } from './channel.ts';
import { SandboxHost } from './host.ts';

// A spinning isolate makes process.exit() hang, so a host whose daemon is gone ends itself the only way that always works.
const end = (): void => void process.kill(process.pid, 'SIGKILL');
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

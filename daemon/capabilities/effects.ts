/** Every effect that PyREPL3 itself has, each with the engine that carries it out. A name of the policy that is missing does not compile. */
import type { Clock } from '../clock.ts';
import { ApproveCapability } from './approve.ts';
import { DeleteFileCapability } from './delete-file.ts';
import { DnsCapability } from './dns.ts';
import { EncryptCapability } from './encrypt.ts';
import type { Engines } from './engines.ts';
import { EnvCapability } from './env.ts';
import { ExecCapability } from './exec.ts';
import { ExecuteCapability } from './execute.ts';
import { FetchCapability } from './fetch.ts';
import { HashCapability } from './hash.ts';
import { InputCapability } from './input.ts';
import { KvCapability } from './kv.ts';
import { ListFilesCapability } from './list-files.ts';
import { QueryCapability } from './query.ts';
import { ReadFileCapability } from './read-file.ts';
import type { Effects } from './registry.ts';
import { ReviewCapability } from './review.ts';
import { SecretCapability } from './secret.ts';
import { SleepCapability } from './sleep.ts';
import { TransactionCapability } from './transaction.ts';
import { WebSocketCapability } from './websocket.ts';
import { WriteFileCapability } from './write-file.ts';

export function makeEffects(engines: Engines, clock: Clock): Effects {
  const { files, kv, network, secrets, sql } = engines;
  return {
    input: new InputCapability(),
    sleep: new SleepCapability(clock),
    read_file: new ReadFileCapability(files),
    list_files: new ListFilesCapability(files),
    write_file: new WriteFileCapability(files),
    delete_file: new DeleteFileCapability(files),
    kv: new KvCapability(kv),
    fetch: new FetchCapability(network),
    dns: new DnsCapability(network),
    websocket: new WebSocketCapability(network),
    hash: new HashCapability(),
    encrypt: new EncryptCapability(secrets),
    query: new QueryCapability(sql),
    execute: new ExecuteCapability(sql),
    transaction: new TransactionCapability(sql),
    env: new EnvCapability(secrets),
    secret: new SecretCapability(secrets),
    approve: new ApproveCapability(),
    review: new ReviewCapability(),
    exec: new ExecCapability({ programs: () => engines.programs, folder: engines.scratchFolder }),
  };
}

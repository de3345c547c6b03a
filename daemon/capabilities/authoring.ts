/** What authors of capabilities import as `pyrepl3/capability`; docs/EXTENDING.md shows how. */
export { Fault } from '../fault.ts';
export { type CallContext, Capability, type Decision, type DecisionRequest } from './capability.ts';
export type { AllowedCall } from './gate.ts';

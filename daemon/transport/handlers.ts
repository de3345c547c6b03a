import type * as v from 'valibot';
import type { METHODS, MethodName, Results } from '../../client/protocol.ts';
import type { Caller } from './caller.ts';

/** A method's parameters once they have been parsed. */
export type ParsedParams<M extends MethodName> = v.InferOutput<(typeof METHODS)[M]['params']>;

/**
 * The one table of methods. A handler is started in the order in which requests arrive, synchronously up to its first
 * `await`; answers leave as they become known. It fails with a `Fault`; whatever else it throws becomes INTERNAL.
 */
export type Handlers = {
  readonly [M in MethodName]: (
    params: ParsedParams<M>,
    caller: Caller,
  ) => Answer<Results[M]> | Promise<Answer<Results[M]>>;
};

type Answer<R> = R | AnswerThen<R>;

/** An answer with something to do once it has been handed to the connection, such as starting what must come after it. */
export class AnswerThen<R> {
  readonly result: R;
  readonly after: () => void;

  constructor(result: R, after: () => void) {
    this.result = result;
    this.after = after;
  }
}

/** The inspector of one isolate: how what runs in it is ended, and how functions are looked at that nothing in the isolate can see into. */

/** The slice of isolated-vm's session that this uses. */
export interface InspectorLink {
  onResponse: (callId: number, message: string) => void;
  onNotification: (message: string) => void;
  dispatchProtocolMessage(message: string): void;
  dispose(): void;
}

/** What isolated-vm calls the context that it is asked for; an isolate has one of its own besides. */
const CONTEXT_NAME = '<isolated-vm>';
const OBJECT_GROUP = 'pyrepl3';
const INDEX = /^\d+$/;
const COMMON_SCOPES: ReadonlySet<string> = new Set(['Global', 'Script']);

interface RemoteProperty {
  readonly name: string;
  readonly value?: { readonly objectId?: string; readonly description?: string };
}

interface Properties {
  readonly result?: readonly RemoteProperty[];
  readonly internalProperties?: readonly RemoteProperty[];
}

export class Inspector {
  readonly #session: InspectorLink;
  readonly #isGone: () => boolean;
  #lastId = 0;
  #unanswered = 0;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #context: number | undefined;
  /** Told that the isolate has been paused. */
  onPaused: () => void = () => undefined;

  /** @param isGone whether the isolate has been disposed of: isolated-vm ends the process where such a one is sent something */
  constructor(session: InspectorLink, isGone: () => boolean) {
    this.#session = session;
    this.#isGone = isGone;
    session.onResponse = (id, message) => {
      this.#unanswered--;
      this.#answered(id, message);
    };
    session.onNotification = (message) => {
      if (message.startsWith('{"method":"Debugger.paused"')) this.onPaused();
      else if (message.startsWith('{"method":"Runtime.executionContextCreated"')) this.#noteContext(message);
    };
  }

  /** Messages that it has not answered yet. */
  get unanswered(): number {
    return this.#unanswered;
  }

  dispatch(method: string, params: Readonly<Record<string, unknown>> = {}): void {
    if (this.#isGone()) return;
    this.#unanswered++;
    this.#session.dispatchProtocolMessage(JSON.stringify({ id: ++this.#lastId, method, params }));
  }

  /** Its result; undefined where it has none. Never settles where the isolate ends meanwhile. */
  #ask(method: string, params: Readonly<Record<string, unknown>>): Promise<unknown> {
    return new Promise((resolve) => {
      if (this.#isGone()) return;
      this.#waiting.set(this.#lastId + 1, resolve);
      this.dispatch(method, params);
    });
  }

  #answered(id: number, message: string): void {
    const resolve = this.#waiting.get(id);
    if (resolve === undefined) return;
    this.#waiting.delete(id);
    resolve((JSON.parse(message) as { result?: unknown }).result);
  }

  #noteContext(message: string): void {
    const { context } = (JSON.parse(message) as { params: { context: { id: number; name: string } } }).params;
    if (context.name === CONTEXT_NAME) this.#context = context.id;
  }

  async #propertiesOf(objectId: string | undefined): Promise<Properties> {
    if (objectId === undefined) return {};
    return (
      ((await this.#ask('Runtime.getProperties', { objectId, ownProperties: true })) as Properties | undefined) ?? {}
    );
  }

  /**
   * Whether all functions of an array refer to nothing but what is global, and to themselves. Nothing may be running.
   *
   * @param name of the array among the properties of the global object
   * @param ownNames by what name each is known in its own text; null for one that is not
   */
  async referToGlobalsOnly(name: string, ownNames: readonly (string | null)[]): Promise<boolean> {
    const expression = `globalThis[${JSON.stringify(name)}]`;
    await this.#ask('Runtime.enable', {});
    this.dispatch('Runtime.disable');
    const contextId = this.#context;
    const found = await this.#ask('Runtime.evaluate', { expression, contextId, objectGroup: OBJECT_GROUP });
    const { objectId } = (found as { result?: { objectId?: string } } | undefined)?.result ?? {};
    const { result: members = [] } = await this.#propertiesOf(objectId);
    const functions = new Map(members.map((member) => [member.name, member.value?.objectId]));
    const answers = await Promise.all(
      ownNames.map((ownName, index) => this.#refersToGlobalsOnly(functions.get(`${index}`), ownName)),
    );
    this.dispatch('Runtime.releaseObjectGroup', { objectGroup: OBJECT_GROUP });
    return !answers.includes(false);
  }

  async #refersToGlobalsOnly(functionId: string | undefined, ownName: string | null): Promise<boolean> {
    const { internalProperties = [] } = await this.#propertiesOf(functionId);
    const chain = internalProperties.find(({ name }) => name === '[[Scopes]]')?.value;
    const { result: scopes = [] } = await this.#propertiesOf(chain?.objectId);
    // No cell is a script of its own, so that nothing of the user's is in the scope of scripts.
    const own = scopes.filter(({ name, value }) => INDEX.test(name) && !COMMON_SCOPES.has(value?.description ?? ''));
    const variables = await Promise.all(own.map(({ value }) => this.#propertiesOf(value?.objectId)));
    return (
      scopes.length > 0 &&
      variables.every(({ result }, depth) => {
        const names = result?.map((variable) => variable.name);
        // What has a name in its own text has a scope of its own, which holds that name and nothing else.
        return names?.length === 0 || (depth === 0 && names?.length === 1 && names[0] === ownName);
      })
    );
  }

  dispose(): void {
    this.#session.dispose();
  }
}

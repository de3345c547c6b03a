import type { GuestKernel } from './kernel.ts';

export type DomExceptionConstructor = new (message?: string, name?: string) => Error;

/** Installs `DOMException` (Web IDL §4.3) and returns it for the modules that throw it. */
export function installDomException(kernel: GuestKernel): DomExceptionConstructor {
  const NativeError = Error;
  const { construct } = Reflect;
  const { defineProperty, setPrototypeOf } = Object;
  const captureStack = NativeError.captureStackTrace;
  const names = new WeakMap<object, string>();
  const nameOf = kernel.uncurryThis(names.get);
  const setName = kernel.uncurryThis(names.set);
  // The position of a name is its legacy code; names that never had one are strings without a place here.
  const legacy =
    ' INDEX_SIZE:IndexSize DOMSTRING_SIZE: HIERARCHY_REQUEST:HierarchyRequest WRONG_DOCUMENT:WrongDocument ' +
    'INVALID_CHARACTER:InvalidCharacter NO_DATA_ALLOWED: NO_MODIFICATION_ALLOWED:NoModificationAllowed NOT_FOUND:NotFound ' +
    'NOT_SUPPORTED:NotSupported INUSE_ATTRIBUTE:InUseAttribute INVALID_STATE:InvalidState SYNTAX:Syntax ' +
    'INVALID_MODIFICATION:InvalidModification NAMESPACE:Namespace INVALID_ACCESS:InvalidAccess VALIDATION: ' +
    'TYPE_MISMATCH:TypeMismatch SECURITY:Security NETWORK:Network ABORT:Abort URL_MISMATCH:URLMismatch ' +
    'QUOTA_EXCEEDED:QuotaExceeded TIMEOUT:Timeout INVALID_NODE_TYPE:InvalidNodeType DATA_CLONE:DataClone';
  const codes = { __proto__: null } as unknown as Record<string, number>;

  class DOMException {
    declare readonly message: string;

    constructor(message = '', name = 'Error') {
      // The object is made by Error itself, so that Error.isError holds and it has a stack.
      const self = construct(NativeError, [`${message}`], new.target) as DOMException;
      setName(names, self, `${name}`);
      // Taken again: the first line of the stack shows the name, which was not known a moment ago.
      captureStack?.(self, DOMException);
      // biome-ignore lint/correctness/noConstructorReturn: a class cannot both stand on Error.prototype and leave Error out of its own chain.
      return self;
    }

    get name(): string {
      return nameOf(names, this) ?? 'Error';
    }

    get code(): number {
      return codes[nameOf(names, this) ?? ''] ?? 0;
    }
  }

  const { prototype } = DOMException;
  setPrototypeOf(prototype, NativeError.prototype);
  defineProperty(prototype, Symbol.toStringTag, { value: 'DOMException', configurable: true });
  let code = 0;
  for (const entry of legacy.split(' ')) {
    const [constant, name] = entry.split(':');
    if (constant) {
      const descriptor = { value: code, enumerable: true };
      defineProperty(DOMException, `${constant}_ERR`, descriptor);
      defineProperty(prototype, `${constant}_ERR`, descriptor);
      if (name) codes[`${name}Error`] = code;
    }
    code += 1;
  }
  kernel.define('DOMException', DOMException);
  return DOMException as unknown as DomExceptionConstructor;
}

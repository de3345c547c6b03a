/**
 * Programs of a few cells over a few variables, in a small language of their own: as the JavaScript that a session runs, and as what
 * must have come of it in the end, whatever happens to daemons and hosts meanwhile.
 *
 * Whatever depends on the order in which concurrent effects end is written to `order`, and compared as a set; whatever ended cells
 * have left behind writes to `late` alone.
 */
import fc from 'fast-check';

type Variable = 'a' | 'b' | 'c';
/** `strike` must not be done twice; `tally` may be. */
export type EffectKind = 'strike' | 'tally';

export type Statement =
  | { readonly do: 'assign'; readonly to: Variable; readonly value: number }
  | { readonly do: 'add'; readonly to: Variable; readonly from: Variable }
  | { readonly do: 'print' | 'spin' | 'draw' | 'input' | 'kv' }
  | { readonly do: 'call' | 'fail' | 'detach' | 'late'; readonly effect: EffectKind; readonly to: Variable }
  | { readonly do: 'loop'; readonly effect: EffectKind; readonly to: Variable; readonly times: number }
  | { readonly do: 'all' | 'race'; readonly effects: readonly EffectKind[]; readonly to: Variable };

/** `hang`: it never ends by itself, and is interrupted; `hold` is an effect that is under way then. */
export type CellEnd = 'value' | 'throw' | 'fault' | 'hang' | 'hold';

export interface Cell {
  readonly statements: readonly Statement[];
  readonly end: CellEnd;
  /** Where it fails, the session is to be as it was before it. */
  readonly rollback: boolean;
}

export interface Program {
  readonly cells: readonly Cell[];
  /** All cells are sent at once. */
  readonly ahead: boolean;
  /** With a clock and a random generator that run. */
  readonly live: boolean;
  /** After these cells a checkpoint is made, and the session is taken back to it. */
  readonly checkpoint: { readonly madeAfter: number; readonly backAfter: number } | null;
}

// --- generated -------------------------------------------------------------------------------------------------------

const variable = fc.constantFrom<Variable>('a', 'b', 'c');
const effect = fc.constantFrom<EffectKind>('strike', 'tally');
const statement: fc.Arbitrary<Statement> = fc.oneof(
  fc.record({ do: fc.constant('assign' as const), to: variable, value: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ do: fc.constant('add' as const), to: variable, from: variable }),
  fc.record({ do: fc.constantFrom('print' as const, 'spin' as const, 'draw' as const) }),
  fc.record({ do: fc.constantFrom('input' as const, 'kv' as const) }),
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('call' as const, 'fail' as const), effect, to: variable }) },
  fc.record({ do: fc.constantFrom('detach' as const, 'late' as const), effect, to: variable }),
  fc.record({ do: fc.constant('loop' as const), effect, to: variable, times: fc.integer({ min: 1, max: 3 }) }),
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('all' as const, 'race' as const),
      effects: fc.array(effect, { minLength: 2, maxLength: 3 }),
      to: variable,
    }),
  },
);

const cell: fc.Arbitrary<Cell> = fc.record({
  statements: fc.array(statement, { maxLength: 4 }),
  end: fc.oneof(
    { weight: 5, arbitrary: fc.constant<CellEnd>('value') },
    { weight: 3, arbitrary: fc.constantFrom<CellEnd>('throw', 'fault', 'hang', 'hold') },
  ),
  rollback: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

const checkpoint = fc
  .record({ madeAfter: fc.nat({ max: 2 }), cells: fc.nat({ max: 2 }) })
  .map(({ madeAfter, cells }) => ({ madeAfter, backAfter: madeAfter + cells }));

export const program: fc.Arbitrary<Program> = fc
  .record({
    cells: fc.array(cell, { minLength: 1, maxLength: 4 }),
    ahead: fc.boolean(),
    live: fc.boolean(),
    checkpoint: fc.option(checkpoint),
  })
  .map(withoutChance);

/** The effects of what may go on when its cell has ended. */
function leftBehind(each: Statement): readonly EffectKind[] {
  if (each.do === 'race') return each.effects;
  return each.do === 'detach' || each.do === 'late' ? [each.effect] : [];
}

/**
 * What is stopped in the middle of an entry cannot be had again, and whether it is depends on the machine: where something goes on
 * beside cells, none is stopped. What goes on beside a cell that is taken back is taken back with it, and does what it does again.
 * Where it has done what must not be done twice, the cell stays, and whether it has by then depends on the machine: it does nothing
 * of that kind there.
 */
function withoutChance(made: Program): Program {
  const effects = made.cells.flatMap(({ statements }) => statements.flatMap(leftBehind));
  const beside = effects.length > 0;
  // Between cells that are sent at once nothing can be done.
  if (!beside) return made.ahead ? { ...made, checkpoint: null } : made;
  const cells = made.cells.map((each): Cell => {
    const end = each.end === 'hang' || each.end === 'hold' ? 'throw' : each.end;
    return { ...each, end, rollback: each.rollback && !effects.includes('strike') };
  });
  return { ...made, cells, checkpoint: null };
}

// --- as JavaScript ---------------------------------------------------------------------------------------------------

export const PREAMBLE = 'let a = 0, b = 0, c = 0, late = 0, order = []; const slow = []; 0';
/** Turns that are waited for at the end; what is left behind takes a few. */
const LAST_TURNS = 3000;

export const lastCell = (late: number): string =>
  `for (let i = 0; i < ${LAST_TURNS} && late < ${late}; i++) await new Promise((done) => setTimeout(done, 1)); [a, b, c, late, order]`;

export function sourceOf({ statements, end }: Cell, number: number): string {
  const lines = statements.map((each, index) => lineOf(each, `${number}.${index}`));
  return [...lines, ...endOf(end, number)].join('\n');
}

function endOf(end: CellEnd, number: number): readonly string[] {
  const hang = [`print('hang ${number}'); await new Promise(() => 0);`];
  switch (end) {
    case 'value':
      return ['[a, b, c]'];
    case 'throw':
      return [`throw new Error('end ${number}');`];
    case 'fault':
      return [`await tally('!${number}');`];
    case 'hang':
      return hang;
    case 'hold':
      return [`${heldKind(number)}('~${number}').catch(() => 0).then(() => { late += 1 });`, ...hang];
  }
}

const heldKind = (number: number): EffectKind => (number % 2 === 0 ? 'strike' : 'tally');

function lineOf(each: Statement, id: string): string {
  switch (each.do) {
    case 'assign':
      return `${each.to} = ${each.value};`;
    case 'add':
      return `${each.to} += ${each.from};`;
    case 'print':
      return `print('${id}', a, b, c);`;
    case 'spin':
      return `print('${id}'); for (let i = 0; i < 300000; i++) a = (a * 31 + i) | 0;`;
    case 'draw':
      return `order.push('drawn ' + Math.random() + ' ' + Date.now());`;
    case 'input':
      return `order.push(await input('${id}'));`;
    case 'kv':
      return `await kv.set('k', a); await kv.set('k', 1 + (await kv.get('k'))); b = await kv.get('k');`;
    case 'call':
      return `{ const got = await ${each.effect}('${id}'); ${each.to} += got; }`;
    case 'fail':
      return `try { await ${each.effect}('!${id}'); } catch { ${each.to} += 1; }`;
    case 'detach':
      return `${each.effect}('${id}').then(() => { late += 1; });`;
    case 'late':
      return `setTimeout(async () => { await ${each.effect}('${id}'); print('late'); late += 1; }, 2);`;
    case 'loop':
      return `for (let i = 0; i < ${each.times}; i++) { const got = await ${each.effect}('${id}.' + i); ${each.to} += got; }`;
    case 'all':
      return `await Promise.all([${each.effects
        .map(
          (kind, index) =>
            `(async () => { const got = await ${kind}('${id}.${index}'); ${each.to} += got; order.push('${id}.${index}'); })()`,
        )
        .join(', ')}]); print('order', order.join());`;
    case 'race':
      return `await Promise.race([${each.effects
        .map((kind, index) => `${kind}('${id}.${index}').then(() => { late += 1; })`)
        .join(', ')}]);`;
  }
}

/** What an effect of that name answers. */
export const answerOf = (name: string): number => 1 + (name.length % 3);

// --- as what must come of it -----------------------------------------------------------------------------------------

export interface ExpectedCell {
  readonly status: 'ok' | 'error';
  /** Of an `ok` cell. */
  readonly value: unknown;
  /** Lines, without what ended cells have written meanwhile. */
  readonly printed: readonly string[];
}

export interface Expected {
  readonly cells: readonly ExpectedCell[];
  readonly variables: readonly number[];
  readonly late: number;
  readonly order: readonly string[];
  /** Every effect, and how often it is done at least. */
  readonly effects: ReadonlyMap<string, { readonly kind: EffectKind; readonly atLeast: number }>;
}

interface State {
  a: number;
  b: number;
  c: number;
  late: number;
  order: string[];
}

const copyOf = (state: State): State => ({ ...state, order: [...state.order] });

/** What a program must have come to in the end. */
export function expect({ cells, checkpoint: place }: Program): Expected {
  let state: State = { a: 0, b: 0, c: 0, late: 0, order: [] };
  let kept = state;
  const effects = new Map<string, { kind: EffectKind; atLeast: number }>();
  const expected = cells.map(({ statements, end, rollback }, number): ExpectedCell => {
    const before = copyOf(state);
    const printed: string[] = [];
    const does = (kind: EffectKind, name: string, atLeast = 1): number => {
      effects.set(name, { kind, atLeast });
      return answerOf(name);
    };
    const mayDo = (kind: EffectKind, name: string): number => does(kind, name, 0);
    const isTakenBack = rollback && end !== 'value';
    for (const [index, each] of statements.entries()) {
      // What is left behind by a cell that is taken back goes with it, wherever it has come to.
      const doing = isTakenBack && leftBehind(each).length > 0 ? mayDo : does;
      step(state, each, `${number}.${index}`, printed, doing);
    }
    if (end === 'fault') does('tally', `!${number}`);
    if (end === 'hold') {
      // Its cell may be stopped before it is done.
      does(heldKind(number), `~${number}`, 0);
      state.late += 1;
    }
    if (end === 'hang' || end === 'hold') printed.push(`hang ${number}`);
    const value = [state.a, state.b, state.c];
    if (isTakenBack) state = before;
    if (number === place?.madeAfter) kept = copyOf(state);
    if (number === place?.backAfter) state = copyOf(kept);
    return { status: end === 'value' ? 'ok' : 'error', value: end === 'value' ? value : undefined, printed };
  });
  const { a, b, c, late, order } = state;
  return { cells: expected, variables: [a, b, c], late, order, effects };
}

function step(
  state: State,
  each: Statement,
  id: string,
  printed: string[],
  does: (kind: EffectKind, name: string) => number,
): void {
  switch (each.do) {
    case 'assign':
      state[each.to] = each.value;
      return;
    case 'add':
      state[each.to] += state[each.from];
      return;
    case 'print':
      printed.push(`${id} ${state.a} ${state.b} ${state.c}`);
      return;
    case 'spin':
      printed.push(id);
      for (let i = 0; i < 300000; i++) state.a = (state.a * 31 + i) | 0;
      return;
    case 'draw':
      state.order.push('drawn');
      return;
    case 'input':
      state.order.push(`${id}!`);
      return;
    case 'kv':
      state.b = state.a + 1;
      return;
    case 'call':
      state[each.to] += does(each.effect, id);
      return;
    case 'fail':
      does(each.effect, `!${id}`);
      state[each.to] += 1;
      return;
    case 'detach':
    case 'late':
      does(each.effect, id);
      state.late += 1;
      return;
    case 'loop':
      for (let i = 0; i < each.times; i++) state[each.to] += does(each.effect, `${id}.${i}`);
      return;
    case 'all':
      for (const [index, kind] of each.effects.entries()) {
        state[each.to] += does(kind, `${id}.${index}`);
        state.order.push(`${id}.${index}`);
      }
      printed.push(`order ${state.order.join()}`);
      return;
    case 'race':
      for (const [index, kind] of each.effects.entries()) does(kind, `${id}.${index}`);
      state.late += each.effects.length;
  }
}

/** The name of a wheel's file: which package, which version, and what it was built for. Pure. */
import { packageName } from '../../policies/packages.ts';

export interface WheelName {
  /** As the file has it, with underscores. */
  readonly stem: string;
  /** Normalized. */
  readonly name: string;
  readonly version: string;
  /** Why an isolate cannot use it; null where it can. */
  readonly unfit: string | null;
}

/** CPython's version in the sessions: what wheels and their dependencies are held against. */
export const PYTHON = { minor: 14, version: '3.14', fullVersion: '3.14.2' } as const;

const FILE_NAME =
  /^(?<name>[A-Za-z0-9](?:[A-Za-z0-9._]{0,98}[A-Za-z0-9])?)-(?<version>[A-Za-z0-9][A-Za-z0-9._+!]{0,63})(?:-\d[A-Za-z0-9_.]*)?-(?<python>[a-z0-9_.]+)-(?<abi>[a-z0-9_.]+)-(?<platform>[a-z0-9_.]+)\.whl$/;

/** null where the file is not named as wheels are. */
export function readWheelName(file: string): WheelName | null {
  const { name, version, python, abi, platform } = FILE_NAME.exec(file)?.groups ?? {};
  if (name === undefined || version === undefined || python === undefined) return null;
  const tag = `${python}-${abi}-${platform}`;
  return { stem: `${name}-${version}`, name: packageName(name), version, unfit: unfitness(tag, python, abi, platform) };
}

function unfitness(tag: string, python: string, abi: string | undefined, platform: string | undefined): string | null {
  if (abi !== 'none' || platform !== 'any')
    return `it holds native code, built for ${tag}; sessions can only use wheels of pure Python, whose names end in -none-any.whl`;
  const suits = python.split('.').some((each) => {
    const [, minor] = /^(?:py|cp)3(\d*)$/.exec(each) ?? [];
    return (
      minor !== undefined &&
      (minor === '' || (each.startsWith('py') ? Number(minor) <= PYTHON.minor : Number(minor) === PYTHON.minor))
    );
  });
  return suits ? null : `it is for another Python (${tag}); sessions have ${PYTHON.version}`;
}

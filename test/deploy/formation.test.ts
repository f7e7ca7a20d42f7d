import { describe, expect, it } from 'vitest';
import { emptyAppFile, type AppFile, type FormationRequest } from '../../src/app-file.ts';
import { fixedFormation, formationOf, refuseFixed, unknownTypes } from '../../src/deploy/formation.ts';
import type { App } from '../../src/domain.ts';

const limits = { memoryBytes: 1, cpuShares: 2, pids: 3 };
const command = { entrypoint: undefined, command: undefined };

it('takes a process type for nothing but its name', () => {
  const app = { formation: { web: { quantity: 2, limits } } } as unknown as App;
  expect(formationOf(app, { web: command, constructor: command }, limits)).toEqual({ web: { quantity: 2, limits }, constructor: { quantity: 0, limits } });
});

const ask = (more: Partial<FormationRequest>): FormationRequest => ({ quantity: undefined, memoryBytes: undefined, cpuShares: undefined, port: undefined, ...more });
const fileWith = (formation: AppFile['formation']): AppFile => ({ ...emptyAppFile, formation });
const types = { web: command, worker: command };

describe('a formation in app.json', () => {
  it('fixes what it names and leaves the rest as it was', () => {
    const scaled = { web: { quantity: 3, limits }, worker: { quantity: 1, limits: { ...limits, memoryBytes: 9 } } };
    expect(fixedFormation(scaled, fileWith({ web: ask({ quantity: 2 }), worker: ask({ cpuShares: 7 }) }), types, limits)).toEqual({
      web: { quantity: 2, limits },
      worker: { quantity: 1, limits: { memoryBytes: 9, cpuShares: 7, pids: 3 } },
    });
  });

  it('begins from the default of a type that nobody scaled', () => {
    expect(fixedFormation({}, fileWith({ worker: ask({ memoryBytes: 5 }) }), types, limits)).toEqual({ worker: { quantity: 0, limits: { ...limits, memoryBytes: 5 } } });
    expect(fixedFormation({}, fileWith({ web: ask({ quantity: 0 }) }), types, limits)).toEqual({ web: { quantity: 0, limits } });
  });

  it('says nothing of types that it names only for their port, or that the image does not have', () => {
    const file = fileWith({ web: ask({ port: 3000 }), wroker: ask({ quantity: 2 }), constructor: ask({ quantity: 1 }) });
    expect(fixedFormation({}, file, types, limits)).toEqual({});
    expect(unknownTypes(file, types)).toEqual(['wroker', 'constructor']);
  });

  it('refuses what is set by hand otherwise, and nothing else', () => {
    const live = { app: 'hello', version: 3, appFile: fileWith({ web: ask({ quantity: 2, memoryBytes: 256 * 1024 * 1024 }) }) };
    const refusal = (wish: Parameters<typeof refuseFixed>[0]) => () => refuseFixed(wish, live);
    expect(refusal({ web: { quantity: 3 } })).toThrow(expect.objectContaining({ code: 'conflict', message: 'app.json of hello (v3) sets quantity of web to 2', hint: 'change formation.web.quantity in app.json and push, or take it out there to set it by hand' }) as Error);
    expect(refusal({ web: { limits: { memoryBytes: 1, cpuShares: 5 } } })).toThrow('app.json of hello (v3) sets memory of web to 256M');
    expect(refusal({ web: { quantity: 2, limits: { memoryBytes: 256 * 1024 * 1024, cpuShares: 5 } }, worker: { quantity: 9 }, constructor: { quantity: 1 } })).not.toThrow();
  });
});

/** Decides what a push means for an app: which ref deploys, which are only stored. Pure. */
import type { RefUpdate } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseBranch } from '../names.ts';

export interface RepositoryState {
  readonly app: string;
  /** The branch that HEAD names, existing or not. */
  readonly head: string;
  readonly branches: readonly string[];
}

export interface UpdatePlan {
  readonly deploy: { readonly branch: string; readonly oldId: string; readonly commit: string; readonly isFirst: boolean } | undefined;
  /** What happens to the other refs, a line or two for each. */
  readonly notices: readonly string[];
}

/** Branches that people mean when they push several to a new app. */
const usualBranches = ['main', 'master'];
const branchPrefix = 'refs/heads/';
const tagPrefix = 'refs/tags/';

export const isZero = (id: string): boolean => /^0+$/.test(id);

/** Throws `invalid` when the deploy branch would be deleted, or a first push does not say which branch deploys. */
export function planUpdates(updates: readonly RefUpdate[], state: RepositoryState): UpdatePlan {
  const deployBranch = state.branches.length > 0 ? state.head : firstBranch(updates, state);
  const chosen = updates.find(({ ref }) => deployBranch !== undefined && ref === `${branchPrefix}${deployBranch}`);
  if (chosen && isZero(chosen.newId)) {
    throw new ForgeError('invalid', `${deployBranch} is the branch that ${state.app} deploys: it cannot be deleted`, {
      hint: `apps:destroy ${state.app} removes the app with its repository`,
    });
  }
  const notices = updates.filter((update) => update !== chosen).flatMap((update) => describe(update, deployBranch));
  if (!chosen || deployBranch === undefined) return { deploy: undefined, notices };
  const { oldId, newId: commit } = chosen;
  return { deploy: { branch: parseBranch(deployBranch), oldId, commit, isFirst: state.branches.length === 0 }, notices };
}

/** The first branch ever pushed is the one that deploys. */
function firstBranch(updates: readonly RefUpdate[], { app }: RepositoryState): string | undefined {
  const pushed = updates.filter(({ ref, newId }) => ref.startsWith(branchPrefix) && !isZero(newId)).map(({ ref }) => ref.slice(branchPrefix.length));
  if (pushed.length <= 1) return pushed[0];
  const usual = usualBranches.find((branch) => pushed.includes(branch));
  if (usual !== undefined) return usual;
  throw new ForgeError('invalid', `the first push of ${app} says which branch deploys, and this one has ${pushed.length}: ${pushed.join(', ')}`, {
    hint: `push that branch alone first: git push <remote> ${pushed[0]}`,
  });
}

function describe({ ref, newId }: RefUpdate, deployBranch: string | undefined): readonly string[] {
  const [kind, name] = ref.startsWith(tagPrefix) ? ['tag', ref.slice(tagPrefix.length)] : ['branch', ref.slice(branchPrefix.length)];
  if (isZero(newId)) return [`Deleting the ${kind} ${name}`];
  const source = kind === 'tag' ? `${name}^{commit}` : name;
  const target = deployBranch === undefined ? 'main' : deployBranch;
  const why = deployBranch === undefined ? `only a branch deploys` : `only ${deployBranch} deploys`;
  return [`Storing the ${kind} ${name}, not deploying it: ${why}.`, `To deploy it: git push <remote> ${source}:refs/heads/${target}`];
}

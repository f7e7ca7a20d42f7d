/**
 * Commands that read stdin. Only they get it: any other would swallow the input of the script that it runs in.
 * The operations say so themselves; they are listed here because reading their list costs more than most commands take.
 */
export const inputCommands: ReadonlySet<string> = new Set(['apps:destroy', 'apps:export', 'apps:import', 'config:import', 'deploy', 'enter', 'keys:add', 'ps:exec', 'run', 'volumes:remove', 'volumes:restore']);

/** Those that talk with a person key by key: their terminal is in raw mode, and what is typed is echoed by forge. */
export const rawCommands: ReadonlySet<string> = new Set(['apps:destroy', 'enter', 'ps:exec', 'run', 'volumes:remove']);

/** What a pusher reads of a Docker build: the steps, which of them were cached, and the output of those that ran. */
import type { BuildEvent } from '../../docker/image-build.ts';
import type { BuildTrace, BuildVertex } from '../../docker/buildkit-trace.ts';

export interface BuildProgress {
  /** Lines to show for an event, without line ends. */
  take(event: BuildEvent): readonly string[];
  /** What is left at the end: output that did not end with a line end. */
  end(): readonly string[];
  /** Commands of the steps that run now, as their RUN lines have them. */
  running(): readonly string[];
  /** The step that failed first; BuildKit only. */
  failedStep(): string | undefined;
}

/** Output without a line end is shown in pieces of this size. */
const maxPartialChars = 16 * 1024;

/** Work of BuildKit itself that tells a pusher nothing. */
const isInternal = (name: string): boolean => /^(\[internal\]|\[auth\]|exporting|https?:\/\/|docker-image:\/\/|resolve image config|copy \/context)/.test(name);
/** The tag is forge's own business. */
const isNoise = (line: string): boolean => /^Successfully (tagged|built) /.test(line);

/** A fresh progress; keeps one line per running step. */
export function createBuildProgress(): BuildProgress {
  const names = new Map<string, string>();
  const announced = new Set<string>();
  const running = new Map<string, string>();
  const partial = new Map<string, string>();
  let speaker: string | undefined;
  let failedStep: string | undefined;

  const announce = (vertex: BuildVertex): string[] => {
    names.set(vertex.digest, vertex.name);
    const command = /\] RUN (?:--\S+ )*(.+)$/s.exec(vertex.name)?.[1];
    if (vertex.isCompleted) running.delete(vertex.digest);
    else if (vertex.isStarted && command !== undefined) running.set(vertex.digest, command);
    const lines: string[] = [];
    if (vertex.isStarted && !announced.has(vertex.digest) && !isInternal(vertex.name)) {
      announced.add(vertex.digest);
      speaker = vertex.digest;
      lines.push(`${vertex.name}${vertex.isCached ? ' (cached)' : ''}`);
    }
    if (vertex.isCompleted) lines.push(...flush(vertex.digest));
    // Of steps that ran at once the others end as canceled.
    if (vertex.error !== '' && !vertex.error.includes('context canceled')) failedStep ??= vertex.name;
    return lines;
  };

  const speak = (digest: string, text: string): string[] => {
    const lines = ((partial.get(digest) ?? '') + text).split('\n');
    const rest = lines.pop() ?? '';
    if (rest.length > maxPartialChars) lines.push(rest);
    partial.set(digest, rest.length > maxPartialChars ? '' : rest);
    return lines.length === 0 ? [] : [...naming(digest), ...lines.map(afterReturns)];
  };

  /** Steps of several stages run at once: say whose output follows when that changes. */
  const naming = (digest: string): string[] => {
    const name = names.get(digest) ?? '';
    if (speaker === digest || name === '' || isInternal(name)) return [];
    speaker = digest;
    return [`${/^\[[^\]]+\]/.exec(name)?.[0] ?? name} …`];
  };

  const flush = (digest: string): string[] => {
    const rest = partial.get(digest) ?? '';
    partial.delete(digest);
    return rest === '' ? [] : [...naming(digest), afterReturns(rest)];
  };

  const trace = ({ vertexes, logs }: BuildTrace): string[] => [
    ...vertexes.filter((vertex) => !vertex.isCompleted).flatMap(announce),
    ...logs.flatMap((log) => speak(log.vertex, log.bytes.toString('utf8'))),
    ...vertexes.filter((vertex) => vertex.isCompleted).flatMap(announce),
  ];

  return {
    take: (event) => (event.kind === 'trace' ? trace(event.trace) : speak('', event.text)).filter((line) => !isNoise(line)),
    end: () => [...partial.keys()].flatMap(flush),
    running: () => [...running.values()],
    failedStep: () => failedStep,
  };
}

/** What a terminal would show in the end: progress bars overwrite their line; the classic builder colours stderr. */
function afterReturns(line: string): string {
  let end = line.length;
  while (line[end - 1] === '\r') end -= 1;
  const visible = line.slice(0, end);
  return visible.slice(visible.lastIndexOf('\r') + 1).replaceAll(/\x1b\[\d*m/g, '');
}

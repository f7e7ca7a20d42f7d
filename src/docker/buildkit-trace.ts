/**
 * Decodes BuildKit's progress as the engine sends it (`moby.buildkit.trace`: base64 of the protobuf message
 * StatusResponse of moby/buildkit api/services/control/control.proto). Only the fields that are shown are read:
 *   StatusResponse { repeated Vertex vertexes = 1; repeated VertexStatus statuses = 2; repeated VertexLog logs = 3; }
 *   Vertex { string digest = 1; string name = 3; bool cached = 4; Timestamp started = 5; Timestamp completed = 6; string error = 7; }
 *   VertexLog { string vertex = 1; bytes msg = 4; }
 */

export interface BuildVertex {
  readonly digest: string;
  readonly name: string;
  readonly isCached: boolean;
  readonly isStarted: boolean;
  readonly isCompleted: boolean;
  /** '' unless it failed. */
  readonly error: string;
}

export interface BuildTrace {
  readonly vertexes: readonly BuildVertex[];
  /** Output of commands, in order; a chunk may end anywhere. */
  readonly logs: readonly { readonly vertex: string; readonly bytes: Buffer }[];
}

/** Throws `RangeError` on bytes that are no protobuf message. */
export function decodeBuildTrace(base64: string): BuildTrace {
  const vertexes: BuildVertex[] = [];
  const logs: { vertex: string; bytes: Buffer }[] = [];
  for (const { field, value } of fieldsOf(Buffer.from(base64, 'base64'))) {
    if (!Buffer.isBuffer(value)) continue;
    if (field === 1) vertexes.push(readVertex(value));
    else if (field === 3) logs.push(readLog(value));
  }
  return { vertexes, logs };
}

function readVertex(message: Buffer): BuildVertex {
  const fields = new Map([...fieldsOf(message)].map(({ field, value }) => [field, value]));
  const text = (field: number): string => String(fields.get(field) ?? '');
  return {
    digest: text(1),
    name: text(3),
    isCached: fields.get(4) === 1,
    isStarted: fields.has(5),
    isCompleted: fields.has(6),
    error: text(7),
  };
}

function readLog(message: Buffer): { vertex: string; bytes: Buffer } {
  const fields = new Map([...fieldsOf(message)].map(({ field, value }) => [field, value]));
  const bytes = fields.get(4);
  return { vertex: String(fields.get(1) ?? ''), bytes: Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0) };
}

/** The wire format: https://protobuf.dev/programming-guides/encoding/ */
function* fieldsOf(message: Buffer): Generator<{ field: number; value: number | Buffer }> {
  for (let at = 0; at < message.length; ) {
    const key = readVarint(message, at);
    at = key.end;
    const [field, wireType] = [Math.floor(key.value / 8), key.value & 7];
    if (wireType === 0) {
      const varint = readVarint(message, at);
      at = varint.end;
      yield { field, value: varint.value };
      continue;
    }
    const head = wireType === 2 ? readVarint(message, at) : { value: wireType === 1 ? 8 : 4, end: at };
    if (![1, 2, 5].includes(wireType) || head.end + head.value > message.length) throw new RangeError('not a protobuf message');
    yield { field, value: message.subarray(head.end, head.end + head.value) };
    at = head.end + head.value;
  }
}

function readVarint(message: Buffer, start: number): { value: number; end: number } {
  let value = 0;
  for (let at = start, factor = 1; at < message.length && at < start + 10; at += 1, factor *= 128) {
    const byte = message[at] ?? 0;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return { value, end: at + 1 };
  }
  throw new RangeError('not a protobuf message');
}

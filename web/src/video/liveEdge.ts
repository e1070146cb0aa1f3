/**
 * How a live player stays near the newest picture.
 *
 * Slightly faster when behind, slightly slower when about to run dry, a jump only when far
 * behind. Source: docs/design/first-light.md and the figures measured for it.
 */
export interface Reading { at_s: number; start_s: number; end_s: number }
export interface Correction { rate: number; seek_s: number | null; trim_to_s: number | null }

export const JUMP_S = 1.5;
const CATCH_UP_S = 0.35;
const ALMOST_DRY_S = 0.06;
const KEEP_S = 20;

export function correct({ at_s, start_s, end_s }: Reading): Correction {
  const gap = end_s - at_s;
  const outside = at_s < start_s || gap < -0.25;
  const seek_s = outside || gap > JUMP_S ? Math.max(start_s, end_s - 0.15) : null;
  const rate = gap > CATCH_UP_S ? 1.1 : gap < ALMOST_DRY_S ? 0.95 : 1;
  const trim = at_s - KEEP_S / 2;
  return { rate: seek_s === null ? rate : 1, seek_s, trim_to_s: end_s - start_s > KEEP_S && trim > start_s ? trim : null };
}

export type FragmentKind = "init" | "key" | "delta";
export interface Fragment { capture_us: number; dts_90k: number; kind: FragmentKind; payload: Uint8Array<ArrayBuffer> }

const KINDS: FragmentKind[] = ["init", "key", "delta"];
export const HEADER_BYTES = 16;

/** Reads one binary frame of the live socket; null if it is none. */
export function parse(frame: ArrayBuffer): Fragment | null {
  if (frame.byteLength < HEADER_BYTES) return null;
  const view = new DataView(frame);
  const kind = KINDS[view.getUint8(12)];
  if (kind === undefined) return null;
  return {
    capture_us: Number(view.getBigUint64(0)),
    dts_90k: view.getUint32(8),
    kind,
    payload: new Uint8Array(frame, HEADER_BYTES),
  };
}

const WRAP = 2 ** 32;

/** Which capture time belongs to a media time: remembers the last fragments. */
export class CaptureTimes {
  private readonly seen: { dts_90k: number; capture_us: number }[] = [];

  note(fragment: Fragment): void {
    if (fragment.kind === "init") return;
    this.seen.push({ dts_90k: fragment.dts_90k, capture_us: fragment.capture_us });
    if (this.seen.length > 1500) this.seen.splice(0, 500);
  }

  /** Milliseconds since 1970 of the picture shown at media time s; null if unknown. */
  at(media_s: number): number | null {
    const now = Math.floor(media_s * 90_000) % WRAP;
    let best: { capture_us: number } | null = null;
    let least = 90_000 * 5;
    for (const entry of this.seen) {
      const since = (now - entry.dts_90k + WRAP + 90) % WRAP;
      if (since < least) [best, least] = [entry, since];
    }
    return best ? best.capture_us / 1000 : null;
  }

  clear(): void {
    this.seen.length = 0;
  }
}

/** The MSE type of a codec string; the node may send it with or without the container. */
export const mimeOf = (codec: string): string =>
  codec.startsWith("video/") ? codec : `video/mp4; codecs="${codec}"`;

/** Where contacts have been: one dot every SPACING_S, the last DOTS of them. */
import type { Place, Track } from "../wire/types";

export const SPACING_S = 15;
export const DOTS = 24;

interface Dot { at: number; place: Place }

export class Trails {
  private readonly dots = new Map<string, Dot[]>();

  remember(tracks: ReadonlyMap<string, Track>): void {
    for (const id of this.dots.keys()) if (!tracks.has(id)) this.dots.delete(id);
    for (const track of tracks.values()) {
      const at = Date.parse(track.at);
      const past = this.dots.get(track.track_id) ?? [];
      const newest = past.at(-1);
      if (newest && at - newest.at < SPACING_S * 1000) continue;
      this.dots.set(track.track_id, [...past, { at, place: track.position }].slice(-DOTS));
    }
  }

  of(trackId: string): Place[] {
    return (this.dots.get(trackId) ?? []).map((dot) => dot.place);
  }
}

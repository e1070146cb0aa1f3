/** Sounds of the priorities: tones in seconds and hertz. A caution has none. */
import type { Priority } from "../wire/types";

export interface Tone { start_s: number; length_s: number; hz: number }
export interface Pattern { tones: Tone[]; repeat_s: number | null }

const short = (start_s: number, hz: number, length_s = 0.16): Tone => ({ start_s, length_s, hz });

export const PATTERNS: Record<Priority, Pattern | null> = {
  emergency: { tones: [short(0, 960, 0.5), short(0.5, 720, 0.5)], repeat_s: 1 },
  alarm: { tones: [short(0, 880), short(0.26, 880), short(0.52, 880)], repeat_s: 3 },
  warning: { tones: [short(0, 520, 0.22), short(0.34, 520, 0.22)], repeat_s: null },
  caution: null,
};

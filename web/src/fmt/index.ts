/** The only place where a number becomes text. Latin digits, isolated, with the unit. */
import type { Place } from "../wire/types";
import { isolate } from "./isolate";

export { isolate, isolateAny, pieces } from "./isolate";

const KNOT_MPS = 1852 / 3600;
const NMI_M = 1852;

const two = (n: number): string => String(n).padStart(2, "0");

function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

const known = <T>(value: T | null | undefined, write: (value: T) => string): string | null =>
  value === null || value === undefined || (typeof value === "number" && !Number.isFinite(value))
    ? null
    : isolate(write(value));

/** Degrees, minutes and seconds of one axis: 35°53′12″N. Carries into the next unit. */
function axis(value: number, width: number, positive: string, negative: string): string {
  const seconds = Math.round(Math.abs(value) * 3600);
  const degrees = String(Math.floor(seconds / 3600)).padStart(width, "0");
  return `${degrees}°${two(Math.floor(seconds / 60) % 60)}′${two(seconds % 60)}″${value < 0 ? negative : positive}`;
}

export const position = (place: Place): string =>
  isolate(`${axis(place.latitude_deg, 2, "N", "S")} ${axis(place.longitude_deg, 3, "E", "W")}`);

export const speed = (mps: number | null, std?: number | null): string | null =>
  known(mps, (v) => `${fixed(v / KNOT_MPS, 1)}${std ? ` ± ${fixed(std / KNOT_MPS, 1)}` : ""} kn`);

/** A true bearing or course: three digits, 360 is 000. */
export const bearing = (deg: number | null): string | null =>
  known(deg, (v) => `${String(((Math.round(v) % 360) + 360) % 360).padStart(3, "0")}°`);

/** Sea distances: metres below a tenth of a mile, nautical miles above. */
export const distance = (m: number | null): string | null =>
  known(m, (v) => {
    if (v < NMI_M / 10) return `${Math.round(v)} m`;
    return `${fixed(v / NMI_M, v < 10 * NMI_M ? 1 : 0)} nmi`;
  });

export const metres = (m: number | null): string | null => known(m, (v) => `${Math.round(v)} m`);
/** Half axes of an ellipse, the longer first, in one piece so that no language turns them round. */
export const axes = (major_m: number | null, minor_m: number | null): string | null =>
  known(major_m, (v) => `${Math.round(v)} × ${minor_m === null ? "?" : Math.round(minor_m)} m`);
export const number = (value: number | null, digits = 0): string | null =>
  known(value, (v) => fixed(v, digits));
export const percent = (share: number | null): string | null =>
  known(share, (v) => `${Math.round(v * 100)} %`);
export const seconds = (s: number | null, digits = 1): string | null =>
  known(s, (v) => `${fixed(v, digits)} s`);
export const minutes = (min: number | null): string | null =>
  known(min, (v) => `${Math.round(v)} min`);
export const range = (low: number, high: number | null): string =>
  isolate(high === null ? `≥ ${low}` : low === high ? String(low) : `${low}–${high}`);
export const minutesRange = (low: number, high: number): string =>
  isolate(`${Math.round(low)}–${Math.round(high)} min`);
export const bytes = (size: number | null): string | null =>
  known(size, (v) => (v >= 1e9 ? `${fixed(v / 1e9, 1)} GB` : `${fixed(v / 1e6, 0)} MB`));
export const id = (value: string | number): string => isolate(String(value));

const instant = (at: string | number | Date): Date => (at instanceof Date ? at : new Date(at));

/** 22:14:07Z */
export const time = (at: string | number | Date | null): string | null =>
  known(at === null ? null : instant(at), (d) =>
    `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}Z`);

/** 2026-03-01 22:14:07Z */
export const dateTime = (at: string | number | Date | null): string | null =>
  known(at === null ? null : instant(at), (d) => `${d.toISOString().slice(0, 10)} ${d.toISOString().slice(11, 19)}Z`);

/** The clock on the wall of this console. */
export const localTime = (at: number): string => {
  const d = new Date(at);
  return isolate(`${two(d.getHours())}:${two(d.getMinutes())}`);
};

/** How long ago, in the coarsest unit that still tells: 9 s, 4 min, 2 h 05, 3 d. */
export function age(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 100) return isolate(`${s} s`);
  if (s < 6000) return isolate(`${Math.floor(s / 60)} min`);
  if (s < 172800) return isolate(`${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)}`);
  return isolate(`${Math.floor(s / 86400)} d`);
}

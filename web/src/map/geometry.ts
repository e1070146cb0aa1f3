/**
 * Bearings, distances and outlines on a sphere of the mean Earth radius.
 *
 * Good for drawing: within 0.6 % of WGS 84. Decisions are made by the node.
 */
import type { Place } from "../wire/types";

export const EARTH_M = 6_371_008.8;
const RAD = Math.PI / 180;

export function destination(from: Place, bearingDeg: number, distanceM: number): Place {
  const d = distanceM / EARTH_M;
  const [lat, lon, b] = [from.latitude_deg * RAD, from.longitude_deg * RAD, bearingDeg * RAD];
  const sine = Math.sin(lat) * Math.cos(d) + Math.cos(lat) * Math.sin(d) * Math.cos(b);
  const east = Math.atan2(Math.sin(b) * Math.sin(d) * Math.cos(lat), Math.cos(d) - Math.sin(lat) * sine);
  return {
    latitude_deg: Math.asin(sine) / RAD,
    longitude_deg: ((((lon + east) / RAD + 180) % 360) + 360) % 360 - 180,
  };
}

export function distanceM(a: Place, b: Place): number {
  const half = (x: number): number => Math.sin(x / 2) ** 2;
  const h =
    half((b.latitude_deg - a.latitude_deg) * RAD) +
    Math.cos(a.latitude_deg * RAD) * Math.cos(b.latitude_deg * RAD) * half((b.longitude_deg - a.longitude_deg) * RAD);
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Initial true bearing from a to b, in [0, 360). */
export function bearingDeg(a: Place, b: Place): number {
  const east = (b.longitude_deg - a.longitude_deg) * RAD;
  const [from, to] = [a.latitude_deg * RAD, b.latitude_deg * RAD];
  const y = Math.sin(east) * Math.cos(to);
  const x = Math.cos(from) * Math.sin(to) - Math.sin(from) * Math.cos(to) * Math.cos(east);
  return (Math.atan2(y, x) / RAD + 360) % 360;
}

/** A closed outline of an ellipse; the major axis lies along `orientationDeg`, true. */
export function ellipse(
  centre: Place, majorM: number, minorM: number, orientationDeg: number, points = 48,
): Place[] {
  const outline: Place[] = [];
  for (let i = 0; i <= points; i += 1) {
    const angle = (2 * Math.PI * i) / points;
    const [along, across] = [majorM * Math.cos(angle), minorM * Math.sin(angle)];
    const bearing = orientationDeg + Math.atan2(across, along) / RAD;
    outline.push(destination(centre, bearing, Math.hypot(along, across)));
  }
  return outline;
}

/** The sector a camera sees: closed, from its place out to `rangeM` and back. */
export function sector(centre: Place, azimuthDeg: number, widthDeg: number, rangeM: number): Place[] {
  const steps = Math.max(2, Math.ceil(widthDeg / 3));
  const outline = [centre];
  for (let i = 0; i <= steps; i += 1) {
    outline.push(destination(centre, azimuthDeg - widthDeg / 2 + (widthDeg * i) / steps, rangeM));
  }
  return [...outline, centre];
}

/** A scale bar: the longest of 1, 2, 5 × 10ⁿ miles that fits into `mostPx`. */
export function scaleBar(metresPerPx: number, mostPx: number): { nmi: number; px: number } {
  const most = (metresPerPx * mostPx) / 1852;
  const power = 10 ** Math.floor(Math.log10(most));
  const nmi = [5, 2, 1].map((n) => n * power).find((n) => n <= most) ?? power;
  return { nmi, px: (nmi * 1852) / metresPerPx };
}

/** The place's nearest of several, with bearing from it and distance; null where none. */
export function nearest<T extends { position: Place }>(
  place: Place, things: readonly T[],
): { thing: T; bearing_deg: number; distance_m: number } | null {
  let best: { thing: T; distance_m: number } | null = null;
  for (const thing of things) {
    const away = distanceM(thing.position, place);
    if (best === null || away < best.distance_m) best = { thing, distance_m: away };
  }
  return best && { ...best, bearing_deg: bearingDeg(best.thing.position, place) };
}

/** The queue: its order, its counts, what rings. Source: IMO MSC.302(87), MSC.252(83). */
import type { Alarm, Priority } from "../wire/types";

export const PRIORITIES: readonly Priority[] = ["emergency", "alarm", "warning", "caution"];

/** Three looks of a row; a silenced alarm is as unacknowledged as before. */
export type Standing = "unacknowledged" | "returned" | "acknowledged";

export function standing(alarm: Alarm): Standing {
  if (alarm.state === "V" || alarm.state === "S") return "unacknowledged";
  return alarm.state === "U" ? "returned" : "acknowledged";
}

export const wantsAcknowledgement = (alarm: Alarm): boolean => standing(alarm) !== "acknowledged";
/** Flashing is for the unacknowledged alone, and never for a caution. */
export const flashes = (alarm: Alarm): boolean =>
  standing(alarm) === "unacknowledged" && alarm.priority !== "caution";
export const rings = (alarm: Alarm): boolean => alarm.state === "V" && alarm.priority !== "caution";

const RANK: Record<Standing, number> = { unacknowledged: 1, returned: 2, acknowledged: 3 };

function rank(alarm: Alarm): number {
  return alarm.priority === "emergency" ? 0 : RANK[standing(alarm)];
}

/** Emergencies; unacknowledged; returned; acknowledged; within these priority, then age. */
export function inOrder(alarms: Iterable<Alarm>): Alarm[] {
  return [...alarms]
    .filter((alarm) => alarm.state !== "N")
    .sort(
      (a, b) =>
        rank(a) - rank(b) ||
        RANK[standing(a)] - RANK[standing(b)] ||
        PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) ||
        (a.raised_at < b.raised_at ? -1 : a.raised_at > b.raised_at ? 1 : 0) ||
        (a.alarm_id < b.alarm_id ? -1 : 1),
    );
}

export function counts(alarms: Iterable<Alarm>): Record<Priority, number> {
  const found: Record<Priority, number> = { emergency: 0, alarm: 0, warning: 0, caution: 0 };
  for (const alarm of alarms) if (wantsAcknowledgement(alarm)) found[alarm.priority] += 1;
  return found;
}

export function gravest(ordered: readonly Alarm[]): Alarm | undefined {
  return ordered[0];
}

/** The row `step` further, kept inside the list; the first where nothing is selected. */
export function neighbour(ordered: readonly Alarm[], selected: string | null, step: number): Alarm | undefined {
  const at = ordered.findIndex((alarm) => alarm.alarm_id === selected);
  if (at < 0) return ordered[0];
  return ordered[Math.min(Math.max(at + step, 0), ordered.length - 1)];
}

/** What sounds now: the gravest that rings, and whether it announced since `heard`. */
export function sounding(
  alarms: Iterable<Alarm>, heard: ReadonlyMap<string, number>,
): { priority: Priority | null; fresh: boolean } {
  let priority: Priority | null = null;
  let fresh = false;
  for (const alarm of alarms) {
    if (!rings(alarm)) continue;
    const higher = priority === null || PRIORITIES.indexOf(alarm.priority) < PRIORITIES.indexOf(priority);
    const isNew = (heard.get(alarm.alarm_id) ?? -1) < alarm.version;
    if (higher) [priority, fresh] = [alarm.priority, isNew];
    else if (alarm.priority === priority) fresh ||= isNew;
  }
  return { priority, fresh };
}

export const reasonCount = (alarm: Alarm): number =>
  alarm.alerts.reduce((sum, alert) => sum + alert.because.length, 0);

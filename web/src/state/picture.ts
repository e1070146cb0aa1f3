/** The picture: a snapshot with deltas applied. Values are replaced, never changed. */
import type { Alarm, Delta, Health, Message, Node, Ray, Track } from "../wire/types";

export interface Picture {
  at: string | null;
  tracks: ReadonlyMap<string, Track>;
  rays: readonly Ray[];
  alarms: ReadonlyMap<string, Alarm>;
  health: Health | null;
  node: Node | null;
}

export const EMPTY: Picture = {
  at: null, tracks: new Map(), rays: [], alarms: new Map(), health: null, node: null,
};

function applied<T>(
  before: ReadonlyMap<string, T>, change: { changed: T[]; gone: string[] }, key: (value: T) => string,
): ReadonlyMap<string, T> {
  if (change.changed.length + change.gone.length === 0) return before;
  const after = new Map(before);
  for (const id of change.gone) after.delete(id);
  for (const value of change.changed) after.set(key(value), value);
  return after;
}

const trackKey = (track: Track): string => track.track_id;
const alarmKey = (alarm: Alarm): string => alarm.alarm_id;

function withDelta(picture: Picture, delta: Delta): Picture {
  return {
    ...picture,
    at: delta.at,
    tracks: applied(picture.tracks, delta.tracks, trackKey),
    rays: delta.rays,
    alarms: applied(picture.alarms, delta.alarms, alarmKey),
    health: delta.health ?? picture.health,
  };
}

export function next(picture: Picture, message: Message): Picture {
  switch (message.type) {
    case "snapshot":
      return {
        at: message.at,
        tracks: new Map(message.tracks.map((track) => [track.track_id, track])),
        rays: message.rays,
        alarms: new Map(message.alarms.map((alarm) => [alarm.alarm_id, alarm])),
        health: message.health,
        node: message.node,
      };
    case "delta":
      return withDelta(picture, message);
    case "heartbeat":
      return { ...picture, at: message.at };
  }
}

/** An alarm that came back from an act, unless the picture already knows a newer one. */
export function withAlarm(picture: Picture, alarm: Alarm): Picture {
  const known = picture.alarms.get(alarm.alarm_id);
  if (known && known.changed_at > alarm.changed_at) return picture;
  return { ...picture, alarms: applied(picture.alarms, { changed: [alarm], gone: [] }, alarmKey) };
}

/** Where something is, in words: bearing and distance from the nearest station. */
import * as fmt from "../fmt";
import { t } from "../i18n/index.svelte";
import { nearest } from "../map/geometry";
import type { Desk } from "../state/desk.svelte";
import type { Alarm, Place } from "../wire/types";

export function whereabouts(desk: Desk, place: Place | null): string | null {
  const near = place && nearest(place, desk.stations);
  if (!near) return place ? fmt.position(place) : null;
  return t("where", "{distance}, {bearing} from {station}", {
    distance: fmt.distance(near.distance_m), bearing: fmt.bearing(near.bearing_deg), station: fmt.isolate(near.thing.name),
  });
}

export function placeOf(desk: Desk, alarm: Alarm): string | null {
  if (alarm.subject.kind === "contact") {
    return whereabouts(desk, desk.picture.tracks.get(alarm.subject.id)?.position ?? alarm.position);
  }
  const camera = desk.cameras.find((c) => c.camera_id === alarm.subject.id);
  return camera ? fmt.isolate(`${camera.station.name} · ${camera.camera_id}`) : fmt.id(alarm.subject.id);
}

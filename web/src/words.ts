/** Keys and codes from the node as sentences. A key nobody knows is shown as it came. */
import * as fmt from "./fmt";
import { t } from "./i18n/index.svelte";
import type { Alarm, Priority, Reason } from "./wire/types";
import { standing } from "./state/alarms";

type Numbers = Record<string, number | string | null>;
const n = (values: Numbers, key: string): number | null => {
  const value = values[key];
  return typeof value === "number" ? value : null;
};
const s = (values: Numbers, key: string): string | null => {
  const value = values[key];
  return value === null || value === undefined ? null : String(value);
};

export function priority(value: Priority): string {
  switch (value) {
    case "emergency": return t("priority", "Emergency");
    case "alarm": return t("priority", "Alarm");
    case "warning": return t("priority", "Warning");
    case "caution": return t("priority", "Caution");
  }
}

export function state(alarm: Alarm): string {
  if (alarm.state === "S") return t("alarm state", "silenced, unacknowledged");
  switch (standing(alarm)) {
    case "unacknowledged": return t("alarm state", "unacknowledged");
    case "returned": return t("alarm state", "returned, unacknowledged");
    case "acknowledged": return t("alarm state", "acknowledged");
  }
}

export function rule(name: string): string {
  switch (name.split(".")[0]!.replace(/-/g, "_")) {
    case "zone": case "zone_entered": return t("rule", "Contact in watch zone");
    case "closing": case "closing_on_coast": return t("rule", "Small craft closing on coast");
    case "adrift": case "craft_adrift": case "possibly_adrift": return t("rule", "Craft adrift");
    case "silent": case "camera_silent": return t("rule", "Camera silent");
    case "blind": case "camera_blind": return t("rule", "Camera blind");
    case "distress": case "distress_device": return t("rule", "Distress device heard");
    default: return fmt.isolate(name);
  }
}

export function reason({ key, values }: Reason): string {
  switch (key) {
    case "zone.inside":
      return t("reason", "inside watch zone {zone} since {since} (probability {probability})", {
        zone: s(values, "zone"), since: instant(values.since), probability: fmt.percent(n(values, "probability")),
      });
    case "closing.speed": case "adrift.speed":
      return t("reason", "slow: {speed}", { speed: fmt.speed(n(values, "speed_mps"), n(values, "speed_std_mps")) });
    case "closing.course":
      return t("reason", "course {course}, shore bears {shore}", {
        course: fmt.bearing(n(values, "course_deg")), shore: fmt.bearing(n(values, "shore_bearing_deg")),
      });
    case "closing.no_ais": return t("reason", "no AIS signal");
    case "closing.small": return t("reason", "small: about {length} long", { length: fmt.metres(n(values, "length_m")) });
    case "closing.minutes":
      return t("reason", "closing on coast for {minutes}", { minutes: fmt.minutes(n(values, "minutes")) });
    case "closing.landfall": {
      const [low, high] = [n(values, "minutes_low"), n(values, "minutes_high")];
      return t("reason", "predicted landfall in {minutes}", {
        minutes: low === null || high === null ? fmt.minutes(low ?? high) : fmt.minutesRange(low, high),
      });
    }
    case "adrift.minutes":
      return t("reason", "hardly moving for {minutes}", { minutes: fmt.minutes(n(values, "minutes")) });
    case "adrift.distance":
      return t("reason", "drifted {distance} since then", { distance: fmt.distance(n(values, "distance_m")) });
    case "silent.camera":
      return t("reason", "no pictures for {seconds}", { seconds: fmt.seconds(n(values, "seconds"), 0) });
    case "blind.camera":
      return t("reason", "picture is {condition} for {seconds}", {
        condition: condition(s(values, "condition")), seconds: fmt.seconds(n(values, "seconds"), 0),
      });
    case "distress.device":
      return t("reason", "distress device {kind}, MMSI {mmsi}", {
        kind: isolated(values.kind), mmsi: isolated(values.mmsi),
      });
    case "seen.by": return t("reason", "seen by {count} sensors", { count: fmt.number(n(values, "count")) });
    default: return fmt.isolate(key);
  }
}

const isolated = (value: number | string | null | undefined): string | null =>
  value === null || value === undefined ? null : fmt.id(value);

function instant(value: number | string | null | undefined): string | null {
  if (value === null || value === undefined) return null;
  return fmt.time(typeof value === "number" ? value * 1000 : value);
}

export function unknownFact(key: string): string {
  switch (key) {
    case "people": return t("unknown fact", "persons on board");
    case "length": return t("unknown fact", "length");
    case "ais": return t("unknown fact", "AIS");
    case "class": return t("unknown fact", "class");
    default: return fmt.isolate(key);
  }
}

export function suggestion(key: string): string {
  switch (key) {
    case "assist.look": return t("suggested act", "Assist: look first whether anybody needs help");
    case "look.camera": return t("suggested act", "Look through the nearest camera");
    case "check.station": return t("suggested act", "Check the station");
    default: return fmt.isolate(key);
  }
}

export function objectClass(value: string): string {
  switch (value) {
    case "vessel": return t("class", "ship");
    case "small_craft": return t("class", "small craft");
    case "vehicle": return t("class", "vehicle");
    case "person": return t("class", "person");
    default: return t("class", "unknown");
  }
}

export function trackState(value: string): string {
  switch (value) {
    case "tentative": return t("contact state", "tentative");
    case "confirmed": return t("contact state", "confirmed");
    case "coasting": return t("contact state", "not seen now, predicted");
    case "lost": return t("contact state", "lost");
    default: return fmt.isolate(value);
  }
}

export function condition(value: string | null): string | null {
  switch (value) {
    case null: return null;
    case "good": return t("condition", "good");
    case "learning": return t("condition", "learning");
    case "degraded": return t("condition", "degraded");
    case "frozen": return t("condition", "frozen");
    case "blind": return t("condition", "blind");
    case "dark": return t("condition", "dark");
    case "shaking": return t("condition", "shaking");
    case "moved": return t("condition", "moved");
    default: return fmt.isolate(value);
  }
}

export function connection(value: string): string {
  switch (value) {
    case "connecting": return t("camera state", "connecting");
    case "live": return t("camera state", "live");
    case "silent": return t("camera state", "silent");
    case "rejected": return t("camera state", "rejected");
    default: return fmt.isolate(value);
  }
}

export function clockSource(value: string | null): string | null {
  switch (value) {
    case null: return null;
    case "camera": return t("clock", "camera clock");
    case "file": return t("clock", "file clock");
    case "arrival": return t("clock", "time of arrival");
    default: return fmt.isolate(value);
  }
}

export function sensor(kind: string): string {
  return kind === "thermal" ? t("sensor", "thermal") : t("sensor", "day");
}

export function refusal(code: string): string {
  switch (code) {
    case "session.refused": case "password.wrong":
      return t("refusal", "Name or password is wrong");
    case "session.wait": return t("refusal", "Too many attempts: wait a moment");
    case "link.gone": return t("refusal", "This link was used or is too old");
    case "alarm.version": return t("refusal", "The alarm announced again: look once more");
    default: return t("refusal", "The node refused: {code}", { code: fmt.id(code) });
  }
}

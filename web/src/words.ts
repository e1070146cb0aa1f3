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
    case "distress_text": return t("rule", "Call for help by AIS");
    case "line_crossed": return t("rule", "Line crossed");
    case "fast_boat": return t("rule", "Fast boat");
    case "loitering": return t("rule", "Contact without progress");
    case "landing": return t("rule", "Landing outside a harbour");
    case "launch": return t("rule", "Start from the shore");
    case "predicted_landfall": return t("rule", "Landfall predicted");
    case "vanished": return t("rule", "Craft vanished");
    case "overdue": return t("rule", "Craft overdue");
    case "rendezvous": return t("rule", "Contacts alongside");
    case "convoy": return t("rule", "Contacts in convoy");
    case "camera_degraded": return t("rule", "Camera dimmed");
    case "ais_duplicate": return t("rule", "AIS number used twice");
    case "ais_teleport": return t("rule", "AIS position jumped");
    case "ais_jammed": return t("rule", "AIS disturbed in an area");
    case "ais_silent": return t("rule", "AIS fell silent");
    case "ais_remote": return t("rule", "AIS heard from too far");
    case "store_failing": return t("rule", "Disk failing");
    case "store_full": return t("rule", "Disk full");
    case "store_filling": return t("rule", "Disk filling up");
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
    case "distress.text":
      return t("reason", "AIS number {mmsi} sends: {text}", {
        mmsi: isolated(values.mmsi), text: fmt.isolateAny(s(values, "text") ?? ""),
      });
    case "distress.no_position":
      return t("reason", "no position; heard by receiver {receiver}", { receiver: isolated(values.receiver) });
    case "distress.says_drill": return t("reason", "calls itself a drill");
    case "seen.by": return t("reason", "seen by {count} sensors", { count: fmt.number(n(values, "count")) });
    default: return wayReason(key, values) ?? aisReason(key, values) ?? storeReason(key, values) ?? fmt.isolate(key);
  }
}

function wayReason(key: string, values: Numbers): string | null {
  switch (key) {
    case "line.crossed":
      return t("reason", "crossed line {line} {direction} at {time}", {
        line: s(values, "line"), direction: lineDirection(s(values, "direction")), time: instant(values.at),
      });
    case "fast.speed":
      return t("reason", "fast: {speed} (probability {probability})", {
        speed: fmt.speed(n(values, "speed_mps"), n(values, "speed_std_mps")),
        probability: fmt.percent(n(values, "probability")),
      });
    case "fast.to_shore": {
      const [low, high] = [n(values, "minutes_low"), n(values, "minutes_high")];
      return t("reason", "could reach the shore in {minutes}", {
        minutes: low === null || high === null ? fmt.minutes(low ?? high) : fmt.minutesRange(low, high),
      });
    }
    case "loiter.path":
      return t("reason", "went {path}, got {net} from where it was", {
        path: fmt.distance(n(values, "path_m")), net: fmt.distance(n(values, "net_m")),
      });
    case "loiter.minutes":
      return t("reason", "without progress for {minutes}", { minutes: fmt.minutes(n(values, "minutes")) });
    case "landing.at": return t("reason", "met the shore at {time}", { time: instant(values.at) });
    case "landing.from":
      return t("reason", "came from {distance} out", { distance: fmt.distance(n(values, "distance_m")) });
    case "launch.at": return t("reason", "left the shore, noticed at {time}", { time: instant(values.at) });
    case "launch.distance":
      return t("reason", "{distance} from the shore by now", { distance: fmt.distance(n(values, "distance_m")) });
    case "landfall.when":
      return t("reason", "landfall between {earliest} and {latest}", {
        earliest: instant(values.earliest), latest: instant(values.latest),
      });
    case "landfall.probability":
      return t("reason", "landfall within {hours} h: probability {probability}", {
        hours: fmt.number(n(values, "hours")), probability: fmt.percent(n(values, "probability")),
      });
    case "landfall.stretch":
      return t("reason", "along {stretch} of shore from {place}", {
        stretch: fmt.distance(n(values, "stretch_m")), place: place(values),
      });
    case "vanished.last_seen": case "overdue.last_seen":
      return t("reason", "last seen at {time}", { time: instant(values.at) });
    case "vanished.looks":
      return t("reason", "missed in {count} looks of {cameras}", {
        count: fmt.number(n(values, "count")), cameras: isolated(values.cameras),
      });
    case "vanished.known":
      return t("reason", "had been known for {minutes}", { minutes: fmt.minutes(n(values, "minutes")) });
    case "overdue.expected":
      return t("reason", "expected by {time}, {minutes} late", {
        time: instant(values.latest), minutes: fmt.minutes(n(values, "minutes")),
      });
    case "rendezvous.with":
      return t("reason", "alongside {contact} at {distance} for {minutes}", {
        contact: isolated(values.contact), distance: fmt.distance(n(values, "distance_m")),
        minutes: fmt.minutes(n(values, "minutes")),
      });
    case "convoy.members": return t("reason", "together: {contacts}", { contacts: isolated(values.contacts) });
    case "convoy.minutes":
      return t("reason", "in convoy for {minutes}", { minutes: fmt.minutes(n(values, "minutes")) });
    default: return null;
  }
}

function storeReason(key: string, values: Numbers): string | null {
  switch (key) {
    case "store.failing":
      return t("reason", "the disk of {store} refuses: {detail}", {
        store: isolated(values.store), detail: fmt.isolateAny(s(values, "detail") ?? ""),
      });
    case "store.full": return t("reason", "no room left in {store}", { store: isolated(values.store) });
    case "store.hours":
      return t("reason", "room to record for {hours} h more", { hours: fmt.number(n(values, "hours"), 1) });
    default: return null;
  }
}

function aisReason(key: string, values: Numbers): string | null {
  switch (key) {
    case "degraded.camera":
      return t("reason", "picture is {condition} for {minutes}", {
        condition: condition(s(values, "condition")), minutes: fmt.minutes(n(values, "minutes")),
      });
    case "degraded.covered": return t("reason", "also covered by {cameras}", { cameras: isolated(values.cameras) });
    case "ais.duplicate":
      return t("reason", "AIS number {mmsi} in two places {distance} apart", {
        mmsi: isolated(values.mmsi), distance: fmt.distance(n(values, "apart_m")),
      });
    case "ais.teleport":
      return t("reason", "AIS number {mmsi} jumped {distance} in {minutes}", {
        mmsi: isolated(values.mmsi), distance: fmt.distance(n(values, "apart_m")),
        minutes: fmt.minutes(n(values, "minutes")),
      });
    case "ais.jammed":
      return t("reason", "{count} ships jumped together at receiver {receiver}", {
        count: fmt.number(n(values, "ships")), receiver: isolated(values.receiver),
      });
    case "ais.silent":
      return t("reason", "AIS number {mmsi} silent for {minutes} while others are heard", {
        mmsi: isolated(values.mmsi), minutes: fmt.minutes(n(values, "minutes")),
      });
    case "ais.remote":
      return t("reason", "AIS number {mmsi} says it is {distance} away", {
        mmsi: isolated(values.mmsi), distance: fmt.distance(n(values, "apart_m")),
      });
    default: return null;
  }
}

function lineDirection(value: string | null): string | null {
  switch (value) {
    case "leftward": return t("line direction", "to the left");
    case "rightward": return t("line direction", "to the right");
    default: return value;
  }
}

function place(values: Numbers): string | null {
  const [latitude, longitude] = [n(values, "latitude_deg"), n(values, "longitude_deg")];
  return latitude === null || longitude === null
    ? null
    : fmt.position({ latitude_deg: latitude, longitude_deg: longitude });
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
    case "shore": return t("unknown fact", "distance to shore");
    case "havens": return t("unknown fact", "harbours and anchorages");
    case "course_kept": return t("unknown fact", "whether it keeps its course");
    case "sea_state": return t("unknown fact", "sea state");
    case "water_temperature": return t("unknown fact", "water temperature");
    case "purpose": return t("unknown fact", "purpose");
    case "cause": return t("unknown fact", "cause");
    case "other_cover": return t("unknown fact", "who else sees there");
    default: return fmt.isolate(key);
  }
}

export function suggestion(key: string): string {
  switch (key) {
    case "assist.look": return t("suggested act", "Assist: look first whether anybody needs help");
    case "look.camera": return t("suggested act", "Look through the nearest camera");
    case "check.station": return t("suggested act", "Check the station");
    case "check.store": return t("suggested act", "Check the disks");
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

import { describe, expect, test } from "vitest";
import * as fmt from "../src/fmt";
import { fill, firstLanguage, keyOf, plural } from "../src/i18n/catalogue";
import { actOf, isTyping } from "../src/keys/keys";
import { legible } from "../src/map/declutter";
import { bearingDeg, destination, distanceM, ellipse, nearest, scaleBar, sector } from "../src/map/geometry";
import { PATTERNS } from "../src/sound/patterns";
import { counts, flashes, inOrder, neighbour, sounding } from "../src/state/alarms";
import { EMPTY, next, withAlarm } from "../src/state/picture";
import { CaptureTimes, correct, mimeOf, parse } from "../src/video/liveEdge";
import { Trails } from "../src/state/trails";
import { follows, waitMs } from "../src/wire/link";
import type { Alarm, Delta, Snapshot, Track } from "../src/wire/types";

const bare = (text: string | null): string => (text ?? "null").replace(/[\u2066-\u2069]/g, "");
const place = (latitude_deg: number, longitude_deg: number) => ({ latitude_deg, longitude_deg });
const alarm = (alarm_id: string, state: string, priority: Alarm["priority"], more: Partial<Alarm> = {}): Alarm => ({
  alarm_id, subject: { kind: "contact", id: alarm_id }, state, priority, is_rescue: false, version: 1,
  raised_at: "2026-03-01T10:00:00.000000Z", changed_at: "2026-03-01T10:00:00.000000Z", acknowledged_by: null,
  acknowledged_at: null, alerts: [], position: null, position_std_m: null, simulated: false, exercise: false, ...more,
});
const track = (track_id: string, at = "2026-03-01T10:00:00Z"): Track => ({ track_id, at, position: place(36, -5.5) }) as Track;
const snapshot = (seq: number, tracks: Track[] = []): Snapshot => ({
  type: "snapshot", seq, at: "2026-03-01T10:00:00Z", tracks, rays: [], alarms: [], health: null, node: {} as Snapshot["node"] });
const delta = (seq: number, more: Partial<Delta> = {}): Delta => ({
  type: "delta", seq, at: "2026-03-01T10:00:01Z", tracks: { changed: [], gone: [] }, rays: [], alarms: { changed: [], gone: [] }, health: null, ...more });

describe("numbers as text", () => {
  test("a position carries seconds into minutes and never loses its letters", () => {
    expect(bare(fmt.position(place(35.88667, -5.31111)))).toBe("35°53′12″N 005°18′40″W");
    expect(bare(fmt.position(place(35.99999999, -0.00001)))).toBe("36°00′00″N 000°00′00″W");
  });
  test("every text is isolated left to right, and Say finds it again", () => {
    const cut = fmt.pieces(`السرعة ${fmt.speed(2.1)} الآن`);
    expect(cut.map((p) => p.isolated)).toEqual([false, true, false]);
    expect(cut[1]!.text).toBe("4.1 kn");
  });
  test("what is not known stays unknown", () => {
    expect([fmt.speed(null), fmt.bearing(NaN), fmt.time(null), fmt.percent(null)]).toEqual([null, null, null, null]);
  });
  test("a course of 359.7 is 000, not 360", () => expect(bare(fmt.bearing(359.7))).toBe("000°"));
  test("small negative numbers are not minus zero", () => expect(bare(fmt.number(-0.01, 1))).toBe("0.0"));
  test("times are UTC and say so", () => expect(bare(fmt.time("2026-03-01T22:14:07.123456Z"))).toBe("22:14:07Z"));
  test("people are a range, open above where nobody can tell", () => {
    expect([fmt.range(3, 3), fmt.range(3, 8), fmt.range(3, null)].map(bare)).toEqual(["3", "3–8", "≥ 3"]);
  });
});

describe("the queue", () => {
  test("emergency, unacknowledged, returned, acknowledged; then priority; then age", () => {
    const queue = inOrder([
      alarm("ack", "A", "alarm"), alarm("ret", "U", "alarm"), alarm("warn", "V", "warning"), alarm("gone", "N", "alarm"),
      alarm("young", "V", "alarm", { raised_at: "2026-03-01T10:05:00.000000Z" }), alarm("old", "S", "alarm"), alarm("sos", "A", "emergency"),
    ]);
    expect(queue.map((a) => a.alarm_id)).toEqual(["sos", "old", "young", "warn", "ret", "ack"]);
  });
  test("silence is not acknowledge: it is counted and flashes, but does not sound", () => {
    const silenced = alarm("a", "S", "alarm");
    expect(counts([silenced]).alarm).toBe(1);
    expect(flashes(silenced)).toBe(true);
    expect(sounding([silenced], new Map()).priority).toBeNull();
  });
  test("a caution neither flashes nor sounds", () => {
    expect(flashes(alarm("c", "V", "caution"))).toBe(false);
    expect(sounding([alarm("c", "V", "caution")], new Map()).priority).toBeNull();
    expect(PATTERNS.caution).toBeNull();
  });
  test("an alarm that announced again sounds as fresh", () => {
    const heard = new Map([["a", 1]]);
    expect(sounding([alarm("a", "V", "warning")], heard).fresh).toBe(false);
    expect(sounding([alarm("a", "V", "warning", { version: 2 })], heard).fresh).toBe(true);
  });
  test("the keys walk the rows and stop at the ends", () => {
    const rows = [alarm("a", "V", "alarm"), alarm("b", "V", "alarm")];
    expect(neighbour(rows, "b", 1)?.alarm_id).toBe("b");
    expect(neighbour(rows, null, 1)?.alarm_id).toBe("a");
    expect(neighbour([], null, 1)).toBeUndefined();
  });
});

describe("the picture", () => {
  test("a delta replaces what changed and drops what is gone", () => {
    const after = next(next(EMPTY, snapshot(1, [track("a"), track("b")])), delta(2, { tracks: { changed: [track("c")], gone: ["a"] } }));
    expect([...after.tracks.keys()]).toEqual(["b", "c"]);
  });
  test("a hole in the numbers is seen", () => {
    expect(follows(4, delta(5))).toBe(true);
    expect(follows(4, delta(6))).toBe(false);
    expect(follows(null, delta(1))).toBe(false);
    expect(follows(4, snapshot(90))).toBe(true);
    expect(follows(4, { type: "heartbeat", seq: 6, at: "" })).toBe(false);
  });
  test("an answer that comes late does not undo a newer state", () => {
    const known = next(EMPTY, delta(1, { alarms: { changed: [alarm("a", "A", "alarm", { changed_at: "2026-03-01T10:09:00.000000Z" })], gone: [] } }));
    expect(withAlarm(known, alarm("a", "V", "alarm")).alarms.get("a")?.state).toBe("A");
  });
  test("waits grow and are spread", () => {
    expect(waitMs(0, 0)).toBe(125);
    expect(waitMs(30, 1)).toBe(4000);
  });
  test("trails keep equal spacing and forget what is gone", () => {
    const trails = new Trails();
    for (const second of ["00", "05", "20"]) trails.remember(new Map([["a", track("a", `2026-03-01T10:00:${second}Z`)]]));
    expect(trails.of("a")).toHaveLength(2);
    trails.remember(new Map());
    expect(trails.of("a")).toHaveLength(0);
  });
});

describe("geometry", () => {
  const tarifa = place(36.0007, -5.6105);
  test("there and back", () => {
    const far = destination(tarifa, 137, 20_000);
    expect(distanceM(tarifa, far)).toBeCloseTo(20_000, 0);
    expect(bearingDeg(tarifa, far)).toBeCloseTo(137, 3);
  });
  test("an ellipse is closed and its major axis points where it says", () => {
    const outline = ellipse(tarifa, 1000, 100, 90);
    expect(outline[0]!.latitude_deg).toBeCloseTo(outline.at(-1)!.latitude_deg, 9);
    expect(bearingDeg(tarifa, outline[0]!)).toBeCloseTo(90, 1);
    expect(distanceM(tarifa, outline[12]!)).toBeCloseTo(100, 0);
  });
  test("a sector spans the field of view", () => {
    const outline = sector(tarifa, 0, 30, 10_000);
    expect(bearingDeg(tarifa, outline[1]!)).toBeCloseTo(345, 3);
    expect(bearingDeg(tarifa, outline.at(-2)!)).toBeCloseTo(15, 3);
  });
  test("the scale bar is round and fits", () => {
    const bar = scaleBar(50, 120);
    expect(bar.nmi).toBe(2);
    expect(bar.px).toBeLessThanOrEqual(120);
  });
  test("nothing is nearest to nothing", () => expect(nearest(tarifa, [])).toBeNull());
});

describe("live pictures", () => {
  test("slightly faster behind, slower when dry, a jump only when far behind", () => {
    expect(correct({ at_s: 9.5, start_s: 0, end_s: 10 })).toEqual({ rate: 1.1, seek_s: null, trim_to_s: null });
    expect(correct({ at_s: 9.97, start_s: 0, end_s: 10 }).rate).toBe(0.95);
    expect(correct({ at_s: 8, start_s: 0, end_s: 10 }).seek_s).toBeCloseTo(9.85);
    expect(correct({ at_s: 0, start_s: 500, end_s: 500.3 }).seek_s).toBeCloseTo(500.15);
    expect(correct({ at_s: 39.8, start_s: 0, end_s: 40 }).trim_to_s).toBeCloseTo(29.8);
  });
  test("the header of 16 bytes is read big endian", () => {
    const frame = new ArrayBuffer(18);
    const view = new DataView(frame);
    view.setBigUint64(0, 1_772_359_200_000_000n);
    view.setUint32(8, 90_000);
    view.setUint8(12, 1);
    expect(parse(frame)).toMatchObject({ capture_us: 1_772_359_200_000_000, dts_90k: 90_000, kind: "key" });
    view.setUint8(12, 7);
    expect(parse(frame)).toBeNull();
    expect(parse(new ArrayBuffer(3))).toBeNull();
  });
  test("the picture's own time is found, across the wrap of the counter", () => {
    const times = new CaptureTimes();
    const payload = new Uint8Array();
    times.note({ capture_us: 1e9, dts_90k: 2 ** 32 - 45_000, kind: "key", payload });
    times.note({ capture_us: 2e9, dts_90k: 45_000, kind: "delta", payload });
    expect(times.at((2 ** 32 + 45_000) / 90_000)).toBe(2e6);
    expect(times.at((2 ** 32 - 1000) / 90_000)).toBe(1e6);
    expect(times.at(1000)).toBeNull();
  });
  test("a bare codec becomes a type", () => expect(mimeOf("avc1.4d401f")).toBe('video/mp4; codecs="avc1.4d401f"'));
});

describe("keys and languages", () => {
  const press = { ctrlKey: false, altKey: false, metaKey: false, shiftKey: false };
  test("an Arabic layout acknowledges with the same key", () => {
    expect(actOf({ ...press, key: "ش", code: "KeyA" })).toBe("acknowledge");
    expect(actOf({ ...press, key: "a", code: "KeyQ" })).toBe("acknowledge");
    expect(actOf({ ...press, key: "q", code: "KeyA" })).toBeNull();
    expect(actOf({ ...press, key: "a", code: "KeyA", ctrlKey: true })).toBeNull();
    expect(actOf({ ...press, key: "?", code: "Slash", shiftKey: true })).toBe("help");
  });
  test("letters are letters while somebody writes", () => {
    expect(isTyping({ tagName: "INPUT" })).toBe(true);
    expect(isTyping({ tagName: "BUTTON" })).toBe(false);
  });
  test("Arabic has six forms", () => {
    const forms = ["صفر", "واحد", "اثنان", "قليل", "كثير", "غير"];
    const catalogue = { [keyOf("c", "one")]: forms };
    const said = [0, 1, 2, 5, 11, 100].map((n) => plural(catalogue, "ar", "c", "one", "many", n));
    expect(said).toEqual(forms);
    expect(plural({}, "fr", "c", "one", "many", 2)).toBe("many");
  });
  test("an unknown value says so instead of leaving a hole", () => {
    expect(fill("{a} and {b}", { a: "1", b: null }, "unknown")).toBe("1 and unknown");
  });
  test("the browser's language is spoken where we have it", () => {
    expect(firstLanguage(null, ["de-DE", "ar-MA"])).toBe("ar");
    expect(firstLanguage("fr", ["ar"])).toBe("fr");
    expect(firstLanguage(null, ["de"])).toBe("en");
  });
});

describe("labels on the chart", () => {
  const at = (id: string, x: number, y: number, rank = 3, must = false) => ({ id, x, y, text: "small craft\n7.0 kn", rank, must });

  test("keeps all that stand apart", () => {
    expect(legible([at("a", 0, 0), at("b", 0, 100), at("c", 300, 0)])).toEqual(new Set(["a", "b", "c"]));
  });
  test("gives up the one that matters less where two meet", () => {
    expect(legible([at("a", 0, 0, 3), at("b", 5, 4, 2)])).toEqual(new Set(["b"]));
  });
  test("never gives up one that somebody must see", () => {
    expect(legible([at("a", 0, 0, 4, true), at("b", 5, 4, 1, true), at("c", 2, 2, 0)])).toEqual(new Set(["a", "b"]));
  });
});

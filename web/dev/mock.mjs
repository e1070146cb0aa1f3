// A tiny node for developing the console: the wire of docs/design/first-light.md with made-up
// values, no video. Run `npm run build && npm run dev`, then open http://127.0.0.1:8123/.
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { WebSocketServer } from "ws";

const HERE = import.meta.dirname;
const STATIC = join(HERE, "../../src/almenara/console/static");
const COAST = join(HERE, "../../src/almenara/node/coast/strait.geojson");
const PORT = Number(process.env.PORT ?? 8123);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".geojson": "application/geo+json" };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; trusted-types default svelte-trusted-html; require-trusted-types-for 'script'";
const now = (ago = 0) => new Date(Date.now() - ago * 1000).toISOString().replace("Z", "000Z");
const started = Date.now();
let signedIn = process.env.SIGNED_IN === "1";

const node = () => ({ version: "0.1.0", build: "mock", mode: process.env.SAFE ? "safe" : "normal", simulated: true, centre: "Tarifa · CCS", languages: ["ar", "es", "fr", "en"], needs_setup: false,
  faults: process.env.SAFE ? [{ place: "almenara.toml:14 stations.cires", found: "height_m = \"high\"", expected: "a number of metres", cure: "write the height above the sea, e.g. 120" }] : [] });
const session = { name: "n.ortega", roles: ["operator"], permissions: [], purpose: "watch", expires_at: now(-36000), has_password: true };
const P = (latitude_deg, longitude_deg) => ({ latitude_deg, longitude_deg });
const camera = (camera_id, position, azimuth_deg, hfov_deg, height_m, sensor = "day") => ({ camera_id, sensor, scene: "sea", position, azimuth_deg, hfov_deg, height_m, horizon_m: Math.round(3827 * Math.sqrt(height_m)), width_px: 1920, height_px: 1080, codec: "h264" });
const station = (station_id, name, position, cameras) => ({ station_id, name, kind: "tower", position, simulated: true, cameras, receivers: [{ receiver_id: `${station_id}-ais` }] });
const stations = [
  station("tarifa", "Isla de Tarifa", P(36.0007, -5.6105), [camera("tarifa-1", P(36.0007, -5.6105), 170, 32, 32), camera("tarifa-t", P(36.0007, -5.6105), 135, 18, 32, "thermal")]),
  station("carnero", "Punta Carnero", P(36.077, -5.426), [camera("carnero-1", P(36.077, -5.426), 150, 30, 42)]),
  station("cires", "Punta Cires", P(35.908, -5.48), [camera("cires-1", P(35.908, -5.48), 350, 40, 60), camera("cires-t", P(35.908, -5.48), 20, 16, 60, "thermal")]),
];
const zones = [{ zone_id: "z1", name: "Bolonia", vertices: [P(35.985, -5.66), P(35.985, -5.56), P(35.945, -5.56), P(35.945, -5.66)] }];
const track = (track_id, lat, lon, course, speed, extra = {}) => {
  const t = (Date.now() - started) / 1000;
  const d = (speed * t) / 111200;
  return { track_id, state: "confirmed", at: now(), first_seen_at: now(900), last_seen_at: now(1), position: P(lat + d * Math.cos(course / 57.3), lon + (d * Math.sin(course / 57.3)) / 0.81),
    ellipse: { major_m: 620, minor_m: 70, orientation_deg: 175 }, speed_mps: speed, speed_std_mps: 0.4, course_deg: course, object_class: "vessel", existence: 0.98, mmsi: null, ship_name: null, length_m: null, people: null,
    sensors: [{ sensor_id: "tarifa-1", seen_at: now(1) }, { sensor_id: "cires-1", seen_at: now(3) }], simulated: true, ...extra };
};
const tracks = () => [
  track("T-0007", 35.962, -5.6, 12, 2.1, { object_class: "small_craft", length_m: 7, people: { at_least: 8, at_most: 20 } }),
  track("T-0009", 35.93, -5.4, 77, 7.2, { mmsi: 224123000, ship_name: "CIUDAD DE CEUTA", ellipse: { major_m: 30, minor_m: 30, orientation_deg: 0 }, sensors: [{ sensor_id: "tarifa-ais", seen_at: now(2) }] }),
  track("T-0011", 35.955, -5.75, 85, 8.5, { mmsi: 255806123, ship_name: "MSC ALMA", length_m: 294 }),
  track("T-0012", 35.99, -5.33, 265, 6.4, { mmsi: 636019825, ship_name: "NORD ADRIATIC", sensors: [{ sensor_id: "tarifa-ais", seen_at: now(4) }] }),
  track("T-0015", 35.975, -5.47, 0, 0.4, { object_class: "small_craft", course_deg: null, state: "coasting", last_seen_at: now(22), ellipse: { major_m: 900, minor_m: 160, orientation_deg: 20 } }),
  track("T-0016", 35.925, -5.63, 40, 3.0, { object_class: "unknown", state: "lost", last_seen_at: now(140) }),
];
const alert = (rule, priority, because, extra = {}) => ({ rule, rule_version: 1, priority, is_rescue: false, because, unknown: [], suggested: "look.camera", position: null, sensors: ["tarifa-1"], confidence: 0.92, ...extra });
const alarm = (alarm_id, subject, state, priority, ago, alerts, extra = {}) => ({ alarm_id, subject, state, priority, is_rescue: alerts.some((a) => a.is_rescue), version: 1, raised_at: now(ago), changed_at: now(ago), acknowledged_by: state === "A" ? "n.ortega" : null, acknowledged_at: state === "A" ? now(ago - 20) : null, alerts, position: P(35.962, -5.6), position_std_m: 250, simulated: true, exercise: false, ...extra });
const alarms = new Map([
  alarm("A-31", { kind: "contact", id: "T-0007" }, "V", "alarm", 95, [
    alert("closing", "alarm", [{ key: "closing.speed", values: { speed_mps: 2.1, speed_std_mps: 0.4 } }, { key: "closing.course", values: { course_deg: 12, shore_bearing_deg: 8 } }, { key: "closing.no_ais", values: {} }, { key: "closing.small", values: { length_m: 7 } }, { key: "closing.landfall", values: { minutes_low: 28, minutes_high: 41 } }, { key: "seen.by", values: { count: 2 } }], { is_rescue: true, unknown: ["people", "class"], suggested: "assist.look", sensors: ["tarifa-1", "cires-1"] }),
    alert("zone", "warning", [{ key: "zone.inside", values: { zone: "Bolonia", probability: 0.97, since: now(80) } }])]),
  alarm("A-30", { kind: "contact", id: "T-0015" }, "V", "warning", 300, [alert("adrift", "warning", [{ key: "adrift.speed", values: { speed_mps: 0.4, speed_std_mps: 0.2 } }, { key: "adrift.minutes", values: { minutes: 14 } }, { key: "adrift.distance", values: { distance_m: 6100 } }], { is_rescue: true, unknown: ["people"], suggested: "assist.look" })]),
  alarm("A-29", { kind: "camera", id: "carnero-1" }, "S", "warning", 40, [alert("blind", "warning", [{ key: "blind.camera", values: { condition: "blind", seconds: 61 } }], { suggested: "check.station", sensors: ["carnero-1"] })], { position: null }),
  alarm("A-28", { kind: "contact", id: "T-0016" }, "U", "warning", 700, [alert("zone", "warning", [{ key: "zone.inside", values: { zone: "Bolonia", probability: 0.9, since: now(690) } }])]),
  alarm("A-27", { kind: "contact", id: "T-0011" }, "A", "caution", 4200, [alert("zone", "caution", [{ key: "zone.inside", values: { zone: "Bolonia", probability: 0.8, since: now(4200) } }])]),
  ...Array.from({ length: 20 }, (_, i) => alarm(`A-${10 - i}`, { kind: "camera", id: "cires-t" }, "A", i % 3 ? "caution" : "warning", 5000 + 900 * i, [alert("silent", "caution", [{ key: "silent.camera", values: { seconds: 14 } }], { suggested: "check.station", sensors: ["cires-t"] })])),
].map((a) => [a.alarm_id, a]));
const health = () => ({ at: now(), cameras: stations.flatMap((s) => s.cameras).map((c) => ({ camera_id: c.camera_id, state: c.camera_id === "cires-t" ? "silent" : "live", since: now(900), last_packet_at: now(0.1), declared_fps: 25, measured_fps: 24.9, looks_per_s: 4.9, wanted_looks_per_s: 5, dropped_looks: c.camera_id === "tarifa-t" ? 12 : 0, condition: c.camera_id === "carnero-1" ? "blind" : "good", clock_source: "camera", clock_offset_s: 0.04, recording: c.camera_id !== "cires-t", recorded_until: now(1), decode_ms: 3.5, detect_ms: 2.2, detail: null })), receivers: [], workers: [], recorder: { state: "recording", since: now(900), free_bytes: 412e9, written_bytes: 9e8, waiting_bytes: 0, last_durable_at: now(1), detail: null } });
const rays = () => [{ camera_id: "carnero-1", local_track_id: "carnero-1/4", observed_at: now(1), origin: stations[1].position, azimuth_deg: 158, azimuth_std_deg: 0.2, existence: 0.7 }];

let seq = 0;
const sockets = new Set();
const say = (message) => { for (const s of sockets) s.send(JSON.stringify(message)); };
setInterval(() => !process.env.FREEZE_AFTER_S || Date.now() - started < process.env.FREEZE_AFTER_S * 1000 ? say({ type: "delta", seq: ++seq, at: now(), tracks: { changed: tracks(), gone: [] }, rays: rays(), alarms: { changed: [], gone: [] }, health: health() }) : 0, 1000);

const routes = {
  "GET /node": () => node(), "GET /session": () => (signedIn ? session : null),
  "POST /session": () => ((signedIn = true), session), "POST /session/enter": () => ((signedIn = true), { ...session, has_password: false }),
  "POST /session/password": () => session, "DELETE /session": () => ((signedIn = false), {}),
  "GET /stations": () => ({ items: stations }), "GET /zones": () => ({ items: zones }), "GET /alarms": () => ({ items: [...alarms.values()] }),
};
function act(path) {
  const [, id, what] = /^\/alarms\/([^/]+)\/(acknowledge|silence)$/.exec(path) ?? [];
  const found = alarms.get(id);
  if (!found) return null;
  const after = { ...found, state: what === "silence" ? "S" : "A", changed_at: now(), ...(what === "silence" ? {} : { acknowledged_by: session.name, acknowledged_at: now() }) };
  alarms.set(id, after);
  say({ type: "delta", seq: ++seq, at: now(), tracks: { changed: [], gone: [] }, rays: rays(), alarms: { changed: [after], gone: [] }, health: null });
  return after;
}
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://x");
  if (url.pathname.startsWith("/api/v1")) {
    const path = url.pathname.slice(7);
    const timeline = /\/timeline$/.test(path) && { spans: [{ start: now(1200), end: now(300) }, { start: now(240), end: now() }], gaps: [{ start: now(300), end: now(240), cause: "silent" }] };
    const body = routes[`${request.method} ${path}`]?.() ?? act(path) ?? (timeline || null);
    response.writeHead(body ? 200 : path === "/session" ? 401 : 404, { "content-type": "application/json" });
    return response.end(JSON.stringify(body ?? { code: "mock.none", detail: path }));
  }
  const file = url.pathname === "/coast/strait.geojson" ? COAST : join(STATIC, url.pathname === "/" ? "index.html" : url.pathname);
  if (!existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-security-policy": CSP });
  response.end(readFileSync(file));
});
const wss = new WebSocketServer({ server });
wss.on("connection", (socket, request) => {
  if (request.url.includes("/live/")) return socket.send(JSON.stringify({ type: "stills" }));
  socket.send(JSON.stringify({ type: "snapshot", seq, at: now(), tracks: tracks(), rays: rays(), alarms: [...alarms.values()], health: health(), node: node() }));
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});
server.listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}/`));

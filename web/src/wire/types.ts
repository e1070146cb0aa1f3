/** The objects on the wire, as docs/design/first-light.md states them. Unknown is null. */

export interface Place { latitude_deg: number; longitude_deg: number }
export interface Fault { place: string; found: string; expected: string; cure: string }
export interface Node {
  version: string; build: string; mode: "normal" | "safe"; simulated: boolean;
  faults: Fault[]; centre: string; languages: string[]; needs_setup: boolean;
}
export interface Session {
  name: string; roles: string[]; permissions: string[]; purpose: string;
  expires_at: string; has_password: boolean;
}
export interface Camera {
  camera_id: string; sensor: string; scene: string; position: Place; azimuth_deg: number;
  hfov_deg: number; height_m: number; horizon_m: number | null;
  width_px: number; height_px: number; codec: string | null;
}
export interface Station {
  station_id: string; name: string; kind: string; position: Place; simulated: boolean;
  cameras: Camera[]; receivers: { receiver_id: string }[];
}
export interface Zone { zone_id: string; name: string; vertices: Place[] }
export interface Track {
  track_id: string; state: string; at: string; first_seen_at: string; last_seen_at: string;
  position: Place;
  ellipse: { major_m: number | null; minor_m: number | null; orientation_deg: number | null };
  speed_mps: number | null; speed_std_mps: number | null; course_deg: number | null;
  object_class: string; existence: number | null; mmsi: number | null; ship_name: string | null;
  length_m: number | null; people: { at_least: number; at_most: number | null } | null;
  sensors: { sensor_id: string; seen_at: string }[]; simulated: boolean;
}
export interface Ray {
  camera_id: string; local_track_id: string; observed_at: string; origin: Place;
  azimuth_deg: number; azimuth_std_deg: number; existence: number | null;
}
export type Priority = "emergency" | "alarm" | "warning" | "caution";
export interface Reason { key: string; values: Record<string, number | string | null> }
export interface Alert {
  rule: string; rule_version: number; priority: Priority; is_rescue: boolean;
  because: Reason[]; unknown: string[]; suggested: string; position: Place | null;
  sensors: string[]; confidence: number | null;
}
export interface Alarm {
  alarm_id: string; subject: { kind: string; id: string };
  /** The letters of IEC 62923-2: V unacknowledged, S silenced, A acknowledged, U returned, N, O. */
  state: string;
  priority: Priority; is_rescue: boolean; version: number; raised_at: string; changed_at: string;
  acknowledged_by: string | null; acknowledged_at: string | null; alerts: Alert[];
  position: Place | null; position_std_m: number | null; simulated: boolean; exercise: boolean;
}
export interface CameraHealth {
  camera_id: string; state: string; since: string; last_packet_at: string | null;
  declared_fps: number | null; measured_fps: number | null; looks_per_s: number | null;
  wanted_looks_per_s: number | null; dropped_looks: number; condition: string | null;
  clock_source: string | null; clock_offset_s: number | null; recording: boolean;
  recorded_until: string | null; decode_ms: number | null; detect_ms: number | null;
  detail: string | null;
}
export interface Health {
  at: string; cameras: CameraHealth[]; receivers: { receiver_id: string; state: string }[];
  workers: { worker: number; state: string }[];
  recorder: { state: string; free_bytes: number | null } | null;
}
export interface Timeline {
  spans: { start: string; end: string }[];
  gaps: { start: string; end: string | null; cause: string }[];
}
export interface Snapshot {
  type: "snapshot"; seq: number; at: string; tracks: Track[]; rays: Ray[]; alarms: Alarm[];
  health: Health | null; node: Node;
}
export interface Delta {
  type: "delta"; seq: number; at: string; tracks: { changed: Track[]; gone: string[] };
  rays: Ray[]; alarms: { changed: Alarm[]; gone: string[] }; health: Health | null;
}
export interface Heartbeat { type: "heartbeat"; seq: number; at: string }
export type Message = Snapshot | Delta | Heartbeat;

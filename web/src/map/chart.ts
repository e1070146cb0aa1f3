/** The chart: OpenLayers with canvas layers only. The only place that imports `ol`. */
import Feature from "ol/Feature";
import OlMap from "ol/Map";
import View from "ol/View";
import GeoJSON from "ol/format/GeoJSON";
import LineString from "ol/geom/LineString";
import MultiPoint from "ol/geom/MultiPoint";
import Point from "ol/geom/Point";
import Polygon from "ol/geom/Polygon";
import type { Coordinate } from "ol/coordinate";
import VectorLayer from "ol/layer/Vector";
import { fromLonLat, getPointResolution } from "ol/proj";
import VectorSource from "ol/source/Vector";
import { Circle, Fill, Stroke, Style } from "ol/style";
import { defaults as interactions } from "ol/interaction/defaults";
import type { Alarm, Place, Ray, Station, Track, Zone } from "../wire/types";
import { flashes, standing } from "../state/alarms";
import { legible } from "./declutter";
import { destination, ellipse, scaleBar, sector } from "./geometry";
import { drawContact, drawStation } from "./symbols";
import type { Colours } from "./symbols";

export const VECTOR_MINUTES = 6;
const RAY_M = 45_000;
const FONT = '12px "Noto Sans", "Noto Sans Arabic", sans-serif';

export interface Scene {
  tracks: readonly Track[]; rays: readonly Ray[]; stations: readonly Station[]; zones: readonly Zone[];
  alarms: readonly Alarm[]; selected: string | null; camera: string | null;
  trail(trackId: string): Place[]; label(track: Track): string; flashOn: boolean;
}
export interface Pick { kind: "contact" | "camera"; id: string }

const xy = (place: Place): Coordinate => fromLonLat([place.longitude_deg, place.latitude_deg]);

function colours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    text: token("text"), text2: token("text-2"), alarm: token("alarm"), warning: token("warning"), caution: token("caution"),
    info: token("info"), edge: token("edge"), sea: token("sea"), land: token("land"),
    sector: token("sector"), zone: token("zone"), surface: token("surface"),
  };
}

export class Chart {
  private readonly coast = new VectorSource();
  private readonly fixed = new VectorSource();
  private readonly moving = new VectorSource();
  private readonly coastLayer = new VectorLayer({ source: this.coast, updateWhileAnimating: true, renderBuffer: 64 });
  private readonly map: OlMap;
  private paint: Colours;
  private places: { pick: Pick; at: Coordinate }[] = [];
  private fitted = false;

  constructor(
    element: HTMLElement,
    private readonly picked: (pick: Pick) => void,
    private readonly scaled: (bar: { nmi: number; px: number }) => void,
  ) {
    this.paint = colours();
    const layer = (source: VectorSource): VectorLayer =>
      new VectorLayer({ source, updateWhileAnimating: true, updateWhileInteracting: true, renderBuffer: 200 });
    this.map = new OlMap({
      target: element,
      layers: [this.coastLayer, layer(this.fixed), layer(this.moving)],
      controls: [],
      interactions: interactions({ altShiftDragRotate: false, pinchRotate: false }),
      view: new View({ center: fromLonLat([-5.55, 35.97]), zoom: 10.6, minZoom: 7, maxZoom: 17, enableRotation: false }),
    });
    this.map.on("moveend", () => this.tellScale());
    this.map.on("singleclick", (event) => this.pickAt(event.pixel));
    this.repaint();
  }

  async loadCoast(url: string): Promise<void> {
    const shape: unknown = await (await fetch(url)).json();
    this.coast.addFeatures(new GeoJSON({ featureProjection: "EPSG:3857" }).readFeatures(shape));
  }

  /** After the palette changed. */
  repaint(): void {
    this.paint = colours();
    this.coastLayer.setStyle(
      new Style({ fill: new Fill({ color: this.paint.land }), stroke: new Stroke({ color: this.paint.edge, width: 1 }) }),
    );
  }

  draw(scene: Scene): void {
    this.places = [];
    this.fixed.clear(true);
    this.moving.clear(true);
    this.fixed.addFeatures([...this.zones(scene), ...this.stations(scene)]);
    const named = this.named(scene);
    const cameras = new Set(scene.stations.flatMap((station) => station.cameras.map((camera) => camera.camera_id)));
    this.moving.addFeatures([
      ...this.rays(scene),
      ...scene.tracks.flatMap((track) => this.track(track, scene, {
        label: named.has(track.track_id) ? scene.label(track) : "",
        bySensor: track.sensors.some((look) => cameras.has(look.sensor_id)),
      })),
    ]);
    if (!this.fitted && scene.stations.length > 0) this.fit(scene);
  }

  zoom(step: number): void {
    const view = this.map.getView();
    view.animate({ zoom: (view.getZoom() ?? 10) + step, duration: 150 });
  }

  reveal(place: Place): void {
    const at = xy(place);
    const size = this.map.getSize();
    if (!size) return;
    const [left, bottom, right, top] = this.map.getView().calculateExtent(size) as [number, number, number, number];
    if (at[0]! < left || at[0]! > right || at[1]! < bottom || at[1]! > top) this.map.getView().animate({ center: at, duration: 200 });
  }

  destroy(): void {
    this.map.setTarget(undefined);
    this.map.dispose();
  }

  private fit(scene: Scene): void {
    this.fitted = true;
    const seen = scene.stations.flatMap((station) =>
      station.cameras.map((camera) => xy(destination(camera.position, camera.azimuth_deg, (camera.horizon_m ?? 20_000) * 0.75))));
    const all = new LineString([...scene.stations.map((station) => xy(station.position)), ...seen]);
    if (all.getCoordinates().length > 1) this.map.getView().fit(all.getExtent(), { padding: [50, 50, 60, 50], maxZoom: 12.5 });
  }

  private tellScale(): void {
    const view = this.map.getView();
    const resolution = view.getResolution();
    const centre = view.getCenter();
    if (resolution && centre) this.scaled(scaleBar(getPointResolution("EPSG:3857", resolution, centre), 120));
  }

  /** Nearest within a finger; pressing again where several lie goes to the next of them. */
  private lastPick = "";
  private pickAt(pixel: number[]): void {
    const near = this.places
      .map(({ pick, at }) => ({ pick, px: this.map.getPixelFromCoordinate(at) }))
      .filter(({ px }) => px !== null)
      .map(({ pick, px }) => ({ pick, away: Math.hypot(px[0]! - pixel[0]!, px[1]! - pixel[1]!) }))
      .filter(({ away }) => away < 16)
      .sort((a, b) => a.away - b.away);
    const after = near.findIndex(({ pick }) => pick.kind + pick.id === this.lastPick);
    const chosen = near[(after + 1) % Math.max(near.length, 1)]?.pick;
    if (!chosen) return;
    this.lastPick = chosen.kind + chosen.id;
    this.picked(chosen);
  }

  private zones(scene: Scene): Feature[] {
    const style = new Style({
      fill: new Fill({ color: this.paint.zone }),
      stroke: new Stroke({ color: this.paint.warning, width: 1.2, lineDash: [8, 5] }),
    });
    return scene.zones.map((zone) => {
      const feature = new Feature(new Polygon([[...zone.vertices, zone.vertices[0]!].map(xy)]));
      feature.setStyle(style);
      return feature;
    });
  }

  private stations(scene: Scene): Feature[] {
    return scene.stations.flatMap((station) => {
      const sectors = station.cameras.map((camera) => {
        const on = camera.camera_id === scene.camera;
        const outline = sector(camera.position, camera.azimuth_deg, camera.hfov_deg, camera.horizon_m ?? 15_000);
        const feature = new Feature(new Polygon([outline.map(xy)]));
        feature.setStyle(new Style({
          fill: new Fill({ color: this.paint.sector }),
          stroke: new Stroke({ color: on ? this.paint.info : this.paint.edge, width: on ? 1.8 : 0.7 }),
        }));
        return feature;
      });
      const first = station.cameras[0];
      if (first) this.places.push({ pick: { kind: "camera", id: first.camera_id }, at: xy(station.position) });
      const mark = new Feature(new Point(xy(station.position)));
      mark.setStyle(new Style({
        renderer: (at, { context, pixelRatio }) =>
          drawStation(context, at as Coordinate, pixelRatio, this.paint, station.name, FONT),
      }));
      return [...sectors, mark];
    });
  }

  private rays(scene: Scene): Feature[] {
    return scene.rays.map((ray) => {
      const feature = new Feature(new LineString([xy(ray.origin), xy(destination(ray.origin, ray.azimuth_deg, RAY_M))]));
      feature.setStyle(new Style({ stroke: new Stroke({ color: this.paint.text2, width: 1, lineDash: [2, 4] }) }));
      return feature;
    });
  }

  /** The contacts whose labels can be read; all of them before the map knows its size. */
  private named(scene: Scene): Set<string> {
    return legible(scene.tracks.map((track) => {
      const px = this.map.getPixelFromCoordinate(xy(track.position)) as number[] | null;
      const alarm = this.alarmOf(track, scene);
      const selected = track.track_id === scene.selected;
      return {
        id: track.track_id, x: px?.[0] ?? 0, y: px?.[1] ?? 0, text: scene.label(track),
        rank: selected ? 0 : alarm ? 1 : track.state === "confirmed" ? (track.mmsi === null ? 2 : 3) : 4,
        must: px === null || selected || (alarm !== undefined && standing(alarm) !== "acknowledged"),
      };
    }));
  }

  private alarmOf(track: Track, scene: Scene): Alarm | undefined {
    return scene.alarms.find((a) => a.subject.kind === "contact" && a.subject.id === track.track_id);
  }

  private track(track: Track, scene: Scene, { label, bySensor }: { label: string; bySensor: boolean }): Feature[] {
    const alarm = this.alarmOf(track, scene);
    const selected = track.track_id === scene.selected;
    const at = xy(track.position);
    this.places.push({ pick: { kind: "contact", id: track.track_id }, at });
    const features: Feature[] = [];
    const colour = alarm && standing(alarm) !== "acknowledged" ? this.tone(alarm) : this.paint.text;
    const trail = scene.trail(track.track_id);
    if (trail.length > 1) {
      const dots = new Feature(new MultiPoint(trail.map(xy)));
      dots.setStyle(new Style({ image: new Circle({ radius: 1.4, fill: new Fill({ color: this.paint.text2 }) }) }));
      features.push(dots);
    }
    const { major_m, minor_m, orientation_deg } = track.ellipse;
    if (major_m !== null && minor_m !== null && orientation_deg !== null && major_m < 60_000) {
      const outline = new Feature(new Polygon([ellipse(track.position, major_m, minor_m, orientation_deg).map(xy)]));
      outline.setStyle(new Style({ stroke: new Stroke({ color: selected ? this.paint.info : this.paint.text2, width: selected ? 1.5 : 0.8 }) }));
      features.push(outline);
    }
    if (track.course_deg !== null && track.speed_mps && track.state !== "lost") {
      const ahead = destination(track.position, track.course_deg, track.speed_mps * 60 * VECTOR_MINUTES);
      const vector = new Feature(new LineString([at, xy(ahead)]));
      vector.setStyle(new Style({ stroke: new Stroke({ color: colour, width: 1.6, lineDash: [7, 5] }) }));
      features.push(vector);
    }
    const symbol = new Feature(new Point(at));
    symbol.setStyle(new Style({
      zIndex: alarm ? 3 : 2,
      renderer: (px, { context, pixelRatio }) =>
        drawContact(context, px as Coordinate, pixelRatio, this.paint, {
          colour, selected, lost: track.state === "lost", faint: track.state === "coasting" || track.state === "tentative",
          hasAis: track.mmsi !== null, bySensor: bySensor || track.mmsi === null,
          course_deg: track.course_deg, frame: alarm !== undefined && alarm.priority !== "caution" && (!flashes(alarm) || scene.flashOn),
          dotted: track.simulated, label, font: FONT,
        }),
    }));
    return [...features, symbol];
  }

  private tone(alarm: Alarm): string {
    if (alarm.priority === "emergency" || alarm.priority === "alarm") return this.paint.alarm;
    return alarm.priority === "warning" ? this.paint.warning : this.paint.caution;
  }
}

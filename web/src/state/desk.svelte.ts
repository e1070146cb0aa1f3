/** What the views share: the picture, the session, what is selected, how it looks. */
import { Refusal, call, get, post, socketUrl } from "../wire/api";
import { Link, STALE_MS } from "../wire/link";
import type { Alarm, Message, Node, Session, Station, Zone } from "../wire/types";
import { EMPTY, next, withAlarm } from "./picture";
import type { Picture } from "./picture";
import { counts, inOrder, sounding } from "./alarms";
import { Trails } from "./trails";
import { Siren } from "../sound/siren";
import { refusal } from "../words";

export type Palette = "day" | "dusk" | "night";
export interface Selection { kind: "alarm" | "contact" | "camera"; id: string }
const PALETTES: Palette[] = ["day", "dusk", "night"];

function remembered(key: string): string | null {
  try { return localStorage.getItem(`almenara.${key}`); } catch { return null; }
}
export function remember(key: string, value: string): void {
  try { localStorage.setItem(`almenara.${key}`, value); } catch { /* a console without storage forgets */ }
}

export class Desk {
  node = $state.raw<Node | null>(null);
  session = $state.raw<Session | null>(null);
  asked = $state(false);
  stations = $state.raw<Station[]>([]);
  zones = $state.raw<Zone[]>([]);
  picture = $state.raw<Picture>(EMPTY);
  selection = $state.raw<Selection | null>(null);
  palette = $state<Palette>((remembered("palette") as Palette | null) ?? "day");
  soundWorks = $state(false);
  notice = $state("");
  /** Server time now, and milliseconds since the picture last spoke. */
  now = $state(Date.now());
  silence = $state(Infinity);
  helpOpen = $state(false);
  playback = $state(false);
  newBuild = $state(false);
  readonly trails = new Trails();
  readonly siren = new Siren((works) => (this.soundWorks = works));
  private heardAt = -Infinity;
  private offset = 0;
  private link: Link | null = null;
  private readonly heard = new Map<string, number>();

  readonly alarms = $derived(inOrder(this.picture.alarms.values()));
  readonly counts = $derived(counts(this.picture.alarms.values()));
  readonly stale = $derived(this.session !== null && this.silence > STALE_MS);
  readonly cameras = $derived(this.stations.flatMap((station) => station.cameras.map((camera) => ({ ...camera, station }))));
  readonly alarm = $derived(
    this.selection?.kind === "alarm" ? (this.picture.alarms.get(this.selection.id) ?? null) : this.alarmOf(this.selection),
  );
  readonly contact = $derived(this.picture.tracks.get(
    this.selection?.kind === "contact" ? this.selection.id
      : this.alarm?.subject.kind === "contact" ? this.alarm.subject.id : "") ?? null);

  private alarmOf(selection: Selection | null): Alarm | null {
    if (!selection) return null;
    return this.alarms.find((alarm) => alarm.subject.kind === selection.kind && alarm.subject.id === selection.id) ?? null;
  }

  async begin(): Promise<void> {
    document.documentElement.dataset.palette = this.palette;
    setInterval(() => this.tick(), 500);
    this.node = await get<Node>("/node").catch(() => null);
    const token = /^#enter=(.+)$/.exec(location.hash)?.[1];
    if (token) {
      history.replaceState(null, "", location.pathname);
      await this.enter(() => post("/session/enter", { token: decodeURIComponent(token) }));
    } else {
      await this.enter(() => get("/session"), true);
    }
    this.asked = true;
  }

  /** Opens a session; a refusal becomes a notice. True if it opened. */
  async enter(open: () => Promise<Session>, silently = false): Promise<boolean> {
    try {
      this.session = await open();
    } catch (error) {
      if (!silently) this.complain(error);
      return false;
    }
    this.notice = "";
    this.node = await get<Node>("/node").catch(() => this.node);
    await this.furnish();
    this.link?.close();
    this.link = new Link(socketUrl("/picture"), {
      heard: (message) => this.hear(message),
      lost: () => void this.furnish(),
      ended: () => this.sessionEnded(),
    });
    this.link.open();
    return true;
  }

  private async furnish(): Promise<void> {
    try {
      this.stations = (await get<{ items: Station[] }>("/stations")).items;
      this.zones = (await get<{ items: Zone[] }>("/zones")).items;
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) this.sessionEnded();
    }
  }

  async leave(): Promise<void> {
    await call("DELETE", "/session").catch(() => undefined);
    this.sessionEnded();
  }

  private sessionEnded(): void {
    this.link?.close();
    this.session = null;
  }

  private hear(message: Message): void {
    const build = this.node?.build;
    this.heardAt = performance.now();
    this.offset = Date.parse(message.at) - Date.now();
    this.picture = next(this.picture, message);
    if (message.type === "snapshot" && message.node) {
      this.newBuild ||= build !== undefined && message.node.build !== build;
      this.node = { ...message.node, build: build ?? message.node.build };
    }
    if (message.type !== "heartbeat") {
      this.trails.remember(this.picture.tracks);
      this.sound();
    }
    this.tick();
  }

  private sound(): void {
    const { priority, fresh } = sounding(this.picture.alarms.values(), this.heard);
    for (const alarm of this.picture.alarms.values()) this.heard.set(alarm.alarm_id, alarm.version);
    for (const id of this.heard.keys()) if (!this.picture.alarms.has(id)) this.heard.delete(id);
    this.siren.follow(priority, fresh);
  }

  private tick(): void {
    this.now = Date.now() + this.offset;
    this.silence = performance.now() - this.heardAt;
  }

  complain(error: unknown): void {
    this.notice = refusal(error instanceof Refusal ? error.code : "network");
  }

  async act(alarm: Alarm, what: "acknowledge" | "silence"): Promise<void> {
    try {
      const body = what === "acknowledge" ? { version: alarm.version } : undefined;
      const after = await post<Alarm>(`/alarms/${encodeURIComponent(alarm.alarm_id)}/${what}`, body);
      this.picture = withAlarm(this.picture, after);
      this.notice = "";
      this.sound();
    } catch (error) {
      this.complain(error);
    }
  }

  select(selection: Selection | null): void {
    this.selection = selection;
    this.playback = false;
  }

  cyclePalette(): void {
    this.palette = PALETTES[(PALETTES.indexOf(this.palette) + 1) % 3]!;
    document.documentElement.dataset.palette = this.palette;
    remember("palette", this.palette);
  }
}

export const desk = new Desk();
export { remembered };

/**
 * One live player: a socket on one side, a <video> on the other.
 *
 * It owns the MediaSource and gives everything back in `stop`. It waits for a key picture
 * after every init. A camera whose codec cannot be played is reported as stills.
 */
import { CaptureTimes, correct, mimeOf, parse } from "./liveEdge";

export type PlayerState = "connecting" | "live" | "stills" | "stopped";
const MOST_QUEUED = 120;
const SILENT_MS = 6000;

export class LivePlayer {
  private socket: WebSocket | null = null;
  private source: MediaSource | null = null;
  private buffer: SourceBuffer | null = null;
  private url: string | null = null;
  private queue: Uint8Array<ArrayBuffer>[] = [];
  private wantsKey = true;
  private readonly times = new CaptureTimes();
  private timer: ReturnType<typeof setInterval> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private heardAt = 0;
  private attempt = 0;
  state: PlayerState = "stopped";

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly socketUrl: string,
    private readonly changed: (state: PlayerState) => void,
  ) {}

  start(): void {
    this.become("connecting");
    this.connect();
    this.timer = setInterval(() => this.steer(), 250);
  }

  stop(): void {
    clearInterval(this.timer);
    clearTimeout(this.retry);
    this.hangUp();
    this.release();
    this.become("stopped");
  }

  /** When the picture now on screen was taken, ms since 1970. */
  shownAt(): number | null {
    return this.video.readyState >= 2 ? this.times.at(this.video.currentTime) : null;
  }

  private become(state: PlayerState): void {
    if (this.state === state) return;
    this.state = state;
    this.changed(state);
  }

  private connect(): void {
    const socket = new WebSocket(this.socketUrl);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onmessage = (event) => {
      this.heardAt = performance.now();
      if (typeof event.data === "string") this.hear(event.data);
      else this.take(event.data as ArrayBuffer);
    };
    socket.onclose = () => this.socket === socket && this.again();
  }

  private again(): void {
    this.hangUp();
    this.release();
    if (this.state === "stopped") return;
    this.become("connecting");
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), Math.min(500 * 2 ** this.attempt++, 8000));
  }

  private hangUp(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private hear(text: string): void {
    const message = JSON.parse(text) as { type: string; codec?: string };
    if (message.type === "stills") return this.fallBack();
    if (message.type !== "open" || !message.codec) return;
    const mime = mimeOf(message.codec);
    if (typeof MediaSource === "undefined" || !MediaSource.isTypeSupported(mime)) return this.fallBack();
    this.release();
    this.prepare(mime);
  }

  private fallBack(): void {
    this.release();
    this.become("stills");
  }

  private prepare(mime: string): void {
    const source = new MediaSource();
    this.source = source;
    this.url = URL.createObjectURL(source);
    this.video.src = this.url;
    source.addEventListener("sourceopen", () => {
      if (this.source !== source) return;
      const buffer = source.addSourceBuffer(mime);
      buffer.mode = "segments";
      buffer.addEventListener("updateend", () => this.pump());
      buffer.addEventListener("error", () => this.source === source && this.again());
      this.buffer = buffer;
      this.pump();
    });
  }

  private release(): void {
    this.queue = [];
    this.wantsKey = true;
    this.times.clear();
    this.source = null;
    this.buffer = null;
    if (this.url === null) return;
    URL.revokeObjectURL(this.url);
    this.url = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  private take(frame: ArrayBuffer): void {
    const fragment = parse(frame);
    if (!fragment || !this.source) return;
    if (fragment.kind === "delta" && this.wantsKey) return;
    if (fragment.kind !== "delta") this.wantsKey = fragment.kind === "init";
    if (this.queue.length > MOST_QUEUED) {
      this.queue = [];
      this.wantsKey = true;
      return;
    }
    this.times.note(fragment);
    this.queue.push(fragment.payload);
    this.pump();
  }

  private pump(): void {
    const buffer = this.buffer;
    if (!buffer || buffer.updating || this.queue.length === 0) return;
    if (this.source?.readyState !== "open") return;
    try {
      buffer.appendBuffer(this.queue.shift()!);
    } catch {
      this.again();
    }
  }

  private steer(): void {
    if (this.state !== "stopped" && this.state !== "stills" && this.socket && performance.now() - this.heardAt > SILENT_MS) {
      return this.again();
    }
    const buffered = this.buffer?.buffered;
    if (!buffered || buffered.length === 0) return;
    const last = buffered.length - 1;
    const fix = correct({ at_s: this.video.currentTime, start_s: buffered.start(last), end_s: buffered.end(last) });
    if (fix.seek_s !== null) this.video.currentTime = fix.seek_s;
    this.video.playbackRate = fix.rate;
    if (fix.trim_to_s !== null && !this.buffer!.updating) this.buffer!.remove(0, fix.trim_to_s);
    if (this.video.paused) void this.video.play().catch(() => undefined);
    this.attempt = 0;
    this.become("live");
  }
}

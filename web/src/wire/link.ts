/**
 * The one connection that carries the picture.
 *
 * It opens, reads a snapshot, then deltas numbered one by one. A hole in the numbers, or
 * silence, ends it, and it opens again after a growing wait with jitter. It draws nothing.
 */
import type { Message } from "./types";

/** Silence after which the connection is given up and opened afresh. */
export const DEAF_MS = 5000;
/** Silence after which people are told that the picture stands still. */
export const STALE_MS = 3000;
export const SESSION_ENDED = 4401;

/** Milliseconds before attempt n (0 first): 250 doubling to 4000, of which half is chance. */
export function waitMs(attempt: number, chance: number): number {
  const most = Math.min(250 * 2 ** attempt, 4000);
  return most / 2 + (most / 2) * chance;
}

/** Whether a message may follow number `last`; a snapshot always may. */
export function follows(last: number | null, message: Message): boolean {
  if (message.type === "snapshot") return true;
  if (last === null) return false;
  return message.type === "heartbeat"
    ? message.seq === last || message.seq === last + 1
    : message.seq === last + 1;
}

export interface Ears {
  heard(message: Message): void;
  lost(): void;
  ended(): void;
}

export class Link {
  private socket: WebSocket | null = null;
  private last: number | null = null;
  private attempt = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private closed = true;

  constructor(private readonly url: string, private readonly ears: Ears) {}

  open(): void {
    this.closed = false;
    this.connect();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
    this.drop();
  }

  private connect(): void {
    this.last = null;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.feedWatchdog();
    socket.onmessage = (event) => this.receive(String(event.data));
    socket.onclose = (event) => {
      if (this.socket === socket) this.lose(event.code);
    };
  }

  private receive(text: string): void {
    const message = JSON.parse(text) as Message;
    if (!follows(this.last, message)) return this.lose(0);
    this.last = message.seq;
    this.attempt = 0;
    this.feedWatchdog();
    this.ears.heard(message);
  }

  private feedWatchdog(): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.lose(0), DEAF_MS);
  }

  private drop(): void {
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private lose(code: number): void {
    this.drop();
    if (this.closed) return;
    if (code === SESSION_ENDED) {
      this.closed = true;
      return this.ears.ended();
    }
    this.ears.lost();
    this.retry = setTimeout(() => this.connect(), waitMs(this.attempt++, Math.random()));
  }
}

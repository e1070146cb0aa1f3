/** Plays the patterns through WebAudio. Browsers keep it mute until a person has acted. */
import type { Priority } from "../wire/types";
import { PATTERNS } from "./patterns";
import type { Pattern } from "./patterns";

export class Siren {
  private context: AudioContext | null = null;
  private playing: Priority | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly changed: (canSound: boolean) => void) {}

  /** To be called at load and at every gesture. */
  async wake(): Promise<void> {
    this.context ??= this.build();
    if (this.context.state === "suspended") await Promise.race([this.context.resume(), Promise.resolve()]);
    this.changed(this.context.state === "running");
  }

  private build(): AudioContext {
    const context = new AudioContext();
    context.addEventListener("statechange", () => this.changed(context.state === "running"));
    return context;
  }

  /** Sounds for the gravest alarm; a pattern without repetition only when it is fresh. */
  follow(priority: Priority | null, fresh: boolean): void {
    if (priority === this.playing && !(fresh && PATTERNS[priority ?? "caution"]?.repeat_s === null)) return;
    clearInterval(this.timer);
    this.playing = priority;
    const pattern = priority && PATTERNS[priority];
    if (!pattern) return;
    if (pattern.repeat_s !== null) {
      this.play(pattern);
      this.timer = setInterval(() => this.play(pattern), pattern.repeat_s * 1000);
    } else if (fresh) this.play(pattern);
  }

  test(): void {
    void this.wake().then(() => this.play(PATTERNS.alarm!));
  }

  private play(pattern: Pattern): void {
    const context = this.context;
    if (!context || context.state !== "running") return;
    for (const tone of pattern.tones) {
      const start = context.currentTime + 0.02 + tone.start_s;
      const gain = context.createGain();
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(0.25, start + 0.012);
      gain.gain.setValueAtTime(0.25, start + tone.length_s - 0.02);
      gain.gain.linearRampToValueAtTime(0, start + tone.length_s);
      const oscillator = context.createOscillator();
      oscillator.type = "triangle";
      oscillator.frequency.value = tone.hz;
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(start);
      oscillator.stop(start + tone.length_s + 0.01);
    }
  }
}

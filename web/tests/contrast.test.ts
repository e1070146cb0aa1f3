import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Recomputes from tokens.css what WCAG 2.2 asks: text 4.5, graphics 3. */
const css = readFileSync(new URL("../src/tokens.css", import.meta.url), "utf8");

function palette(name: string): Record<string, string> {
  const block = css.split(`[data-palette="${name}"] {`)[1]!.split("}")[0]!;
  return Object.fromEntries([...block.matchAll(/--([\w-]+): (#\w+);/g)].map((m) => [m[1]!, m[2]!]));
}
function luminance(hex: string): number {
  const full = hex.length === 4 ? [...hex.slice(1)].map((c) => c + c).join("") : hex.slice(1, 7);
  const [r, g, b] = [0, 2, 4].map((i) => {
    const c = parseInt(full.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}
function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high! + 0.05) / (low! + 0.05);
}

for (const name of ["day", "dusk", "night"]) {
  const tokens = palette(name);
  for (const ink of ["text", "text-2", "alarm", "warning", "caution", "ok", "info", "edge"]) {
    const least = ink === "edge" ? 3 : 4.5;
    test(`${name}: ${ink} is readable on every ground`, () => {
      for (const ground of ["bg", "surface", "sea", "land"]) {
        expect(contrast(tokens[ink]!, tokens[ground]!), `${ink} on ${ground}`).toBeGreaterThanOrEqual(least - 0.05);
      }
    });
  }
  test(`${name}: words on a filled button are readable`, () => {
    expect(contrast(tokens["on-fill"]!, tokens.info!)).toBeGreaterThanOrEqual(4.5);
  });
}

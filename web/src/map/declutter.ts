/** Which labels fit beside each other: what matters more keeps its own. */

export interface Label {
  id: string;
  /** Where its symbol is, pixels; the label stands to its right. */
  x: number; y: number;
  text: string;
  /** The least goes first. */
  rank: number;
  /** Drawn whatever it covers: an unacknowledged contact never loses its name. */
  must: boolean;
}

const LINE_PX = 14;
const LETTER_PX = 6.8;
const BESIDE_PX = 18;
const ABOVE_PX = 18;

interface Box { left: number; top: number; right: number; bottom: number }

function boxOf({ x, y, text }: Label): Box {
  const lines = text.split("\n");
  const width = Math.max(...lines.map((line) => line.length)) * LETTER_PX;
  const top = y - ABOVE_PX;
  return { left: x + BESIDE_PX, top, right: x + BESIDE_PX + width, bottom: top + lines.length * LINE_PX };
}

const meet = (a: Box, b: Box): boolean => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** The ids of the labels to draw. */
export function legible(labels: readonly Label[]): Set<string> {
  const taken: Box[] = [];
  const kept = new Set<string>();
  const order = [...labels].sort((a, b) => Number(b.must) - Number(a.must) || a.rank - b.rank || (a.id < b.id ? -1 : 1));
  for (const label of order) {
    const box = boxOf(label);
    if (!label.must && taken.some((other) => meet(box, other))) continue;
    taken.push(box);
    kept.add(label.id);
  }
  return kept;
}

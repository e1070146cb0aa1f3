/**
 * Text that reads left to right in every language: numbers, positions, names of things.
 *
 * The value travels between U+2066 and U+2069; `Say.svelte` turns the pair into
 * `<bdi dir="ltr">`, a canvas draws it as it is.
 */
const LRI = "\u2066";
const PDI = "\u2069";

export const isolate = (text: string): string => `${LRI}${text}${PDI}`;

/** A word of either direction that stands beside others. */
export const isolateAny = (text: string): string => `\u2068${text}${PDI}`;

export interface Piece { text: string; isolated: boolean }

/** Cuts a sentence at its isolates, in order. */
export function pieces(sentence: string): Piece[] {
  return sentence
    .split(/(\u2066[^\u2066\u2069]*\u2069)/)
    .filter((text) => text !== "")
    .map((text) =>
      text.startsWith(LRI) ? { text: text.slice(1, -1), isolated: true } : { text, isolated: false },
    );
}

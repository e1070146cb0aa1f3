/** Keys to acts. A Latin letter counts as typed; on other layouts the place of the key counts. */
export type Act =
  | "acknowledge" | "silence" | "next" | "previous" | "open" | "gravest"
  | "palette" | "help" | "replay" | "live";

const BY_KEY: Record<string, Act> = {
  a: "acknowledge", s: "silence", j: "next", k: "previous", l: "live", r: "replay",
  Enter: "open", Escape: "gravest", F8: "palette", "?": "help",
  ArrowDown: "next", ArrowUp: "previous",
};

export interface Press {
  key: string; code: string; ctrlKey: boolean; altKey: boolean; metaKey: boolean; shiftKey: boolean;
}

export function actOf(press: Press): Act | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  const latin = /^[a-z]$/i.test(press.key);
  if (latin && press.shiftKey) return null;
  const letter = latin ? press.key.toLowerCase() : /^Key([A-Z])$/.exec(press.code)?.[1]?.toLowerCase();
  return BY_KEY[press.key.length === 1 && letter ? letter : press.key] ?? null;
}

/** Whether the person is writing: then letters are letters. */
export function isTyping(element: { tagName: string; isContentEditable?: boolean } | null): boolean {
  return element !== null && (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable === true);
}

/** The language of this console; changing it redraws every sentence, without a reload. */
import * as fmt from "../fmt";
import { direction, fill, plural, sentence } from "./catalogue";
import type { Catalogue, Language, Values } from "./catalogue";

const LOADERS: Record<Language, () => Promise<{ default: Catalogue }>> = {
  ar: () => import("./locales/ar.json"),
  es: () => import("./locales/es.json"),
  fr: () => import("./locales/fr.json"),
  en: () => import("./locales/en.json"),
};

let spoken = $state.raw<{ language: Language; catalogue: Catalogue }>({ language: "en", catalogue: {} });

export const language = (): Language => spoken.language;

export async function speak(wanted: Language): Promise<void> {
  const catalogue = (await LOADERS[wanted]()).default;
  spoken = { language: wanted, catalogue };
  document.documentElement.lang = wanted === "ar" ? "ar-MA" : wanted;
  document.documentElement.dir = direction(wanted);
}

const unknown = (): string => sentence(spoken.catalogue, "fact", "unknown");

/** A sentence; both arguments are literals, so that the catalogue can be extracted. */
export function t(context: string, english: string, values: Values = {}): string {
  return fill(sentence(spoken.catalogue, context, english), values, unknown());
}

/** A sentence that counts; {n} is the number. */
export function tn(context: string, one: string, many: string, n: number, values: Values = {}): string {
  const chosen = plural(spoken.catalogue, spoken.language, context, one, many, n);
  return fill(chosen, { n: fmt.number(n), ...values }, unknown());
}

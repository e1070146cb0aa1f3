/**
 * Sentences by context and English text, with plural forms.
 *
 * Source: GNU gettext's way of keys: context, U+0004, English.
 */
export type Catalogue = Record<string, string | string[]>;
export type Values = Record<string, string | null>;

/** CLDR order of forms in the files: what Intl.PluralRules names, in gettext's order. */
const FORMS: Record<string, Intl.LDMLPluralRule[]> = {
  ar: ["zero", "one", "two", "few", "many", "other"],
  es: ["one", "many", "other"],
  fr: ["one", "many", "other"],
  en: ["one", "other"],
};

export const LANGUAGES = ["ar", "es", "fr", "en"] as const;
export type Language = (typeof LANGUAGES)[number];
export const direction = (language: Language): "rtl" | "ltr" => (language === "ar" ? "rtl" : "ltr");
export const keyOf = (context: string, english: string): string => `${context}\u0004${english}`;

/** Puts values into a sentence; what is unknown becomes `unknown`, never empty. */
export function fill(sentence: string, values: Values, unknown: string): string {
  return sentence.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? unknown);
}

export function sentence(catalogue: Catalogue, context: string, english: string): string {
  const found = catalogue[keyOf(context, english)];
  return (Array.isArray(found) ? found[0] : found) || english;
}

/** The form for n; falls back to the last form, then to English. */
export function plural(
  catalogue: Catalogue, language: Language, context: string, one: string, many: string, n: number,
): string {
  const found = catalogue[keyOf(context, one)];
  const forms = Array.isArray(found) ? found.filter((form) => form !== "") : [];
  if (forms.length === 0) return n === 1 ? one : many;
  const names = forms.length === 2 ? FORMS.en! : FORMS[language]!;
  const wanted = new Intl.PluralRules(language === "ar" ? "ar-MA" : language).select(n);
  const at = names.indexOf(wanted);
  return (at < 0 ? undefined : forms[at]) ?? forms.at(-1)!;
}

/** The language to begin with: what was chosen here, else what the browser speaks. */
export function firstLanguage(chosen: string | null, spoken: readonly string[]): Language {
  const wished = [chosen ?? "", ...spoken.map((tag) => tag.slice(0, 2))];
  return wished.find((tag): tag is Language => (LANGUAGES as readonly string[]).includes(tag)) ?? "en";
}

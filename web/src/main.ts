import "./tokens.css";
import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { desk, remembered } from "./state/desk.svelte";
import { firstLanguage } from "./i18n/catalogue";
import { speak } from "./i18n/index.svelte";

// OpenLayers measures text with innerHTML = "M"; nothing else may become HTML.
interface Policies { createPolicy(name: string, rules: { createHTML(html: string): string }): unknown }
const policies = (window as unknown as { trustedTypes?: Policies }).trustedTypes;
policies?.createPolicy("default", {
  createHTML: (html) => {
    if (html !== "M") throw new TypeError("no HTML from text");
    return html;
  },
});

void desk.begin();
void speak(firstLanguage(remembered("language"), navigator.languages)).then(() => {
  mount(App, { target: document.getElementById("app")! });
});

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import type { Plugin } from "vite";

const OUT = "../src/almenara/console/static";
/** What the bundle is made of; tests/repo/test_bundle.py reads the same list. */
const SOURCES = ["src", "index.html", "package-lock.json", "svelte.config.js", "tsconfig.json", "vite.config.ts"];

function files(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path).flatMap((name) => files(join(path, name)));
}

const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

/** One hash over names and contents, in the order of the names' code points. */
function hashOfSources(root: string): string {
  const lines = SOURCES.flatMap((source) => files(join(root, source)))
    .map((file) => `${relative(root, file).split("\\").join("/")} ${sha256(readFileSync(file))}\n`)
    .sort((a, b) => (a < b ? -1 : 1));
  return sha256(lines.join(""));
}

/** Writes manifest.json: the sources' hash and every file's, so that a stale bundle shows. */
function manifest(): Plugin {
  return {
    name: "almenara-manifest",
    apply: "build",
    closeBundle() {
      const root = import.meta.dirname;
      const out = join(root, OUT);
      const built = files(out)
        .map((file) => relative(out, file).split("\\").join("/"))
        .filter((name) => name !== "manifest.json")
        .sort((a, b) => (a < b ? -1 : 1));
      const hashes = Object.fromEntries(built.map((name) => [name, sha256(readFileSync(join(out, name)))]));
      const text = JSON.stringify({ generated: "by web/; do not edit", sources: hashOfSources(root), files: hashes }, null, 1);
      writeFileSync(join(out, "manifest.json"), text + "\n");
    },
  };
}

export default defineConfig({
  plugins: [svelte(), manifest()],
  base: "/",
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});

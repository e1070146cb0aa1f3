/** Requests to the node. Every refusal becomes one error with the server's code. */

export class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, readonly detail: string) {
    super(`${status} ${code}`);
  }
}

interface Problem { code?: unknown; detail?: unknown }

async function refusalOf(response: Response): Promise<Refusal> {
  const problem = (await response.json().catch(() => ({}))) as Problem;
  return new Refusal(response.status, String(problem.code ?? "unknown"), String(problem.detail ?? ""));
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = method === "GET" ? {} : { "X-Almenara": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(`/api/v1${path}`, {
    method,
    headers,
    credentials: "same-origin",
    cache: "no-store",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw await refusalOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const get = <T>(path: string): Promise<T> => call<T>("GET", path);
export const post = <T>(path: string, body?: unknown): Promise<T> => call<T>("POST", path, body);

/** Bytes of a picture or a clip, with the time it was taken where the node says so; null if there is none yet. */
export async function bytes(path: string): Promise<{ blob: Blob; capturedAt: string | null } | null> {
  const response = await fetch(path, { credentials: "same-origin", cache: "no-store" });
  if (!response.ok) throw await refusalOf(response);
  if (response.status === 204) return null;
  return { blob: await response.blob(), capturedAt: response.headers.get("X-Captured-At") };
}

export function socketUrl(path: string, place: { protocol: string; host: string } = location): string {
  return `${place.protocol === "https:" ? "wss" : "ws"}://${place.host}/api/v1${path}`;
}

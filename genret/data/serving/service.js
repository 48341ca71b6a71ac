// What is asked of the service. All addresses are relative, so the page also
// works below a path of another server.

const TOKEN = "genret-token"; // of this tab alone

/** An answer other than 200: its status, 0 for none, and one line of text. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Sends a request; POST with a body, GET without. Returns what it answers. */
export async function ask(path, { body, signal } = {}) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The service does not answer. Is it running?");
  }
  const found = await read(response);
  if (response.ok && found) return found;
  throw new Refusal(response.status, reason(response, found));
}

/** Returns what was sent; null if something else than the service sent it. */
async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null;
  }
}

function reason(response, found) {
  return found?.error
    ?? `What answered, with ${response.status}, was not the service.`;
}

const documents = new Map();

/** Returns a document by its docno; the second time from memory. */
export function lookUp(docno) {
  if (!documents.has(docno)) {
    const asked = ask(`documents/${encodeURIComponent(docno)}`);
    documents.set(docno, asked);
    asked.catch(() => documents.delete(docno));
  }
  return documents.get(docno);
}

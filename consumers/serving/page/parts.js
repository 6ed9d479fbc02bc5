// Small things that the page's scripts share: the node's answers, templates, words for numbers.

export const $ = (selector, root = document) => root.querySelector(selector);
export const copy = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

const many = new Intl.NumberFormat("en-GB");
export const count = (n) => many.format(n);

// Whole percents, but never "0 %" or "100 %" of what is neither.
export const percent = (p) => (
  p > 0.995 && p < 1 ? "> 99 %" : p < 0.005 && p > 0 ? "< 1 %" : `${Math.round(p * 100)} %`);

// With a sign, as a difference is read; a true minus, which is as wide as the plus.
export const signed = (n, digits = 1) => `${n < 0 ? "−" : "+"}${Math.abs(n).toFixed(digits)}`;

const SMALL = new Set(["a", "and", "at", "by", "for", "in", "of", "on", "the", "to", "with"]);
export const words = (id) => id.split("-").map((word, place) => (
  place && SMALL.has(word) ? word : word.charAt(0).toUpperCase() + word.slice(1))).join(" ");

// Only what has changed is written: a reader that reads changes aloud has no more to say.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const isTheme = (name) => !name.startsWith("cast:");
export const artworkOf = (title, id) => title.artworks.find((artwork) => artwork.artwork_id === id);

// What a node answers, or an Error with the sentence that it gives instead.
export async function fetched(path, body) {
  const asked = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, asked);
  } catch {
    throw new Error("the node does not answer");
  }
  const found = await answer.json().catch(() => ({ error: `the node answers with status ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(found.error), { status: answer.status });
  return found;
}

// Calls again and again, each time so long after the last has ended; not while nobody looks.
export function repeat(ask, milliseconds) {
  let timer = 0;
  const turn = async () => {
    clearTimeout(timer);
    if (!document.hidden) await ask();
    clearTimeout(timer);
    timer = setTimeout(turn, milliseconds);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
  return turn;
}
